//! What a provider is: something that answers a chat request, streaming, and may turn texts into
//! vectors.
//!
//! A new kind of provider is one file here that ends in a [`ProviderType`], and one line in [`TYPES`].

pub mod anthropic;
pub mod demo;
pub mod dialect;
pub mod embed;
pub mod failure;
pub mod gemini;
pub mod http;
pub mod human;
pub mod local;
pub mod openai;
pub mod wire;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use nexus_bus::Bus;
use nexus_contracts::chat::{ChatMessage, ToolSpec};
use nexus_contracts::events::ModelParameters;
use nexus_contracts::{CorrelationId, Metadata};
use nexus_service_kit::{Clock, Deps, Tasks};
use secrecy::SecretString;

use crate::assembler::Answer;
use crate::registry::file::ProviderSettings;

pub use embed::{EmbedRequest, Embedded};
pub use failure::{FailureClass, ProviderFailure};

/// Every kind of provider there is.
pub const TYPES: &[ProviderType] = &[
    demo::TYPE,
    openai::TYPE,
    openai::PERPLEXITY,
    openai::OLLAMA,
    anthropic::TYPE,
    gemini::TYPE,
    local::TYPE,
    human::TYPE,
];

/// A kind of provider, as `type` names it in `providers.yaml`.
#[derive(Clone, Copy, Debug)]
pub struct ProviderType {
    /// The word in `type`.
    pub name: &'static str,
    /// Whether its answers are made up without a model.
    pub demo: bool,
    /// Whether what is said to it stays here, where it has no address on the network.
    pub local: bool,
    /// The model that answers when the file names none.
    pub default_model: &'static str,
    /// The model that turns texts into vectors when the file names none; `None` when none does.
    pub embedding_model: Option<&'static str>,
    /// Where it is when the file does not say; `None` when it is nowhere on the network.
    pub base_url: Option<&'static str>,
    /// The variable that holds the key when the file names none; `None` when it needs no key.
    pub api_key_env: Option<&'static str>,
    /// Makes one. Reaches no network.
    pub build: fn(&Setup<'_>) -> Result<Arc<dyn Provider>, ProviderFailure>,
}

impl ProviderType {
    /// Whether a person answers: slowly, one at a time, and without tokens.
    #[must_use]
    pub fn is_person(&self) -> bool {
        self.name == human::TYPE.name
    }
}

/// What a provider is made from.
#[derive(Debug)]
pub struct Setup<'a> {
    /// Its name in `providers.yaml`.
    pub name: &'a str,
    /// Its settings there.
    pub settings: &'a ProviderSettings,
    /// Its keys, where it needs one; they take turns.
    pub api_keys: Vec<SecretString>,
    /// What a node has; `None` where a provider is only looked at.
    pub reach: Option<&'a Reach>,
}

/// What a provider in a running node can use.
#[derive(Clone)]
pub struct Reach {
    /// Channels, tables, live streams.
    pub bus: Bus,
    /// The time.
    pub clock: Clock,
    /// Where what outlives a call is started.
    pub tasks: Tasks,
}

impl Reach {
    /// Of this node.
    #[must_use]
    pub fn of(deps: &Deps) -> Self {
        Self {
            bus: deps.bus.clone(),
            clock: deps.clock.clone(),
            tasks: deps.tasks.clone(),
        }
    }
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reach").finish_non_exhaustive()
    }
}

/// The command a request comes from, for providers that are reached over the bus.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Origin {
    /// Its metadata, with the moment after which nobody waits.
    pub metadata: Metadata,
    /// What it belongs to.
    pub correlation_id: Option<CorrelationId>,
    /// Its trace.
    pub traceparent: Option<String>,
}

/// One question to a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatRequest {
    /// Names the request; the same for every attempt.
    pub id: String,
    /// The model.
    pub model: String,
    /// What was said, oldest first.
    pub messages: Vec<ChatMessage>,
    /// The tools it may ask for.
    pub tools: Vec<ToolSpec>,
    /// Sampling.
    pub parameters: ModelParameters,
    /// Whose it is.
    pub origin: Origin,
}

impl ChatRequest {
    /// Whether the answer must have a shape, so that two halves by two models do not make one.
    #[must_use]
    pub fn is_shaped(&self) -> bool {
        let kind = format_type(&self.parameters);
        kind.is_some_and(|kind| kind != "text")
    }
}

/// Whether an answer is held to a JSON Schema.
#[must_use]
pub fn is_held_to_schema(parameters: &ModelParameters) -> bool {
    format_type(parameters) == Some("json_schema")
}

fn format_type(parameters: &ModelParameters) -> Option<&str> {
    parameters
        .extra
        .get("response_format")?
        .get("type")?
        .as_str()
}

/// Hears the text of an answer as it comes.
#[async_trait]
pub trait DeltaSink: Send {
    /// The next piece; never empty.
    async fn delta(&mut self, text: &str);
}

/// For what is said to nobody.
pub struct Nobody;

#[async_trait]
impl DeltaSink for Nobody {
    async fn delta(&mut self, _: &str) {}
}

/// Something that answers chat requests.
///
/// Dropping the future of a call ends the call, the connection to the upstream included. A
/// provider never tries again by itself: the one retry loop is [`crate::call`].
#[async_trait]
pub trait Provider: Send + Sync {
    /// Answers. Text goes to `sink` as it comes and stands in the answer once more.
    ///
    /// # Errors
    /// [`ProviderFailure`]; what the sink has heard by then is to be forgotten.
    async fn chat(
        &self,
        request: &ChatRequest,
        sink: &mut dyn DeltaSink,
    ) -> Result<Answer, ProviderFailure>;

    /// Turns texts into vectors, one for each, in their order.
    ///
    /// # Errors
    /// [`ProviderFailure`]; [`FailureClass::Unsupported`] where it makes none.
    async fn embed(&self, request: &EmbedRequest) -> Result<Embedded, ProviderFailure> {
        let detail = format!(
            "nothing like `{}` turns texts into vectors here",
            request.model
        );
        Err(ProviderFailure::new(FailureClass::Unsupported, detail))
    }

    /// Looks whether it can be reached and takes the key, without paying for an answer. Returns
    /// what was found, in words.
    ///
    /// # Errors
    /// [`ProviderFailure`] that says what to do.
    async fn probe(&self) -> Result<String, ProviderFailure>;
}
