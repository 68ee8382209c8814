//! Which tools may be used: those whose definition is the one that was approved.
//!
//! A server can change what it says of a tool after it was approved (CVE-2025-54136). So the
//! approval is bound to the hash of the definition, and every listing is judged anew.

use std::collections::BTreeMap;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::config::Approval;
use crate::definition::{Definition, Pin};

mod change;

pub use change::Change;

/// An approved definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// What was approved; compared with what is seen.
    pub pin: Pin,
    /// The words behind it, to show a person what changed.
    pub definition: Definition,
}

impl Known {
    /// `definition`, approved as it is.
    #[must_use]
    pub fn of(definition: Definition) -> Self {
        Self {
            pin: definition.pin(),
            definition,
        }
    }
}

/// A part of a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// The title.
    Title,
    /// The description.
    Description,
    /// The schema of the arguments.
    Input,
    /// The schema of the result.
    Output,
    /// The server's hints.
    Annotations,
}

/// What a listing means for one tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is what was approved.
    Approved,
    /// It was never approved.
    New,
    /// It differs from what was approved, in these parts.
    Changed(Vec<Field>),
    /// It was approved and is not listed.
    Gone,
}

/// Judges a listing. `known` is by the server's own names; every name of either side is judged.
#[must_use]
pub fn judge(known: &BTreeMap<String, Known>, seen: &[Definition]) -> BTreeMap<String, Verdict> {
    let gone = known.keys().map(|name| (name.clone(), Verdict::Gone));
    let mut verdicts: BTreeMap<String, Verdict> = gone.collect();
    for definition in seen {
        let verdict = match known.get(&definition.name) {
            None => Verdict::New,
            Some(known) if known.pin == definition.pin() => Verdict::Approved,
            Some(known) => Verdict::Changed(differences(&known.definition, definition)),
        };
        verdicts.insert(definition.name.clone(), verdict);
    }
    verdicts
}

/// What the policy approves by itself: all of the first listing of a server never seen before,
/// and otherwise nothing.
pub(crate) fn first_use<'a>(
    policy: Approval,
    known: Option<&BTreeMap<String, Known>>,
    seen: &'a [Definition],
) -> &'a [Definition] {
    match (policy, known) {
        (Approval::Pinned, None) => seen,
        _ => &[],
    }
}

fn differences(old: &Definition, new: &Definition) -> Vec<Field> {
    let parts = [
        (Field::Title, old.title != new.title),
        (Field::Description, old.description != new.description),
        (Field::Input, old.input != new.input),
        (Field::Output, old.output != new.output),
        (Field::Annotations, old.annotations != new.annotations),
    ];
    let differing = parts.into_iter().filter(|(_, differs)| *differs);
    differing.map(|(field, _)| field).collect()
}

/// Where approvals are kept. The caller brings it; what it fails to keep is not approved.
#[async_trait]
pub trait Pins: Send + Sync {
    /// Approved definitions of a server; `None`: the server was never seen.
    ///
    /// # Errors
    /// Why they could not be read, for people. The server then does not start.
    async fn load(&self, server: &str) -> Result<Option<Vec<Known>>, String>;

    /// Replaces the approved definitions of a server.
    ///
    /// # Errors
    /// Why they could not be kept, for people.
    async fn store(&self, server: &str, known: &[Known]) -> Result<(), String>;
}

/// Approvals in memory: for tests, and for programs that approve anew at every start.
#[derive(Debug, Default)]
pub struct MemoryPins(Mutex<BTreeMap<String, Vec<Known>>>);

#[async_trait]
impl Pins for MemoryPins {
    async fn load(&self, server: &str) -> Result<Option<Vec<Known>>, String> {
        Ok(self.0.lock().get(server).cloned())
    }

    async fn store(&self, server: &str, known: &[Known]) -> Result<(), String> {
        self.0.lock().insert(server.to_owned(), known.to_vec());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::definition::tests::definition;

    fn known(definitions: &[Definition]) -> BTreeMap<String, Known> {
        let entries = definitions.iter().cloned();
        entries.map(|d| (d.name.clone(), Known::of(d))).collect()
    }

    proptest! {
        #[test]
        fn what_is_as_approved_stays_so_and_any_change_stops(one in definition(), other in definition()) {
            let known = known(std::slice::from_ref(&one));
            prop_assert_eq!(&judge(&known, std::slice::from_ref(&one))[&one.name], &Verdict::Approved);
            let mut other = other;
            other.name.clone_from(&one.name);
            let verdict = judge(&known, std::slice::from_ref(&other))[&one.name].clone();
            prop_assert_eq!(verdict == Verdict::Approved, one.pin() == other.pin());
        }

        #[test]
        fn every_name_is_judged(
            before in proptest::collection::vec(definition(), 0..4),
            seen in proptest::collection::vec(definition(), 0..4),
        ) {
            let verdicts = judge(&known(&before), &seen);
            for definition in before.iter().chain(&seen) {
                prop_assert!(verdicts.contains_key(&definition.name));
            }
            for (name, verdict) in &verdicts {
                let listed = seen.iter().any(|definition| definition.name == *name);
                prop_assert_eq!(!listed, *verdict == Verdict::Gone);
            }
        }
    }

    #[test]
    fn only_the_first_sight_of_a_server_approves_by_itself() {
        let seen = [change::tests::tool("a", "first")];
        let none = BTreeMap::new();
        assert_eq!(first_use(Approval::Pinned, None, &seen).len(), 1);
        assert!(first_use(Approval::Pinned, Some(&none), &seen).is_empty());
        assert!(first_use(Approval::Always, None, &seen).is_empty());
    }
}
