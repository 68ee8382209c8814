//! A loop over the fake bus, with a handler made of a closure.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use nexus_bus::{EntryId, Outgoing, Record};
use parking_lot::Mutex;

use crate::Deps;
use crate::consume::{
    BatchHandler, ConsumerSpec, DeadLetter, Handler, Message, Outcome, consume_batches,
    consume_each,
};
use crate::fake::FakeBus;

pub(super) const CHANNEL: &str = "work";

/// A bus, deps over it, and every dead letter the handler was told about.
pub(super) struct Rig {
    pub(super) bus: FakeBus,
    pub(super) deps: Deps,
    pub(super) letters: Arc<Mutex<Vec<DeadLetter>>>,
    _folder: tempfile::TempDir,
}

type Work = Box<dyn Fn(Message) -> BoxFuture<'static, Outcome> + Send + Sync>;
type BatchWork = Box<dyn Fn(Vec<Message>) -> BoxFuture<'static, Vec<Outcome>> + Send + Sync>;

struct Scripted<W> {
    work: W,
    letters: Arc<Mutex<Vec<DeadLetter>>>,
}

impl<W> Scripted<W> {
    fn told(&self, letter: &DeadLetter) -> Vec<Outgoing> {
        self.letters.lock().push(letter.clone());
        vec![text("told", letter.code)]
    }
}

#[async_trait]
impl Handler for Scripted<Work> {
    async fn handle(&self, message: Message) -> Outcome {
        (self.work)(message).await
    }

    fn on_dead(&self, letter: &DeadLetter) -> Vec<Outgoing> {
        self.told(letter)
    }
}

#[async_trait]
impl BatchHandler for Scripted<BatchWork> {
    async fn handle(&self, batch: Vec<Message>) -> Vec<Outcome> {
        (self.work)(batch).await
    }

    fn on_dead(&self, letter: &DeadLetter) -> Vec<Outgoing> {
        self.told(letter)
    }
}

impl Rig {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bus = FakeBus::default();
        let deps = bus.deps(&folder);
        Self {
            bus,
            deps,
            letters: Arc::default(),
            _folder: folder,
        }
    }

    /// Consumes [`CHANNEL`], one message at a time; the lease is 9 s, so the heart beats every 3 s.
    pub(super) fn each<F: Future<Output = Outcome> + Send + 'static>(
        &self,
        permits: usize,
        max_attempts: u32,
        work: impl Fn(Message) -> F + Send + Sync + 'static,
    ) {
        let work: Work = Box::new(move |message| Box::pin(work(message)));
        let handler = Scripted {
            work,
            letters: Arc::clone(&self.letters),
        };
        consume_each(&self.deps, spec(permits, max_attempts), Arc::new(handler));
    }

    /// The same in batches.
    pub(super) fn batches<F: Future<Output = Vec<Outcome>> + Send + 'static>(
        &self,
        permits: usize,
        max_attempts: u32,
        work: impl Fn(Vec<Message>) -> F + Send + Sync + 'static,
    ) {
        let work: BatchWork = Box::new(move |batch| Box::pin(work(batch)));
        let handler = Scripted {
            work,
            letters: Arc::clone(&self.letters),
        };
        consume_batches(&self.deps, spec(permits, max_attempts), Arc::new(handler));
    }

    /// Publishes messages whose payloads are these texts.
    pub(super) async fn publish(&self, texts: &[&str]) -> Vec<EntryId> {
        let batch = texts.iter().map(|payload| text(CHANNEL, payload)).collect();
        self.deps.bus.publish(batch).await.unwrap()
    }

    /// The reason under which the only dead message was parked.
    pub(super) fn parked(&self) -> String {
        let state = self.bus.state();
        let dead = state
            .channels
            .get("work.dead")
            .map_or(&[][..], Vec::as_slice);
        assert_eq!(dead.len(), 1, "exactly one is parked");
        dead[0].record.text("reason").unwrap().to_owned()
    }
}

fn spec(permits: usize, max_attempts: u32) -> ConsumerSpec {
    let lease = Duration::from_secs(9);
    ConsumerSpec {
        permits,
        max_attempts,
        lease,
        ..ConsumerSpec::new(CHANNEL, "tester")
    }
}

/// A record as a client may write it: type and payload.
pub(super) fn text(channel: &str, payload: &str) -> Outgoing {
    Outgoing {
        channel: channel.to_owned(),
        record: record(payload),
    }
}

pub(super) fn record(payload: &str) -> Record {
    let payload = Bytes::copy_from_slice(payload.as_bytes());
    Record::new([
        ("type".to_owned(), Bytes::from("test.said")),
        ("payload".to_owned(), payload),
    ])
}

/// What a message says.
pub(super) fn said(message: &Message) -> String {
    String::from_utf8(message.envelope.payload.to_vec()).unwrap()
}
