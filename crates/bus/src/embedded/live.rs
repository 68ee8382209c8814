//! Live streams: ring buffers in memory. The ring is the only buffer: a subscriber is a position
//! in it, so a slow one costs nothing and finds a gap.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{BoxStream, unfold};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::live::{LIVE_CAPACITY, LIVE_TTL_SECONDS};
use crate::{LiveEntry, LiveItem};

const TTL: Duration = Duration::from_secs(LIVE_TTL_SECONDS);
/// All topics together; the longest silent go first.
const MAX_BYTES: usize = 64 * 1024 * 1024;
const MAX_TOPICS: usize = 100_000;
/// What a topic costs besides its entries, roughly.
const TOPIC_BYTES: usize = 256;
/// Silent topics looked at whenever one is made.
const SWEEP: usize = 4;

/// All live streams of the process.
#[derive(Clone)]
pub(super) struct Live {
    topics: Arc<Mutex<Topics>>,
    closed: CancellationToken,
}

#[derive(Default)]
struct Topics {
    by_name: HashMap<String, Topic>,
    /// Every topic once, roughly by when it was last heard of.
    order: VecDeque<(Instant, String)>,
    bytes: usize,
}

struct Topic {
    /// Sequence of the newest entry.
    last: u64,
    ring: VecDeque<LiveEntry>,
    touched: Instant,
    /// Made with the first subscriber.
    wake: Option<watch::Sender<u64>>,
}

impl Live {
    pub(super) fn new(closed: CancellationToken) -> Self {
        Self {
            topics: Arc::default(),
            closed,
        }
    }

    pub(super) fn publish(&self, topic: &str, entries: &[LiveEntry]) -> u64 {
        self.topics.lock().publish(topic, entries, Instant::now())
    }

    pub(super) fn subscribe(&self, topic: &str, after: u64) -> BoxStream<'static, LiveItem> {
        let wake = self.topics.lock().watch(topic, Instant::now());
        let subscriber = Subscriber {
            live: self.clone(),
            topic: topic.to_owned(),
            wake,
            position: after,
            items: VecDeque::new(),
        };
        unfold(subscriber, Subscriber::next).boxed()
    }
}

impl Topics {
    fn publish(&mut self, name: &str, entries: &[LiveEntry], now: Instant) -> u64 {
        let topic = self.topic(name, now);
        topic.touched = now;
        let mut grown = 0;
        let mut dropped = 0;
        for entry in entries {
            topic.last += 1;
            grown += entry.data.len();
            topic.ring.push_back(entry.clone());
            if topic.ring.len() > LIVE_CAPACITY {
                dropped += topic.ring.pop_front().map_or(0, |oldest| oldest.data.len());
            }
        }
        let last = topic.last;
        if let Some(wake) = &topic.wake {
            wake.send_replace(last);
        }
        self.bytes = (self.bytes + grown).saturating_sub(dropped);
        self.sweep(now);
        last
    }

    fn watch(&mut self, name: &str, now: Instant) -> watch::Receiver<u64> {
        let topic = self.topic(name, now);
        let last = topic.last;
        topic
            .wake
            .get_or_insert_with(|| watch::Sender::new(last))
            .subscribe()
    }

    fn topic(&mut self, name: &str, now: Instant) -> &mut Topic {
        if !self.by_name.contains_key(name) {
            self.order.push_back((now, name.to_owned()));
            self.bytes += TOPIC_BYTES;
        }
        self.by_name
            .entry(name.to_owned())
            .or_insert_with(|| Topic {
                last: 0,
                ring: VecDeque::new(),
                touched: now,
                wake: None,
            })
    }

    /// Forgets topics that have been silent for long, or the longest silent ones when there is too
    /// much. One that is listened to keeps its count, so that its listeners are not confused.
    fn sweep(&mut self, now: Instant) {
        for _ in 0..SWEEP {
            let full = self.bytes > MAX_BYTES || self.by_name.len() > MAX_TOPICS;
            let silent = |since: Instant| now.saturating_duration_since(since) >= TTL;
            let Some((_, name)) = self.order.pop_front_if(|(since, _)| full || silent(*since))
            else {
                return;
            };
            let Some(topic) = self.by_name.get_mut(&name) else {
                continue;
            };
            if !full && !silent(topic.touched) {
                self.order.push_back((topic.touched, name));
                continue;
            }
            self.bytes = self.bytes.saturating_sub(topic.size());
            if topic.is_heard() {
                topic.ring.clear();
                self.order.push_back((now, name));
            } else {
                self.bytes = self.bytes.saturating_sub(TOPIC_BYTES);
                self.by_name.remove(&name);
            }
        }
    }
}

impl Topic {
    fn size(&self) -> usize {
        self.ring.iter().map(|entry| entry.data.len()).sum()
    }

    fn is_heard(&self) -> bool {
        self.wake
            .as_ref()
            .is_some_and(|wake| wake.receiver_count() > 0)
    }

    /// What lies behind `position`, moving it; a gap first where something is gone.
    fn behind(&self, position: &mut u64) -> VecDeque<LiveItem> {
        let mut items = VecDeque::new();
        let oldest = self.last + 1 - self.ring.len() as u64;
        if *position > self.last {
            // The stream began again since.
            *position = 0;
            items.push_back(LiveItem::Gap);
        }
        if *position + 1 < oldest {
            *position = oldest - 1;
            if items.is_empty() {
                items.push_back(LiveItem::Gap);
            }
        }
        let skip = usize::try_from(*position + 1 - oldest).unwrap_or(usize::MAX);
        for entry in self.ring.iter().skip(skip) {
            *position += 1;
            let (snapshot, data) = (entry.snapshot, entry.data.clone());
            items.push_back(LiveItem::Entry {
                sequence: *position,
                snapshot,
                data,
            });
        }
        items
    }
}

struct Subscriber {
    live: Live,
    topic: String,
    wake: watch::Receiver<u64>,
    position: u64,
    items: VecDeque<LiveItem>,
}

impl Subscriber {
    async fn next(mut self) -> Option<(LiveItem, Self)> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Some((item, self));
            }
            self.wake.mark_unchanged();
            self.refill();
            if !self.items.is_empty() {
                continue;
            }
            tokio::select! {
                changed = self.wake.changed() => changed.ok()?,
                () = self.live.closed.cancelled() => return None,
            }
        }
    }

    /// A subscriber takes what there is at once: the ring may turn while it works it off.
    fn refill(&mut self) {
        if let Some(topic) = self.live.topics.lock().by_name.get(&self.topic) {
            self.items = topic.behind(&mut self.position);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::StreamExt;
    use tokio::time::{Instant, advance};
    use tokio_util::sync::CancellationToken;

    use super::{Live, MAX_BYTES, TTL};
    use crate::{LiveEntry, LiveItem};

    fn report(bytes: usize) -> LiveEntry {
        LiveEntry {
            snapshot: false,
            data: vec![b'x'; bytes].into(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_topic_is_forgotten_but_not_while_it_is_listened_to() {
        let live = Live::new(CancellationToken::new());
        let mut heard = live.subscribe("heard", 0);
        live.publish("heard", &[report(1)]);
        live.publish("silent", &[report(1)]);
        advance(TTL + Duration::from_secs(1)).await;
        for number in 0..4 {
            live.publish(&format!("other {number}"), &[report(1)]);
        }
        assert_eq!(live.publish("silent", &[report(1)]), 1, "begins again");
        assert_eq!(live.publish("heard", &[report(1)]), 2, "goes on");
        assert_eq!(
            heard.next().await,
            Some(LiveItem::Gap),
            "its first entry is gone"
        );
        assert!(matches!(
            heard.next().await,
            Some(LiveItem::Entry { sequence: 2, .. })
        ));
    }

    #[test]
    fn memory_is_bounded_by_forgetting_the_longest_silent() {
        let live = Live::new(CancellationToken::new());
        for number in 0..300 {
            live.publish(&format!("run:{number}"), &[report(MAX_BYTES / 100)]);
        }
        let topics = live.topics.lock();
        assert!(topics.bytes <= MAX_BYTES, "{}", topics.bytes);
        let kept: usize = topics.by_name.values().map(super::Topic::size).sum();
        assert!(kept <= MAX_BYTES && kept > MAX_BYTES / 2, "{kept}");
        assert!(
            topics.by_name.contains_key("run:299"),
            "the newest is there"
        );
    }

    #[tokio::test]
    async fn a_subscription_ends_when_the_bus_is_closed() {
        let closed = CancellationToken::new();
        let live = Live::new(closed.clone());
        let mut items = live.subscribe("run:1", 0);
        let began = Instant::now();
        closed.cancel();
        assert_eq!(items.next().await, None, "after {:?}", began.elapsed());
    }
}
