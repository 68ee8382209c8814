//! What a call needs of a model.

use nexus_contracts::chat::ChatMessage;
use nexus_contracts::events::{EmbeddingRequested, InferenceRequested, Purpose};
use nexus_contracts::settings::Privacy;
use nexus_contracts::{OrgId, tokens};

use crate::plan::Candidate;
use crate::provider;
use crate::registry::models::{Task, ToolUse};
use crate::registry::route::Capability;

/// Answers are this long where nobody says how long.
pub const USUAL_ANSWER: u64 = 500;

/// How large a call is, about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Tokens of the prompt.
    pub prompt: u64,
    /// Tokens of the answer: the most that was allowed, else [`USUAL_ANSWER`].
    pub answer: u64,
}

impl Size {
    /// The size of what is asked, whose messages are kept apart.
    #[must_use]
    pub fn of(asked: &InferenceRequested, messages: &[ChatMessage]) -> Self {
        let limit = asked.parameters.max_tokens.map(u64::from);
        Self {
            prompt: tokens::of_prompt(messages, &asked.tools),
            answer: limit.unwrap_or(USUAL_ANSWER),
        }
    }

    /// The size of texts that are to become vectors.
    #[must_use]
    pub fn of_texts(texts: &[String]) -> Self {
        let each = texts.iter().map(|text| tokens::of_text(text));
        Self {
            prompt: each.sum(),
            answer: 0,
        }
    }
}

/// What a call needs.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent needs, each answered by one capability"
)]
pub struct Need<'a> {
    /// What for.
    pub task: Task,
    /// The provider or route that was chosen; the default when absent.
    pub target: Option<&'a str>,
    /// The model that was chosen; the target's when absent.
    pub model: Option<&'a str>,
    /// Whose it is.
    pub org: OrgId,
    /// What is drawn by: the conversation, or the command where there is none.
    pub seed: &'a str,
    /// Where it may go.
    pub privacy: Privacy,
    /// What the answer is for.
    pub purpose: Purpose,
    /// Whether tools are offered.
    pub tools: bool,
    /// Whether there are pictures.
    pub images: bool,
    /// Whether the answer is held to a JSON Schema.
    pub schema: bool,
    /// About how many tokens the prompt has; of several texts the longest.
    pub tokens: u64,
    /// About how many tokens the answer may have.
    pub answer_tokens: u64,
}

impl<'a> Need<'a> {
    /// What is needed for an answer to this, whose messages are kept apart. `whose` is its
    /// organisation, and what is drawn by.
    #[must_use]
    pub fn of(
        asked: &'a InferenceRequested,
        messages: &[ChatMessage],
        sized: &Size,
        whose: (OrgId, &'a str),
    ) -> Self {
        Self {
            task: Task::Chat,
            target: asked.provider.as_deref(),
            model: asked.model.as_deref(),
            org: whose.0,
            seed: whose.1,
            privacy: asked.privacy,
            purpose: asked.purpose,
            tools: !asked.tools.is_empty(),
            images: messages.iter().any(|message| !message.images.is_empty()),
            schema: provider::is_held_to_schema(&asked.parameters),
            tokens: sized.prompt,
            answer_tokens: sized.answer,
        }
    }

    /// What is needed to turn these texts into vectors; `whose` as above.
    #[must_use]
    pub fn of_texts(asked: &'a EmbeddingRequested, whose: (OrgId, &'a str)) -> Self {
        let each = asked.input.iter().map(|text| tokens::of_text(text));
        Self {
            task: Task::Embed,
            target: asked.provider.as_deref(),
            model: asked.model.as_deref(),
            org: whose.0,
            seed: whose.1,
            privacy: asked.privacy,
            purpose: Purpose::Answer,
            tools: false,
            images: false,
            schema: false,
            tokens: each.max().unwrap_or_default(),
            answer_tokens: 0,
        }
    }

    /// The first thing this model is known to lack.
    pub(super) fn lacking(&self, candidate: &Candidate) -> Option<Capability> {
        if self.task == Task::Embed && !candidate.configured.embeds(&candidate.model) {
            return Some(Capability::Embed);
        }
        let model = candidate.spec()?;
        let lacks = |needed: bool, can: Option<bool>| needed && can == Some(false);
        if lacks(self.images, model.vision) {
            return Some(Capability::Vision);
        }
        if self.tools && model.tools == Some(ToolUse::None) {
            return Some(Capability::Tools);
        }
        if lacks(self.schema, model.schema) {
            return Some(Capability::Schema);
        }
        let wanted = self.tokens.saturating_add(self.answer_tokens);
        let short = model.context.is_some_and(|context| context < wanted);
        short.then_some(Capability::Context)
    }
}
