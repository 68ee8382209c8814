//! Chat completions: `OpenAI`'s own and every server that speaks the same. The answer is read as raw
//! JSON by [`crate::assembler`], so that fields this version does not know survive.

use std::sync::Arc;

use super::dialect::{Call, Dialect, Reader};
use super::{ChatRequest, Provider, ProviderFailure, ProviderType, Setup, http, wire};
use crate::assembler::Assembler;

/// Where `OpenAI` is.
const OPENAI: &str = "https://api.openai.com/v1";

/// `type: openai`: `OpenAI`, or any compatible server at a `base_url`.
pub const TYPE: ProviderType = ProviderType {
    name: "openai",
    demo: false,
    local: false,
    default_model: "gpt-5-mini",
    base_url: Some(OPENAI),
    api_key_env: Some("OPENAI_API_KEY"),
    build,
};

/// `type: perplexity`. What it cites is in the answer's metadata, as `citations` and `search_results`.
pub const PERPLEXITY: ProviderType = ProviderType {
    name: "perplexity",
    default_model: "sonar",
    base_url: Some("https://api.perplexity.ai"),
    api_key_env: Some("PERPLEXITY_API_KEY"),
    ..TYPE
};

/// `type: ollama`, on this machine unless `base_url` says where.
pub const OLLAMA: ProviderType = ProviderType {
    name: "ollama",
    default_model: "qwen3",
    base_url: Some("http://127.0.0.1:11434/v1"),
    api_key_env: None,
    ..TYPE
};

struct OpenAi {
    /// What the server calls the limit of the answer's tokens.
    limit_field: &'static str,
}

fn build(setup: &Setup<'_>) -> Result<Arc<dyn Provider>, ProviderFailure> {
    let address = setup.settings.address().unwrap_or_default();
    // OpenAI itself refuses `max_tokens` for its newer models; others know nothing else.
    let limit_field = if address.starts_with(OPENAI) {
        "max_completion_tokens"
    } else {
        "max_tokens"
    };
    http::build(setup, OpenAi { limit_field })
}

impl Dialect for OpenAi {
    fn call(&self, request: &ChatRequest) -> Result<Call, String> {
        Ok(Call {
            path: "chat/completions".to_owned(),
            body: wire::body(request, self.limit_field),
        })
    }

    fn reader(&self, seed: &str) -> Box<dyn Reader> {
        Box::new(Assembler::new(seed))
    }

    fn key_header(&self, key: &str) -> (&'static str, String) {
        ("authorization", format!("Bearer {key}"))
    }

    fn probe_path(&self) -> &'static str {
        "models"
    }
}
