//! What people and programs get to see over HTTP.

mod approval;
mod conversation;
mod settings;

use nexus_contracts::chat::{FinishReason, Usage};
use nexus_contracts::events::{MessageCompleted, MessageFailed};
use nexus_contracts::live::LiveEvent;
use nexus_contracts::{Extra, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::answer::{Ending, Final};
use crate::messages::{Approval, Known};
use crate::submission::Submission;
pub use approval::{ApprovalList, ApprovalView, NewDecision};
pub use conversation::{
    CommandStatus, CommandView, ConversationChange, Document, DocumentMessage, NewBranch,
};
pub use settings::{ChosenSettings, Limits, Parameters};

/// The body of `POST /v1/messages`. Described here, read in [`crate::request`].
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "text": "What is 37 * 43?" }))]
pub struct NewMessage {
    /// What is said; 1 byte to 256 KiB of UTF-8 without NUL.
    pub text: String,
    /// The conversation to go on with; a new one is opened when absent.
    pub conversation_id: Option<Uuid>,
    /// What to choose for this message.
    #[serde(flatten)]
    pub settings: ChosenSettings,
    /// Free for the client, at most 16 KiB; comes back with the answer.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Value>,
}

/// The message is stored; an answer or a failure will follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Accepted {
    /// Names this message in every other call.
    pub correlation_id: String,
    /// The conversation, opened by this message where it named none.
    pub conversation_id: Uuid,
    /// The run that answers it.
    pub run_id: Uuid,
}

impl Accepted {
    /// Of this message.
    #[must_use]
    pub fn of(submission: &Submission) -> Self {
        Self {
            correlation_id: submission.run.to_string(),
            conversation_id: submission.conversation.0,
            run_id: submission.run.0,
        }
    }
}

/// How far a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Stored, not yet taken by the orchestrator.
    Queued,
    /// Taken; being worked on, or waiting behind an earlier message of its conversation.
    Running,
    /// Answered.
    Completed,
    /// There will be no answer; `error` says why.
    Failed,
}

impl Status {
    /// Whether nothing will change any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

/// Tokens used, as the provider counted them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tokens {
    /// Tokens of the prompts of all steps.
    pub input_tokens: u64,
    /// Tokens of the answers of all steps.
    pub output_tokens: u64,
    /// What they cost, in millionths of a US dollar, where prices are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_microusd: Option<u64>,
}

impl From<Usage> for Tokens {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cost_microusd: usage.cost_microusd,
        }
    }
}

/// How sure the model was, where several answers were drawn to vote on one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Votes {
    /// How many answers were drawn.
    pub samples: u8,
    /// How many said the same as the one that was chosen.
    pub agreeing: u8,
}

/// What the person is asked for, where the answer is a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Question {
    /// The tool that lacks it.
    pub tool: String,
    /// The argument that is missing.
    pub argument: String,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunError {
    /// A stable word for programs.
    pub code: String,
    /// What happened and what to do, for people.
    pub detail: String,
    /// Whether the same message may succeed later.
    pub retryable: bool,
}

impl From<MessageFailed> for RunError {
    fn from(event: MessageFailed) -> Self {
        Self {
            code: event.code,
            detail: event.detail,
            retryable: event.retryable,
        }
    }
}

/// A message and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MessageView {
    /// Names this message in every other call.
    pub correlation_id: String,
    /// Its conversation.
    pub conversation_id: Uuid,
    /// The run that answers it.
    pub run_id: Uuid,
    /// How far it is.
    pub status: Status,
    /// When it was stored; RFC 3339.
    pub created_at: String,
    /// The answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The provider of the last step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The model of the last step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Tokens of all steps together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Tokens>,
    /// Why the model stopped: `stop`, `length`, `tool_calls`, `content_filter`, `other`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub finish_reason: Option<FinishReason>,
    /// How many model calls it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    /// How sure the model was, where several answers were drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<Votes>,
    /// What the person is asked for, where the answer is a question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clarification: Option<Question>,
    /// Tool calls that wait for a person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<ApprovalView>,
    /// What the client sent along, and what the provider says about the answer.
    #[serde(default, skip_serializing_if = "Extra::is_empty")]
    #[schema(value_type = Object)]
    pub metadata: Extra,
    /// Why there is no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RunError>,
}

impl MessageView {
    /// What is known of a message.
    #[must_use]
    pub fn of(known: &Known, approvals: &[Approval]) -> Self {
        let status = if known.queued {
            Status::Queued
        } else {
            Status::Running
        };
        let view = Self {
            approvals: approvals.iter().map(ApprovalView::of).collect(),
            ..Self::begun(&known.submission, status)
        };
        match &known.last {
            None => view,
            Some(last) => view.ended(last),
        }
    }

    fn begun(submission: &Submission, status: Status) -> Self {
        Self {
            correlation_id: submission.run.to_string(),
            conversation_id: submission.conversation.0,
            run_id: submission.run.0,
            status,
            created_at: Timestamp::to_string(&submission.at),
            text: None,
            provider: None,
            model: None,
            usage: None,
            finish_reason: None,
            steps: None,
            agreement: None,
            clarification: None,
            approvals: Vec::new(),
            metadata: Extra::new(),
            error: None,
        }
    }

    fn ended(mut self, last: &Final) -> Self {
        match last.ending {
            // Only what starts no run ends with its acceptance.
            Ending::Accepted => {}
            Ending::Completed => {
                self.status = Status::Completed;
                if let Ok(event) = serde_json::from_slice::<MessageCompleted>(&last.payload) {
                    self.text = Some(event.text);
                    self.provider = Some(event.provider);
                    self.model = Some(event.model);
                    self.usage = Some(event.usage.into());
                    self.finish_reason = Some(event.finish_reason);
                    self.steps = Some(event.steps);
                    self.agreement = event.agreement.map(|agreement| Votes {
                        samples: agreement.samples,
                        agreeing: agreement.agreeing,
                    });
                    self.clarification = event.clarification.map(|asked| Question {
                        tool: asked.tool,
                        argument: asked.argument,
                    });
                    self.metadata = event.metadata;
                }
            }
            Ending::Failed => {
                self.status = Status::Failed;
                if let Ok(event) = serde_json::from_slice::<MessageFailed>(&last.payload) {
                    self.metadata.clone_from(&event.metadata);
                    self.error = Some(event.into());
                }
            }
        }
        self
    }
}

/// The end of a run as live events, for a reader whose live stream is gone: the whole text as a
/// snapshot of the last step, then the end itself.
#[must_use]
pub fn last_events(last: &Final, seen_step: u32) -> Vec<LiveEvent> {
    let message: Value = serde_json::from_slice(&last.payload).unwrap_or_default();
    match last.ending {
        Ending::Accepted => Vec::new(),
        Ending::Failed => vec![LiveEvent::Failed { message }],
        Ending::Completed => {
            let steps = message.get("steps").and_then(Value::as_u64).unwrap_or(1);
            let step = u32::try_from(steps)
                .unwrap_or(u32::MAX)
                .max(seen_step)
                .max(1);
            let text = message
                .get("text")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            vec![
                LiveEvent::Snapshot { step, text },
                LiveEvent::Completed { message },
            ]
        }
    }
}

/// A tool call that waits for a person as a live event, for a reader who missed the live one.
#[must_use]
pub fn approval_event(approval: &Approval, seen_step: u32) -> Option<LiveEvent> {
    Some(LiveEvent::Approval {
        step: seen_step.max(1),
        request: serde_json::to_value(&approval.request).ok()?,
    })
}

/// The end of a run of which nothing is kept any more: its conversation was deleted.
#[must_use]
pub fn erased_event() -> LiveEvent {
    let message = serde_json::json!({
        "code": "cancelled",
        "detail": "the conversation was deleted",
        "retryable": false,
    });
    LiveEvent::Failed { message }
}
