//! From commands to envelopes. Pure.

use nexus_contracts::events::{
    ApprovalRequested, Event, InferenceRequested, MessageCompleted, MessageFailed,
};
use nexus_contracts::live::LiveEvent;
use nexus_contracts::{ContractError, Envelope, MessageId, Metadata, Timestamp, channels};

use crate::core::command::{Command, Fact, answer_id};
use crate::core::state::RunHeader;

/// Until when the outbox repeats a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::enum_variant_names,
    reason = "what settles a message is read as a sentence"
)]
pub enum Settle {
    /// Until a worker answers it, or until its deadline.
    ByResult {
        /// The deadline.
        until: Timestamp,
    },
    /// Until the adapter confirms it.
    ByReceipt,
    /// Until everybody who stores content has confirmed it.
    ByKeepers,
    /// It is stored by the bus: whoever caused it is acknowledged only after that.
    ByPublication,
}

/// A message to publish.
#[derive(Clone, Debug, PartialEq)]
pub struct Emission {
    /// The channel.
    pub channel: String,
    /// The message.
    pub envelope: Envelope,
    /// When it is done with.
    pub settle: Settle,
    /// Whether it is kept to be repeated; `message.accepted` is not, the inbox says all it says.
    pub kept: bool,
}

/// The message a command stands for, if it stands for one. `cause` is the message that led to it.
///
/// # Errors
/// [`ContractError::Encode`] when the event cannot be written.
pub fn emission(
    command: &Command,
    cause: &MessageId,
    now: Timestamp,
) -> Result<Option<Emission>, ContractError> {
    let emission = match command {
        Command::Accept { header, event } => {
            let settle = Settle::ByPublication;
            Emission {
                kept: false,
                ..answer(header, "accepted", event, (settle, now))?
            }
        }
        Command::Complete { header, event } => answer(
            header,
            "completed",
            event.as_ref(),
            (final_settle(header), now),
        )?,
        Command::Fail { header, event } => {
            answer(header, "failed", event, (final_settle(header), now))?
        }
        Command::AskApproval {
            id,
            header,
            step,
            event,
        } => approval(id, (header, *step), event, now)?,
        Command::Tell { id, header, fact } => told(id, header, fact, now)?,
        Command::Infer {
            id,
            header,
            step,
            deadline,
            event,
        } => {
            let metadata = work_metadata(header, *step, *deadline, cause);
            work(id, event.as_ref(), metadata, (header, now))?
        }
        Command::CallTool {
            id,
            header,
            step,
            deadline,
            event,
        } => {
            let metadata = work_metadata(header, *step, *deadline, cause);
            work(id, event, metadata, (header, now))?
        }
        Command::Settle { .. }
        | Command::SetTimer { .. }
        | Command::ClearTimer { .. }
        | Command::Cancel { .. }
        | Command::Erase => return Ok(None),
    };
    Ok(Some(emission))
}

fn final_settle(header: &RunHeader) -> Settle {
    if header.receipts {
        Settle::ByReceipt
    } else {
        Settle::ByPublication
    }
}

fn approval(
    id: &MessageId,
    (header, step): (&RunHeader, u32),
    event: &ApprovalRequested,
    now: Timestamp,
) -> Result<Emission, ContractError> {
    let metadata = Metadata {
        step: Some(step),
        causation_id: Some(header.message_id.clone()),
        ..base_metadata(header)
    };
    Ok(Emission {
        channel: channels::processed(&header.adapter),
        envelope: envelope(id.clone(), event, metadata, (header, now))?,
        settle: final_settle(header),
        kept: true,
    })
}

fn told(
    id: &MessageId,
    header: &RunHeader,
    fact: &Fact,
    now: Timestamp,
) -> Result<Emission, ContractError> {
    let metadata = Metadata {
        run_id: None,
        causation_id: Some(header.message_id.clone()),
        ..base_metadata(header)
    };
    let (id, about) = (id.clone(), (header, now));
    let envelope = match fact {
        Fact::Renamed(event) => envelope(id, event, metadata, about)?,
        Fact::Summarized(event) => envelope(id, event, metadata, about)?,
        Fact::Branched(event) => envelope(id, event, metadata, about)?,
        Fact::Imported(event) => envelope(id, event, metadata, about)?,
        Fact::Deleted(event) => envelope(id, event, metadata, about)?,
    };
    Ok(Emission {
        channel: channels::CONVERSATIONS.to_owned(),
        envelope,
        settle: Settle::ByKeepers,
        kept: true,
    })
}

fn answer<E: Event>(
    header: &RunHeader,
    kind: &str,
    event: &E,
    (settle, now): (Settle, Timestamp),
) -> Result<Emission, ContractError> {
    let metadata = Metadata {
        causation_id: Some(header.message_id.clone()),
        ..base_metadata(header)
    };
    let envelope = envelope(
        answer_id(header.run_id, kind),
        event,
        metadata,
        (header, now),
    )?;
    let channel = channels::processed(&header.adapter);
    Ok(Emission {
        channel,
        envelope,
        settle,
        kept: true,
    })
}

fn work<E: Event>(
    id: &MessageId,
    event: &E,
    metadata: Metadata,
    about: (&RunHeader, Timestamp),
) -> Result<Emission, ContractError> {
    let until = metadata.deadline.unwrap_or(about.1);
    let envelope = envelope(id.clone(), event, metadata, about)?;
    let settle = Settle::ByResult { until };
    Ok(Emission {
        channel: E::CHANNEL.to_owned(),
        envelope,
        settle,
        kept: true,
    })
}

fn envelope<E: Event>(
    id: MessageId,
    event: &E,
    metadata: Metadata,
    (header, now): (&RunHeader, Timestamp),
) -> Result<Envelope, ContractError> {
    let mut envelope = Envelope::new(id, now, event)?
        .correlated(Some(header.correlation_id.clone()))
        .with_metadata(metadata);
    envelope.traceparent.clone_from(&header.traceparent);
    Ok(envelope)
}

fn base_metadata(header: &RunHeader) -> Metadata {
    Metadata {
        org_id: Some(header.org_id),
        user_id: Some(header.user_id),
        conversation_id: Some(header.conversation_id),
        // Nothing else of a command is a run.
        run_id: (!header.is_command).then_some(header.run_id),
        adapter: (!header.adapter.is_empty()).then(|| header.adapter.clone()),
        replay_of: header.replay_of.clone(),
        ..Metadata::default()
    }
}

fn work_metadata(
    header: &RunHeader,
    step: u32,
    deadline: Timestamp,
    cause: &MessageId,
) -> Metadata {
    Metadata {
        step: Some(step),
        attempt: Some(1),
        deadline: Some(deadline),
        causation_id: Some(cause.clone()),
        ..base_metadata(header)
    }
}

/// A report on a run's live stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    /// The live stream.
    pub topic: String,
    /// The report.
    pub entry: nexus_bus::LiveEntry,
}

/// What to report live about a message, for runs of adapters: clients that write on the bus
/// themselves read their answers there.
#[must_use]
pub fn live(envelope: &Envelope) -> Option<Live> {
    let run = envelope.metadata.run_id?;
    envelope.metadata.adapter.as_ref()?;
    let event = match envelope.event_type.as_str() {
        InferenceRequested::TYPE => {
            // Step 0 is not for people.
            let step = envelope.metadata.step.filter(|step| *step > 0)?;
            LiveEvent::Status {
                step,
                status: "thinking".to_owned(),
            }
        }
        ApprovalRequested::TYPE => LiveEvent::Approval {
            step: envelope.metadata.step.unwrap_or(1),
            request: envelope.payload_json().ok()?,
        },
        MessageCompleted::TYPE => LiveEvent::Completed {
            message: envelope.payload_json().ok()?,
        },
        MessageFailed::TYPE => LiveEvent::Failed {
            message: envelope.payload_json().ok()?,
        },
        _ => return None,
    };
    let data = serde_json::to_vec(&event).ok()?.into();
    // A final report carries the whole text: a reader that missed something can start from it.
    let entry = nexus_bus::LiveEntry {
        snapshot: event.is_final(),
        data,
    };
    Some(Live {
        topic: run.live_topic(),
        entry,
    })
}
