//! Stands in for the orchestrator: does what the text of a message says.

use std::sync::Arc;

use async_trait::async_trait;
use nexus_bus::Outgoing;
use nexus_contracts::chat::{FinishReason, Usage};
use nexus_contracts::events::{
    Event, MessageAccepted, MessageCompleted, MessageFailed, MessageSubmitted, ReceiptRecorded,
    RunCancel,
};
use nexus_contracts::live::LiveEvent;
use nexus_contracts::principal::Principal;
use nexus_contracts::{
    ContractError, ConversationId, Envelope, Extra, MessageId, Metadata, OrgId, RunId, UserId,
    channels, derive_id, tables,
};
use nexus_service_kit::{
    ConsumerSpec, Deps, Failure, Handler, LiveWriter, Message, Outcome, Service, ServiceError,
    Started, consume_each, outgoing, put_table, report,
};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// The organisation everybody asks for.
pub(crate) fn org() -> OrgId {
    OrgId(derive_id([b"test org".as_slice()]))
}

/// What the orchestrator got.
#[derive(Default)]
pub(crate) struct Seen {
    texts: Mutex<Vec<String>>,
    cancelled: Mutex<Vec<RunId>>,
    receipts: Mutex<Vec<MessageId>>,
    news: Notify,
}

impl Seen {
    /// Every text, in the order it came, repetitions too.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.texts.lock().clone()
    }

    /// Waits until something holds.
    pub(crate) async fn until(&self, holds: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        let wait = async {
            loop {
                let news = self.news.notified();
                if holds(self) {
                    return;
                }
                news.await;
            }
        };
        tokio::time::timeout(crate::node::PATIENCE, wait)
            .await
            .map_err(|_elapsed| anyhow::anyhow!("it never held; texts: {:?}", self.texts()))
    }

    /// Messages somebody confirmed.
    pub(crate) fn receipts(&self) -> Vec<MessageId> {
        self.receipts.lock().clone()
    }

    /// Runs somebody cancelled.
    pub(crate) fn cancelled(&self) -> Vec<RunId> {
        self.cancelled.lock().clone()
    }
}

/// The service.
pub(crate) struct Orchestrator {
    pub(crate) seen: Arc<Seen>,
}

#[async_trait]
impl Service for Orchestrator {
    fn name(&self) -> &'static str {
        "orchestrator"
    }

    async fn start(&self, deps: &Deps) -> Result<Started, ServiceError> {
        let principal = Principal {
            org_id: org(),
            user_id: UserId(derive_id([b"test user".as_slice()])),
            roles: vec![],
            extra: Extra::new(),
        };
        put_table(&deps.bus, tables::PRINCIPALS, "client:local", &principal).await?;
        let demo = serde_json::json!({ "name": "demo", "default": true });
        put_table(&deps.bus, tables::PROVIDERS, "demo", &demo).await?;
        for channel in [channels::incoming("api"), channels::RECEIPTS.to_owned()] {
            let handler = Puppet {
                seen: Arc::clone(&self.seen),
                deps: deps.clone(),
            };
            consume_each(
                deps,
                ConsumerSpec::new(channel, "orchestrator"),
                Arc::new(handler),
            );
        }
        Ok(Started::default())
    }
}

struct Puppet {
    seen: Arc<Seen>,
    deps: Deps,
}

#[async_trait]
impl Handler for Puppet {
    async fn handle(&self, message: Message) -> Outcome {
        let answers = self
            .answers(&message.envelope)
            .await
            .map_err(|error| Failure::reject(error.to_string()))?;
        self.seen.news.notify_waiters();
        Ok(answers)
    }
}

type Answers = Result<Vec<Outgoing>, ContractError>;

impl Puppet {
    async fn answers(&self, envelope: &Envelope) -> Answers {
        match envelope.event_type.as_str() {
            MessageSubmitted::TYPE => self.submitted(envelope).await,
            RunCancel::TYPE => self.cancel(envelope),
            _ => {
                let receipt: ReceiptRecorded = envelope.decode()?;
                self.seen.receipts.lock().extend(receipt.ids);
                Ok(vec![])
            }
        }
    }

    async fn submitted(&self, envelope: &Envelope) -> Answers {
        let event: MessageSubmitted = envelope.decode()?;
        let run = RunId::of(org(), &channels::incoming("api"), &envelope.id);
        assert_eq!(envelope.metadata.run_id, Some(run));
        assert_eq!(envelope.metadata.org_id, Some(org()));
        assert_eq!(envelope.metadata.adapter.as_deref(), Some("api"));
        let times = {
            let mut texts = self.seen.texts.lock();
            texts.push(event.text.clone());
            texts.iter().filter(|text| **text == event.text).count()
        };
        let conversation = event
            .conversation_id
            .unwrap_or_else(|| ConversationId::opened_by(run));
        let about = About {
            run,
            conversation,
            to: envelope,
        };
        let word = event.text.split(' ').next().unwrap_or_default();
        Ok(match word {
            // Heard the second time.
            "deaf" if times == 1 => vec![],
            "never" => vec![],
            "fail" => vec![self.fail(&about, "provider_failed")?],
            "unknown" => vec![self.fail(&about, "unknown_conversation")?],
            "wait" => vec![self.accept(&about)?],
            "twice" => {
                let accepted = self.accept(&about)?;
                let done = self.complete(&about, "first")?;
                vec![accepted.clone(), done, self.fail(&about, "late")?, accepted]
            }
            "stream" => {
                self.stream(run, &event.text).await;
                let done = self.complete(&about, &event.text)?;
                report(&self.deps.bus, run, &final_event(&event.text)).await;
                vec![self.accept(&about)?, done]
            }
            _ => vec![self.accept(&about)?, self.complete(&about, &event.text)?],
        })
    }

    async fn stream(&self, run: RunId, text: &str) {
        let first = LiveEvent::Status {
            step: 1,
            status: "thinking".into(),
        };
        let mut live = LiveWriter::new(self.deps.bus.clone(), run, 1);
        live.event(first).await;
        live.delta("let me see").await;
        live.finish().await;
        let mut live = LiveWriter::new(self.deps.bus.clone(), run, 2);
        for part in text.split_inclusive(' ') {
            live.delta(part).await;
        }
        live.finish().await;
    }

    fn cancel(&self, envelope: &Envelope) -> Answers {
        let event: RunCancel = envelope.decode()?;
        self.seen.cancelled.lock().push(event.run_id);
        let about = About {
            run: event.run_id,
            conversation: event.conversation_id,
            to: envelope,
        };
        Ok(vec![self.fail(&about, "cancelled")?])
    }

    fn accept(&self, about: &About<'_>) -> Result<Outgoing, ContractError> {
        let event = MessageAccepted {
            run_id: about.run,
            conversation_id: about.conversation,
            extra: Extra::new(),
        };
        self.answer(about, "accepted", &event)
    }

    fn complete(&self, about: &About<'_>, text: &str) -> Result<Outgoing, ContractError> {
        let event = MessageCompleted {
            run_id: about.run,
            conversation_id: about.conversation,
            text: text.to_owned(),
            provider: "demo".into(),
            model: "demo-1".into(),
            usage: Usage {
                input_tokens: 3,
                output_tokens: 4,
            },
            finish_reason: FinishReason::Stop,
            steps: 2,
            metadata: Extra::new(),
            extra: Extra::new(),
        };
        self.answer(about, "completed", &event)
    }

    fn fail(&self, about: &About<'_>, code: &str) -> Result<Outgoing, ContractError> {
        let event = MessageFailed {
            run_id: Some(about.run),
            conversation_id: Some(about.conversation),
            code: code.into(),
            detail: "it did not work".into(),
            retryable: false,
            metadata: Extra::new(),
            extra: Extra::new(),
        };
        self.answer(about, "failed", &event)
    }

    fn answer<E: Event>(
        &self,
        about: &About<'_>,
        kind: &str,
        event: &E,
    ) -> Result<Outgoing, ContractError> {
        let metadata = Metadata {
            org_id: Some(org()),
            causation_id: Some(about.to.id.clone()),
            ..Metadata::default()
        };
        let id = about.to.id.result(kind);
        let envelope = Envelope::new(id, self.deps.clock.now(), event)?
            .correlated(about.to.correlation_id.clone())
            .with_metadata(metadata);
        Ok(outgoing(channels::processed("api"), &envelope))
    }
}

struct About<'a> {
    run: RunId,
    conversation: ConversationId,
    to: &'a Envelope,
}

fn final_event(text: &str) -> LiveEvent {
    LiveEvent::Completed {
        message: serde_json::json!({ "text": text }),
    }
}
