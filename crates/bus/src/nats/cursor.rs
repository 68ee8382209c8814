//! Reading a stream through a consumer that the server forgets by itself.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Message;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use crate::BusError;
use crate::nats::link::{Link, Refusal};
use crate::nats::pull::{End, Pulled, Puller};

/// Messages per pull.
const BATCH: usize = 256;
/// The server drops a cursor that asked for nothing for this long.
const FORGET_SECONDS: u64 = 60;

#[derive(Deserialize)]
struct Made {
    name: String,
}

/// Where a cursor begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Begin {
    /// At the last message of each subject.
    LastOfEach,
    /// At the oldest message.
    Oldest,
}

/// A reader without a group.
pub(super) struct Cursor {
    link: Arc<Link>,
    stream: String,
    name: String,
    puller: Puller,
}

impl Cursor {
    /// Opens one over the subjects that match.
    pub(super) async fn open(
        link: &Arc<Link>,
        stream: &str,
        subjects: &str,
        begin: Begin,
    ) -> Result<Self, Refusal> {
        let policy = match begin {
            Begin::LastOfEach => "last_per_subject",
            Begin::Oldest => "all",
        };
        let config = json!({
            "deliver_policy": policy,
            "ack_policy": "none",
            "replay_policy": "instant",
            "filter_subject": subjects,
            "inactive_threshold": FORGET_SECONDS * 1_000_000_000,
            "mem_storage": true,
            "num_replicas": 1,
        });
        let call = format!("CONSUMER.CREATE.{stream}");
        let made: Made = link
            .api(&call, &json!({ "stream_name": stream, "config": config }))
            .await?;
        let puller = Puller::new(link).await?;
        Ok(Self {
            link: Arc::clone(link),
            stream: stream.to_owned(),
            name: made.name,
            puller,
        })
    }

    /// Everything there is now behind what was read before.
    pub(super) async fn rest(&mut self) -> Result<Vec<Message>, Refusal> {
        let mut all = Vec::new();
        loop {
            let Pulled { messages, end, .. } = self.pull(Duration::ZERO).await?;
            let more = messages.len() == BATCH;
            all.extend(messages);
            match end {
                End::Gone => return Err(Refusal::Missing),
                End::Closed if !more => return Ok(all),
                End::Closed | End::Busy => {}
            }
        }
    }

    /// The next messages, as soon as there is one.
    pub(super) async fn pull(&mut self, wait: Duration) -> Result<Pulled, BusError> {
        let target = (self.stream.as_str(), self.name.as_str());
        self.puller.pull(&self.link, target, BATCH, wait).await
    }

    /// Tells the server that it is no longer needed.
    pub(super) async fn close(self) {
        let call = format!("$JS.API.CONSUMER.DELETE.{}.{}", self.stream, self.name);
        if let Err(error) = self.link.client.publish(call, Bytes::new()).await {
            tracing::debug!(%error, "a cursor is left to be forgotten");
        }
    }
}
