//! Reporting on a run while it goes on: deltas put together, snapshots for those who come late.

use std::time::Duration;

use nexus_bus::{Bus, LiveEntry};
use nexus_contracts::RunId;
use nexus_contracts::live::LiveEvent;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Deltas closer together than this travel as one. The first one never waits.
const COALESCE: Duration = Duration::from_millis(30);

/// A snapshot is due after this many entries, and after this long.
const SNAPSHOT_ENTRIES: usize = 128;
const SNAPSHOT_AFTER: Duration = Duration::from_secs(2);

/// How many reports may wait for a slow bus before their writer does.
const QUEUE: usize = 256;

/// Writes the live stream of one attempt at one step of a run.
///
/// Begins with an empty snapshot, so that a reader drops what an earlier attempt said. Live is
/// lossy: errors are logged once and swallowed. Dropped without [`LiveWriter::finish`], what is
/// not yet sent is lost.
pub struct LiveWriter {
    said: mpsc::Sender<Said>,
    _writer: JoinSet<()>,
}

enum Said {
    Text(String),
    Event(LiveEvent),
    Finish(oneshot::Sender<()>),
}

impl LiveWriter {
    /// A writer for `step` of `run`.
    #[must_use]
    pub fn new(bus: Bus, run: RunId, step: u32) -> Self {
        let (said, heard) = mpsc::channel(QUEUE);
        let mut writer = JoinSet::new();
        let now = Instant::now();
        let stream = Stream {
            bus,
            topic: run.live_topic(),
            step,
            whole: String::new(),
            pending: String::new(),
            entries: 0,
            snapshot_at: now,
            sent_at: now.checked_sub(COALESCE).unwrap_or(now),
            warned: false,
        };
        writer.spawn(stream.run(heard));
        Self {
            said,
            _writer: writer,
        }
    }

    /// More text.
    pub async fn delta(&mut self, text: &str) {
        if !text.is_empty() {
            drop(self.said.send(Said::Text(text.to_owned())).await);
        }
    }

    /// Anything else, behind the text so far.
    pub async fn event(&mut self, event: LiveEvent) {
        drop(self.said.send(Said::Event(event)).await);
    }

    /// Sends what is left and waits until it is out.
    pub async fn finish(&mut self) {
        let (done, finished) = oneshot::channel();
        if self.said.send(Said::Finish(done)).await.is_ok() {
            drop(finished.await);
        }
    }
}

/// Publishes one event on the live stream of a run, without a writer. Errors are swallowed.
pub async fn report(bus: &Bus, run: RunId, event: &LiveEvent) {
    if let Some(entry) = entry(event)
        && let Err(error) = bus.live_publish(&run.live_topic(), &[entry]).await
    {
        tracing::debug!(%error, "a live report was lost");
    }
}

/// What ends a run holds all of its text, so it stands for what came before, as a snapshot does.
fn entry(event: &LiveEvent) -> Option<LiveEntry> {
    let snapshot = matches!(event, LiveEvent::Snapshot { .. }) || event.is_final();
    match serde_json::to_vec(event) {
        Ok(data) => Some(LiveEntry {
            snapshot,
            data: data.into(),
        }),
        Err(error) => {
            tracing::warn!(%error, "a live report could not be written");
            None
        }
    }
}

#[cfg(test)]
mod tests;

struct Stream {
    bus: Bus,
    topic: String,
    step: u32,
    whole: String,
    pending: String,
    entries: usize,
    snapshot_at: Instant,
    sent_at: Instant,
    warned: bool,
}

impl Stream {
    async fn run(mut self, mut heard: mpsc::Receiver<Said>) {
        self.publish(vec![self.snapshot()]).await;
        loop {
            let due = self.sent_at + COALESCE;
            let said = tokio::select! {
                biased;
                () = tokio::time::sleep_until(due), if !self.pending.is_empty() => {
                    self.flush(None).await;
                    continue;
                }
                said = heard.recv() => said,
            };
            match said {
                Some(Said::Text(text)) => self.pending.push_str(&text),
                Some(Said::Event(event)) => self.flush(Some(event)).await,
                Some(Said::Finish(done)) => {
                    self.flush(None).await;
                    // Whoever asked may have gone.
                    let _gone = done.send(());
                }
                None => return self.flush(None).await,
            }
        }
    }

    fn snapshot(&self) -> LiveEvent {
        LiveEvent::Snapshot {
            step: self.step,
            text: self.whole.clone(),
        }
    }

    /// Sends the text that waits, a snapshot when one is due, and then `event`.
    async fn flush(&mut self, event: Option<LiveEvent>) {
        let mut events = Vec::with_capacity(3);
        if !self.pending.is_empty() {
            self.sent_at = Instant::now();
            let text = std::mem::take(&mut self.pending);
            self.whole.push_str(&text);
            events.push(LiveEvent::Delta {
                step: self.step,
                text,
            });
            let old = self.snapshot_at.elapsed() >= SNAPSHOT_AFTER;
            if old || self.entries + 1 >= SNAPSHOT_ENTRIES {
                events.push(self.snapshot());
            }
        }
        events.extend(event);
        if !events.is_empty() {
            self.publish(events).await;
        }
    }

    async fn publish(&mut self, events: Vec<LiveEvent>) {
        self.entries += events.len();
        if events
            .iter()
            .any(|event| matches!(event, LiveEvent::Snapshot { .. }))
        {
            (self.entries, self.snapshot_at) = (0, Instant::now());
        }
        let entries: Vec<_> = events.iter().filter_map(entry).collect();
        if let Err(error) = self.bus.live_publish(&self.topic, &entries).await
            && !std::mem::replace(&mut self.warned, true)
        {
            tracing::warn!(topic = self.topic, %error, "live reports are being lost");
        }
    }
}
