//! What the router hears while a model speaks: the call's own live stream.

use std::time::Duration;

use nexus_bus::Bus;
use nexus_contracts::RunId;
use nexus_contracts::live::LiveEvent;
use nexus_service_kit::{LiveWriter, report};
use tokio::time::timeout;

/// A bus that takes no report for this long gets none any more: the answer must not wait for it.
const PATIENCE: Duration = Duration::from_secs(1);

/// The live stream of one call. Begins with an empty snapshot, so that what an earlier try said
/// is dropped; a call that says nothing writes nothing.
pub struct Live {
    bus: Bus,
    call: RunId,
    step: u32,
    writer: Option<LiveWriter>,
    muted: bool,
}

impl Live {
    /// For this call.
    #[must_use]
    pub const fn new(bus: Bus, call: RunId, step: u32) -> Self {
        Self {
            bus,
            call,
            step,
            writer: None,
            muted: false,
        }
    }

    /// Nothing is told.
    #[must_use]
    pub const fn muted(mut self) -> Self {
        self.muted = true;
        self
    }

    /// More text.
    pub async fn say(&mut self, text: &str) {
        if self.muted || text.is_empty() {
            return;
        }
        let (bus, call, step) = (&self.bus, self.call, self.step);
        let writer = self
            .writer
            .get_or_insert_with(|| LiveWriter::new(bus.clone(), call, step));
        if timeout(PATIENCE, writer.delta(text)).await.is_err() {
            tracing::warn!(%call, "the bus takes no live reports; the rest of this answer has none");
            self.writer = None;
            self.muted = true;
        }
    }

    /// It goes on, though there may be nothing to hear for long: a call of a tool is told when it is whole.
    pub async fn sign(&self) {
        if self.muted {
            return;
        }
        let (bus, call, step) = (&self.bus, self.call, self.step);
        let status = LiveEvent::Status {
            step,
            status: "thinking".to_owned(),
        };
        // The next one does as well.
        drop(timeout(PATIENCE, report(bus, call, &status)).await);
    }

    /// The call ended; `rest` is what nobody has heard yet.
    pub async fn finish(mut self, rest: &str) {
        self.say(rest).await;
        if let Some(writer) = &mut self.writer {
            // Live is lossy: the answer itself carries all of the text.
            drop(timeout(PATIENCE, writer.finish()).await);
        }
    }
}
