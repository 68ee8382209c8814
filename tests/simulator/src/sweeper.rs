//! A replica's sweeper: what is due, as `sweeper.rs` looks after it.

use std::rc::Rc;

use nexus_contracts::Timestamp;
use nexus_orchestrator::db::dispatch::{Due, kind, timer_of};
use nexus_orchestrator::translate::{Translated, timer};

use crate::delivery::Outgoing;
use crate::faults::Fault;
use crate::mutant::Mutant;
use crate::orchestrator::{From, Item, RESEND_MS};
use crate::people::Proc;
use crate::world::{Alarm, World};

/// How often a replica looks for what is due.
const SWEEP_MS: i64 = 1_000;

impl World<'_> {
    /// A replica looks for what is due.
    pub(crate) fn sweep(&mut self, replica: u8, life: u32) {
        let proc = Proc::Orchestrator(replica);
        if !self.lives(proc, life) {
            return;
        }
        self.alarm(SWEEP_MS, Alarm::Sweep(replica, life));
        let name = "sweep";
        if self.is(Mutant::NoSweeper) || self.goes_wrong(Fault::StoreAway, name).is_some() {
            return;
        }
        let now = self.clock(proc);
        self.watch_incarnation(now);
        let due = self.tables.claim_due(now, RESEND_MS);
        if due.is_empty() || self.dies(proc, name) {
            return;
        }
        if !self.resend(&due, now) {
            return;
        }
        self.wake((proc, life), &due);
        self.cancellations(&due, now);
    }

    /// A bus with another life lost what was in it: everything unsettled is due at once.
    fn watch_incarnation(&mut self, now: Timestamp) {
        let seen = self.tables.incarnation.replace(self.bus.incarnation);
        if seen.is_some_and(|seen| seen != self.bus.incarnation) {
            self.tables.all_due(now);
        }
    }

    fn resend(&mut self, due: &[Due], now: Timestamp) -> bool {
        // Nobody carries out a command after its deadline.
        for row in due
            .iter()
            .filter(|row| row.kind == kind::MESSAGE && row.until <= now)
        {
            if let Ok(id) = row.id.parse() {
                self.tables.settle(row.org, &[id]);
            }
        }
        let rows = due
            .iter()
            .filter(|row| row.kind == kind::MESSAGE && row.until > now);
        let messages: Vec<Outgoing> = rows
            .filter_map(|row| {
                let key = (row.org, row.id.parse().ok()?);
                let kept = self.tables.outbox.get(&key).filter(|kept| !kept.settled)?;
                Some((Rc::clone(&kept.channel), Rc::clone(&kept.envelope)))
            })
            .collect();
        for (channel, envelope) in &messages {
            self.note(|| format!("{} is published again on {channel}", envelope.event_type));
        }
        self.publish(&messages)
    }

    fn wake(&mut self, (proc, life): (Proc, u32), due: &[Due]) {
        let items: Vec<Item> = due
            .iter()
            .filter_map(|row| {
                let (conversation, which) = timer_of(row)?;
                let event = timer(row.org, conversation, which);
                Some(Item {
                    from: From::Timer(row.clone()),
                    event: Some(Translated::Event(Box::new(event))),
                })
            })
            .collect();
        if !items.is_empty() {
            self.note(|| format!("{proc:?} wakes {} runs", items.len()));
            self.handle((proc, life), items, Vec::new());
        }
    }

    fn cancellations(&mut self, due: &[Due], now: Timestamp) {
        for row in due.iter().filter(|row| row.kind == kind::CANCEL) {
            let Ok(run) = row.id.parse() else { continue };
            if row.until > now {
                self.bus.cancelled.insert(run, row.until);
            } else {
                self.bus.cancelled.remove(&run);
                self.tables.forget(row);
            }
        }
    }
}
