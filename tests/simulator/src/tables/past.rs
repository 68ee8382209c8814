//! The past of a conversation, as `db/history.rs` reads it.

use std::rc::Rc;

use bytes::Bytes;
use nexus_contracts::{ConversationId, OrgId, RunId};
use nexus_orchestrator::core::State;
use nexus_orchestrator::core::checkpoint::{decode_input, encode_state};
use nexus_orchestrator::core::replay::{self, Past, advance};

use super::{Event, Refused, Tables};
use crate::surroundings;

impl Event {
    /// As the core replays it.
    pub(crate) fn past(&self, seq: i64) -> Result<Past<'static>, Refused> {
        let environment = surroundings::named(self.environment);
        let environment = environment.ok_or_else(|| {
            Refused::Broken(format!("there is no environment {}", self.environment))
        })?;
        Ok(Past {
            seq,
            at: self.at,
            input: decode_input(&self.input)?,
            environment,
        })
    }
}

fn broken(error: &replay::ReplayError) -> Refused {
    Refused::Broken(error.to_string())
}

impl Tables {
    /// The nearest snapshot before this version, or the beginning.
    fn begin(&self, org: OrgId, id: ConversationId, before: i64) -> (i64, Rc<State>) {
        let snapshots = self.snapshots.get(&(org, id));
        let nearest = snapshots.and_then(|kept| kept.range(..before).next_back());
        nearest.map_or_else(
            || (0, Rc::new(State::new(id))),
            |(version, state)| (*version, Rc::clone(state)),
        )
    }

    /// What a conversation was just before a run of its started.
    pub(crate) fn before_run(
        &self,
        org: OrgId,
        id: ConversationId,
        run: RunId,
    ) -> Result<Option<State>, Refused> {
        let Some(journal) = self.journal.get(&(org, id)) else {
            return Ok(None);
        };
        let first = journal.iter().find(|(_, event)| event.run_id == run);
        let Some((first, _)) = first else {
            return Ok(None);
        };
        let (mut version, state) = self.begin(org, id, *first);
        if !journal.contains_key(&(version + 1)) {
            return Ok(None);
        }
        let mut state = state.as_ref().clone();
        for (seq, event) in journal.range(version + 1..) {
            state = advance(version, &state, &event.past(*seq)?).map_err(|error| broken(&error))?;
            version = *seq;
            if let Some(before) = replay::before_run(&state, run) {
                return Ok(Some(before));
            }
        }
        Ok(None)
    }

    /// The state and version that a conversation's journal folds to, as far back as it goes.
    pub(crate) fn folded(&self, org: OrgId, id: ConversationId) -> Result<(i64, State), Refused> {
        let none = std::collections::BTreeMap::new();
        let journal = self.journal.get(&(org, id)).unwrap_or(&none);
        let first = journal.first_key_value().map_or(i64::MAX, |(seq, _)| *seq);
        let (version, state) = self.begin(org, id, first);
        let events = journal.iter().map(|(seq, event)| event.past(*seq));
        let events: Result<Vec<Past<'_>>, Refused> = events.collect();
        let start = (version, state.as_ref().clone());
        replay::fold(start, events?).map_err(|error| broken(&error))
    }

    /// The bytes that are stored about a conversation, and where.
    pub(crate) fn about(&self, org: OrgId, id: ConversationId) -> Vec<(&'static str, Bytes)> {
        let mut found = Vec::new();
        let states = self
            .conversations
            .get(&(org, id))
            .map(|stored| &stored.state);
        let snapshots = self.snapshots.get(&(org, id)).into_iter();
        let snapshots = snapshots.flat_map(|kept| kept.values());
        for state in states.into_iter().chain(snapshots) {
            if let Ok(bytes) = encode_state(state) {
                found.push(("a state", Bytes::from(bytes)));
            }
        }
        let journal = self.journal.get(&(org, id)).into_iter();
        let journal = journal.flat_map(|rows| rows.values());
        found.extend(journal.map(|event| ("the journal", Bytes::copy_from_slice(&event.input))));
        let outbox = self
            .outbox
            .iter()
            .filter(|((whose, _), kept)| *whose == org && kept.conversation_id == Some(id));
        found.extend(outbox.map(|(_, kept)| ("the outbox", kept.envelope.payload.clone())));
        found
    }
}
