//! What is checked when everything has come to an end.

use std::collections::BTreeSet;

use bytes::Bytes;
use nexus_contracts::events::{Event, MessageCompleted, MessageFailed};
use nexus_contracts::{ConversationId, OrgId};
use nexus_orchestrator::core::checkpoint::{decode_state, encode_state};

use crate::asked::{Asked, Ending, Kind, contains};
use crate::invariant::Invariant;
use crate::tables::{Refused, Tables};
use crate::world::World;

/// Most extra model calls a fault may lead to.
const EXTRA_MODEL_CALLS: u64 = 2;

/// Most messages a request or a fault may lead to.
const MESSAGES: u64 = 60;

impl World<'_> {
    /// Everything that must hold in the end.
    pub(crate) fn check_end(&mut self) {
        let mut found = Vec::new();
        self.drained(&mut found);
        self.bounded(&mut found);
        outcomes(&self.requests.all, &self.tables, &mut found);
        histories(&self.tables, &mut found);
        self.erased(&mut found);
        for (invariant, detail) in found {
            self.violated(invariant, detail);
        }
    }

    fn drained(&self, found: &mut Vec<Found>) {
        let mut left: BTreeSet<String> = self.bus.waiting();
        let due = self.tables.dispatch.keys();
        left.extend(due.map(|(_, kind, id)| format!("{kind} {id}")));
        let awaited = self.tables.awaited.iter();
        left.extend(awaited.map(|(_, id, keeper)| format!("{} for {id}", keeper.name())));
        let kept = self.tables.outbox.iter().filter(|(_, kept)| !kept.settled);
        left.extend(kept.map(|((_, id), kept)| format!("{} {id}", kept.envelope.event_type)));
        for (_, id, stored) in self.tables.all() {
            let state = &stored.state;
            if state.active.is_some() || !state.queued.is_empty() {
                left.insert(format!("a run in {id}"));
            }
        }
        for (door, adapter) in &self.adapters {
            if !adapter.is_idle() {
                left.insert(format!("unanswered requests at {door:?}"));
            }
        }
        if !left.is_empty() {
            let left: Vec<String> = left.into_iter().collect();
            found.push((
                Invariant::Drained,
                format!("still waiting: {}", left.join(", ")),
            ));
        }
    }

    /// Nothing goes round in circles.
    fn bounded(&self, found: &mut Vec<Found>) {
        let (faults, counts) = (self.faults.len() as u64, &self.counts);
        let shares = (
            EXTRA_MODEL_CALLS * faults,
            MESSAGES * (counts.requests + faults + 1),
        );
        if counts.extra_model_calls > shares.0 || counts.messages > shares.1 {
            let detail = format!(
                "{} requests and {faults} faults led to {} extra model calls and {} messages",
                counts.requests, counts.extra_model_calls, counts.messages
            );
            found.push((Invariant::BoundedWork, detail));
        }
    }

    fn erased(&self, found: &mut Vec<Found>) {
        let all = self
            .tables
            .all()
            .filter(|(_, _, stored)| stored.state.deleted);
        for (org, id, _) in all {
            let mut kept: Vec<(&str, Bytes)> = self.tables.about(org, id);
            let mut add = |place: &'static str, rows: Vec<&Bytes>| {
                kept.extend(rows.into_iter().map(|row| (place, row.clone())));
            };
            add("the router's ledger", self.model_ledger.about(org, id));
            add("the executor's ledger", self.tool_ledger.about(org, id));
            add("the recorder", self.recorder.about(org, id));
            for adapter in self.adapters.values() {
                add("an adapter", adapter.about(org, id));
            }
            let said = self.requests.said.get(&id);
            for number in said.into_iter().flatten() {
                let holds = kept.iter().find(|(_, bytes)| contains(bytes, *number));
                if let Some((place, _)) = holds {
                    let detail = format!("{place} has the words of #{number} in {id}, deleted");
                    found.push((Invariant::Erased, detail));
                }
            }
        }
    }
}

/// An invariant that does not hold, and what was seen.
pub(crate) type Found = (Invariant, String);

/// Every request has exactly one end.
pub(crate) fn outcomes(all: &[Asked], tables: &Tables, found: &mut Vec<Found>) {
    for asked in all {
        let ends = asked.heard.values().filter(|ending| match asked.kind {
            Kind::Run => **ending != Ending::Accepted,
            Kind::Command | Kind::Intrusion(_) => true,
        });
        let ends: Vec<&Ending> = ends.collect();
        let who = format!(
            "#{} ({} of {})",
            asked.number,
            asked.message_id,
            asked.who.name()
        );
        if let Kind::Intrusion(word) = asked.kind {
            let refused = Ending::Failed(word.to_owned());
            if ends.iter().any(|end| **end != refused) {
                let detail = format!("{who} heard {ends:?} of what is somebody else's");
                found.push((Invariant::Isolated, detail));
            }
        }
        if ends.len() > 1 {
            found.push((Invariant::OneOutcome, format!("{who} heard {ends:?}")));
        }
        if ends.is_empty() && !excused(asked, tables) {
            let heard = &asked.heard;
            let detail = format!("{who} heard nothing of how it ended, only {heard:?}");
            found.push((Invariant::OneOutcome, detail));
        }
    }
}

/// Whether nobody had to tell how a request ended: it was lost before anybody had it, its
/// conversation is erased, or the answer of a client was lost, which had one.
fn excused(asked: &Asked, tables: &Tables) -> bool {
    let (org, _) = asked.who.identity();
    let conversation = asked.conversation;
    let stored = conversation.and_then(|id| tables.conversations.get(&(org, id)));
    if asked.fate.request_lost || stored.is_some_and(|stored| stored.state.deleted) {
        return true;
    }
    let ends = [MessageCompleted::TYPE, MessageFailed::TYPE];
    let channel = asked.who.door.processed();
    let ended = tables.outbox.iter().any(|((whose, _), kept)| {
        let cause = kept.envelope.metadata.causation_id.as_ref();
        *whose == org
            && *kept.channel == *channel
            && cause == Some(&asked.message_id)
            && ends.contains(&kept.envelope.event_type.as_str())
    });
    asked.fate.answer_lost && (ended || asked.kind != Kind::Run)
}

/// Every journal is dense and folds to what is stored, and what is stored can be read again.
pub(crate) fn histories(tables: &Tables, found: &mut Vec<Found>) {
    for (org, id, stored) in tables.all() {
        let journal = tables.journal.get(&(org, id));
        let seqs: Vec<i64> = journal
            .into_iter()
            .flat_map(|rows| rows.keys().copied())
            .collect();
        let last = seqs.last().copied().unwrap_or(stored.version);
        let dense = seqs
            .windows(2)
            .all(|pair| matches!(pair, [one, next] if one + 1 == *next));
        if !dense || last != stored.version {
            let detail = format!("{id} of version {} has the events {seqs:?}", stored.version);
            found.push((Invariant::DenseJournal, detail));
            continue;
        }
        if let Some(wrong) = folds(tables, org, id).err() {
            found.push((Invariant::FoldIsCheckpoint, wrong));
        }
    }
}

fn folds(tables: &Tables, org: OrgId, id: ConversationId) -> Result<(), String> {
    let Some(stored) = tables.conversations.get(&(org, id)) else {
        return Ok(());
    };
    let broken = |refused: Refused| format!("{id}: {refused:?}");
    let (version, folded) = tables.folded(org, id).map_err(broken)?;
    if version != stored.version || folded != *stored.state {
        return Err(format!(
            "{id}: its journal folds to version {version} {folded:?}, and version {} is {:?}",
            stored.version, stored.state
        ));
    }
    let bytes = encode_state(&stored.state).map_err(|error| error.to_string())?;
    let read = decode_state(&bytes).map_err(|error| error.to_string())?;
    if read != *stored.state {
        return Err(format!(
            "{id}: it is read as {read:?} and was {:?}",
            stored.state
        ));
    }
    Ok(())
}
