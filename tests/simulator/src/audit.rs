//! What is checked at every commit.

use nexus_contracts::{OrgId, Timestamp};
use nexus_orchestrator::core::State;
use nexus_orchestrator::core::checkpoint::decode_input;
use nexus_orchestrator::core::replay::{Past, advance};
use nexus_orchestrator::plan::{Conversation, Plan};

use crate::invariant::Invariant;
use crate::surroundings::Known;
use crate::tables::Refused;
use crate::world::World;

impl World<'_> {
    /// Whether a plan may be written: it saw what is stored, its events are the next ones, and what
    /// was stored folded with them gives what will be stored.
    pub(crate) fn audit(
        &mut self,
        plan: &Plan,
        (org, now): (OrgId, Timestamp),
        known: &'static Known,
    ) -> Result<(), Refused> {
        let stale = self.tables.stale(plan, org);
        if stale > 0 {
            let detail = format!("{stale} conversations were written by who had not seen them");
            self.violated(Invariant::NoStaleWrite, detail);
            return Ok(());
        }
        for (id, (previous, next)) in &plan.conversations {
            if plan.erased.contains(id) {
                continue;
            }
            let stored = self.tables.conversations.get(&(org, *id));
            let mut state =
                stored.map_or_else(|| State::new(*id), |stored| stored.state.as_ref().clone());
            let mut version = *previous;
            for row in plan.journal.iter().filter(|row| row.conversation_id == *id) {
                if row.seq != version + 1 {
                    let detail = format!("{id}: event {} follows {version}", row.seq);
                    self.violated(Invariant::DenseJournal, detail);
                    return Ok(());
                }
                let past = Past {
                    seq: row.seq,
                    at: now,
                    input: decode_input(&row.input)?,
                    environment: &known.environment,
                };
                state = advance(version, &state, &past)
                    .map_err(|error| Refused::Broken(error.to_string()))?;
                version = row.seq;
            }
            self.compare((version, &state), next);
        }
        Ok(())
    }

    fn compare(&mut self, (version, state): (i64, &State), next: &Conversation) {
        if version != next.version || *state != next.state {
            let id = next.state.conversation_id;
            let detail = format!(
                "{id}: {version} events fold to {state:?}, and stored as version {} is {:?}",
                next.version, next.state
            );
            self.violated(Invariant::FoldIsCheckpoint, detail);
        }
    }
}
