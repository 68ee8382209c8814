//! The receiving half of a group, on a connection of its own: a blocking read owns its connection.

use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{Cmd, RedisResult, Value, cmd};
use async_trait::async_trait;
use rand::RngExt;
use tokio::time::Instant;

use super::fault::Fault;
use super::link::{Generation, Link};
use super::membership::Membership;
use super::wire::{self, RawEntry};
use super::{Call, channel, scripts};
use crate::group::GroupReader;
use crate::{BusError, EntryId, LeaseToken, Leased};

/// Longest single blocking read.
const LONGEST_BLOCK: Duration = Duration::from_secs(4);
/// How much longer than it was asked to a blocking read may take before its connection is dropped.
const WATCHDOG: Duration = Duration::from_secs(5);
/// How often the delayed deliveries of others are looked at; one's own are known to the moment.
const DUE_CHECK: Duration = Duration::from_secs(1);
/// The server ends a block up to a tenth of a second late. Where the caller's time is up it is
/// told to end it after this long…
const HARD_GRACE: Duration = Duration::from_millis(5);
/// …and where a look around is due, after this long.
const SOFT_GRACE: Duration = Duration::from_millis(500);
/// Pause before an error other than "not reachable" is reported, so that no caller spins.
const ERROR_PAUSE: Duration = Duration::from_millis(50);
/// What dead consumers left is looked for twice in a lease of this length at least…
const SHORTEST_LEASE: Duration = Duration::from_millis(100);
/// …and at most.
const LONGEST_LEASE: Duration = Duration::from_secs(60);
/// A consumer silent for this many leases that holds nothing is forgotten.
const SILENT_LEASES: u32 = 10;
/// How many pending deliveries of its own a reader looks through at a time.
const OWN_PAGE: usize = 1000;

pub(super) struct Reader {
    membership: Arc<Membership>,
    link: Link,
    /// The connection last read from and its number on the server, to end a block early.
    session: Option<(Generation, u64)>,
    /// Something may have been delivered to this consumer that never arrived here.
    adrift: bool,
    /// A blocking read whose answer nobody waits for any more.
    abandoned: Option<(Generation, u64)>,
    due_check: Instant,
    reclaim_at: Instant,
    cursor: String,
}

impl Reader {
    pub(super) fn new(membership: Arc<Membership>) -> Self {
        let core = &membership.core;
        let link = Link::new(Arc::clone(&core.server), core.closed.clone(), None);
        let now = Instant::now();
        Self {
            membership,
            link,
            session: None,
            adrift: false,
            abandoned: None,
            due_check: now,
            reclaim_at: now,
            cursor: "-".to_owned(),
        }
    }

    /// One round: what never arrived, what is due, what was left behind, what is new.
    async fn round(&mut self, max: usize, deadline: Instant) -> Result<Vec<Leased>, Fault> {
        self.end_abandoned().await;
        if self.adrift {
            let stranded = self.stranded(max).await?;
            if !stranded.is_empty() {
                return Ok(stranded);
            }
        }
        // Stays set when an answer is lost: by an error, or because the caller stopped waiting.
        self.adrift = true;
        let batch = self.take(max, deadline).await?;
        self.adrift = false;
        Ok(batch)
    }

    async fn take(&mut self, max: usize, deadline: Instant) -> Result<Vec<Leased>, Fault> {
        let now = Instant::now();
        if now >= self.due_check || self.membership.due().is_some_and(|moment| now >= moment) {
            let due = self.due(max).await?;
            if !due.is_empty() {
                return Ok(due);
            }
        }
        if now >= self.reclaim_at {
            let left = self.reclaim(max).await?;
            if !left.is_empty() {
                return Ok(left);
            }
        }
        self.fresh(max, deadline).await
    }

    async fn due(&mut self, max: usize) -> Result<Vec<Leased>, Fault> {
        let known = self.membership.take_due();
        let mut call = scripts::DUE.prepare_invoke();
        call.key(&self.membership.stream)
            .key(&self.membership.delayed);
        call.arg(&self.membership.spec.group)
            .arg(&self.membership.spec.consumer)
            .arg(max);
        let reply = self
            .membership
            .core
            .link
            .try_repeat(Call::Script(&call))
            .await;
        if reply.is_err() {
            self.membership.schedule(known.unwrap_or_else(Instant::now));
        }
        let [upcoming, taken] = wire::tuple(reply?).map_err(Fault::Plain)?;
        if let Some(pause) = wire::number_or_none(&upcoming).map_err(Fault::Plain)? {
            self.membership
                .schedule(Instant::now() + Duration::from_millis(pause));
        }
        self.due_check = Instant::now() + DUE_CHECK;
        self.lease(wire::attempted(taken).map_err(Fault::Plain)?)
            .await
    }

    async fn reclaim(&mut self, max: usize) -> Result<Vec<Leased>, Fault> {
        let (membership, spec) = (&self.membership, &self.membership.spec);
        let mut call = scripts::RECLAIM.prepare_invoke();
        call.key(&membership.stream)
            .key(&membership.delayed)
            .key(&membership.leases);
        call.arg(&spec.group).arg(&spec.consumer);
        call.arg(wire::millis(spec.lease))
            .arg(max)
            .arg(&self.cursor);
        let reply = membership.core.link.try_repeat(Call::Script(&call)).await?;
        let [cursor, shortest, taken] = wire::tuple(reply).map_err(Fault::Plain)?;
        self.cursor = wire::text(cursor).map_err(Fault::Plain)?;
        if self.cursor == "-" {
            let shortest = Duration::from_millis(wire::number(&shortest).map_err(Fault::Plain)?);
            let pause = shortest.clamp(SHORTEST_LEASE, LONGEST_LEASE);
            self.reclaim_at = Instant::now() + pause.mul_f64(rand::rng().random_range(0.4..0.6));
            self.maintain().await?;
        }
        self.lease(wire::attempted(taken).map_err(Fault::Plain)?)
            .await
    }

    async fn maintain(&self) -> Result<(), Fault> {
        let (membership, spec) = (&self.membership, &self.membership.spec);
        let core = &membership.core;
        let mut call = scripts::MAINTAIN.prepare_invoke();
        call.key(&membership.stream)
            .key(core.keys.checkpoints(&spec.channel));
        call.key(&membership.leases)
            .arg(&spec.group)
            .arg(&spec.consumer);
        call.arg(wire::millis(spec.lease.saturating_mul(SILENT_LEASES)));
        core.link.try_repeat(Call::Script(&call)).await?;
        Ok(())
    }

    /// What the server counts as delivered to this consumer although the answer never arrived.
    async fn stranded(&mut self, max: usize) -> Result<Vec<Leased>, Fault> {
        let (stream, spec) = (&self.membership.stream, &self.membership.spec);
        let link = &self.membership.core.link;
        let mut after = "-".to_owned();
        loop {
            let mut own = cmd("XPENDING");
            own.arg(stream)
                .arg(&spec.group)
                .arg(&after)
                .arg("+")
                .arg(OWN_PAGE)
                .arg(&spec.consumer);
            let ids = pending_ids(link.try_repeat(Call::Command(&own)).await?)?;
            let full = ids.len() == OWN_PAGE;
            if let Some(last) = ids.last() {
                after = format!("({last}");
            }
            let mut missing = self.membership.not_held(ids);
            missing.truncate(max);
            if !missing.is_empty() {
                let mut call = scripts::TAKE.prepare_invoke();
                call.key(stream).arg(&spec.group).arg(&spec.consumer);
                for id in &missing {
                    call.arg(id.to_string());
                }
                let taken = link.try_repeat(Call::Script(&call)).await?;
                return self
                    .lease(wire::attempted(taken).map_err(Fault::Plain)?)
                    .await;
            }
            if !full {
                self.adrift = false;
                return Ok(Vec::new());
            }
        }
    }

    /// New entries; waits for them until the deadline or until something else is to be done.
    async fn fresh(&mut self, max: usize, deadline: Instant) -> Result<Vec<Leased>, Fault> {
        let (generation, client, connection) = self.session().await?;
        let now = Instant::now();
        let until = deadline
            .min(self.due_check)
            .min(self.reclaim_at)
            .min(now + LONGEST_BLOCK);
        let read = self.read_command(max, until.saturating_duration_since(now));
        let grace = if until == deadline {
            HARD_GRACE
        } else {
            SOFT_GRACE
        };
        self.abandoned = Some((generation, client));
        let Some(answered) =
            answer(&self.membership, client, connection, &read, until + grace).await
        else {
            return Err(Fault::Broken(
                "a blocking read did not come back".to_owned(),
            ));
        };
        self.abandoned = None;
        let reply = answered.map_err(|error| self.link.failed(generation, Fault::of(error)))?;
        let found = wire::stream_entries(reply).map_err(Fault::Plain)?;
        self.lease(found.into_iter().map(|entry| (entry, 1)).collect())
            .await
    }

    /// Ends a read that was given up, so that the server delivers nothing more to it: what it has
    /// delivered is found as stranded.
    async fn end_abandoned(&mut self) {
        let Some((generation, client)) = self.abandoned.take() else {
            return;
        };
        self.link.drop_connection(generation);
        let mut kill = cmd("CLIENT");
        kill.arg("KILL").arg("ID").arg(client);
        if let Err(error) = self.membership.core.link.once(Call::Command(&kill)).await {
            tracing::debug!(%error, "an abandoned read could not be ended; its lease will");
        }
    }

    fn read_command(&self, max: usize, block: Duration) -> Cmd {
        let spec = &self.membership.spec;
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP")
            .arg(&spec.group)
            .arg(&spec.consumer)
            .arg("COUNT")
            .arg(max);
        if !block.is_zero() {
            read.arg("BLOCK").arg(wire::millis(block));
        }
        read.arg("STREAMS").arg(&self.membership.stream).arg(">");
        read
    }

    async fn session(&mut self) -> Result<(Generation, u64, MultiplexedConnection), Fault> {
        let (generation, mut connection) = self.link.connection().await?;
        if let Some((known, client)) = self.session
            && known == generation
        {
            return Ok((generation, client, connection));
        }
        let asked: RedisResult<u64> = cmd("CLIENT").arg("ID").query_async(&mut connection).await;
        let client = asked.map_err(|error| self.link.failed(generation, Fault::of(error)))?;
        self.session = Some((generation, client));
        Ok((generation, client, connection))
    }

    async fn lease(&self, found: Vec<(RawEntry, u32)>) -> Result<Vec<Leased>, Fault> {
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let (entries, attempts): (Vec<RawEntry>, Vec<u32>) = found.into_iter().unzip();
        let spec = &self.membership.spec;
        let entries = channel::identified(&self.membership.core, &spec.channel, entries).await;
        let entries = entries.map_err(Fault::Plain)?;
        self.membership.hold(entries.iter().map(|entry| entry.id));
        let lease = |(entry, attempts): (crate::Entry, u32)| {
            let token = LeaseToken(entry.id.to_string());
            Leased {
                entry,
                attempts,
                token,
            }
        };
        Ok(entries.into_iter().zip(attempts).map(lease).collect())
    }
}

/// The ids of an `XPENDING` page.
fn pending_ids(reply: Value) -> Result<Vec<EntryId>, Fault> {
    let id = |item: Value| {
        let first = wire::list(item)?.into_iter().next();
        wire::entry_id(first.unwrap_or(Value::Nil))
    };
    wire::list(reply)
        .and_then(|page| page.into_iter().map(id).collect())
        .map_err(Fault::Plain)
}

/// The answer to a read that may block until `until`; ended early when a delayed delivery falls
/// due. None when the bus closes or the connection does not answer.
async fn answer(
    membership: &Membership,
    client: u64,
    mut connection: MultiplexedConnection,
    read: &Cmd,
    until: Instant,
) -> Option<RedisResult<Value>> {
    let core = &membership.core;
    let reading = read.query_async(&mut connection);
    tokio::pin!(reading);
    tokio::select! {
        biased;
        reply = &mut reading => return Some(reply),
        () = core.closed.cancelled() => return None,
        () = membership.until_due() => {}
        () = tokio::time::sleep_until(until) => {}
    }
    // Ended on the server and not here: what it delivers in the same moment still arrives.
    let mut unblock = cmd("CLIENT");
    unblock.arg("UNBLOCK").arg(client);
    let unblocked = core.link.once(Call::Command(&unblock)).await;
    if let Err(error) = unblocked {
        tracing::debug!(%error, "a blocking read could not be ended early");
    }
    tokio::select! {
        biased;
        reply = &mut reading => Some(reply),
        () = core.closed.cancelled() => None,
        () = tokio::time::sleep_until(until + WATCHDOG) => None,
    }
}

#[async_trait]
impl GroupReader for Reader {
    async fn next(&mut self, max: usize, wait: Duration) -> Result<Vec<Leased>, BusError> {
        if max == 0 {
            tokio::time::sleep(wait).await;
            return Ok(Vec::new());
        }
        let deadline = Instant::now() + wait;
        let mut joined = false;
        loop {
            let fault = match self.round(max, deadline).await {
                Ok(batch) if !batch.is_empty() || Instant::now() >= deadline => return Ok(batch),
                Ok(_) => continue,
                Err(fault) => fault,
            };
            if self.membership.core.closed.is_cancelled() {
                return Err(BusError::Closed);
            }
            let failed = match fault {
                Fault::NoGroup(reason) if !joined => {
                    let (channel, group) =
                        (&self.membership.spec.channel, &self.membership.spec.group);
                    tracing::warn!(%channel, %group, %reason, "group is gone; making it again");
                    joined = true;
                    "-".clone_into(&mut self.cursor);
                    self.membership.create().await.err()
                }
                other => Some(other),
            };
            if let Some(fault) = failed {
                tokio::time::sleep(ERROR_PAUSE.min(wait)).await;
                return Err(self.link.error(fault));
            }
        }
    }
}
