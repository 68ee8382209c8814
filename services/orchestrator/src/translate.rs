//! From envelopes to what the core understands. Pure.

use bytes::Bytes;
use nexus_contracts::events::{
    Event, InferenceCompleted, InferenceFailed, MessageSubmitted, ReceiptRecorded, RunCancel,
    ToolCompleted, ToolFailed,
};
use nexus_contracts::principal::Principal;
use nexus_contracts::{
    ContentType, ContractError, ConversationId, CorrelationId, Envelope, MessageId, OrgId, RunId,
    Timestamp,
};

use crate::core::{Input, RunHeader, Submission};

/// Who writes on an incoming channel.
#[derive(Clone, Debug, PartialEq)]
pub enum Sender {
    /// One of our adapters: says for whom it asks, and confirms what it received.
    Adapter {
        /// The name that ends its channels.
        name: String,
    },
    /// An external client: asks for the principal it is mapped to; what it claims is ignored.
    Client {
        /// The name that ends its channels; empty for the local client.
        name: String,
        /// Whom it asks for.
        principal: Principal,
    },
}

impl Sender {
    /// The name that ends its channels.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Adapter { name } | Self::Client { name, .. } => name,
        }
    }
}

/// An event of one conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Inbound {
    /// The tenant.
    pub org: OrgId,
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The run it belongs to or starts.
    pub run_id: RunId,
    /// The channel it came on.
    pub channel: String,
    /// Its id.
    pub message_id: MessageId,
    /// What it says.
    pub input: Input,
    /// Whether it may open a conversation that does not exist.
    pub opens: bool,
    /// For the journal: the event type and the payload as received.
    pub event_type: String,
    /// How the payload is written.
    pub content_type: ContentType,
    /// The payload as received.
    pub payload: Bytes,
}

/// What an envelope turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Translated {
    /// An event of a conversation.
    Event(Box<Inbound>),
    /// Proof that messages arrived.
    Receipt {
        /// The tenant.
        org: OrgId,
        /// The messages.
        ids: Vec<MessageId>,
    },
}

/// A message that cannot be taken; its sender is told with `message.failed`.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The run the message would have started, where that is known.
    pub header: Option<Box<RunHeader>>,
    /// A stable word for programs.
    pub code: &'static str,
    /// What is wrong and what to do.
    pub detail: String,
}

/// Reads a message of a person or program.
///
/// # Errors
/// [`Refusal`] when it is not a message Nexus can act on.
pub fn incoming(
    envelope: &Envelope,
    channel: &str,
    sender: &Sender,
) -> Result<Translated, Refusal> {
    let header = header_of(envelope, channel, sender).map_err(|detail| Refusal {
        header: None,
        code: "bad_request",
        detail,
    })?;
    let refuse = |detail: String| Refusal {
        header: Some(Box::new(header.clone())),
        code: "bad_request",
        detail,
    };
    let unreadable = |error: ContractError| refuse(error.to_string());
    let (input, header, opens) = match envelope.event_type.as_str() {
        MessageSubmitted::TYPE => {
            let message: MessageSubmitted = envelope.decode().map_err(unreadable)?;
            let opens = message.conversation_id.is_none();
            let mut header = header.clone();
            header.conversation_id = message.conversation_id.unwrap_or(header.conversation_id);
            let submission = Submission {
                header: header.clone(),
                message,
            };
            (Input::Submitted(Box::new(submission)), header, opens)
        }
        RunCancel::TYPE => {
            let cancel: RunCancel = envelope.decode().map_err(unreadable)?;
            let mut header = header.clone();
            header.conversation_id = cancel.conversation_id;
            header.run_id = cancel.run_id;
            (
                Input::Cancelled {
                    run_id: cancel.run_id,
                },
                header,
                false,
            )
        }
        other => {
            return Err(refuse(format!(
                "unknown event type `{other}` on {channel}; send `message.submitted` or `run.cancel`"
            )));
        }
    };
    Ok(Translated::Event(Box::new(Inbound {
        org: header.org_id,
        conversation_id: header.conversation_id,
        run_id: header.run_id,
        channel: channel.to_owned(),
        message_id: envelope.id.clone(),
        input,
        opens,
        event_type: envelope.event_type.clone(),
        content_type: envelope.content_type,
        payload: envelope.payload.clone(),
    })))
}

/// The header of the run an incoming message starts, as far as its flat fields tell.
///
/// # Errors
/// In words, when an adapter does not say for whom it asks.
pub fn header_of(envelope: &Envelope, channel: &str, sender: &Sender) -> Result<RunHeader, String> {
    let (org_id, user_id, receipts) = match sender {
        Sender::Client { principal, .. } => (principal.org_id, principal.user_id, false),
        Sender::Adapter { name } => {
            let metadata = &envelope.metadata;
            let org = metadata.org_id.ok_or_else(|| missing(name, "org_id"))?;
            let user = metadata.user_id.ok_or_else(|| missing(name, "user_id"))?;
            (org, user, true)
        }
    };
    let run_id = RunId::of(org_id, channel, &envelope.id);
    Ok(RunHeader {
        run_id,
        org_id,
        user_id,
        conversation_id: ConversationId::opened_by(run_id),
        correlation_id: envelope
            .correlation_id
            .clone()
            .unwrap_or_else(|| CorrelationId::from(run_id)),
        message_id: envelope.id.clone(),
        adapter: sender.name().to_owned(),
        receipts,
        traceparent: envelope.traceparent.clone(),
        replay_of: envelope.metadata.replay_of.clone(),
    })
}

fn missing(adapter: &str, field: &str) -> String {
    format!("adapter `{adapter}` wrote a message without metadata.{field}")
}

/// Reads what a worker returned, or a receipt.
///
/// # Errors
/// In words, when it is neither; the delivery is then parked.
pub fn result(envelope: &Envelope, channel: &str) -> Result<Translated, String> {
    let metadata = &envelope.metadata;
    let org = metadata.org_id.ok_or("metadata.org_id is missing")?;
    if envelope.event_type == ReceiptRecorded::TYPE {
        let receipt: ReceiptRecorded = envelope.decode().map_err(|error| error.to_string())?;
        return Ok(Translated::Receipt {
            org,
            ids: receipt.ids,
        });
    }
    let command = metadata
        .causation_id
        .clone()
        .ok_or("metadata.causation_id is missing")?;
    let input = result_input(envelope, command).map_err(|error| error.to_string())?;
    Ok(Translated::Event(Box::new(Inbound {
        org,
        conversation_id: metadata
            .conversation_id
            .ok_or("metadata.conversation_id is missing")?,
        run_id: metadata.run_id.ok_or("metadata.run_id is missing")?,
        channel: channel.to_owned(),
        message_id: envelope.id.clone(),
        input,
        opens: false,
        event_type: envelope.event_type.clone(),
        content_type: envelope.content_type,
        payload: envelope.payload.clone(),
    })))
}

fn result_input(envelope: &Envelope, command: MessageId) -> Result<Input, ContractError> {
    Ok(match envelope.event_type.as_str() {
        InferenceFailed::TYPE => Input::InferenceFailed {
            command,
            failure: envelope.decode()?,
        },
        ToolCompleted::TYPE => {
            let completed: ToolCompleted = envelope.decode()?;
            Input::ToolReturned {
                command,
                content: completed.result.to_string(),
            }
        }
        ToolFailed::TYPE => {
            let failed: ToolFailed = envelope.decode()?;
            let content = format!("error: {} ({})", failed.detail, failed.code);
            Input::ToolReturned { command, content }
        }
        // Anything else is read as an answer, and says so when it is not one.
        _ => Input::Inferred {
            command,
            result: Box::new(envelope.decode::<InferenceCompleted>()?),
        },
    })
}

/// The event a run's deadline raises.
#[must_use]
pub fn deadline(
    org: OrgId,
    conversation_id: ConversationId,
    run_id: RunId,
    at: Timestamp,
) -> Inbound {
    Inbound {
        org,
        conversation_id,
        run_id,
        channel: "timers".to_owned(),
        message_id: MessageId::from(run_id),
        input: Input::DeadlinePassed { run_id },
        opens: false,
        event_type: "timer.due".to_owned(),
        content_type: ContentType::Json,
        payload: Bytes::from(format!("{{\"at\":\"{at}\"}}")),
    }
}
