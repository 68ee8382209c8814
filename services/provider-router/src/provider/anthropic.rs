//! How Anthropic is spoken to: its Messages API, version 2023-06-01.
//!
//! It differs from chat completions in shape, not in meaning: instructions stand beside the
//! messages, a message is a list of blocks, results of tools are said by the user, and the limit
//! of the answer's tokens must be there. [`body`] turns a request into that, [`reader`] an answer
//! back. Servers that speak the same interface elsewhere are read here too, with what they leave
//! out.

pub mod blocks;
pub mod body;
pub mod history;
pub mod parameters;
pub mod reader;

use std::sync::Arc;

use super::dialect::{Call, Dialect, Reader};
use super::{ChatRequest, Provider, ProviderFailure, ProviderType, Setup, http};

/// `type: anthropic`.
pub const TYPE: ProviderType = ProviderType {
    name: "anthropic",
    demo: false,
    local: false,
    default_model: "claude-sonnet-4-5",
    embedding_model: None,
    base_url: Some("https://api.anthropic.com/v1"),
    api_key_env: Some("ANTHROPIC_API_KEY"),
    build,
};

fn build(setup: &Setup<'_>) -> Result<Arc<dyn Provider>, ProviderFailure> {
    http::build(setup, Anthropic)
}

/// The interface's version that everything here is written for.
const VERSION: &[(&str, &str)] = &[("anthropic-version", "2023-06-01")];

/// The Messages API, below a base URL such as `https://api.anthropic.com/v1`.
#[derive(Clone, Copy, Debug)]
pub struct Anthropic;

impl Dialect for Anthropic {
    fn call(&self, request: &ChatRequest) -> Result<Call, String> {
        Ok(Call {
            path: "messages".to_owned(),
            body: body::body(request)?,
        })
    }

    fn reader(&self, seed: &str) -> Box<dyn Reader> {
        Box::new(reader::AnthropicReader::new(seed))
    }

    fn key_header(&self, key: &str) -> (&'static str, String) {
        ("x-api-key", key.to_owned())
    }

    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        VERSION
    }

    fn probe_path(&self) -> &'static str {
        "models?limit=1"
    }
}

#[cfg(test)]
mod tests {
    use nexus_contracts::chat::{ChatMessage, Role};
    use nexus_contracts::events::ModelParameters;

    use super::{Anthropic, ChatRequest, Dialect};
    use crate::provider::Origin;

    #[test]
    fn a_question_goes_to_messages_with_key_and_version() {
        let request = ChatRequest {
            id: "c".to_owned(),
            model: "m".to_owned(),
            messages: vec![ChatMessage::text(Role::User, "Hi")],
            tools: Vec::new(),
            parameters: ModelParameters::default(),
            origin: Origin::default(),
        };
        let call = Anthropic.call(&request).unwrap();
        assert_eq!(call.path, "messages");
        assert_eq!(call.body["model"], "m");
        assert_eq!(Anthropic.key_header("sk"), ("x-api-key", "sk".to_owned()));
        assert_eq!(Anthropic.headers(), [("anthropic-version", "2023-06-01")]);
        assert_eq!(Anthropic.probe_path(), "models?limit=1");
        assert!(!Anthropic.reader("s").is_done());
    }
}
