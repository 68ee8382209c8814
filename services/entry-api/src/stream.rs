//! The event stream of one reader: live reports while there are any, the store's word at the end.
//!
//! Pulled by the connection; owns no task. What the reader misses on the live stream (it is lossy)
//! the store makes good. A tool call that waits for a person is shown once it is stored, for only
//! then can it be decided; once the run's end is stored, the stream ends with it, whatever was lost.

use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::Event;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use nexus_bus::LiveItem;
use nexus_contracts::live::LiveEvent;
use nexus_contracts::{OrgId, RunId};
use serde_json::Value;

use crate::answer::Final;
use crate::api::Api;
use crate::transcript::Transcript;
use crate::view::{approval_event, erased_event, last_events};
use crate::waiters::Waiting;

/// Once the end is stored, how long the live stream may stay silent before the store speaks.
const DRAIN: Duration = Duration::from_millis(20);

/// How long to wait before a live stream that cannot be had is asked for again.
const RETRY: Duration = Duration::from_secs(1);

/// Where a reader comes in.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// The organisation.
    pub org: OrgId,
    /// The run.
    pub run: RunId,
    /// The last event the reader has; 0 for none.
    pub after: u64,
}

/// One reader.
pub struct EventStream {
    api: Arc<Api>,
    start: Start,
    waiting: Waiting,
    live: Option<BoxStream<'static, LiveItem>>,
    seen: u64,
    transcript: Transcript,
    last: Option<Final>,
    /// The end as the live stream told it, held until the store knows it too: whoever sees the end
    /// and asks for the message must find it ended.
    ahead: Option<LiveEvent>,
    /// What the store has to say.
    stored: VecDeque<LiveEvent>,
    /// Approvals the reader has seen.
    approvals: BTreeSet<String>,
    /// Approvals of which only the live stream has told: whoever sees one and decides at once must
    /// find it, so they are held until the store has them.
    announced: BTreeSet<String>,
    over: bool,
}

/// What happened while the reader waited.
enum News {
    Live(Option<LiveItem>),
    Quiet,
    Store,
    Stop,
}

impl EventStream {
    /// Begins to wait at once, so that nothing between this and the first pull is missed.
    #[must_use]
    pub fn open(api: Arc<Api>, start: Start) -> Self {
        api.metrics.streams.increment(1.0);
        Self {
            waiting: api.waiters.register(start.run),
            api,
            start,
            live: None,
            seen: start.after,
            transcript: Transcript::default(),
            last: None,
            ahead: None,
            stored: VecDeque::new(),
            approvals: BTreeSet::new(),
            announced: BTreeSet::new(),
            over: false,
        }
    }

    /// As a body.
    pub fn into_stream(self) -> impl Stream<Item = Result<Event, Infallible>> + Send + 'static {
        futures::stream::unfold((self, true), |(mut reader, first)| async move {
            if first {
                reader.look_into_store().await;
            }
            let event = reader.next().await?;
            Some((Ok(event), (reader, false)))
        })
    }

    async fn next(&mut self) -> Option<Event> {
        while !self.over {
            if let Some(event) = self.stored.pop_front() {
                self.over = event.is_final();
                return to_event(self.seen, &event);
            }
            match self.news().await {
                News::Live(Some(item)) => {
                    if let Some(event) = self.take(item) {
                        return Some(event);
                    }
                    if self.ahead.is_some() {
                        self.look_for_end().await;
                    } else if !self.announced.is_empty() {
                        self.look_into_store().await;
                    }
                }
                News::Live(None) => self.live = None,
                News::Quiet => match &self.last {
                    Some(last) => self.stored = last_events(last, self.transcript.step()).into(),
                    None => self.look_into_store().await,
                },
                News::Store => self.look_for_end().await,
                // The reader comes back with `Last-Event-ID`, to this process or another.
                News::Stop => self.over = true,
            }
        }
        None
    }

    async fn news(&mut self) -> News {
        if self.ahead.is_some() {
            return self.end_in_store().await;
        }
        if self.live.is_none() {
            let topic = self.start.run.live_topic();
            // Lossy by design: without it the store still knows the end.
            self.live = self
                .api
                .deps
                .bus
                .live_subscribe(&topic, self.seen)
                .await
                .ok();
        }
        let patience = match (&self.last, &self.live) {
            (Some(_), _) => DRAIN,
            (None, None) => RETRY,
            (None, Some(_)) if !self.announced.is_empty() => RETRY,
            (None, Some(_)) => self.api.config.recheck,
        };
        let live = async {
            match self.live.as_mut() {
                Some(live) => live.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.api.deps.shutdown.cancelled() => News::Stop,
            item = live => News::Live(item),
            () = self.waiting.news(), if self.last.is_none() => News::Store,
            () = tokio::time::sleep(patience) => News::Quiet,
        }
    }

    /// The live stream has ended; the store is about to know.
    async fn end_in_store(&mut self) -> News {
        tokio::select! {
            biased;
            () = self.api.deps.shutdown.cancelled() => News::Stop,
            () = self.waiting.news() => News::Store,
            () = tokio::time::sleep(RETRY) => News::Store,
        }
    }

    /// A gap needs no word: the bus holds back everything up to the next snapshot.
    fn take(&mut self, item: LiveItem) -> Option<Event> {
        let LiveItem::Entry { sequence, data, .. } = item else {
            return None;
        };
        self.seen = sequence;
        let event: LiveEvent = serde_json::from_slice(&data).ok()?;
        self.transcript.apply(&event);
        if let Some(id) = approval_id(&event) {
            if !self.approvals.contains(id) {
                self.announced.insert(id.to_owned());
            }
            return None;
        }
        if event.is_final() && self.last.is_none() {
            self.ahead = Some(event);
            return None;
        }
        self.over = event.is_final();
        to_event(sequence, &event)
    }

    async fn look_for_end(&mut self) {
        self.look_into_store().await;
        if self.last.is_some() {
            self.stored.extend(self.ahead.take());
        }
    }

    async fn look_into_store(&mut self) {
        if let Err(error) = self.ask_store().await {
            tracing::warn!(%error, "a stream cannot see whether its run has ended");
        }
    }

    async fn ask_store(&mut self) -> Result<(), crate::Error> {
        let Start { org, run, .. } = self.start;
        let messages = &self.api.messages;
        let Some(known) = messages.find(org, run).await? else {
            self.stored.push_back(erased_event());
            return Ok(());
        };
        self.last = known.last;
        if self.last.is_some() {
            return Ok(());
        }
        let now = self.api.deps.clock.now();
        for approval in messages.approvals_of(org, run, now).await? {
            let Some(event) = approval_event(&approval, self.transcript.step()) else {
                continue;
            };
            let id = approval.request.approval_id.as_str();
            self.announced.remove(id);
            if self.approvals.insert(id.to_owned()) {
                self.stored.push_back(event);
            }
        }
        if !self.announced.is_empty() {
            // Of those that are over already nothing more comes.
            for over in messages.asked_in(org, run).await? {
                self.announced.remove(over.request.approval_id.as_str());
            }
        }
        Ok(())
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.api.metrics.streams.decrement(1.0);
    }
}

fn approval_id(event: &LiveEvent) -> Option<&str> {
    let LiveEvent::Approval { request, .. } = event else {
        return None;
    };
    request.get("approval_id").and_then(Value::as_str)
}

fn to_event(sequence: u64, event: &LiveEvent) -> Option<Event> {
    let data = serde_json::to_string(event).ok()?;
    Some(
        Event::default()
            .id(sequence.to_string())
            .event(event.kind())
            .data(data),
    )
}
