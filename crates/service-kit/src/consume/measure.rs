//! What a loop measures.

use std::time::Duration;

use metrics::{Counter, Histogram, counter, gauge, histogram};

use super::ConsumerSpec;
use crate::Deps;
use crate::backoff::Backoff;

/// How often the backlog is asked for.
const BACKLOG_EVERY: Duration = Duration::from_secs(5);

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Acked,
    Retried,
    Waited,
    Dead,
    Returned,
    Lost,
    Fatal,
}

/// The counters of one loop, looked up once.
pub(super) struct Meters {
    outcomes: [Counter; 7],
    handled: Histogram,
}

const OUTCOMES: [&str; 7] = [
    "acked", "retried", "waited", "dead", "returned", "lost", "fatal",
];

impl Meters {
    pub(super) fn new(spec: &ConsumerSpec) -> Self {
        let (channel, group) = (spec.channel.clone(), spec.group);
        let labels = |outcome| {
            counter!(
                "nexus_messages_total",
                "channel" => channel.clone(), "group" => group, "outcome" => outcome
            )
        };
        let outcomes = OUTCOMES.map(labels);
        let handled = histogram!("nexus_handle_seconds", "channel" => channel, "group" => group);
        Self { outcomes, handled }
    }

    pub(super) fn count(&self, kind: Kind) {
        if let Some(counter) = self.outcomes.get(kind as usize) {
            counter.increment(1);
        }
    }

    /// One call of the handler; of a batch, the whole of it.
    pub(super) fn handled(&self, took: Duration) {
        self.handled.record(took.as_secs_f64());
    }
}

/// Keeps the gauges of a group's backlog, for ever: whoever owns this drops it.
pub(super) async fn watch_backlog(deps: Deps, spec: ConsumerSpec) {
    let mut pace = Backoff::of_loop(&deps.clock);
    let (channel, group) = (spec.channel, spec.group);
    let waiting = gauge!(
        "nexus_channel_backlog", "channel" => channel.clone(), "group" => group
    );
    let oldest = gauge!(
        "nexus_channel_oldest_seconds", "channel" => channel.clone(), "group" => group
    );
    loop {
        // An outage shows in the reader's health; the gauges keep what was last known.
        if let Ok(backlog) = deps.bus.backlog(&channel, group).await {
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
            waiting.set((backlog.undelivered + backlog.pending) as f64);
            oldest.set(backlog.oldest_age.unwrap_or_default().as_secs_f64());
        }
        tokio::time::sleep(pace.jittered(BACKLOG_EVERY)).await;
    }
}
