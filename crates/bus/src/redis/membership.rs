//! A group joined: what its reader and its settler share.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::fault::Fault;
use super::reader::Reader;
use super::settler::Settler;
use super::{Call, Core, channel, scripts, wire};
use crate::{BusError, EntryId, Group, GroupSpec};

/// Joins a group, creating the stream and the group as needed.
pub(super) async fn join(core: Arc<Core>, spec: GroupSpec) -> Result<Group, BusError> {
    let membership = Arc::new(Membership {
        stream: core.keys.channel(&spec.channel),
        delayed: core.keys.delayed(&spec.channel, &spec.group),
        leases: core.keys.leases(&spec.channel, &spec.group),
        core,
        spec,
        held: Mutex::default(),
        due: Mutex::default(),
        sooner: Notify::new(),
    });
    membership
        .create()
        .await
        .map_err(|fault| membership.core.link.error(fault))?;
    Ok(Group {
        reader: Box::new(Reader::new(Arc::clone(&membership))),
        settler: Arc::new(Settler::new(membership)),
    })
}

pub(super) struct Membership {
    pub(super) core: Arc<Core>,
    pub(super) spec: GroupSpec,
    pub(super) stream: String,
    pub(super) delayed: String,
    pub(super) leases: String,
    /// What the reader handed out and the settler has not settled: all else that is pending for
    /// this consumer never arrived.
    held: Mutex<HashSet<EntryId>>,
    /// When the next delayed delivery falls due, as far as this process knows.
    due: Mutex<Option<Instant>>,
    /// Told when `due` comes sooner than it did.
    sooner: Notify,
}

impl Membership {
    /// Makes the group where it does not exist; after a flush or a failover, again.
    pub(super) async fn create(&self) -> Result<(), Fault> {
        let mut call = scripts::JOIN.prepare_invoke();
        call.key(&self.stream)
            .key(self.core.keys.incarnation(&self.spec.channel))
            .key(self.core.keys.checkpoints(&self.spec.channel))
            .key(&self.leases)
            .arg(&self.spec.group)
            .arg(channel::fresh_incarnation())
            .arg(&self.spec.consumer)
            .arg(wire::millis(self.spec.lease));
        self.core.link.try_repeat(Call::Script(&call)).await?;
        Ok(())
    }

    pub(super) fn hold(&self, ids: impl Iterator<Item = EntryId>) {
        self.held.lock().extend(ids);
    }

    pub(super) fn release(&self, ids: impl Iterator<Item = EntryId>) {
        let mut held = self.held.lock();
        for id in ids {
            held.remove(&id);
        }
    }

    /// Those of `ids` that were never handed out.
    pub(super) fn not_held(&self, ids: Vec<EntryId>) -> Vec<EntryId> {
        let held = self.held.lock();
        ids.into_iter().filter(|id| !held.contains(id)).collect()
    }

    /// Has the reader look for due deliveries at `moment`, or before.
    pub(super) fn schedule(&self, moment: Instant) {
        let mut due = self.due.lock();
        if due.is_none_or(|known| moment < known) {
            *due = Some(moment);
            self.sooner.notify_one();
        }
    }

    /// When the reader should look.
    pub(super) fn due(&self) -> Option<Instant> {
        *self.due.lock()
    }

    /// As [`Self::due`]; whoever looks now takes note of the next moment again.
    pub(super) fn take_due(&self) -> Option<Instant> {
        self.due.lock().take()
    }

    /// Returns when something is due, however often that moment moves closer.
    pub(super) async fn until_due(&self) {
        loop {
            match self.due() {
                Some(moment) => tokio::select! {
                    () = tokio::time::sleep_until(moment) => return,
                    () = self.sooner.notified() => {}
                },
                None => self.sooner.notified().await,
            }
        }
    }
}
