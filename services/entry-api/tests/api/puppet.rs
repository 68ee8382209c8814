//! What the fake orchestrator does: what its contract says, steered by the first word of a text.

use std::sync::Arc;

use nexus_bus::Outgoing;
use nexus_contracts::chat::{FinishReason, Usage};
use nexus_contracts::events::approval::arguments_hash;
use nexus_contracts::events::{
    Agreement, ApprovalDecided, ApprovalRequested, ConversationBranch, ConversationConfigure,
    ConversationDelete, ConversationDeleted, ConversationImport, ConversationRename, Decision,
    Event, MessageAccepted, MessageCompleted, MessageFailed, MessageSubmitted, ReceiptRecorded,
    RunCancel,
};
use nexus_contracts::live::LiveEvent;
use nexus_contracts::{
    ContractError, ConversationId, Envelope, Extra, MessageId, Metadata, RunId, channels,
};
use nexus_service_kit::{Deps, LiveWriter, outgoing, report};

use crate::orchestrator::Seen;

pub(crate) struct Puppet {
    pub(crate) seen: Arc<Seen>,
    pub(crate) deps: Deps,
}

type Answers = Result<Vec<Outgoing>, ContractError>;

impl Puppet {
    /// What comes again gets the same outcome, as the inbox of the real one does it.
    pub(crate) async fn answers(&self, envelope: &Envelope) -> Answers {
        let before = self.seen.inbox.lock().get(&envelope.id).cloned();
        if let Some(answers) = before {
            return Ok(answers);
        }
        let answers = self.ask(envelope).await?;
        if !answers.is_empty() {
            let mut inbox = self.seen.inbox.lock();
            inbox.insert(envelope.id.clone(), answers.clone());
        }
        Ok(answers)
    }

    async fn ask(&self, envelope: &Envelope) -> Answers {
        match envelope.event_type.as_str() {
            MessageSubmitted::TYPE => self.submitted(envelope).await,
            RunCancel::TYPE => self.cancel(envelope),
            ApprovalDecided::TYPE => self.decided(envelope),
            ConversationBranch::TYPE => self.branch(envelope),
            ConversationRename::TYPE => {
                let event: ConversationRename = envelope.decode()?;
                if event.title.starts_with("never") {
                    return Ok(vec![]);
                }
                self.change(envelope, event.conversation_id)
            }
            ConversationConfigure::TYPE => {
                let event: ConversationConfigure = envelope.decode()?;
                self.change(envelope, event.conversation_id)
            }
            ConversationDelete::TYPE => self.delete(envelope),
            ConversationImport::TYPE => {
                let _document: ConversationImport = envelope.decode()?;
                let about = About::of(envelope, None);
                self.open(&about);
                Ok(vec![self.accept(&about)?])
            }
            _ => {
                let receipt: ReceiptRecorded = envelope.decode()?;
                assert_eq!(receipt.by, "entry-api");
                self.seen.receipts.lock().extend(receipt.ids);
                Ok(vec![])
            }
        }
    }

    async fn submitted(&self, envelope: &Envelope) -> Answers {
        let event: MessageSubmitted = envelope.decode()?;
        let about = About::of(envelope, event.conversation_id);
        assert_eq!(envelope.metadata.run_id, Some(about.run));
        assert_eq!(envelope.metadata.adapter.as_deref(), Some("api"));
        let times = {
            let mut texts = self.seen.texts.lock();
            texts.push(event.text.clone());
            texts.iter().filter(|text| **text == event.text).count()
        };
        if event.conversation_id.is_none() {
            self.open(&about);
        } else if !self.is_theirs(&about) {
            return Ok(vec![self.fail(&about, "unknown_conversation")?]);
        }
        self.start(&about);
        let word = event.text.split(' ').next().unwrap_or_default();
        Ok(match word {
            // Heard the second time.
            "deaf" if times == 1 => vec![],
            "never" => vec![],
            "fail" => vec![self.fail(&about, "provider_failed")?],
            "wait" => vec![self.accept(&about)?],
            "twice" => {
                let accepted = self.accept(&about)?;
                let done = self.complete(&about, "first")?;
                vec![accepted.clone(), done, self.fail(&about, "late")?, accepted]
            }
            "stream" => {
                self.stream(about.run, &event.text).await;
                let done = self.complete(&about, &event.text)?;
                report(&self.deps.bus, about.run, &final_event(&event.text)).await;
                vec![self.accept(&about)?, done]
            }
            // Asked live and for good, or for good alone.
            "approve" | "quietly" => {
                let request = self.request(&about);
                if word == "approve" {
                    let live = LiveEvent::Approval {
                        step: 1,
                        request: serde_json::to_value(&request).unwrap_or_default(),
                    };
                    report(&self.deps.bus, about.run, &live).await;
                }
                vec![
                    self.accept(&about)?,
                    self.answer(&about, "approval", &request)?,
                ]
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

    fn request(&self, about: &About<'_>) -> ApprovalRequested {
        let arguments = "{\"to\":\"x\"}";
        let request = ApprovalRequested {
            approval_id: about.to.id.result("call"),
            run_id: about.run,
            conversation_id: about.conversation,
            call_id: "call_1".into(),
            tool: "mail".into(),
            arguments: arguments.into(),
            arguments_hash: arguments_hash("mail", arguments),
            reason: "the policy of `mail` is `ask`".into(),
            expires_at: self.deps.clock.now().plus_millis(3_600_000),
            extra: Extra::new(),
        };
        let mut approvals = self.seen.approvals.lock();
        approvals.insert(request.approval_id.clone(), request.clone());
        request
    }

    fn decided(&self, envelope: &Envelope) -> Answers {
        let event: ApprovalDecided = envelope.decode()?;
        self.seen.decisions.lock().push(event.clone());
        let about = About {
            run: event.run_id,
            ..About::of(envelope, Some(event.conversation_id))
        };
        if !self.is_theirs(&about) {
            return Ok(vec![self.fail(&about, "unknown_conversation")?]);
        }
        let open = self.seen.approvals.lock().get(&event.approval_id).cloned();
        let Some(open) = open else {
            return Ok(vec![self.fail(&about, "unknown_approval")?]);
        };
        if open.arguments_hash != event.arguments_hash {
            return Ok(vec![self.fail(&about, "arguments_changed")?]);
        }
        self.seen.approvals.lock().remove(&event.approval_id);
        let said = match event.decision {
            Decision::Approve => "mailed",
            Decision::Deny => "not mailed",
        };
        let accepted = self.accept(&about)?;
        // A run that is to go on is ended by its cancellation.
        if event.comment.as_deref() == Some("go on") {
            return Ok(vec![accepted]);
        }
        let starter = self.seen.runs.lock().get(&event.run_id).cloned();
        Ok(match starter {
            Some(starter) => {
                let about = About::of(&starter, Some(event.conversation_id));
                vec![accepted, self.complete(&about, said)?]
            }
            None => vec![accepted],
        })
    }

    fn cancel(&self, envelope: &Envelope) -> Answers {
        let event: RunCancel = envelope.decode()?;
        self.seen.cancelled.lock().push(event.run_id);
        let about = About {
            run: event.run_id,
            ..About::of(envelope, Some(event.conversation_id))
        };
        let Some(starter) = self.seen.runs.lock().get(&event.run_id).cloned() else {
            return Ok(vec![self.fail(&about, "unknown_run")?]);
        };
        let run = About::of(&starter, Some(event.conversation_id));
        Ok(vec![self.accept(&about)?, self.fail(&run, "cancelled")?])
    }

    fn branch(&self, envelope: &Envelope) -> Answers {
        let event: ConversationBranch = envelope.decode()?;
        self.seen.texts.lock().push(event.text.clone());
        let parent = About::of(envelope, Some(event.conversation_id));
        if !self.is_theirs(&parent) {
            return Ok(vec![self.fail(&parent, "unknown_conversation")?]);
        }
        let about = About::of(envelope, None);
        if !self.seen.runs.lock().contains_key(&event.run_id) {
            return Ok(vec![self.fail(&about, "unknown_run")?]);
        }
        self.open(&about);
        self.start(&about);
        Ok(vec![
            self.accept(&about)?,
            self.complete(&about, &event.text)?,
        ])
    }

    fn change(&self, envelope: &Envelope, conversation: ConversationId) -> Answers {
        let about = About::of(envelope, Some(conversation));
        Ok(vec![if self.is_theirs(&about) {
            self.accept(&about)?
        } else {
            self.fail(&about, "unknown_conversation")?
        }])
    }

    fn delete(&self, envelope: &Envelope) -> Answers {
        let event: ConversationDelete = envelope.decode()?;
        let about = About::of(envelope, Some(event.conversation_id));
        if !self.is_theirs(&about) {
            return Ok(vec![self.fail(&about, "unknown_conversation")?]);
        }
        self.seen.conversations.lock().remove(&about.conversation);
        let fact = ConversationDeleted {
            conversation_id: event.conversation_id,
            extra: Extra::new(),
        };
        let fact = self.envelope(&about, "deleted", &fact)?;
        Ok(vec![
            self.accept(&about)?,
            outgoing(channels::CONVERSATIONS, &fact),
        ])
    }

    fn open(&self, about: &About<'_>) {
        let metadata = &about.to.metadata;
        if let Some(whose) = metadata.org_id.zip(metadata.user_id) {
            let mut conversations = self.seen.conversations.lock();
            conversations.insert(about.conversation, whose);
        }
    }

    fn is_theirs(&self, about: &About<'_>) -> bool {
        let metadata = &about.to.metadata;
        let conversations = self.seen.conversations.lock();
        let whose = conversations.get(&about.conversation).copied();
        whose.is_some() && whose == metadata.org_id.zip(metadata.user_id)
    }

    fn start(&self, about: &About<'_>) {
        let mut runs = self.seen.runs.lock();
        runs.insert(about.run, about.to.clone());
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
            usage: Usage::of(3, 4),
            finish_reason: FinishReason::Stop,
            steps: 2,
            agreement: Some(Agreement {
                samples: 3,
                agreeing: 2,
            }),
            clarification: None,
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
        let envelope = self.envelope(about, kind, event)?;
        Ok(outgoing(channels::processed("api"), &envelope))
    }

    fn envelope<E: Event>(
        &self,
        about: &About<'_>,
        kind: &str,
        event: &E,
    ) -> Result<Envelope, ContractError> {
        let metadata = Metadata {
            causation_id: Some(about.to.id.clone()),
            org_id: about.to.metadata.org_id,
            user_id: about.to.metadata.user_id,
            ..Metadata::default()
        };
        let id: MessageId = about.to.id.result(kind);
        Ok(Envelope::new(id, self.deps.clock.now(), event)?
            .correlated(about.to.correlation_id.clone())
            .with_metadata(metadata))
    }
}

struct About<'a> {
    run: RunId,
    conversation: ConversationId,
    to: &'a Envelope,
}

impl<'a> About<'a> {
    /// About what this message starts, in a conversation it names or opens.
    fn of(to: &'a Envelope, conversation: Option<ConversationId>) -> Self {
        let org = to.metadata.org_id.unwrap_or_else(crate::orchestrator::org);
        let run = RunId::of(org, &channels::incoming("api"), &to.id);
        Self {
            run,
            conversation: conversation.unwrap_or_else(|| ConversationId::opened_by(run)),
            to,
        }
    }
}

fn final_event(text: &str) -> LiveEvent {
    LiveEvent::Completed {
        message: serde_json::json!({ "text": text }),
    }
}
