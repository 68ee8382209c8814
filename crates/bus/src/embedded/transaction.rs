//! One transaction of the writer thread, and what it changes in memory once it is committed.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, params};
use tokio::time::Instant;

use super::codec::encode_sequences;
use super::command::{Append, Mark, Settle, Verdict};
use super::delivery::{Claim, Deliveries};
use super::schema::{create_entries, new_incarnation};
use super::state::{Channel, GroupState, Member, Shared, Stored};
use crate::{EntryId, TableChange};

/// What the file says of a group's deliveries. Entries handed out more than once, or delayed, are
/// rows of their own (`returned`); so `open` is never longer than what is in flight.
#[derive(Clone, Debug, Default)]
pub(super) struct Durable {
    pub(super) delivered: u64,
    /// Handed out once and not settled, ascending.
    pub(super) open: Vec<u64>,
}

/// By group id.
pub(super) type Durables = HashMap<i64, Durable>;

/// What a transaction will have changed in memory. Dropped without trace when it fails.
pub(super) struct Transaction<'a> {
    pub(super) connection: &'a Connection,
    pub(super) shared: &'a Shared,
    pub(super) now_ms: i64,
    durables: &'a Durables,
    changed: Durables,
    channels: HashMap<String, Arc<Channel>>,
    members: Vec<Member>,
    appended: HashMap<i64, (Arc<Channel>, Vec<Stored>)>,
    settled: Vec<(Arc<GroupState>, Claim, Option<Instant>)>,
    pub(super) trimmed: Vec<(Arc<Channel>, u64)>,
    pub(super) tables: Vec<(String, u64, TableChange)>,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        shared: &'a Shared,
        durables: &'a Durables,
        now_ms: i64,
    ) -> Self {
        Self {
            connection,
            shared,
            now_ms,
            durables,
            changed: HashMap::new(),
            channels: HashMap::new(),
            members: Vec::new(),
            appended: HashMap::new(),
            settled: Vec::new(),
            trimmed: Vec::new(),
            tables: Vec::new(),
        }
    }

    /// The channel, made when missing.
    pub(super) fn channel(&mut self, name: &str) -> rusqlite::Result<Arc<Channel>> {
        if let Some(known) = self
            .shared
            .channel(name)
            .or_else(|| self.channels.get(name).cloned())
        {
            return Ok(known);
        }
        let incarnation = new_incarnation();
        self.connection
            .prepare_cached("INSERT INTO channels (name, incarnation) VALUES (?1, ?2)")?
            .execute(params![name, incarnation])?;
        let id = self.connection.last_insert_rowid();
        self.connection.execute_batch(&create_entries(id))?;
        let channel = Arc::new(Channel::new(id, name, incarnation));
        self.channels.insert(name.to_owned(), Arc::clone(&channel));
        Ok(channel)
    }

    /// The group, made at the oldest entry when missing.
    pub(super) fn join(&mut self, channel: &str, name: &str) -> rusqlite::Result<Member> {
        let channel = self.channel(channel)?;
        let made = self
            .members
            .iter()
            .find(|m| m.channel.id == channel.id && m.group.name == name);
        if let Some(member) = made {
            return Ok(member.clone());
        }
        if let Some(group) = channel.groups.read().get(name).cloned() {
            return Ok(Member {
                channel: Arc::clone(&channel),
                group,
            });
        }
        let delivered = channel.trimmed();
        let durable = Durable {
            delivered,
            open: Vec::new(),
        };
        self.connection
            .prepare_cached(
                "INSERT INTO consumer_groups (channel, name, delivered, open)
                 VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                channel.id,
                name,
                delivered.cast_signed(),
                encode_sequences(&durable.open).as_ref()
            ])?;
        let id = self.connection.last_insert_rowid();
        self.changed.insert(id, durable);
        let suspect = channel.head();
        let group = Arc::new(GroupState::new(
            id,
            name,
            suspect,
            Deliveries::new(delivered),
        ));
        let member = Member { channel, group };
        self.members.push(member.clone());
        Ok(member)
    }

    pub(super) fn append(&mut self, append: &Append) -> rusqlite::Result<EntryId> {
        let channel = self.channel(&append.channel)?;
        let (_, entries) = self
            .appended
            .entry(channel.id)
            .or_insert_with(|| (Arc::clone(&channel), Vec::new()));
        let last = entries.last().map(|last| (last.seq, last.stored_at));
        let (last_seq, last_at) =
            last.unwrap_or_else(|| (channel.head(), channel.last_stored_at()));
        // Never before its predecessor, so that time can be searched for by halving.
        let stored_at = self.now_ms.max(last_at);
        let seq = last_seq + 1;
        self.connection
            .prepare_cached(&channel.insert_sql)?
            .execute(params![
                seq.cast_signed(),
                stored_at,
                append.record.as_ref()
            ])?;
        entries.push(Stored {
            seq,
            stored_at,
            record: append.record.clone(),
        });
        Ok(EntryId::new(seq, 0))
    }

    pub(super) fn settle(&mut self, member: &Member, settle: &Settle) -> rusqlite::Result<()> {
        let (group, claim) = (&member.group, settle.claim);
        let (owned, pending) = {
            let deliveries = group.deliveries.lock();
            (
                deliveries.owns(claim.seq, claim.lease),
                deliveries.is_pending(claim.seq),
            )
        };
        // Who lost the lease and finished all the same has done the work: what it found out is
        // kept, and nobody needs to do it again. Who lost it without a result has no say.
        let counts = owned || matches!(settle.verdict, Verdict::Done);
        if !counts {
            return Ok(());
        }
        for append in &settle.appends {
            self.append(append)?;
        }
        if !pending {
            return Ok(());
        }
        let was_open = self.close(group.id, claim.seq);
        match settle.verdict {
            Verdict::Done | Verdict::Buried => {
                if !was_open {
                    self.connection
                        .prepare_cached(
                            "DELETE FROM returned WHERE consumer_group = ?1 AND seq = ?2",
                        )?
                        .execute(params![group.id, claim.seq.cast_signed()])?;
                }
                self.settled.push((Arc::clone(group), claim, None));
            }
            Verdict::Again { due, due_ms } => {
                self.return_row(group.id, claim.seq, claim.attempts, due_ms)?;
                self.settled.push((Arc::clone(group), claim, Some(due)));
            }
        }
        Ok(())
    }

    /// Writes down what was handed out.
    pub(super) fn mark(&mut self, member: &Member, mark: &Mark) -> rusqlite::Result<()> {
        let group = &member.group;
        if let Some(last) = mark.fresh.last() {
            let durable = self.durable(group.id);
            durable.delivered = durable.delivered.max(*last);
            durable.open.extend(&mark.fresh);
            if !durable.open.is_sorted() {
                durable.open.sort_unstable();
            }
        }
        for &(seq, attempts) in &mark.again {
            let gone = self.settled.iter().any(|(settled, claim, due)| {
                settled.id == group.id && claim.seq == seq && due.is_none()
            });
            if gone || !group.deliveries.lock().is_pending(seq) {
                continue;
            }
            self.close(group.id, seq);
            self.return_row(group.id, seq, attempts, self.now_ms)?;
        }
        Ok(())
    }

    fn return_row(&self, group: i64, seq: u64, attempts: u32, due: i64) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO returned VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![group, seq.cast_signed(), attempts, due])?;
        Ok(())
    }

    /// Takes an entry off the list of open ones; whether it was there.
    fn close(&mut self, group: i64, seq: u64) -> bool {
        let durable = self.durable(group);
        durable
            .open
            .binary_search(&seq)
            .map(|at| durable.open.remove(at))
            .is_ok()
    }

    fn durable(&mut self, group: i64) -> &mut Durable {
        let durables = self.durables;
        self.changed
            .entry(group)
            .or_insert_with(|| durables.get(&group).cloned().unwrap_or_default())
    }

    /// Writes what changed of the groups: one row each, however many entries were settled.
    pub(super) fn write_groups(&self) -> rusqlite::Result<()> {
        let mut update = self
            .connection
            .prepare_cached("UPDATE consumer_groups SET delivered = ?2, open = ?3 WHERE id = ?1")?;
        for (group, durable) in &self.changed {
            let open = encode_sequences(&durable.open);
            update.execute(params![
                group,
                durable.delivered.cast_signed(),
                open.as_ref()
            ])?;
        }
        Ok(())
    }

    /// What memory is to learn once this is committed.
    pub(super) fn into_effects(self) -> Effects {
        Effects {
            changed: self.changed,
            channels: self.channels,
            members: self.members,
            appended: self.appended.into_values().collect(),
            settled: self.settled,
            trimmed: self.trimmed,
            tables: self.tables,
        }
    }

    /// The oldest entry some group of the channel still needs.
    pub(super) fn floor(&self, channel: &Channel) -> u64 {
        let joining = self
            .members
            .iter()
            .filter(|member| member.channel.id == channel.id);
        let joining = joining.map(|member| member.group.deliveries.lock().floor());
        let groups = channel.groups.read();
        let joined = groups.values().map(|group| group.deliveries.lock().floor());
        joined.chain(joining).min().unwrap_or(u64::MAX)
    }
}

/// What a committed transaction changes in memory.
pub(super) struct Effects {
    changed: Durables,
    channels: HashMap<String, Arc<Channel>>,
    members: Vec<Member>,
    appended: Vec<(Arc<Channel>, Vec<Stored>)>,
    settled: Vec<(Arc<GroupState>, Claim, Option<Instant>)>,
    trimmed: Vec<(Arc<Channel>, u64)>,
    tables: Vec<(String, u64, TableChange)>,
}

impl Effects {
    /// Of all records that were appended.
    pub(super) fn bytes(&self) -> usize {
        let entries = self.appended.iter().flat_map(|(_, entries)| entries);
        entries.map(|entry| entry.record.len()).sum()
    }

    pub(super) fn apply(self, shared: &Shared, durables: &mut Durables) {
        durables.extend(self.changed);
        if !self.channels.is_empty() {
            shared.channels.write().extend(self.channels);
        }
        for Member { channel, group } in self.members {
            channel.groups.write().insert(group.name.clone(), group);
        }
        for (group, claim, due) in self.settled {
            let mut deliveries = group.deliveries.lock();
            match due {
                None => deliveries.settle(claim.seq),
                Some(due) => {
                    deliveries.postpone(claim, due);
                    group.wake.notify_one();
                }
            }
        }
        for (channel, entries) in self.appended {
            channel.append(entries);
        }
        for (channel, trimmed) in self.trimmed {
            channel.set_trimmed(trimmed);
        }
        for (table, n, change) in self.tables {
            shared.watchers.tell(&table, n, change);
        }
    }
}
