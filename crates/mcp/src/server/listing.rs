//! The tools of a server as last listed and judged.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::definition::{Definition, Pin};
use crate::names;
use crate::pins::{Change, Known, Verdict, judge};
use crate::schema::Checker;

/// A listing and what it means.
pub(crate) struct Listing {
    /// By the offered name.
    pub(crate) entries: BTreeMap<String, Entry>,
    /// Tools that cannot be offered, and why.
    pub(crate) set_aside: Vec<String>,
    /// What is approved, to compare with.
    known: BTreeMap<String, Known>,
}

/// One tool.
pub(crate) struct Entry {
    pub(crate) definition: Definition,
    pub(crate) pin: Pin,
    pub(crate) verdict: Verdict,
    pub(crate) checker: Arc<Checker>,
}

impl Listing {
    pub(super) fn of(
        server: &str,
        seen: Vec<Definition>,
        known: &BTreeMap<String, Known>,
        set_aside: Vec<String>,
    ) -> Self {
        let verdicts = judge(known, &seen);
        let names = names::assign(server, seen.iter().map(|tool| tool.name.as_str()));
        let mut entries = BTreeMap::new();
        for definition in seen {
            let found = (names.get(&definition.name), verdicts.get(&definition.name));
            let (Some(name), Some(verdict)) = found else {
                continue;
            };
            let entry = Entry {
                pin: definition.pin(),
                verdict: verdict.clone(),
                checker: Checker::new(definition.input.clone()),
                definition,
            };
            entries.insert(name.clone(), entry);
        }
        Self {
            entries,
            set_aside,
            known: known.clone(),
        }
    }

    /// The same tools, judged by other approvals.
    pub(super) fn judged(&self, server: &str, known: &BTreeMap<String, Known>) -> Self {
        let seen = self.entries.values().map(|entry| entry.definition.clone());
        Self::of(server, seen.collect(), known, self.set_aside.clone())
    }

    pub(super) fn by_tool(&self, tool: &str) -> Option<&Entry> {
        self.entries
            .values()
            .find(|entry| entry.definition.name == tool)
    }

    pub(crate) fn approved(&self) -> impl Iterator<Item = (&String, &Entry)> {
        self.entries
            .iter()
            .filter(|(_, entry)| entry.verdict == Verdict::Approved)
    }

    /// Tools that wait, by the offered name, with what was approved under theirs.
    pub(crate) fn pending(&self) -> impl Iterator<Item = (&String, &Entry, Option<&Definition>)> {
        let waiting = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.verdict != Verdict::Approved);
        waiting.map(|(name, entry)| {
            let old = self.known.get(&entry.definition.name);
            (name, entry, old.map(|known| &known.definition))
        })
    }

    pub(crate) fn changes(&self, server: &str) -> Vec<Change> {
        let change = |(offered, entry, old): (&String, &Entry, Option<&Definition>)| {
            Change::of((server, offered), old, &entry.definition, &entry.verdict)
        };
        self.pending().map(change).collect()
    }
}
