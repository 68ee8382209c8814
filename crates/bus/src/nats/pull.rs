//! One-shot pulls: one request per call, and nothing outstanding when it returns.
//!
//! `no_wait` together with `expires` makes the server wait for the first message, send what there
//! is and close the request with a status. A request that stays open would be handed messages
//! nobody asked for any more, and their leases would run while they sit in a buffer.

use std::time::Duration;

use async_nats::{Message, StatusCode, Subscriber};
use futures::{FutureExt as _, StreamExt as _};
use serde_json::json;
use tokio::time::Instant;

use crate::BusError;
use crate::nats::link::{Link, json};
use crate::nats::stream::consumer_info;

/// How much longer than the server this side waits for the end of a request.
const GRACE: Duration = Duration::from_secs(2);
/// A consumer that is gone answers nothing at all: whether it is there is asked after this long.
const PROBE: Duration = Duration::from_millis(250);
/// The server expires nothing sooner.
const SHORTEST: Duration = Duration::from_millis(1);

/// What a pull ended with, besides its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The server said it is over.
    Closed,
    /// Others are asking; again in a moment.
    Busy,
    /// The consumer or its stream is gone.
    Gone,
}

/// What a pull brought.
pub(super) struct Pulled {
    pub(super) messages: Vec<Message>,
    pub(super) end: End,
    /// No message was delivered before this moment.
    pub(super) since: Instant,
}

/// What happened first while a pull waited.
enum Step {
    Message(Option<Message>),
    Probe,
    Failed(&'static str),
}

/// An inbox for the answers to one consumer's pulls.
pub(super) struct Puller {
    inbox: Subscriber,
    reply: String,
    asked_at: Instant,
    /// A request was sent and its end not seen: its call was cancelled or failed.
    open: bool,
    /// What came for such a request; handed out first.
    late: Vec<Message>,
}

impl Puller {
    /// Subscribes, once for all requests.
    pub(super) async fn new(link: &Link) -> Result<Self, BusError> {
        let (inbox, reply) = subscribe(link).await?;
        Ok(Self {
            inbox,
            reply,
            asked_at: Instant::now(),
            open: false,
            late: Vec::new(),
        })
    }

    /// Up to `max` messages of a consumer, as soon as there is one.
    pub(super) async fn pull(
        &mut self,
        link: &Link,
        (stream, consumer): (&str, &str),
        max: usize,
        wait: Duration,
    ) -> Result<Pulled, BusError> {
        link.ready().await?;
        if self.open {
            self.abandon(link).await?;
        }
        if !self.late.is_empty() {
            let messages = self.late.drain(..max.min(self.late.len())).collect();
            return Ok(Pulled {
                messages,
                end: End::Closed,
                since: self.asked_at,
            });
        }
        let epoch = link.epoch();
        self.ask(link, (stream, consumer), max, wait).await?;
        let end_at = self.asked_at + wait + GRACE;
        let mut probe_at = Some(self.asked_at + PROBE);
        let mut messages = Vec::new();
        loop {
            let step = tokio::select! {
                biased;
                message = self.inbox.next() => Step::Message(message),
                () = link.broken(epoch) => Step::Failed("the connection was lost"),
                () = tokio::time::sleep_until(probe_at.unwrap_or(end_at)) => match probe_at.take() {
                    Some(_) => Step::Probe,
                    None => Step::Failed("a pull was not answered"),
                },
            };
            let message = match step {
                Step::Message(Some(message)) => message,
                Step::Message(None) => return Err(BusError::Closed),
                Step::Failed(reason) => return partly(link, messages, reason),
                Step::Probe => {
                    if consumer_info(link, stream, consumer).await?.is_none() {
                        return Ok(Pulled {
                            messages,
                            end: End::Gone,
                            since: Instant::now(),
                        });
                    }
                    continue;
                }
            };
            let end = if is_entry(&message) {
                messages.push(message);
                (messages.len() >= max).then_some(End::Closed)
            } else {
                end_of(&message)?
            };
            if let Some(end) = end {
                self.open = false;
                return Ok(Pulled {
                    messages,
                    end,
                    since: Instant::now(),
                });
            }
        }
    }

    async fn ask(
        &mut self,
        link: &Link,
        (stream, consumer): (&str, &str),
        max: usize,
        wait: Duration,
    ) -> Result<(), BusError> {
        let mut request = json!({ "batch": max, "no_wait": true });
        if let (true, Some(request)) = (wait >= SHORTEST, request.as_object_mut()) {
            let nanos = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
            request.insert("expires".to_owned(), nanos.into());
        }
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}");
        self.asked_at = Instant::now();
        self.open = true;
        let request = json(&request)?;
        let sent = link
            .client
            .publish_with_reply(subject, self.reply.clone(), request)
            .await;
        sent.map_err(|error| link.unreachable(error.to_string()))
    }

    /// Keeps what an unfinished request brought. Without its inbox the server drops the request.
    async fn abandon(&mut self, link: &Link) -> Result<(), BusError> {
        while let Some(Some(message)) = self.inbox.next().now_or_never() {
            if is_entry(&message) {
                self.late.push(message);
            }
        }
        (self.inbox, self.reply) = subscribe(link).await?;
        self.open = false;
        Ok(())
    }
}

async fn subscribe(link: &Link) -> Result<(Subscriber, String), BusError> {
    let reply = link.client.new_inbox();
    let inbox = link.client.subscribe(reply.clone()).await;
    Ok((
        inbox.map_err(|error| link.unreachable(error.to_string()))?,
        reply,
    ))
}

/// What was received is not lost to an error.
fn partly(link: &Link, messages: Vec<Message>, reason: &str) -> Result<Pulled, BusError> {
    if link.closed.is_cancelled() {
        return Err(BusError::Closed);
    }
    if messages.is_empty() {
        return Err(link.unreachable(reason));
    }
    Ok(Pulled {
        messages,
        end: End::Closed,
        since: Instant::now(),
    })
}

fn is_entry(message: &Message) -> bool {
    message.status.is_none_or(|status| status == StatusCode::OK)
}

/// What a status message says; none when the request goes on.
fn end_of(message: &Message) -> Result<Option<End>, BusError> {
    let status = message.status.unwrap_or(StatusCode::OK);
    let text = message.description.as_deref().unwrap_or_default();
    match status.as_u16() {
        100 => Ok(None),
        404 => Ok(Some(End::Closed)),
        408 if text == "Requests Pending" => Ok(Some(End::Busy)),
        408 => Ok(Some(End::Closed)),
        409 if text == "Consumer Deleted" => Ok(Some(End::Gone)),
        409 if text.starts_with("Leadership") || text.starts_with("Exceeded MaxWaiting") => {
            Ok(Some(End::Busy))
        }
        409 if text.starts_with("Server Shutdown") => Ok(Some(End::Busy)),
        503 => Ok(Some(End::Gone)),
        _ => Err(BusError::Protocol(format!(
            "a pull was refused: {status} {text}"
        ))),
    }
}
