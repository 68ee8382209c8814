//! From envelopes to what the core understands. Pure.

use nexus_contracts::events::{
    ApprovalDecided, ConversationBranch, ConversationConfigure, ConversationDelete,
    ConversationImport, ConversationRename, Event, InferenceCompleted, InferenceFailed,
    MessageSubmitted, ReceiptRecorded, RunCancel, ToolCompleted, ToolFailed,
};
use nexus_contracts::principal::Principal;
use nexus_contracts::tool::Taint;
use nexus_contracts::{
    ContractError, ConversationId, CorrelationId, Envelope, MessageId, OrgId, RunId,
};

use crate::core::{Asked, Branch, Input, Request, RunHeader, Timer};

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
    /// The event type, for the journal.
    pub event_type: String,
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
        /// Who has them.
        by: String,
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
    let asked = request(envelope, header.clone());
    let asked = asked.map_err(|error: ContractError| refuse(error.to_string()))?;
    let Some(asked) = asked else {
        return Err(refuse(format!(
            "unknown event type `{}` on {channel}; send `{}`, `{}`, `{}` or `conversation.*`",
            envelope.event_type,
            MessageSubmitted::TYPE,
            RunCancel::TYPE,
            ApprovalDecided::TYPE
        )));
    };
    Ok(Translated::Event(Box::new(Inbound {
        org: asked.header.org_id,
        conversation_id: asked.header.conversation_id,
        run_id: asked.header.run_id,
        channel: channel.to_owned(),
        message_id: envelope.id.clone(),
        input: Input::Asked(Box::new(asked)),
        event_type: envelope.event_type.clone(),
    })))
}

/// What is asked for, with the conversation it is about in the header; `None` for what nobody can
/// ask for.
fn request(envelope: &Envelope, header: RunHeader) -> Result<Option<Asked>, ContractError> {
    let command = |conversation_id: ConversationId| RunHeader {
        conversation_id,
        is_command: true,
        ..header.clone()
    };
    let (header, request) = match envelope.event_type.as_str() {
        MessageSubmitted::TYPE => {
            let message: MessageSubmitted = envelope.decode()?;
            let mut header = header;
            header.conversation_id = message.conversation_id.unwrap_or(header.conversation_id);
            (header, Request::Submit(Box::new(message)))
        }
        RunCancel::TYPE => {
            let RunCancel {
                run_id,
                conversation_id,
                ..
            } = envelope.decode()?;
            (command(conversation_id), Request::Cancel { run_id })
        }
        ApprovalDecided::TYPE => {
            let decision: ApprovalDecided = envelope.decode()?;
            (command(decision.conversation_id), Request::Decide(decision))
        }
        ConversationRename::TYPE => {
            let rename: ConversationRename = envelope.decode()?;
            let title = rename.title;
            (command(rename.conversation_id), Request::Rename { title })
        }
        ConversationConfigure::TYPE => {
            let configure: ConversationConfigure = envelope.decode()?;
            let settings = Box::new(configure.settings);
            (
                command(configure.conversation_id),
                Request::Configure(settings),
            )
        }
        ConversationDelete::TYPE => {
            let delete: ConversationDelete = envelope.decode()?;
            (command(delete.conversation_id), Request::Delete)
        }
        ConversationBranch::TYPE => {
            let branch: ConversationBranch = envelope.decode()?;
            (header, Request::Branch(Box::new(branch_of(branch))))
        }
        ConversationImport::TYPE => {
            let import: ConversationImport = envelope.decode()?;
            let document = Box::new(import.conversation);
            (command(header.conversation_id), Request::Import(document))
        }
        _ => return Ok(None),
    };
    Ok(Some(Asked { header, request }))
}

fn branch_of(branch: ConversationBranch) -> Branch {
    let message = MessageSubmitted {
        text: branch.text,
        images: Vec::new(),
        conversation_id: None,
        settings: branch.settings,
        metadata: branch.metadata,
        extra: branch.extra,
    };
    Branch {
        parent: branch.conversation_id,
        run_id: branch.run_id,
        message,
        base: None,
    }
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
        is_command: false,
    })
}

fn missing(adapter: &str, field: &str) -> String {
    format!("adapter `{adapter}` wrote a message without metadata.{field}")
}

/// Whether a result answers what somebody else asked, who hears it live: a person who calls a tool.
#[must_use]
pub fn is_of_no_run(envelope: &Envelope) -> bool {
    let metadata = &envelope.metadata;
    envelope.event_type != ReceiptRecorded::TYPE
        && metadata.org_id.is_some()
        && metadata.run_id.is_none()
        && metadata.conversation_id.is_none()
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
            by: receipt.by,
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
        event_type: envelope.event_type.clone(),
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
                content: told(&completed),
                taint: completed.taint,
            }
        }
        ToolFailed::TYPE => {
            let failed: ToolFailed = envelope.decode()?;
            let content = format!("error: {} ({})", failed.detail, failed.code);
            let taint = Taint::default();
            Input::ToolReturned {
                command,
                content,
                taint,
            }
        }
        // Anything else is read as an answer, and says so when it is not one.
        _ => Input::Inferred {
            command,
            result: Box::new(envelope.decode::<InferenceCompleted>()?),
        },
    })
}

/// A result as the model gets to see it.
fn told(completed: &ToolCompleted) -> String {
    let Some(whole) = &completed.whole else {
        return completed.result.to_string();
    };
    // The beginning of a text, and no value any more.
    let beginning = completed.result.as_str().map(str::to_owned);
    let beginning = beginning.unwrap_or_else(|| completed.result.to_string());
    let dropped = match whole.dropped_bytes {
        0 => String::new(),
        more => format!(", and {more} more that were not kept"),
    };
    format!(
        "{beginning}\n[cut here: the whole result has {} bytes{dropped}; read on with `read_result`, \
         reference `{}`, offset {}]",
        whole.bytes,
        whole.reference,
        beginning.len()
    )
}

/// The event a timer raises.
#[must_use]
pub fn timer(org: OrgId, conversation_id: ConversationId, timer: Timer) -> Inbound {
    let (run_id, message_id, input, event_type) = match timer {
        Timer::Deadline(run_id) => {
            let input = Input::DeadlinePassed { run_id };
            (run_id, MessageId::from(run_id), input, "timer.deadline")
        }
        Timer::Approval(run_id, approval_id) => {
            let input = Input::ApprovalExpired {
                run_id,
                approval_id: approval_id.clone(),
            };
            (run_id, approval_id, input, "timer.approval")
        }
    };
    Inbound {
        org,
        conversation_id,
        run_id,
        channel: "timers".to_owned(),
        message_id,
        input,
        event_type: event_type.to_owned(),
    }
}
