//! The ledger outside Nexus: what was asked, and every answer that came back.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};

/// Answers by question. An answer is told from another by its id and its text: the same message
/// delivered again is one answer, as the contract says.
#[derive(Debug, Default)]
pub struct Ledger {
    asked: BTreeMap<String, BTreeSet<(String, String)>>,
}

impl Ledger {
    /// A question was put.
    pub fn asked(&mut self, question: impl Into<String>) {
        self.asked.entry(question.into()).or_default();
    }

    /// An answer came.
    pub fn answered(&mut self, question: &str, id: &str, text: &str) {
        if let Some(answers) = self.asked.get_mut(question) {
            answers.insert((id.to_owned(), text.to_owned()));
        }
    }

    /// Questions without an answer.
    #[must_use]
    pub fn open(&self) -> Vec<&str> {
        let open = self.asked.iter().filter(|(_, answers)| answers.is_empty());
        open.map(|(question, _)| question.as_str()).collect()
    }

    /// That every question has exactly one answer.
    ///
    /// # Errors
    /// Names what was lost or doubled.
    pub fn check(&self) -> Result<()> {
        let lost = self.open();
        ensure!(
            lost.is_empty(),
            "{} of {} lost: {lost:?}",
            lost.len(),
            self.asked.len()
        );
        let doubled: Vec<_> = self
            .asked
            .iter()
            .filter(|(_, answers)| answers.len() > 1)
            .collect();
        ensure!(doubled.is_empty(), "{} doubled: {doubled:?}", doubled.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_and_a_doubled_answer_are_found_and_a_repeated_one_is_not() {
        let mut ledger = Ledger::default();
        ledger.asked("q");
        assert!(ledger.check().is_err());
        ledger.answered("q", "1", "a");
        ledger.answered("q", "1", "a");
        assert!(ledger.check().is_ok());
        ledger.answered("q", "2", "a");
        assert!(ledger.check().is_err());
    }
}
