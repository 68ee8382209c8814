//! The shortest history that still fails: acts and faults are left out for as long as it does.

use std::collections::BTreeSet;
use std::fmt;

use crate::{Case, Happened, Invariant, Outcome, Tracing, Violation, simulate};

/// Most histories tried.
const MOST_TRIES: usize = 1_500;

/// A failing history, as short as it got.
#[derive(Clone, Debug)]
pub struct Shortest {
    /// The history before it happens.
    pub case: Case,
    /// What still does not hold.
    pub violation: Violation,
    /// What still goes wrong.
    pub faults: Vec<Happened>,
    /// What happens, line by line.
    pub trace: Vec<String>,
}

struct Shrinking {
    case: Case,
    outcome: Outcome,
    invariant: Invariant,
    tries: usize,
}

/// Shrinks a failing history; nothing when it does not fail.
#[must_use]
pub fn shrink(case: &Case, invariant: Invariant) -> Option<Shortest> {
    let outcome = simulate(case, Tracing::Off);
    let mut shrinking = Shrinking {
        case: case.clone(),
        outcome,
        invariant,
        tries: 0,
    };
    shrinking.violation()?;
    loop {
        let before = shrinking.size();
        shrinking.drop_acts();
        shrinking.drop_faults();
        if shrinking.size() == before || shrinking.tries >= MOST_TRIES {
            break;
        }
    }
    shrinking.outcome = simulate(&shrinking.case, Tracing::On);
    let violation = shrinking.violation()?;
    Some(Shortest {
        case: shrinking.case,
        violation,
        faults: shrinking.outcome.faults,
        trace: shrinking.outcome.trace,
    })
}

impl Shrinking {
    fn violation(&self) -> Option<Violation> {
        let mut found = self.outcome.violations.iter();
        found
            .find(|violation| violation.invariant == self.invariant)
            .cloned()
    }

    fn size(&self) -> usize {
        self.case.acts.len() + self.outcome.faults.len()
    }

    /// Keeps a shorter history if it still fails.
    fn keep(&mut self, shorter: Case) -> bool {
        if self.tries >= MOST_TRIES {
            return false;
        }
        self.tries += 1;
        let outcome = simulate(&shorter, Tracing::Off);
        let mut violations = outcome.violations.iter();
        if !violations.any(|violation| violation.invariant == self.invariant) {
            return false;
        }
        self.case = shorter;
        self.outcome = outcome;
        true
    }

    /// Leaves out acts: half of them at once, then ever fewer.
    fn drop_acts(&mut self) {
        let mut size = self.case.acts.len().div_ceil(2);
        while size > 0 {
            let mut at = 0;
            while at < self.case.acts.len() {
                let mut shorter = self.case.clone();
                let end = (at + size).min(shorter.acts.len());
                shorter.acts.drain(at..end);
                if !self.keep(shorter) {
                    at += size;
                }
            }
            size /= 2;
        }
    }

    /// Leaves out faults in the same way.
    fn drop_faults(&mut self) {
        let places = |outcome: &Outcome| -> Vec<u64> {
            outcome.faults.iter().map(|fault| fault.place).collect()
        };
        let mut size = self.outcome.faults.len().div_ceil(2);
        while size > 0 {
            let mut at = 0;
            loop {
                let now = places(&self.outcome);
                let part: BTreeSet<u64> = now.iter().skip(at).take(size).copied().collect();
                if part.is_empty() {
                    break;
                }
                let mut shorter = self.case.clone();
                shorter.without.extend(part);
                if !self.keep(shorter) {
                    at += size;
                }
            }
            size /= 2;
        }
    }
}

impl fmt::Display for Shortest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {}", self.case.seed, self.violation)?;
        writeln!(
            f,
            "\nthe shortest history found, {} acts:",
            self.case.acts.len()
        )?;
        for act in &self.case.acts {
            writeln!(f, "  {act}")?;
        }
        writeln!(f, "{} faults:", self.faults.len())?;
        for fault in &self.faults {
            writeln!(f, "  {fault}")?;
        }
        writeln!(f, "what happened:")?;
        for line in &self.trace {
            writeln!(f, "  {line}")?;
        }
        Ok(())
    }
}
