//! What the one loop can ask for: an answer to what was said, or vectors for texts.

use nexus_contracts::chat::{ChatMessage, Role, Usage};
use serde_json::Value;

use super::in_text;
use super::line::Line;
use crate::assembler::Answer;
use crate::provider::{ChatRequest, DeltaSink, EmbedRequest, Embedded, Provider, ProviderFailure};
use crate::registry::models::{Task, ToolUse};

/// What the next model is told where an answer broke off.
const GO_ON: &str = "Your answer above broke off in the middle. Go on from exactly where it stops: do \
not repeat anything of it, do not say that it broke off, and begin with the very next character.";

/// A request that can be put to one provider after another.
pub trait Asked: Clone + Send + Sync {
    /// What comes back.
    type Given: Given;

    /// What kind of call it is.
    const TASK: Task;

    /// The model it names.
    fn model(&self) -> &str;

    /// It for another model, which goes on after what was `said` already.
    #[must_use]
    fn for_model(&self, model: &str, said: Option<&str>) -> Self;

    /// Whether two halves by two models do not make one.
    fn is_shaped(&self) -> bool;

    /// One attempt. What is said on the way goes to `sink`.
    fn put(
        &self,
        provider: &dyn Provider,
        sink: &mut dyn DeltaSink,
    ) -> impl Future<Output = Result<Self::Given, ProviderFailure>> + Send;

    /// Asks somebody as it can be asked; usually that is one attempt.
    fn ask(
        &self,
        line: &Line<'_>,
        sink: &mut dyn DeltaSink,
    ) -> impl Future<Output = Result<Self::Given, ProviderFailure>> + Send {
        line.attempt(self, sink)
    }
}

/// What a provider gave.
pub trait Given: Send + 'static {
    /// Tokens used, as the provider counted them.
    fn usage(&self) -> Usage;

    /// The model, as the provider names it.
    fn model(&self) -> Option<&String>;

    /// It is the last part of `text`, which several said in turn.
    fn seamed(&mut self, text: &str, seams: Vec<Value>);
}

impl Asked for ChatRequest {
    type Given = Answer;

    const TASK: Task = Task::Chat;

    fn model(&self) -> &str {
        &self.model
    }

    fn for_model(&self, model: &str, said: Option<&str>) -> Self {
        let mut request = self.clone();
        request.model = model.to_owned();
        if let Some(said) = said {
            let said = ChatMessage::text(Role::Assistant, said);
            request.messages.push(said);
            request.messages.push(ChatMessage::text(Role::User, GO_ON));
        }
        request
    }

    fn is_shaped(&self) -> bool {
        Self::is_shaped(self)
    }

    async fn put(
        &self,
        provider: &dyn Provider,
        sink: &mut dyn DeltaSink,
    ) -> Result<Answer, ProviderFailure> {
        provider.chat(self, sink).await
    }

    async fn ask(
        &self,
        line: &Line<'_>,
        sink: &mut dyn DeltaSink,
    ) -> Result<Answer, ProviderFailure> {
        match line.candidate.tool_use() {
            // Boxed: it is larger than all the rest of a call.
            ToolUse::Text => Box::pin(in_text::ask(self, line, sink)).await,
            ToolUse::Native | ToolUse::None => line.attempt(self, sink).await,
        }
    }
}

impl Given for Answer {
    fn usage(&self) -> Usage {
        self.usage
    }

    fn model(&self) -> Option<&String> {
        self.model.as_ref()
    }

    fn seamed(&mut self, text: &str, seams: Vec<Value>) {
        text.clone_into(&mut self.message.content);
        self.metadata.insert("seams".to_owned(), seams.into());
    }
}

/// Nothing is said on the way, so nothing can break off in the middle.
impl Asked for EmbedRequest {
    type Given = Embedded;

    const TASK: Task = Task::Embed;

    fn model(&self) -> &str {
        &self.model
    }

    fn for_model(&self, model: &str, _: Option<&str>) -> Self {
        Self {
            model: model.to_owned(),
            ..self.clone()
        }
    }

    fn is_shaped(&self) -> bool {
        true
    }

    async fn put(
        &self,
        provider: &dyn Provider,
        _: &mut dyn DeltaSink,
    ) -> Result<Embedded, ProviderFailure> {
        provider.embed(self).await
    }
}

impl Given for Embedded {
    fn usage(&self) -> Usage {
        self.usage
    }

    fn model(&self) -> Option<&String> {
        self.model.as_ref()
    }

    fn seamed(&mut self, _: &str, _: Vec<Value>) {}
}
