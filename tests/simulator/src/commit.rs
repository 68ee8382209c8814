//! The transaction of a batch: loaded, decided and written, or not at all.

use std::collections::BTreeMap;
use std::rc::Rc;

use nexus_contracts::{MessageId, OrgId, Timestamp};
use nexus_orchestrator::core::Ctx;
use nexus_orchestrator::plan::{self, Plan};
use nexus_orchestrator::translate::{Inbound, Translated};

use crate::delivery::Outgoing;
use crate::faults::Fault;
use crate::mutant::Mutant;
use crate::orchestrator::{AWAY_MS, Batch, RESEND_MS};
use crate::people::Proc;
use crate::surroundings::{self, Known};
use crate::tables::{Refused, WRITES, Writing};
use crate::world::World;

/// How often a batch is loaded again when another replica changed one of its conversations.
const CONFLICT_TRIES: u32 = 10;

/// What one organisation's events come to.
pub(crate) struct Prepared {
    org: OrgId,
    known: &'static Known,
    now: Timestamp,
    receipts: BTreeMap<String, Vec<MessageId>>,
    plan: Plan,
}

/// What one organisation has in a batch.
#[derive(Default)]
struct Group<'a> {
    events: Vec<(usize, &'a Inbound)>,
    receipts: BTreeMap<String, Vec<MessageId>>,
}

impl World<'_> {
    /// Loads what the chosen items need and decides.
    pub(crate) fn prepare(
        &mut self,
        proc: Proc,
        batch: &mut Batch,
        chosen: &[usize],
    ) -> Result<Vec<Prepared>, Refused> {
        let now = self.clock(proc);
        let mut groups: BTreeMap<OrgId, Group<'_>> = BTreeMap::new();
        for at in chosen {
            match batch.items.get(*at).and_then(|item| item.event.as_ref()) {
                Some(Translated::Event(event)) => {
                    let org = self.tenant(event);
                    let events = &mut groups.entry(org).or_default().events;
                    events.push((*at, event));
                }
                Some(Translated::Receipt { org, ids, by }) => {
                    let receipts = &mut groups.entry(*org).or_default().receipts;
                    receipts
                        .entry(by.clone())
                        .or_default()
                        .extend(ids.iter().cloned());
                }
                None => {}
            }
        }
        let mut prepared = Vec::with_capacity(groups.len());
        for (org, group) in groups {
            let known = surroundings::of(self.settings_version, org);
            let known = known.ok_or_else(|| Refused::Broken(format!("no settings of {org}")))?;
            let plan = self.plan(org, known, &group.events, now)?;
            for at in &plan.again {
                let twice = group.events.get(*at).map(|(at, _)| (*at, 50));
                batch.again.extend(twice);
            }
            prepared.push(Prepared {
                org,
                known,
                now,
                receipts: group.receipts,
                plan,
            });
        }
        Ok(prepared)
    }

    /// Whose rows an event is about.
    fn tenant(&self, event: &Inbound) -> OrgId {
        let found = self.tables.whose(event.conversation_id);
        let found = found.filter(|_| self.is(Mutant::NoTenants));
        found.unwrap_or(event.org)
    }

    fn plan(
        &self,
        org: OrgId,
        known: &Known,
        events: &[(usize, &Inbound)],
        now: Timestamp,
    ) -> Result<Plan, Refused> {
        let events: Vec<&Inbound> = events.iter().map(|(_, event)| *event).collect();
        let mut loaded = self.tables.load(org, &events)?;
        if self.is(Mutant::NoInbox) {
            loaded.inbox.clear();
        }
        let ctx = Ctx {
            now,
            environment: &known.environment,
        };
        let plan = plan::plan(&events, &mut loaded, &ctx);
        let mut plan = plan.map_err(|error| Refused::Broken(error.to_string()))?;
        if self.is(Mutant::NoInbox) {
            plan.inbox.clear();
        }
        Ok(plan)
    }

    /// One transaction for all items; when it fails for a reason that lies in one of them, one
    /// transaction each.
    pub(crate) fn commit(&mut self, proc: Proc, batch: &mut Batch) -> Result<(), Refused> {
        let all: Vec<usize> = (0..batch.items.len()).collect();
        match self.commit_together(proc, batch, &all) {
            Err(Refused::Twice(_)) if all.len() > 1 => {
                for at in all {
                    batch.prepared = self.prepare(proc, batch, &[at])?;
                    match self.commit_together(proc, batch, &[at]) {
                        Ok(()) => {}
                        Err(Refused::Broken(reason)) => return Err(Refused::Broken(reason)),
                        Err(_) => drop(batch.again.insert(at, AWAY_MS)),
                    }
                }
                Ok(())
            }
            result => result,
        }
    }

    fn commit_together(
        &mut self,
        proc: Proc,
        batch: &mut Batch,
        chosen: &[usize],
    ) -> Result<(), Refused> {
        for _ in 1..CONFLICT_TRIES {
            let prepared = std::mem::take(&mut batch.prepared);
            match self.write(proc, &prepared, batch) {
                Err(Refused::Conflict) => {
                    self.counts.conflicts += 1;
                    self.note(|| format!("{proc:?} was not the first to write, and loads again"));
                    batch.prepared = self.prepare(proc, batch, chosen)?;
                }
                result => return result,
            }
        }
        Err(Refused::Conflict)
    }

    /// Writes all or nothing.
    fn write(
        &mut self,
        proc: Proc,
        prepared: &[Prepared],
        batch: &mut Batch,
    ) -> Result<(), Refused> {
        for one in prepared {
            self.tables.check(&one.plan, &self.writing(one))?;
        }
        let about = prepared.first().and_then(|one| one.plan.journal.first());
        let about = about
            .map_or("receipts", |row| row.message_id.as_str())
            .to_owned();
        let fails = self.goes_wrong(Fault::StoreAway, &about);
        if let Some(draw) = fails.filter(|draw| draw % 4 != 0) {
            if let Some(one) = prepared.first().filter(|_| self.is(Mutant::NoTransaction)) {
                let writing = self.writing(one);
                self.tables.apply(&one.plan, &writing, draw % WRITES);
            }
            return Err(Refused::Away);
        }
        for one in prepared {
            self.audit(&one.plan, (one.org, one.now), one.known)?;
            let Prepared { org, plan, .. } = one;
            for (by, ids) in &one.receipts {
                self.tables.confirm(*org, by, ids);
            }
            let again = if self.is(Mutant::RepeatsAll) && !plan.repeat.is_empty() {
                self.tables.everything(*org)
            } else {
                self.tables.repeated(*org, &plan.repeat)
            };
            batch.publish.extend(again);
            let writing = self.writing(one);
            self.tables.apply(plan, &writing, WRITES);
            let published = plan.publish.iter();
            let published = published.map(|(channel, envelope)| {
                let outgoing: Outgoing = (channel.as_str().into(), Rc::new(envelope.clone()));
                outgoing
            });
            batch.publish.extend(published);
            batch.cancelled.extend(plan.cancelled.iter().copied());
            self.tell(proc, plan);
        }
        self.counts.commits += 1;
        // The commit was made, and the answer to it lost.
        fails.map_or(Ok(()), |_| Err(Refused::Away))
    }

    fn tell(&mut self, proc: Proc, plan: &Plan) {
        for row in &plan.journal {
            self.counts.reached.add(&row.event_type);
            self.note(|| {
                format!(
                    "{proc:?} journals {} as event {} of {}",
                    row.event_type, row.seq, row.conversation_id
                )
            });
        }
        for (channel, envelope) in &plan.publish {
            self.counts.reached.add(&envelope.event_type);
            self.note(|| format!("{proc:?} decides {} for {channel}", envelope.event_type));
        }
    }

    fn writing(&self, one: &Prepared) -> Writing {
        Writing {
            org: one.org,
            now: one.now,
            resend_after_ms: RESEND_MS,
            environment: &one.known.hash,
            compare_and_set: !self.is(Mutant::NoCompareAndSet),
        }
    }
}
