//! Whoever can be asked: the bare client, the core of the router, the router behind a bus, a gateway.

use std::time::Duration;

use anyhow::{Result, ensure};
use async_trait::async_trait;
use nexus_contracts::chat::{ChatMessage, Role};
use nexus_contracts::events::ModelParameters;
use nexus_provider_router::provider::{ChatRequest, Origin};

use super::wanted::Wanted;

/// How long one answer took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Until its first word; `None` where only whole answers are heard.
    pub(super) first: Option<Duration>,
    /// Until the end.
    pub(super) whole: Duration,
}

/// Can be asked.
#[async_trait]
pub(super) trait Asker: Send + Sync {
    /// Asks once, and makes sure that every word came.
    async fn ask(&self, wanted: Wanted) -> Result<Sample>;
}

/// What is said before the question, so that a prompt has a usual length.
#[derive(Clone)]
pub(super) struct Prompt(String);

impl Prompt {
    /// Of about so many bytes.
    pub(super) fn of(bytes: usize) -> Self {
        const SENTENCE: &str = "You answer what you are asked, in as many words as you are told. ";
        Self(SENTENCE.repeat(bytes.div_ceil(SENTENCE.len())))
    }

    /// The messages of one question.
    pub(super) fn messages(&self, wanted: Wanted) -> Vec<ChatMessage> {
        vec![
            ChatMessage::text(Role::System, self.0.as_str()),
            ChatMessage::text(Role::User, wanted.question()),
        ]
    }

    /// One question to this model.
    pub(super) fn request(&self, wanted: Wanted, model: &str) -> ChatRequest {
        ChatRequest {
            id: "bench".to_owned(),
            model: model.to_owned(),
            messages: self.messages(wanted),
            tools: Vec::new(),
            parameters: ModelParameters::default(),
            origin: Origin::default(),
        }
    }
}

/// Makes sure that an answer is what was wanted, to the letter.
pub(super) fn check(wanted: Wanted, answer: &str) -> Result<()> {
    let right = wanted.answer();
    ensure!(
        answer == right,
        "{} bytes of an answer of {} came, or others",
        answer.len(),
        right.len()
    );
    Ok(())
}
