//! A message on its way in: its ids, what is kept of it, and how it looks on the bus. Pure.

use std::collections::BTreeMap;

use bytes::Bytes;
use nexus_contracts::events::{
    ApprovalDecided, ConversationBranch, ConversationConfigure, ConversationDelete,
    ConversationImport, ConversationRename, Event, MessageSubmitted, RunCancel,
};
use nexus_contracts::principal::Principal;
use nexus_contracts::{
    ContentType, ConversationId, CorrelationId, Envelope, Extra, MessageId, Metadata, OrgId, RunId,
    Timestamp, UserId, derive_id,
};
use uuid::Uuid;

use crate::Error;
use crate::answer::{ADAPTER, cancel_id, run_of};
use crate::outbox::{Key, Lanes};
use crate::request::Invalid;

/// Longest `Idempotency-Key`, in bytes.
pub const MAX_KEY_BYTES: usize = 256;

/// What is asked of the orchestrator: every event this adapter sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An answer to a message.
    Message,
    /// An answer to another message, from an earlier point on.
    Branch,
    /// No answer any more.
    Cancel,
    /// What a person decided about a tool call.
    Decision,
    /// Another title.
    Rename,
    /// Other settings.
    Configure,
    /// That a conversation is erased.
    Delete,
    /// A conversation held elsewhere.
    Import,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Message,
        Self::Branch,
        Self::Cancel,
        Self::Decision,
        Self::Rename,
        Self::Configure,
        Self::Delete,
        Self::Import,
    ];

    /// The type of the event.
    #[must_use]
    pub const fn event_type(self) -> &'static str {
        match self {
            Self::Message => MessageSubmitted::TYPE,
            Self::Branch => ConversationBranch::TYPE,
            Self::Cancel => RunCancel::TYPE,
            Self::Decision => ApprovalDecided::TYPE,
            Self::Rename => ConversationRename::TYPE,
            Self::Configure => ConversationConfigure::TYPE,
            Self::Delete => ConversationDelete::TYPE,
            Self::Import => ConversationImport::TYPE,
        }
    }

    /// Reads the type of an event.
    #[must_use]
    pub fn parse(event_type: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| kind.event_type() == event_type)
    }

    /// Whether an answer follows its acceptance. Anything else is done once it is accepted.
    #[must_use]
    pub const fn starts_run(self) -> bool {
        matches!(self, Self::Message | Self::Branch)
    }
}

/// What a message is about, as far as it says so itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// The conversation; one is opened when absent.
    pub conversation: Option<ConversationId>,
    /// The conversation a branch leaves.
    pub parent: Option<ConversationId>,
    /// The run, when it is not the one this message starts.
    pub run: Option<RunId>,
    /// The approval it decides.
    pub approval: Option<MessageId>,
}

impl Subject {
    /// About a conversation as a whole.
    #[must_use]
    pub fn of(conversation: ConversationId) -> Self {
        Self {
            conversation: Some(conversation),
            ..Self::default()
        }
    }
}

/// A message with every id it will ever have: all are known before the bus is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Submission {
    /// The organisation.
    pub org: OrgId,
    /// Who asks.
    pub user: UserId,
    /// For what.
    pub kind: Kind,
    /// The message's id.
    pub message_id: MessageId,
    /// The run it starts, or would start.
    pub run: RunId,
    /// The conversation it is about or opens.
    pub conversation: ConversationId,
    /// The conversation a branch leaves.
    pub parent: Option<ConversationId>,
    /// The run it is about, when that is not its own.
    pub about: Option<RunId>,
    /// The approval it decides.
    pub approval: Option<MessageId>,
    /// Whether its id comes out the same when the client sends it again.
    pub keyed: bool,
    /// The event, as `MessagePack`.
    pub payload: Bytes,
    /// When it came.
    pub at: Timestamp,
    /// The client's trace.
    pub traceparent: Option<String>,
}

/// What comes with a request besides its body.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    /// `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// `traceparent`.
    pub traceparent: Option<String>,
}

impl Headers {
    /// Checks what a client sent.
    ///
    /// # Errors
    /// [`Invalid`] when the idempotency key cannot be used.
    pub fn check(self) -> Result<Self, Invalid> {
        let bad = self.idempotency_key.as_ref().is_some_and(|key| {
            let visible = key
                .bytes()
                .all(|byte| byte.is_ascii_graphic() || byte == b' ');
            key.trim().is_empty() || key.len() > MAX_KEY_BYTES || !visible
        });
        if bad {
            return Err(Invalid {
                status: 400,
                code: "bad_idempotency_key",
                detail: format!(
                    "header `Idempotency-Key` must be 1 to {MAX_KEY_BYTES} bytes of visible ASCII"
                ),
            });
        }
        // A trace that does not read is no reason to refuse: it is left out.
        let traceparent = self
            .traceparent
            .filter(|text| text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_graphic()));
        Ok(Self {
            idempotency_key: self.idempotency_key,
            traceparent,
        })
    }
}

/// Who sends a message, and what its ids are made from.
#[derive(Clone, Debug)]
pub struct Sender {
    /// For whom it asks.
    pub principal: Principal,
    /// What came with the request.
    pub headers: Headers,
    /// The message's id, unless an idempotency key stands for one.
    pub fresh: Uuid,
    /// Now.
    pub at: Timestamp,
}

impl Submission {
    /// Gives a message its ids: a fresh one, or the one its idempotency key stands for.
    ///
    /// # Errors
    /// When the event cannot be written.
    pub fn new<E: Event>(
        sender: Sender,
        kind: Kind,
        subject: Subject,
        event: &E,
    ) -> Result<Self, Error> {
        let (org, user) = (sender.principal.org_id, sender.principal.user_id);
        let keyed = sender.headers.idempotency_key.is_some();
        let id = sender.headers.idempotency_key.map_or(sender.fresh, |key| {
            let parts = [
                b"idempotency".as_slice(),
                org.0.as_bytes(),
                user.0.as_bytes(),
            ];
            derive_id(parts.into_iter().chain([key.as_bytes()]))
        });
        let message_id = MessageId::from(id);
        let run = run_of(org, &message_id);
        Ok(Self {
            org,
            user,
            kind,
            run,
            conversation: subject
                .conversation
                .unwrap_or_else(|| ConversationId::opened_by(run)),
            parent: subject.parent,
            about: subject.run,
            approval: subject.approval,
            keyed,
            payload: Envelope::new(message_id.clone(), sender.at, event)?.payload,
            message_id,
            at: sender.at,
            traceparent: sender.headers.traceparent,
        })
    }

    /// The wish to end this message's run: the same however often it is wished.
    ///
    /// # Errors
    /// When the event cannot be written.
    pub fn cancel(&self, at: Timestamp) -> Result<Self, Error> {
        let event = RunCancel {
            run_id: self.run,
            conversation_id: self.conversation,
            extra: Extra::new(),
        };
        let message_id = cancel_id(self.org, self.run);
        Ok(Self {
            org: self.org,
            user: self.user,
            kind: Kind::Cancel,
            run: run_of(self.org, &message_id),
            conversation: self.conversation,
            parent: None,
            about: Some(self.run),
            approval: None,
            keyed: true,
            payload: Envelope::new(message_id.clone(), at, &event)?.payload,
            message_id,
            at,
            traceparent: None,
        })
    }

    /// Its name in the outbox.
    #[must_use]
    pub const fn key(&self) -> Key {
        Key {
            org: self.org,
            run: self.run,
        }
    }

    /// Its place in the outbox.
    #[must_use]
    pub const fn lanes(&self) -> Lanes {
        Lanes {
            conversation: self.conversation,
            parent: self.parent,
        }
    }

    /// What tells two bodies under one idempotency key apart.
    #[must_use]
    pub fn fingerprint(&self) -> Vec<u8> {
        let kind = match self.kind {
            Kind::Message => None,
            other => Some(other.event_type().as_bytes()),
        };
        let parts = [b"fingerprint".as_slice(), &self.payload];
        derive_id(parts.into_iter().chain(kind)).as_bytes().to_vec()
    }

    /// The message for the bus; the same however often it is made.
    #[must_use]
    pub fn envelope(&self) -> Envelope {
        Envelope {
            id: self.message_id.clone(),
            event_type: self.kind.event_type().to_owned(),
            correlation_id: Some(CorrelationId::from(self.about.unwrap_or(self.run))),
            timestamp: self.at,
            content_type: ContentType::MessagePack,
            traceparent: self.traceparent.clone(),
            metadata: self.metadata(),
            payload: self.payload.clone(),
            extra: BTreeMap::new(),
        }
    }

    fn metadata(&self) -> Metadata {
        let own = self.kind.starts_run().then_some(self.run);
        Metadata {
            org_id: Some(self.org),
            user_id: Some(self.user),
            conversation_id: Some(self.conversation),
            run_id: self.about.or(own),
            adapter: Some(ADAPTER.to_owned()),
            ..Metadata::default()
        }
    }
}
