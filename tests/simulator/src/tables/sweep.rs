//! What is due, as `db/dispatch.rs` claims and forgets it.

use nexus_contracts::Timestamp;
use nexus_orchestrator::db::dispatch::{self, kind, next_due};

use super::{Due, DueAt, Tables};

impl Tables {
    /// Claims all rows that are due.
    pub(crate) fn claim_due(&mut self, now: Timestamp, resend_after_ms: i64) -> Vec<dispatch::Due> {
        let mut claimed = Vec::new();
        for ((org, kind, id), row) in &mut self.dispatch {
            if row.due > now {
                continue;
            }
            row.due = next_due(now, row.attempt, resend_after_ms);
            row.attempt += 1;
            claimed.push(dispatch::Due {
                org: *org,
                kind: (*kind).to_owned(),
                id: id.clone(),
                until: row.until,
                again: row.due,
            });
        }
        claimed
    }

    /// Makes every unsettled message due now: the bus lost what was published.
    pub(crate) fn all_due(&mut self, now: Timestamp) {
        let messages = self.dispatch.iter_mut();
        let messages = messages.filter(|((_, of, _), row)| *of == kind::MESSAGE && row.due > now);
        for (_, row) in messages {
            row.due = now;
        }
    }

    /// Forgets a row, unless it was set anew since it was claimed.
    pub(crate) fn forget(&mut self, due: &dispatch::Due) {
        let key = key_of(due);
        if let Some(key) = key
            && self
                .dispatch
                .get(&key)
                .is_some_and(|row| row.due == due.again)
        {
            self.dispatch.remove(&key);
        }
    }

    /// Sets every timer anew: what the mutant does when it starts.
    pub(crate) fn reset_timers(&mut self, at: Timestamp) {
        let timers = self.dispatch.iter_mut();
        let timers = timers.filter(|((_, of, _), _)| [kind::DEADLINE, kind::APPROVAL].contains(of));
        for (_, row) in timers {
            *row = DueAt { due: at, ..*row };
        }
    }
}

fn key_of(due: &dispatch::Due) -> Option<Due> {
    let kinds = [kind::MESSAGE, kind::DEADLINE, kind::APPROVAL, kind::CANCEL];
    let kind = kinds.into_iter().find(|kind| *kind == due.kind)?;
    Some((due.org, kind, due.id.clone()))
}
