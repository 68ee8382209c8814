//! Many calls, one transaction.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use nexus_contracts::{MessageId, OrgId, Timestamp};
use tokio::sync::{mpsc, oneshot};

use super::decide::Slot;
use super::{Claim, Claimed, Completion, Memory, Recalled, rows};
use crate::{Durability, Store, StoreError};

/// Most calls in one transaction.
const MOST: usize = 256;
/// How often a batch is tried again because another replica made one of its rows at the same moment.
const TRIES: usize = 16;

/// The effect a call is about, as the table has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) org: OrgId,
    pub(super) id: String,
}

impl Key {
    pub(super) fn new(org: OrgId, id: &MessageId) -> Self {
        Self {
            org,
            id: id.as_str().to_owned(),
        }
    }

    /// Of the row that says that something is gone. No message has an id with a space.
    pub(super) fn erasure(org: OrgId, about: &str) -> Self {
        Self {
            org,
            id: format!("erased {about}"),
        }
    }
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// A call, and where its answer goes.
pub(super) struct Request {
    pub(super) key: Key,
    pub(super) ask: Ask,
}

pub(super) enum Ask {
    Claim(Claim, Reply<Claimed>),
    Heartbeat {
        epoch: u64,
        until: Timestamp,
        reply: Reply<bool>,
    },
    Complete {
        epoch: u64,
        result: Bytes,
        now: Timestamp,
        reply: Reply<Completion>,
    },
    Release {
        epoch: u64,
        reply: Option<Reply<bool>>,
    },
    Remember(Memory, Reply<bool>),
    Recall {
        now: Timestamp,
        reply: Reply<Option<Recalled>>,
    },
}

/// The answer to a call, before it is known to be committed.
enum Answer {
    Claimed(Claimed),
    Held(bool),
    Completed(Completion),
    Recalled(Option<Recalled>),
}

/// Works off the queue until the last ledger is gone.
pub(super) async fn work(store: Store, mut queue: mpsc::Receiver<Request>) {
    let mut batch = Vec::new();
    loop {
        // What nobody wants any more goes into the next batch, but does not wait for one.
        if batch.is_empty() {
            queue.recv_many(&mut batch, MOST).await;
        } else {
            while batch.len() < MOST
                && let Ok(request) = queue.try_recv()
            {
                batch.push(request);
            }
        }
        if batch.is_empty() {
            return;
        }
        batch = perform(&store, std::mem::take(&mut batch)).await;
    }
}

/// Performs a batch; gives back what has to be done next.
async fn perform(store: &Store, mut batch: Vec<Request>) -> Vec<Request> {
    // A caller that is gone will not perform what it claims.
    batch.retain(|request| !matches!(&request.ask, Ask::Claim(_, reply) if reply.is_closed()));
    match attempt(store, &batch).await {
        Ok(answers) => {
            let pairs = batch.into_iter().zip(answers);
            pairs
                .filter_map(|(request, answer)| settle(request, answer))
                .collect()
        }
        Err(error) => {
            for request in batch {
                fail(request, &error);
            }
            Vec::new()
        }
    }
}

/// Decides and stores, in one transaction. Nothing is told to anybody here.
async fn attempt(store: &Store, batch: &[Request]) -> Result<Vec<Answer>, StoreError> {
    let keys: BTreeSet<Key> = batch.iter().flat_map(keys).collect();
    for _ in 0..TRIES {
        let tx = store.begin_brief().await?;
        let mut slots = rows::load(&tx, &keys).await?;
        let answers = batch
            .iter()
            .map(|request| decide(&mut slots, request))
            .collect();
        if store.durability() != Durability::Always && slots.values().all(Slot::may_run_again) {
            tx.unsynced().await;
        }
        rows::store(&tx, slots).await?;
        match tx.commit().await {
            Err(StoreError::Overtaken { .. }) => {}
            committed => return committed.map(|()| answers),
        }
    }
    Err(StoreError::Contended { tries: TRIES })
}

/// The rows a call is decided by.
fn keys(request: &Request) -> impl Iterator<Item = Key> {
    std::iter::once(request.key.clone()).chain(erasure(request))
}

/// The row that says that what a call is about is gone.
fn erasure(request: &Request) -> Option<Key> {
    let about = match &request.ask {
        Ask::Claim(claim, _) => claim.about.as_ref(),
        Ask::Remember(memory, _) => memory.about.as_ref(),
        _ => None,
    };
    Some(Key::erasure(request.key.org, about?))
}

fn decide(slots: &mut BTreeMap<Key, Slot>, request: &Request) -> Answer {
    if erasure(request).is_some_and(|gone| slots.contains_key(&gone)) {
        return match request.ask {
            Ask::Claim(..) => Answer::Claimed(Claimed::Erased),
            _ => Answer::Held(false),
        };
    }
    let slot = slots.entry(request.key.clone()).or_default();
    match &request.ask {
        Ask::Claim(claim, _) => Answer::Claimed(slot.claim(claim)),
        Ask::Heartbeat { epoch, until, .. } => Answer::Held(slot.heartbeat(*epoch, *until)),
        Ask::Complete {
            epoch, result, now, ..
        } => Answer::Completed(slot.complete(*epoch, result.clone(), *now)),
        Ask::Release { epoch, .. } => Answer::Held(slot.release(*epoch)),
        Ask::Remember(memory, _) => Answer::Held(slot.remember(memory)),
        Ask::Recall { now, .. } => Answer::Recalled(slot.recall(*now)),
    }
}

/// Tells the caller. One that went away after it was given the right to run gives it back: else an
/// effect that nobody performed would be busy until its lease ends, and unknown after that.
fn settle(request: Request, answer: Answer) -> Option<Request> {
    let Request { key, ask } = request;
    match (ask, answer) {
        (Ask::Claim(_, reply), Answer::Claimed(claimed)) => {
            let unheard = reply.send(Ok(claimed)).err()?.ok()?;
            let Claimed::Run { epoch, .. } = unheard else {
                return None;
            };
            return Some(Request {
                key,
                ask: Ask::Release { epoch, reply: None },
            });
        }
        (Ask::Heartbeat { reply, .. } | Ask::Remember(_, reply), Answer::Held(held)) => {
            drop(reply.send(Ok(held)));
        }
        (Ask::Recall { reply, .. }, Answer::Recalled(found)) => drop(reply.send(Ok(found))),
        (Ask::Complete { reply, .. }, Answer::Completed(done)) => drop(reply.send(Ok(done))),
        (
            Ask::Release {
                reply: Some(reply), ..
            },
            Answer::Held(held),
        ) => {
            drop(reply.send(Ok(held)));
        }
        // A release that nobody waits for; the other pairs are never made.
        _ => {}
    }
    None
}

fn fail(request: Request, error: &StoreError) {
    match request.ask {
        Ask::Claim(_, reply) => drop(reply.send(Err(error.clone()))),
        Ask::Heartbeat { reply, .. } | Ask::Remember(_, reply) => {
            drop(reply.send(Err(error.clone())));
        }
        Ask::Recall { reply, .. } => drop(reply.send(Err(error.clone()))),
        Ask::Complete { reply, .. } => drop(reply.send(Err(error.clone()))),
        Ask::Release {
            reply: Some(reply), ..
        } => drop(reply.send(Err(error.clone()))),
        Ask::Release { reply: None, epoch } => {
            tracing::warn!(%error, epoch, "a claim nobody uses stays until its lease ends");
        }
    }
}
