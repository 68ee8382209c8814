//! What listeners of a run hear while a model speaks.

use std::time::Duration;

use async_trait::async_trait;
use nexus_bus::Bus;
use nexus_contracts::live::LiveEvent;
use nexus_contracts::{Metadata, RunId};
use nexus_service_kit::{LiveWriter, crash_point, report};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::provider::DeltaSink;

/// A bus that takes no report for this long gets none any more: the answer must not wait for it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where a call puts its text; whoever watches over the call takes it from there to the bus.
pub struct Texts(pub mpsc::UnboundedSender<String>);

#[async_trait]
impl DeltaSink for Texts {
    async fn delta(&mut self, text: &str) {
        crash_point!("provider-router.delta");
        // The other end lives as long as the call.
        drop(self.0.send(text.to_owned()));
    }
}

/// Whether somebody may have heard this answer before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// Nobody has.
    First,
    /// An earlier attempt may have been heard: what it said is replaced.
    Again,
    /// It is not for people: nothing is told.
    Quiet,
}

/// The live stream of one attempt at one step of a run.
///
/// A writer is only started once the call has to wait for more: an answer that was there at once
/// is one report.
pub struct Live {
    bus: Bus,
    topic: Option<(RunId, u32)>,
    telling: Telling,
    writer: Option<LiveWriter>,
    muted: bool,
}

impl Live {
    /// For the run a command belongs to; a command of no run, or a quiet one, is heard by nobody.
    #[must_use]
    pub fn new(bus: Bus, metadata: &Metadata, telling: Telling) -> Self {
        let topic = metadata.run_id.map(|run| (run, metadata.step.unwrap_or(1)));
        let muted = topic.is_none() || telling == Telling::Quiet;
        Self {
            bus,
            topic,
            telling,
            writer: None,
            muted,
        }
    }

    /// More text, and the call goes on.
    pub async fn say(&mut self, text: &str) {
        let Some((run, step)) = self.topic.filter(|_| !self.muted) else {
            return;
        };
        let bus = &self.bus;
        let writer = self
            .writer
            .get_or_insert_with(|| LiveWriter::new(bus.clone(), run, step));
        if timeout(PATIENCE, writer.delta(text)).await.is_err() {
            tracing::warn!(%run, "the bus takes no live reports; the rest of this answer has none");
            self.writer = None;
            self.muted = true;
        }
    }

    /// The call ended; `rest` is what nobody has heard yet.
    pub async fn finish(mut self, rest: &str) {
        if !rest.is_empty() && self.writer.is_some() {
            self.say(rest).await;
        }
        let finished = async {
            match (&mut self.writer, self.topic) {
                (Some(writer), _) => writer.finish().await,
                (None, Some((run, step))) if !self.muted && !rest.is_empty() => {
                    let text = rest.to_owned();
                    let event = match self.telling {
                        Telling::Again => LiveEvent::Snapshot { step, text },
                        Telling::First | Telling::Quiet => LiveEvent::Delta { step, text },
                    };
                    report(&self.bus, run, &event).await;
                }
                _ => {}
            }
        };
        // Live is lossy: the answer itself carries all of the text.
        drop(timeout(PATIENCE, finished).await);
    }
}
