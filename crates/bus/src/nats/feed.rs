//! Live subscriptions: one subscription of the server per bus, handed out by topic.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_nats::Message;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, broadcast};

use crate::nats::link::Link;
use crate::nats::live::{backfill, ensure, entry};
use crate::nats::names::escape;
use crate::{BusError, LiveItem};

/// Entries a slow subscriber may be behind before it reads them from the stream again.
const BUFFER: usize = 64;
/// Pause before a subscriber asks again for what it missed.
const PAUSE: Duration = Duration::from_millis(200);

/// What the server repeats of a topic.
#[derive(Clone)]
enum Heard {
    Item(LiveItem),
    /// The connection was made anew; something may have been missed.
    Reconnected,
}

/// Topics with subscribers, by the token of their subject.
type Topics = Arc<Mutex<HashMap<String, broadcast::Sender<Heard>>>>;

/// Hands what the server repeats to the subscribers of each topic.
#[derive(Default)]
pub(super) struct Feed {
    topics: Topics,
    started: AsyncMutex<bool>,
}

impl Feed {
    /// Everything kept behind `after`, then what comes.
    pub(super) async fn subscribe(
        &self,
        link: &Arc<Link>,
        topic: &str,
        after: u64,
    ) -> Result<BoxStream<'static, LiveItem>, BusError> {
        link.ready().await?;
        self.start(link).await?;
        // Listening first: what is stored while the past is read is in both, and in order.
        let listener = Listener::new(&self.topics, topic);
        let (items, last) = backfill(link, topic, after).await?;
        let subscription = Subscription {
            link: Arc::clone(link),
            topic: topic.to_owned(),
            listener,
            last,
            queue: items.into(),
        };
        Ok(stream::unfold(subscription, |mut subscription| async move {
            let item = subscription.next().await?;
            Some((item, subscription))
        })
        .boxed())
    }

    /// Subscribes at the first use.
    async fn start(&self, link: &Arc<Link>) -> Result<(), BusError> {
        let mut started = self.started.lock().await;
        if *started {
            return Ok(());
        }
        ensure(link).await?;
        let feed = link.client.subscribe(link.names.feed_subjects()).await;
        let feed = feed.map_err(|error| link.unreachable(error.to_string()))?;
        let topics = Arc::clone(&self.topics);
        let mut state = link.state();
        let mut epoch = state.borrow_and_update().epoch;
        let closed = link.closed.clone();
        link.tasks.spawn(async move {
            let mut feed = feed;
            loop {
                tokio::select! {
                    biased;
                    () = closed.cancelled() => break,
                    Ok(now) = state.wait_for(|state| state.connected && state.epoch != epoch) => {
                        epoch = now.epoch;
                        for topic in topics.lock().values() {
                            // Nobody listening is no error.
                            let _ = topic.send(Heard::Reconnected);
                        }
                    }
                    Some(message) = feed.next() => hand_out(&topics, message),
                    else => break,
                }
            }
            // Ends every subscription.
            topics.lock().clear();
        });
        *started = true;
        Ok(())
    }
}

fn hand_out(topics: &Topics, message: Message) {
    let Some((_, token)) = message.subject.as_str().rsplit_once('.') else {
        return;
    };
    let topics = topics.lock();
    let Some(topic) = topics.get(token) else {
        return;
    };
    if let Some(item) = entry(message.headers.as_ref(), message.payload) {
        // Nobody listening is no error.
        let _ = topic.send(Heard::Item(item));
    }
}

/// Listens to one topic; the last to go removes it.
struct Listener {
    topics: Topics,
    token: String,
    receiver: broadcast::Receiver<Heard>,
}

impl Listener {
    fn new(topics: &Topics, topic: &str) -> Self {
        let token = escape(topic);
        let mut all = topics.lock();
        let sender = all
            .entry(token.clone())
            .or_insert_with(|| broadcast::Sender::new(BUFFER));
        let receiver = sender.subscribe();
        drop(all);
        Self {
            topics: Arc::clone(topics),
            token,
            receiver,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut topics = self.topics.lock();
        // This receiver is still counted.
        if topics
            .get(&self.token)
            .is_some_and(|topic| topic.receiver_count() <= 1)
        {
            topics.remove(&self.token);
        }
    }
}

struct Subscription {
    link: Arc<Link>,
    topic: String,
    listener: Listener,
    /// The topic's entry this subscriber saw last; 0 for none.
    last: u64,
    queue: VecDeque<LiveItem>,
}

impl Subscription {
    async fn next(&mut self) -> Option<LiveItem> {
        loop {
            if let Some(item) = self.queue.pop_front() {
                return Some(item);
            }
            let closed = self.link.closed.clone();
            let heard = tokio::select! {
                biased;
                () = closed.cancelled() => return None,
                heard = self.listener.receiver.recv() => heard,
            };
            match heard {
                Ok(Heard::Item(LiveItem::Entry { sequence, .. }))
                    if sequence != 1 && sequence <= self.last => {}
                Ok(Heard::Item(item @ LiveItem::Entry { sequence, .. }))
                    if sequence == self.last + 1 =>
                {
                    self.last = sequence;
                    return Some(item);
                }
                // A hole, or a topic that seems to begin again: the stream tells.
                Ok(Heard::Item(_) | Heard::Reconnected)
                | Err(broadcast::error::RecvError::Lagged(_)) => self.catch_up().await?,
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// Reads what was missed from the stream, for as long as it takes to reach it. None when the
    /// bus is closed.
    async fn catch_up(&mut self) -> Option<()> {
        loop {
            match backfill(&self.link, &self.topic, self.last).await {
                Ok((items, last)) => {
                    self.queue.extend(items);
                    self.last = last;
                    return Some(());
                }
                Err(BusError::Closed) => return None,
                Err(error) => {
                    tracing::debug!(topic = %self.topic, %error, "missed entries not read yet");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}
