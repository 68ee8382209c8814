//! What a message says about conversations and runs. Pure.
//!
//! What may be believed depends on who writes a channel: on `requests.incoming` people and programs
//! claim, on `requests.processed` and `conversations` the orchestrator tells.

use nexus_contracts::events::{
    ApprovalDecided, ConversationBranch, ConversationBranched, ConversationConfigure,
    ConversationDelete, ConversationDeleted, ConversationImport, ConversationImported,
    ConversationRename, ConversationRenamed, ConversationSummarized, Event, MessageAccepted,
    MessageCompleted, MessageFailed, MessageSubmitted, RunCancel,
};
use nexus_contracts::principal::Principal;
use nexus_contracts::{
    ContractError, ConversationId, CorrelationId, Envelope, OrgId, RunId, UserId, channels,
};
use serde::Deserialize;
use uuid::Uuid;

/// Whose messages a channel carries.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// A worker or adapter of ours: the metadata says for whom.
    Ours,
    /// An external client: its principal, whatever it claims.
    Client(Principal),
}

/// Messages that say for nobody: none of ours does.
pub const NOBODY: OrgId = OrgId(Uuid::nil());

/// A message with its place.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The tenant.
    pub org: OrgId,
    /// Who asked for what it is about.
    pub user: Option<UserId>,
    /// The channel.
    pub channel: String,
    /// Where it stands in the channel.
    pub entry_id: String,
    /// When the bus stored it, in milliseconds.
    pub stored_at: i64,
    /// What it is grouped by.
    pub correlation_id: Option<CorrelationId>,
    /// The conversation.
    pub conversation_id: Option<ConversationId>,
    /// The run.
    pub run_id: Option<RunId>,
    /// The message.
    pub envelope: Envelope,
    /// What it says.
    pub fact: Option<Fact>,
}

/// Something learnt about a run or a conversation.
#[derive(Clone, Debug)]
pub enum Fact {
    /// Someone asked; whether it becomes part of the conversation is for the orchestrator to say.
    Submitted {
        /// What.
        text: String,
    },
    /// The question was taken; its conversation exists.
    Accepted,
    /// Something else was done in the conversation.
    Touched,
    /// It was answered.
    Completed(Box<MessageCompleted>),
    /// It was not.
    Failed(Box<MessageFailed>),
    /// The conversation has another title.
    Renamed(ConversationRenamed),
    /// Models get to see this instead of what was said before.
    Summarized(ConversationSummarized),
    /// The conversation goes on from within another one.
    Branched(ConversationBranched),
    /// The conversation began with what was said elsewhere.
    Imported(Box<ConversationImported>),
    /// The conversation is gone.
    Deleted,
}

/// Where a message was found.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    /// The channel.
    pub channel: &'a str,
    /// Where it stands in the channel.
    pub entry_id: String,
    /// When the bus stored it, in milliseconds.
    pub stored_at: i64,
}

/// Places a message and reads what it says.
///
/// # Errors
/// When the orchestrator tells something of a conversation that cannot be read: it must not be
/// confirmed.
pub fn record(
    envelope: Envelope,
    found: Found<'_>,
    origin: &Origin,
) -> Result<Recorded, ContractError> {
    let metadata = &envelope.metadata;
    let (org, user) = match origin {
        Origin::Ours => (metadata.org_id.unwrap_or(NOBODY), metadata.user_id),
        Origin::Client(principal) => (principal.org_id, Some(principal.user_id)),
    };
    let kind = Kind::of(found.channel);
    let asked = RunId::of(org, found.channel, &envelope.id);
    let place = match kind {
        Kind::Incoming => claimed_place(&envelope, asked),
        Kind::Conversations => Place {
            conversation_id: names(&envelope)
                .conversation_id
                .or(metadata.conversation_id),
            run_id: metadata.run_id,
        },
        Kind::Processed | Kind::Other => Place {
            conversation_id: metadata.conversation_id,
            run_id: metadata.run_id,
        },
    };
    let grouped_by = match kind {
        Kind::Incoming => Some(asked),
        _ => place.run_id,
    };
    let fact = match kind {
        Kind::Incoming => question(&envelope),
        Kind::Processed => outcome(&envelope),
        Kind::Conversations => told(&envelope)?,
        Kind::Other => None,
    };
    Ok(Recorded {
        org,
        user,
        channel: found.channel.to_owned(),
        entry_id: found.entry_id,
        stored_at: found.stored_at,
        correlation_id: envelope
            .correlation_id
            .clone()
            .or_else(|| grouped_by.map(CorrelationId::from)),
        conversation_id: place.conversation_id,
        run_id: place.run_id,
        envelope,
        fact,
    })
}

/// Who writes a channel.
enum Kind {
    Incoming,
    Processed,
    Conversations,
    Other,
}

impl Kind {
    fn of(channel: &str) -> Self {
        let is_one_of = |base: &str| {
            let name = channel.strip_prefix(base);
            name.is_some_and(|name| name.is_empty() || name.starts_with('.'))
        };
        if is_one_of(channels::REQUESTS_INCOMING) {
            Self::Incoming
        } else if is_one_of(channels::REQUESTS_PROCESSED) {
            Self::Processed
        } else if channel == channels::CONVERSATIONS {
            Self::Conversations
        } else {
            Self::Other
        }
    }
}

struct Place {
    conversation_id: Option<ConversationId>,
    run_id: Option<RunId>,
}

/// What requests and facts about conversations name.
#[derive(Default, Deserialize)]
struct Names {
    conversation_id: Option<ConversationId>,
    run_id: Option<RunId>,
}

fn names(envelope: &Envelope) -> Names {
    envelope.decode_payload().unwrap_or_default()
}

/// The run and conversation of a request, as the orchestrator sees them.
fn claimed_place(envelope: &Envelope, asked: RunId) -> Place {
    let opened = Some(ConversationId::opened_by(asked));
    match envelope.event_type.as_str() {
        MessageSubmitted::TYPE => Place {
            conversation_id: names(envelope).conversation_id.or(opened),
            run_id: Some(asked),
        },
        // What it names is where it comes from.
        ConversationBranch::TYPE => Place {
            conversation_id: opened,
            run_id: Some(asked),
        },
        ConversationImport::TYPE => Place {
            conversation_id: opened,
            run_id: None,
        },
        RunCancel::TYPE
        | ApprovalDecided::TYPE
        | ConversationRename::TYPE
        | ConversationConfigure::TYPE
        | ConversationDelete::TYPE => {
            let names = names(envelope);
            Place {
                conversation_id: names.conversation_id,
                run_id: names.run_id,
            }
        }
        _ => Place {
            conversation_id: None,
            run_id: None,
        },
    }
}

/// What somebody says. A request that cannot be read says nothing; whoever sent it is told so.
fn question(envelope: &Envelope) -> Option<Fact> {
    let text = match envelope.event_type.as_str() {
        MessageSubmitted::TYPE => envelope.decode::<MessageSubmitted>().ok()?.text,
        ConversationBranch::TYPE => envelope.decode::<ConversationBranch>().ok()?.text,
        _ => return None,
    };
    Some(Fact::Submitted { text })
}

fn outcome(envelope: &Envelope) -> Option<Fact> {
    match envelope.event_type.as_str() {
        // Only what starts a run is accepted with one; everything else is done with that.
        MessageAccepted::TYPE if envelope.metadata.run_id.is_some() => Some(Fact::Accepted),
        MessageAccepted::TYPE => Some(Fact::Touched),
        MessageCompleted::TYPE => Some(Fact::Completed(Box::new(envelope.decode().ok()?))),
        MessageFailed::TYPE => Some(Fact::Failed(Box::new(envelope.decode().ok()?))),
        _ => None,
    }
}

fn told(envelope: &Envelope) -> Result<Option<Fact>, ContractError> {
    Ok(Some(match envelope.event_type.as_str() {
        ConversationRenamed::TYPE => Fact::Renamed(envelope.decode()?),
        ConversationSummarized::TYPE => Fact::Summarized(envelope.decode()?),
        ConversationBranched::TYPE => Fact::Branched(envelope.decode()?),
        ConversationImported::TYPE => Fact::Imported(Box::new(envelope.decode()?)),
        ConversationDeleted::TYPE => {
            let _named: ConversationDeleted = envelope.decode()?;
            Fact::Deleted
        }
        _ => return Ok(None),
    }))
}
