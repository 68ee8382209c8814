//! The effect ledger: who may perform an effect, and what came of it.
//!
//! An effect is a call to the world outside that must not happen twice by accident: a call to a
//! model, a tool, a delivery. Before it is performed, it is claimed: the claim is a leased row with
//! an epoch. Whoever holds the claim keeps the lease alive and stores the result. A second claim
//! of the same effect gets the stored result, hears that somebody is at it, or, when the lease ended
//! without a result, may run it again if that is safe for its class.
//!
//! | state of the row | a claim gives | epoch |
//! |---|---|---|
//! | none | [`Claimed::Run`] | 1 |
//! | result stored | [`Claimed::Done`] | same |
//! | lease live | [`Claimed::Busy`] | same |
//! | lease ended, class may run again | [`Claimed::Run`] | + 1 |
//! | lease ended, [`EffectClass::AtMostOnce`] | [`Claimed::Unknown`] | same |
//! | erased by [`Ledger::erase`] | [`Claimed::Erased`] | + 1, once |
//! | given back by [`Ledger::release`] | [`Claimed::Run`] | + 1 |
//!
//! Storing a result requires the epoch of the claim and that no result is stored yet: whoever lost
//! its claim cannot overwrite what its successor did. A worker that was only slow, and that nobody
//! succeeded, may still store its result after its lease, also where a claim was already answered
//! [`Claimed::Unknown`]: the truth is better late than never.
//!
//! Beside effects something else can be kept for a while, such as an answer that will do again:
//! [`Ledger::remember`] and [`Ledger::recall`]. Erasing and pruning make no difference between them.
//!
//! Calls made at the same time share one transaction: at most 256 of them, with one statement per
//! step. So the ledger costs little where it is busy, and nothing waits where it is not.

mod batch;
pub mod decide;
mod memory;
mod rows;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nexus_contracts::{MessageId, OrgId, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::{Migration, Store, StoreError, Value};
use batch::{Ask, Key, Reply, Request};
pub use memory::{Memory, Recalled};

/// What may happen when a claim ends without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EffectClass {
    /// A call to a model: run again, and the first result counts.
    Inference,
    /// Changes nothing: run again.
    ReadOnly,
    /// Running it twice with the same key is as running it once: run again.
    Idempotent,
    /// May have happened, and must not happen twice: reported as unknown, never run again.
    AtMostOnce,
}

/// The wish to perform an effect.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The organisation.
    pub org: OrgId,
    /// The effect: the id of the command that asks for it.
    pub id: MessageId,
    /// What it is about, for example a conversation: [`Ledger::erase`] erases its result with that.
    pub about: Option<String>,
    /// What may happen when a claim ends without a result. The class of the first claim counts.
    pub class: EffectClass,
    /// Now.
    pub now: Timestamp,
    /// How long the claim holds without a heartbeat.
    pub lease: Duration,
    /// When the row may be forgotten: after the command's deadline, the channel's retention and any
    /// republication.
    pub expires_at: Timestamp,
}

/// What a claim gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// Perform it. `attempt` counts from 1.
    Run {
        /// What a result must carry.
        epoch: u64,
        /// The how-manieth time this is.
        attempt: u32,
    },
    /// It was performed, with this result.
    Done {
        /// What was stored.
        result: Bytes,
    },
    /// Somebody else is at it.
    Busy {
        /// When their lease ends.
        until: Timestamp,
    },
    /// What it is about was erased: do nothing, tell nobody, and be done with the command.
    Erased,
    /// It may have been performed, nobody knows, and it must not be repeated.
    Unknown,
}

/// What storing a result came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completion {
    /// It is the result.
    Stored,
    /// It is not: the claim was lost, or a result is stored already.
    Superseded {
        /// The stored result, if there is one.
        result: Option<Bytes>,
    },
}

/// Largest result, in bytes. Results are stored many at a time, and a server closes the connection
/// on a message of 1 GiB, which would fail the other calls of the batch too.
pub const MAX_RESULT_BYTES: usize = 8 << 20;
/// Most calls waiting for the ledger; further ones wait to wait.
const QUEUE: usize = 1024;
/// About how many rows one pruning transaction removes, so that others get their turn.
const PRUNED_AT_ONCE: i64 = 1000;

/// The effect ledger in a service's store. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    asks: mpsc::Sender<Request>,
    /// The one task that works off the queue; ends with the last clone of the ledger.
    _worker: JoinSet<()>,
}

impl Ledger {
    /// The ledger's table. Either the migrations of a store that holds nothing else, or one more
    /// set: `store.migrate("ledger", Ledger::MIGRATIONS)`.
    pub const MIGRATIONS: &'static [Migration] = &[
        Migration {
            version: 1,
            name: "effects",
            sqlite: include_str!("ledger/0001.sqlite.sql"),
            postgres: include_str!("ledger/0001.postgres.sql"),
        },
        Migration {
            version: 2,
            name: "what effects are about, and erasing them",
            sqlite: include_str!("ledger/0002.sqlite.sql"),
            postgres: include_str!("ledger/0002.postgres.sql"),
        },
    ];

    /// The ledger in this store, which must have its table. Starts its task on the current runtime.
    #[must_use]
    pub fn new(store: Store) -> Self {
        let (asks, queue) = mpsc::channel(QUEUE);
        let mut worker = JoinSet::new();
        worker.spawn(batch::work(store.clone(), queue));
        Self {
            inner: Arc::new(Inner {
                store,
                asks,
                _worker: worker,
            }),
        }
    }

    /// Asks for the right to perform an effect.
    ///
    /// # Errors
    /// When the database fails; the effect must not be performed then.
    pub async fn claim(&self, claim: Claim) -> Result<Claimed, StoreError> {
        let key = Key::new(claim.org, &claim.id);
        self.ask(key, |reply| Ask::Claim(claim, reply)).await
    }

    /// Keeps a claim for `lease` from now. False: it is lost, stop.
    ///
    /// # Errors
    /// When the database fails; the claim holds until its lease ends.
    #[expect(clippy::too_many_arguments, reason = "three of them name the claim")]
    pub async fn heartbeat(
        &self,
        org: OrgId,
        id: &MessageId,
        epoch: u64,
        now: Timestamp,
        lease: Duration,
    ) -> Result<bool, StoreError> {
        let until = decide::lease_end(now, lease);
        let ask = |reply| Ask::Heartbeat {
            epoch,
            until,
            reply,
        };
        let held = self.ask(Key::new(org, id), ask).await?;
        if !held {
            metrics::counter!("nexus_ledger_lost_total").increment(1);
        }
        Ok(held)
    }

    /// Stores the result of an effect.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] above [`MAX_RESULT_BYTES`]: keep it in a blob and store a
    /// reference. When the database fails, whether the result was stored is unknown, and the same
    /// call may be made again.
    #[expect(clippy::too_many_arguments, reason = "three of them name the claim")]
    pub async fn complete(
        &self,
        org: OrgId,
        id: &MessageId,
        epoch: u64,
        result: Bytes,
        now: Timestamp,
    ) -> Result<Completion, StoreError> {
        if result.len() > MAX_RESULT_BYTES {
            return Err(StoreError::TooLarge {
                bytes: result.len(),
                most: MAX_RESULT_BYTES,
            });
        }
        let ask = |reply| Ask::Complete {
            epoch,
            result,
            now,
            reply,
        };
        let completion = self.ask(Key::new(org, id), ask).await?;
        if let Completion::Superseded { .. } = completion {
            metrics::counter!("nexus_ledger_superseded_total").increment(1);
        }
        Ok(completion)
    }

    /// Gives a claim back: the effect did not happen, and may be run at once by whoever claims it
    /// next, whatever its class. False: the claim was lost before.
    ///
    /// # Errors
    /// When the database fails; the claim holds until its lease ends.
    pub async fn release(
        &self,
        org: OrgId,
        id: &MessageId,
        epoch: u64,
    ) -> Result<bool, StoreError> {
        self.ask(Key::new(org, id), |reply| Ask::Release {
            epoch,
            reply: Some(reply),
        })
        .await
    }

    /// Erases everything about something, for example a conversation that was deleted: results are
    /// emptied for good, whoever is at an effect loses its claim and can store nothing, and every
    /// claim about it from now on is answered [`Claimed::Erased`]. Gives how many effects it was.
    ///
    /// # Errors
    /// When the database fails; nothing was erased then.
    pub async fn erase(&self, org: OrgId, about: &str) -> Result<u64, StoreError> {
        let tx = self.inner.store.begin(org).await?;
        let tenant = tx.as_ref();
        let erased = tenant.erasing(rows::erase(&tenant, about)).await?;
        tx.commit().await?;
        Ok(erased)
    }

    /// Forgets the effects whose time is over and that nobody works on; gives their number.
    ///
    /// # Errors
    /// When the database fails; what was removed until then stays removed.
    pub async fn prune(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut pruned = 0;
        for org in self.inner.store.organisations().await? {
            pruned += self.prune_of(org, now).await?;
        }
        Ok(pruned)
    }

    async fn prune_of(&self, org: OrgId, now: Timestamp) -> Result<u64, StoreError> {
        let mut pruned = 0;
        loop {
            let tx = self.inner.store.begin(org).await?;
            let values = |until: i64, last: i64| {
                vec![
                    Value::from(org.to_string()),
                    Value::from(until),
                    Value::from(last),
                ]
            };
            let slice = values(now.as_millis(), PRUNED_AT_ONCE);
            let slice = tx.query(rows::PRUNE_SLICE, slice).await?;
            let until: i64 = match slice.first() {
                Some(row) => row.get("expires_at")?,
                None => now.as_millis(),
            };
            let removed = tx
                .execute(rows::PRUNE, values(until, now.as_millis()))
                .await?;
            tx.commit().await?;
            pruned += removed;
            if slice.is_empty() || removed == 0 {
                return Ok(pruned);
            }
        }
    }

    async fn ask<T>(&self, key: Key, ask: impl FnOnce(Reply<T>) -> Ask) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let request = Request {
            key,
            ask: ask(reply),
        };
        self.inner
            .asks
            .send(request)
            .await
            .map_err(|_gone| StoreError::Closed)?;
        answer.await.map_err(|_gone| StoreError::Closed)?
    }
}
