//! `ask_model`: another model's opinion, as a tool.

use std::time::Duration;

use nexus_contracts::chat::{ChatMessage, Role};
use nexus_contracts::events::{
    Event, InferenceCompleted, InferenceFailed, InferenceRequested, ModelParameters, Purpose,
};
use nexus_contracts::settings::Caching;
use nexus_contracts::{Envelope, Extra, MessageId, Metadata, channels, derive_id};
use nexus_service_kit::{Deps, RequestTiming, request};
use nexus_store::EffectClass;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::parts::Parts;
use crate::tool::{Tool, ToolContext, ToolError};

/// How long a model may think.
const PATIENCE: Duration = Duration::from_mins(2);

/// Asks a model through the provider router, so that routes, limits, breakers, privacy and accounting
/// hold as for every other question.
pub struct AskModel {
    deps: Deps,
}

impl AskModel {
    /// Over this bus.
    #[must_use]
    pub fn new(parts: &Parts) -> Self {
        Self {
            deps: parts.deps.clone(),
        }
    }
}

/// The arguments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// The question, with all that is needed to answer it: the other model sees nothing of this
    /// conversation.
    pub question: String,
    /// The provider or route to ask, by its name; the usual one when left out.
    #[serde(default)]
    pub provider: Option<String>,
    /// The model to ask; the provider's usual one when left out.
    #[serde(default)]
    pub model: Option<String>,
    /// What the other model is told to be.
    #[serde(default)]
    pub instructions: Option<String>,
}

/// What the other model said.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Answer {
    /// Its answer.
    answer: String,
    /// Who answered.
    provider: String,
    /// With which model.
    model: String,
}

impl Tool for AskModel {
    const NAME: &'static str = "ask_model";
    const DESCRIPTION: &'static str = "Asks another language model a question and gives its answer. \
        Use it for a second opinion, or where another model is better at something.";
    // Asked again under the same id, the router repeats the answer it has.
    const EFFECT: EffectClass = EffectClass::Idempotent;
    const TIMEOUT: Option<Duration> = Some(PATIENCE);
    type Args = Args;
    type Output = Answer;

    async fn call(&self, args: Args, ctx: &ToolContext) -> Result<Answer, ToolError> {
        let question = asked(args, ctx);
        let id = MessageId::from(derive_id([
            b"ask_model".as_slice(),
            ctx.key.as_str().as_bytes(),
        ]));
        let metadata = Metadata {
            org_id: Some(ctx.org_id),
            user_id: ctx.user_id,
            conversation_id: ctx.conversation_id,
            run_id: ctx.run_id,
            deadline: ctx.deadline,
            causation_id: Some(ctx.key.clone()),
            ..Metadata::default()
        };
        let envelope = Envelope::new(id, self.deps.clock.now(), &question)
            .map_err(|error| ToolError::Failed(error.to_string()))?
            .with_metadata(metadata);
        let timing = RequestTiming {
            deadline: PATIENCE,
            ..RequestTiming::default()
        };
        let (bus, clock) = (&self.deps.bus, &self.deps.clock);
        let answer = request(bus, clock, channels::INFERENCE_REQUEST, envelope, timing);
        let answer = answer
            .await
            .map_err(|error| ToolError::Unavailable(error.to_string()))?;
        told(&answer)
    }
}

fn asked(args: Args, ctx: &ToolContext) -> InferenceRequested {
    let system = args.instructions.filter(|text| !text.trim().is_empty());
    let system = system.map(|text| ChatMessage::text(Role::System, text));
    let question = ChatMessage::text(Role::User, args.question);
    InferenceRequested {
        messages: system.into_iter().chain([question]).collect(),
        tools: Vec::new(),
        provider: args.provider,
        model: args.model,
        parameters: ModelParameters::default(),
        // The person is shown the tool's result, and no answer beside their own.
        quiet: true,
        purpose: Purpose::Answer,
        privacy: ctx.privacy,
        cache: Caching::Off,
        extra: Extra::new(),
    }
}

fn told(answer: &Envelope) -> Result<Answer, ToolError> {
    let unreadable = |error: nexus_contracts::ContractError| ToolError::Failed(error.to_string());
    if answer.event_type == InferenceFailed::TYPE {
        let failed: InferenceFailed = answer.decode().map_err(unreadable)?;
        // A provider or model that does not exist is the caller's to put right; the rest is not the
        // tool's fault either, which only carries the question.
        return Err(ToolError::Failed(format!(
            "{} ({})",
            failed.detail, failed.code
        )));
    }
    let completed: InferenceCompleted = answer.decode().map_err(unreadable)?;
    Ok(Answer {
        answer: completed.message.content,
        provider: completed.provider,
        model: completed.model,
    })
}
