//! The messages of conversations, as adapters, the orchestrator and workers write them.

use std::collections::HashMap;

use anyhow::Result;
use nexus_contracts::chat::{FinishReason, Usage};
use nexus_contracts::conversation::ConversationDocument;
use nexus_contracts::events::{
    ConversationBranch, ConversationBranched, ConversationDelete, ConversationDeleted,
    ConversationImport, ConversationImported, ConversationRenamed, ConversationSummarized, Event,
    MessageAccepted, MessageCompleted, MessageFailed, MessageSubmitted, ToolRequested,
};
use nexus_contracts::settings::Settings;
use nexus_contracts::{
    ConversationId, CorrelationId, Envelope, Extra, MessageId, Metadata, OrgId, RunId, Timestamp,
    UserId, channels,
};
use nexus_recorder::fact::{Found, Origin, Recorded, record};
use nexus_recorder::migrations::MIGRATIONS;
use nexus_recorder::read::Reader;
use nexus_store::Store;
use uuid::Uuid;

pub(crate) const ORG: OrgId = OrgId(Uuid::from_u128(1));
pub(crate) const OTHER_ORG: OrgId = OrgId(Uuid::from_u128(2));
pub(crate) const USER: UserId = UserId(Uuid::from_u128(7));
pub(crate) const OTHER_USER: UserId = UserId(Uuid::from_u128(8));

/// When everything begins: some day in 2026.
pub(crate) const BEGIN: i64 = 1_790_000_000_000;

pub(crate) async fn open(url: &str) -> Result<Store> {
    Ok(Store::open(&url.parse()?, "recorder", MIGRATIONS).await?)
}

/// Everything one person did, message by message.
pub(crate) struct World {
    pub(crate) reader: Reader,
    /// Milliseconds since the beginning.
    pub(crate) now: i64,
    pub(crate) messages: Vec<Recorded>,
    /// When runs were accepted.
    accepted: HashMap<RunId, Timestamp>,
}

/// A request on its way.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) id: MessageId,
    pub(crate) run: RunId,
    pub(crate) conversation: ConversationId,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::of(ORG, USER)
    }

    pub(crate) fn of(org: OrgId, user: UserId) -> Self {
        Self {
            reader: Reader { org, user },
            now: 0,
            messages: Vec::new(),
            accepted: HashMap::new(),
        }
    }

    /// A question and its answer, in a conversation or a new one.
    pub(crate) fn turn(
        &mut self,
        conversation: Option<ConversationId>,
        question: &str,
        answer: &str,
    ) -> Result<Asked> {
        let asked = self.ask(conversation, question)?;
        self.accept(&asked)?;
        self.work(&asked, answer)?;
        self.complete(&asked, answer)?;
        Ok(asked)
    }

    pub(crate) fn ask(
        &mut self,
        conversation: Option<ConversationId>,
        question: &str,
    ) -> Result<Asked> {
        let event = MessageSubmitted {
            text: question.to_owned(),
            conversation_id: conversation,
            ..MessageSubmitted::default()
        };
        let mut asked = self.request(&event)?;
        asked.conversation = conversation.unwrap_or(asked.conversation);
        Ok(asked)
    }

    /// The orchestrator takes a question. Taken before, it is told again as it was: only the bus
    /// stores it later.
    pub(crate) fn accept(&mut self, asked: &Asked) -> Result<()> {
        self.answer(asked, Some(asked.run), "accepted", &accepted(asked))?;
        if let Some(told) = self.messages.last_mut() {
            let at = &mut told.envelope.timestamp;
            *at = *self.accepted.entry(asked.run).or_insert(*at);
        }
        Ok(())
    }

    /// The orchestrator has done something that is no question.
    pub(crate) fn done(&mut self, asked: &Asked) -> Result<()> {
        self.answer(asked, None, "accepted", &accepted(asked))
    }

    pub(crate) fn complete(&mut self, asked: &Asked, answer: &str) -> Result<()> {
        let event = MessageCompleted {
            run_id: asked.run,
            conversation_id: asked.conversation,
            text: answer.to_owned(),
            provider: "demo".to_owned(),
            model: "demo-1".to_owned(),
            usage: Usage::of(3, 2),
            finish_reason: FinishReason::Stop,
            steps: 1,
            agreement: None,
            clarification: None,
            metadata: Extra::new(),
            extra: Extra::new(),
        };
        self.answer(asked, Some(asked.run), "completed", &event)
    }

    pub(crate) fn refuse(&mut self, asked: &Asked, code: &str) -> Result<()> {
        let event = MessageFailed {
            run_id: Some(asked.run),
            conversation_id: Some(asked.conversation),
            code: code.to_owned(),
            detail: "no".to_owned(),
            retryable: false,
            metadata: Extra::new(),
            extra: Extra::new(),
        };
        self.answer(asked, Some(asked.run), "failed", &event)
    }

    /// A worker gets to see what is said.
    pub(crate) fn work(&mut self, asked: &Asked, text: &str) -> Result<()> {
        let event = ToolRequested {
            call_id: "call-1".to_owned(),
            name: "note".to_owned(),
            arguments: serde_json::json!({ "text": text }).to_string(),
            ..ToolRequested::default()
        };
        let metadata = self.metadata(Some(asked.conversation), Some(asked.run));
        self.put(
            ToolRequested::CHANNEL,
            asked.id.result("tool"),
            &event,
            metadata,
        )
    }

    /// Goes on from before `run` in another way.
    pub(crate) fn branch(
        &mut self,
        parent: ConversationId,
        run: RunId,
        (question, answer): (&str, &str),
    ) -> Result<Asked> {
        let asked = self.request(&ConversationBranch {
            conversation_id: parent,
            run_id: run,
            text: question.to_owned(),
            settings: Settings::default(),
            metadata: Extra::new(),
            extra: Extra::new(),
        })?;
        self.accept(&asked)?;
        let event = ConversationBranched {
            conversation_id: asked.conversation,
            parent,
            run_id: run,
            title: None,
            extra: Extra::new(),
        };
        self.tell(asked.conversation, &event)?;
        self.complete(&asked, answer)?;
        Ok(asked)
    }

    /// A person gives a title.
    pub(crate) fn rename(&mut self, conversation: ConversationId, title: &str) -> Result<()> {
        self.tell(conversation, &renamed(conversation, title))
    }

    /// Nexus finds a title.
    pub(crate) fn entitle(&mut self, conversation: ConversationId, title: &str) -> Result<()> {
        let event = ConversationRenamed {
            automatic: true,
            ..renamed(conversation, title)
        };
        self.tell(conversation, &event)
    }

    pub(crate) fn summarize(&mut self, conversation_id: ConversationId, text: &str) -> Result<()> {
        let event = ConversationSummarized {
            conversation_id,
            summary: text.to_owned(),
            messages: 4,
            extra: Extra::new(),
        };
        self.tell(conversation_id, &event)
    }

    pub(crate) fn import(&mut self, document: &ConversationDocument) -> Result<ConversationId> {
        let asked = self.request(&ConversationImport {
            conversation: document.clone(),
            extra: Extra::new(),
        })?;
        self.done(&asked)?;
        let event = ConversationImported {
            conversation_id: asked.conversation,
            conversation: document.clone(),
            extra: Extra::new(),
        };
        self.tell(asked.conversation, &event)?;
        Ok(asked.conversation)
    }

    pub(crate) fn delete(&mut self, conversation_id: ConversationId) -> Result<()> {
        let mut asked = self.request(&ConversationDelete {
            conversation_id,
            extra: Extra::new(),
        })?;
        asked.conversation = conversation_id;
        self.done(&asked)?;
        let event = ConversationDeleted {
            conversation_id,
            extra: Extra::new(),
        };
        self.tell(conversation_id, &event)
    }

    /// The orchestrator tells something of a conversation.
    pub(crate) fn tell<E: Event>(&mut self, conversation: ConversationId, event: &E) -> Result<()> {
        let id = MessageId::new(format!("told-{}", self.now))?;
        let metadata = self.metadata(Some(conversation), None);
        self.put(channels::CONVERSATIONS, id, event, metadata)
    }

    fn request<E: Event>(&mut self, event: &E) -> Result<Asked> {
        let id = MessageId::new(format!("m-{}", self.now))?;
        let channel = channels::incoming("api");
        let run = RunId::of(self.reader.org, &channel, &id);
        let metadata = self.metadata(None, None);
        self.put(&channel, id.clone(), event, metadata)?;
        Ok(Asked {
            id,
            run,
            conversation: ConversationId::opened_by(run),
        })
    }

    fn answer<E: Event>(
        &mut self,
        asked: &Asked,
        run: Option<RunId>,
        kind: &str,
        event: &E,
    ) -> Result<()> {
        let metadata = self.metadata(Some(asked.conversation), run);
        self.put(
            &channels::processed("api"),
            asked.id.result(kind),
            event,
            metadata,
        )
    }

    fn metadata(&self, conversation: Option<ConversationId>, run: Option<RunId>) -> Metadata {
        Metadata {
            org_id: Some(self.reader.org),
            user_id: Some(self.reader.user),
            conversation_id: conversation,
            run_id: run,
            ..Metadata::default()
        }
    }

    /// A message stored by the bus; every one has a moment of its own.
    pub(crate) fn put<E: Event>(
        &mut self,
        channel: &str,
        id: MessageId,
        event: &E,
        metadata: Metadata,
    ) -> Result<()> {
        self.now += 10;
        let at = BEGIN + self.now;
        let envelope = Envelope::new(id, Timestamp::from_millis(at), event)?
            .correlated(Some(CorrelationId::new("all")?))
            .with_metadata(metadata);
        let found = Found {
            channel,
            entry_id: self.now.to_string(),
            stored_at: at + 1,
        };
        self.messages.push(record(envelope, found, &Origin::Ours)?);
        Ok(())
    }
}

fn accepted(asked: &Asked) -> MessageAccepted {
    MessageAccepted {
        run_id: asked.run,
        conversation_id: asked.conversation,
        extra: Extra::new(),
    }
}

fn renamed(conversation_id: ConversationId, title: &str) -> ConversationRenamed {
    ConversationRenamed {
        conversation_id,
        title: title.to_owned(),
        automatic: false,
        extra: Extra::new(),
    }
}
