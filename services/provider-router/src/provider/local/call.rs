//! One command to the inference workers, from its publication until its answer is there or nobody wants
//! it any more.

use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use nexus_bus::LiveItem;
use nexus_contracts::events::{EmbeddingRequested, Event, InferenceRequested, Purpose};
use nexus_contracts::live::{Cancelled, LiveEvent};
use nexus_contracts::settings::{Caching, Privacy};
use nexus_contracts::{Envelope, Extra, MessageId, Metadata, RunId, Timestamp, channels, tables};
use nexus_service_kit::{RequestError, RequestTiming, put_table, request};
use tokio::time::timeout;

use super::heard::Heard;
use super::{EMBEDDING_MODEL, Local, MODEL};
use crate::assembler::Answer;
use crate::provider::{
    ChatRequest, DeltaSink, EmbedRequest, FailureClass, Origin, ProviderFailure, Reach,
};

/// Published anew this often while there is no answer: only a lost reply needs it, since commands are
/// kept until they are carried out.
const AGAIN: Duration = Duration::from_mins(1);

/// How long a cancellation stays known behind the deadline, after which the command is refused anyway.
const KEPT_MS: i64 = 60_000;

/// A command that is under way.
pub(super) struct Call<'a> {
    local: &'a Local,
    reach: &'a Reach,
    envelope: Envelope,
    live: BoxStream<'static, LiveItem>,
    unwanted: Unwanted,
}

impl<'a> Call<'a> {
    /// Gets everything ready for this command; nothing is published yet.
    pub(super) async fn begin(
        local: &'a Local,
        reach: &'a Reach,
        envelope: Envelope,
    ) -> Result<Self, ProviderFailure> {
        let Some(org) = envelope.metadata.org_id else {
            let what = "the request belongs to no organisation";
            return Err(local.failure(FailureClass::BadRequest, what));
        };
        let run = RunId::of(org, channels::INFERENCE_LOCAL, &envelope.id);
        // Listens first, so that nothing is missed.
        let live = reach.bus.live_subscribe(&run.live_topic(), 0).await;
        let live = live.map_err(|error| local.failure(FailureClass::Unreachable, error))?;
        let deadline = envelope.metadata.deadline;
        Ok(Self {
            local,
            reach,
            envelope,
            live: live.boxed(),
            unwanted: Unwanted {
                reach: Some(reach.clone()),
                run,
                deadline,
            },
        })
    }

    /// Asks, passes on what is said, and gives the answer.
    pub(super) async fn answer(self, sink: &mut dyn DeltaSink) -> Result<Answer, ProviderFailure> {
        let (local, mut heard) = (self.local, Heard::default());
        let reply = self.reply(&mut heard, sink).await?;
        let answer = local.answer(&reply)?;
        let Some(rest) = heard.rest_of(&answer.message.content) else {
            let what = "another worker began the answer anew, and says something else";
            return Err(local.failure(FailureClass::Interrupted, what));
        };
        if !rest.is_empty() {
            sink.delta(rest).await;
        }
        Ok(answer)
    }

    /// Asks, passes on what is `heard` meanwhile, and gives what comes back.
    pub(super) async fn reply(
        self,
        heard: &mut Heard,
        sink: &mut dyn DeltaSink,
    ) -> Result<Envelope, ProviderFailure> {
        let Self {
            local,
            reach,
            envelope,
            mut live,
            unwanted,
        } = self;
        let timing = RequestTiming {
            again: AGAIN,
            deadline: local.timeouts.total,
        };
        let (bus, clock) = (&reach.bus, &reach.clock);
        let mut reply = pin!(request(
            bus,
            clock,
            channels::INFERENCE_LOCAL,
            envelope,
            timing
        ));
        let mut patience = local.timeouts.first_byte;
        let reply = loop {
            let item = tokio::select! {
                biased;
                reply = &mut reply => break reply,
                item = timeout(patience, live.next()) => item,
            };
            let Ok(item) = item else {
                return Err(local.silent("sign of the answer", patience));
            };
            patience = local.timeouts.idle;
            match item {
                Some(LiveItem::Entry { data, .. }) => {
                    let event: Result<LiveEvent, _> = serde_json::from_slice(&data);
                    let more = event.ok().and_then(|event| heard.take(event));
                    if let Some(text) = more.filter(|text| !text.is_empty()) {
                        sink.delta(&text).await;
                    }
                }
                Some(LiveItem::Gap) => heard.lose(),
                // Nothing more is heard meanwhile; the answer has all of it.
                None => break (&mut reply).await,
            }
        };
        let reply = reply.map_err(|error| unanswered(local, &error))?;
        unwanted.answered();
        Ok(reply)
    }
}

/// The command for this question.
pub(super) fn asked(
    local: &Local,
    reach: &Reach,
    request: &ChatRequest,
) -> Result<Envelope, ProviderFailure> {
    let asked = InferenceRequested {
        messages: request.messages.clone(),
        tools: request.tools.clone(),
        provider: Some(local.name.clone()),
        model: named(&request.model),
        parameters: request.parameters.clone(),
        quiet: false,
        purpose: Purpose::Answer,
        privacy: Privacy::Open,
        cache: Caching::Off,
        extra: Extra::new(),
    };
    command(local, reach, &asked, (&request.id, &request.origin))
}

/// The command for these texts.
pub(super) fn texts(
    local: &Local,
    reach: &Reach,
    request: &EmbedRequest,
) -> Result<Envelope, ProviderFailure> {
    let asked = EmbeddingRequested {
        input: request.input.clone(),
        provider: Some(local.name.clone()),
        model: named(&request.model),
        dimensions: request.dimensions,
        privacy: Privacy::Open,
        extra: Extra::new(),
    };
    command(local, reach, &asked, (&request.id, &request.origin))
}

/// The model, unless the worker is to choose.
fn named(model: &str) -> Option<String> {
    (![MODEL, EMBEDDING_MODEL].contains(&model)).then(|| model.to_owned())
}

/// A command that asks this, caused by that one.
fn command<E: Event>(
    local: &Local,
    reach: &Reach,
    asked: &E,
    (id, origin): (&str, &Origin),
) -> Result<Envelope, ProviderFailure> {
    let unwritable = |error| local.failure(FailureClass::BadRequest, error);
    let metadata = Metadata {
        causation_id: MessageId::new(id).ok(),
        ..origin.metadata.clone()
    };
    let id = MessageId::from(reach.clock.new_id());
    let mut envelope = Envelope::new(id, reach.clock.now(), asked)
        .map_err(unwritable)?
        .correlated(origin.correlation_id.clone())
        .with_metadata(metadata);
    envelope.traceparent.clone_from(&origin.traceparent);
    Ok(envelope)
}

fn unanswered(local: &Local, error: &RequestError) -> ProviderFailure {
    let class = match error {
        RequestError::Timeout { .. } => FailureClass::TimedOut,
        RequestError::Bus(_) => FailureClass::Unreachable,
    };
    local.failure(class, error)
}

/// Tells the workers to stop, unless there was an answer.
struct Unwanted {
    reach: Option<Reach>,
    run: RunId,
    deadline: Option<Timestamp>,
}

impl Unwanted {
    fn answered(mut self) {
        self.reach = None;
    }
}

impl Drop for Unwanted {
    fn drop(&mut self) {
        let Some(reach) = self.reach.take() else {
            return;
        };
        let (run, tasks) = (self.run.to_string(), reach.tasks.clone());
        let now = reach.clock.now();
        let until = self.deadline.map_or(now, |deadline| deadline.max(now));
        let cancelled = Cancelled {
            at: now,
            until: until.plus_millis(KEPT_MS),
        };
        tasks.spawn("cancel a local call", async move {
            // Where this fails the worker goes on to its deadline, for nobody.
            let told = put_table(&reach.bus, tables::RUNS_CANCELLED, &run, &cancelled).await;
            if let Err(error) = told {
                tracing::warn!(run, %error, "an inference worker could not be told to stop");
            }
        });
    }
}
