//! A message on its way in: its ids, what is kept of it, and how it looks on the bus. Pure.

use std::collections::BTreeMap;

use bytes::Bytes;
use nexus_contracts::events::{Event, MessageSubmitted, RunCancel};
use nexus_contracts::principal::Principal;
use nexus_contracts::{
    ContentType, ContractError, ConversationId, CorrelationId, Envelope, Extra, MessageId,
    Metadata, OrgId, RunId, Timestamp, UserId, derive_id,
};
use uuid::Uuid;

use crate::answer::{ADAPTER, cancel_id, run_of};
use crate::outbox::{Key, Kind};
use crate::request::Invalid;

/// Longest `Idempotency-Key`, in bytes.
pub const MAX_KEY_BYTES: usize = 256;

/// A message with every id it will ever have: all are known before the bus is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Submission {
    /// The organisation.
    pub org: OrgId,
    /// Who asks.
    pub user: UserId,
    /// The message's id.
    pub message_id: MessageId,
    /// The run it starts.
    pub run: RunId,
    /// The conversation it goes on with or opens.
    pub conversation: ConversationId,
    /// Whether it opens the conversation.
    pub opens: bool,
    /// Whether the client gave an idempotency key.
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

impl Submission {
    /// Gives a message its ids: a fresh one, or the one its idempotency key stands for.
    ///
    /// # Errors
    /// [`ContractError::Encode`] when the event cannot be written.
    pub fn new(
        principal: &Principal,
        headers: Headers,
        (fresh, at): (Uuid, Timestamp),
        event: &MessageSubmitted,
    ) -> Result<Self, ContractError> {
        let (org, user) = (principal.org_id, principal.user_id);
        let keyed = headers.idempotency_key.is_some();
        let id = headers.idempotency_key.map_or(fresh, |key| {
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
            run,
            conversation: event
                .conversation_id
                .unwrap_or_else(|| ConversationId::opened_by(run)),
            opens: event.conversation_id.is_none(),
            keyed,
            payload: Envelope::new(message_id.clone(), at, event)?.payload,
            message_id,
            at,
            traceparent: headers.traceparent,
        })
    }

    /// Its name in the outbox.
    #[must_use]
    pub const fn key(&self) -> Key {
        Key {
            org: self.org,
            run: self.run,
            kind: Kind::Message,
        }
    }

    /// What tells two bodies under one idempotency key apart.
    #[must_use]
    pub fn fingerprint(&self) -> Vec<u8> {
        derive_id([b"fingerprint".as_slice(), &self.payload])
            .as_bytes()
            .to_vec()
    }

    /// The message for the bus; the same however often it is made.
    #[must_use]
    pub fn envelope(&self) -> Envelope {
        Envelope {
            id: self.message_id.clone(),
            event_type: MessageSubmitted::TYPE.to_owned(),
            correlation_id: Some(CorrelationId::from(self.run)),
            timestamp: self.at,
            content_type: ContentType::MessagePack,
            traceparent: self.traceparent.clone(),
            metadata: self.metadata(),
            payload: self.payload.clone(),
            extra: BTreeMap::new(),
        }
    }

    /// The wish to end its run, for the bus; the same however often it is made.
    ///
    /// # Errors
    /// [`ContractError::Encode`] when the event cannot be written.
    pub fn cancel_envelope(&self) -> Result<Envelope, ContractError> {
        let event = RunCancel {
            run_id: self.run,
            conversation_id: self.conversation,
            extra: Extra::new(),
        };
        Ok(
            Envelope::new(cancel_id(self.org, self.run), self.at, &event)?
                .correlated(Some(CorrelationId::from(self.run)))
                .with_metadata(Metadata {
                    run_id: Some(self.run),
                    ..self.metadata()
                }),
        )
    }

    fn metadata(&self) -> Metadata {
        Metadata {
            org_id: Some(self.org),
            user_id: Some(self.user),
            conversation_id: Some(self.conversation),
            run_id: Some(self.run),
            adapter: Some(ADAPTER.to_owned()),
            ..Metadata::default()
        }
    }
}
