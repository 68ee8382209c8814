//! States as version 1 wrote them.

use std::collections::VecDeque;

use nexus_contracts::chat::{ChatMessage, Usage};
use nexus_contracts::events::MessageSubmitted;
use nexus_contracts::{ConversationId, Extra, MessageId, Timestamp};
use serde::Deserialize;
use uuid::Uuid;

use crate::core::resolve::{Resolved, resolve};
use crate::core::state;
use nexus_contracts::settings::Settings;

#[derive(Deserialize)]
pub(super) struct State {
    conversation_id: ConversationId,
    messages: Vec<ChatMessage>,
    active: Option<Run>,
    queued: VecDeque<Queued>,
}

#[derive(Deserialize)]
struct Queued {
    header: state::RunHeader,
    message: MessageSubmitted,
}

#[derive(Deserialize)]
struct Run {
    header: state::RunHeader,
    options: Options,
    step: u32,
    deadline: Timestamp,
    usage: Usage,
    pending: Pending,
}

#[derive(Deserialize)]
struct Options {
    provider: Option<String>,
    model: Option<String>,
    tools: Option<Vec<String>>,
    metadata: Extra,
}

#[derive(Deserialize)]
enum Pending {
    Inference { command: MessageId },
    Tools { calls: Vec<state::PendingCall> },
}

impl From<State> for state::State {
    fn from(old: State) -> Self {
        let header = old.active.as_ref().map(|run| &run.header);
        let header = header.or_else(|| old.queued.front().map(|queued| &queued.header));
        let owner = header.map(|header| header.user_id);
        let queued = old.queued.into_iter().map(|queued| state::Queued {
            header: queued.header,
            message: queued.message,
        });
        Self {
            owner,
            messages: old.messages,
            active: old.active.map(Into::into),
            queued: queued.collect(),
            ..Self::new(old.conversation_id)
        }
    }
}

impl From<Run> for state::Run {
    fn from(old: Run) -> Self {
        let pending = match old.pending {
            Pending::Inference { command } => state::Pending::Inference {
                samples: vec![state::Sample {
                    command,
                    outcome: state::Drawn::Open,
                }],
            },
            Pending::Tools { calls } => state::Pending::Tools { calls },
        };
        Self {
            settings: old.options.resolved(&old.header),
            header: old.header,
            metadata: old.options.metadata,
            step: old.step,
            deadline: old.deadline,
            paused_ms: None,
            usage: old.usage,
            prompt_hash: Uuid::nil(),
            tools_hash: Uuid::nil(),
            pending,
        }
    }
}

impl Options {
    /// Version 1 took limits and instructions from the service's configuration at every step; a run
    /// that it began ends with what holds where no layer says anything.
    fn resolved(&self, header: &state::RunHeader) -> Resolved {
        let request = Settings {
            provider: self.provider.clone(),
            model: self.model.clone(),
            tools: self.tools.clone(),
            ..Settings::default()
        };
        let who = (header.org_id, header.user_id);
        resolve(&[].into(), who, &Settings::default(), &request)
    }
}
