//! Chat completions: `OpenAI`'s own and every server that speaks the same. The answer is read as raw
//! JSON by [`crate::assembler`], so that fields this version does not know survive.

mod embeddings;

use std::sync::Arc;

use nexus_contracts::derive_id;

use super::dialect::{Call, Dialect, Reader, Vectors};
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
    embedding_model: Some("text-embedding-3-small"),
    base_url: Some(OPENAI),
    api_key_env: Some("OPENAI_API_KEY"),
    build,
};

/// `type: perplexity`. What it cites is in the answer's metadata, as `citations` and `search_results`.
pub const PERPLEXITY: ProviderType = ProviderType {
    name: "perplexity",
    default_model: "sonar",
    embedding_model: None,
    base_url: Some("https://api.perplexity.ai"),
    api_key_env: Some("PERPLEXITY_API_KEY"),
    ..TYPE
};

/// `type: ollama`, on this machine unless `base_url` says where.
pub const OLLAMA: ProviderType = ProviderType {
    name: "ollama",
    default_model: "qwen3",
    embedding_model: Some("nomic-embed-text"),
    base_url: Some("http://127.0.0.1:11434/v1"),
    api_key_env: None,
    ..TYPE
};

struct OpenAi {
    /// What the server calls the limit of the answer's tokens.
    limit_field: &'static str,
    prompts: Prompts,
}

/// How a server finds the beginning of a prompt that it has seen before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Prompts {
    /// Better when it is told which conversation it is.
    ByKey,
    /// By itself; strict servers refuse a field they do not know.
    ByThemselves,
}

fn build(setup: &Setup<'_>) -> Result<Arc<dyn Provider>, ProviderFailure> {
    let address = setup.settings.address().unwrap_or_default();
    // OpenAI itself refuses `max_tokens` for its newer models; others know nothing else.
    let (limit_field, prompts) = if address.starts_with(OPENAI) {
        ("max_completion_tokens", Prompts::ByKey)
    } else {
        ("max_tokens", Prompts::ByThemselves)
    };
    let dialect = OpenAi {
        limit_field,
        prompts,
    };
    http::build(setup, dialect)
}

impl Dialect for OpenAi {
    fn call(&self, request: &ChatRequest) -> Result<Call, String> {
        let mut body = wire::body(request, self.limit_field);
        if let Some(key) = cache_key(request).filter(|_| self.prompts == Prompts::ByKey)
            && let Some(fields) = body.as_object_mut()
        {
            fields.entry("prompt_cache_key").or_insert(key.into());
        }
        Ok(Call {
            path: "chat/completions".to_owned(),
            body,
        })
    }

    fn reader(&self, seed: &str) -> Box<dyn Reader> {
        Box::new(Assembler::new(seed))
    }

    fn key_header(&self, key: &str) -> (&'static str, String) {
        ("authorization", format!("Bearer {key}"))
    }

    fn vectors(&self) -> Option<&dyn Vectors> {
        Some(self)
    }

    fn probe_path(&self) -> &'static str {
        "models"
    }
}

/// The same for all of a conversation and for nobody else; says nothing of whose it is.
fn cache_key(request: &ChatRequest) -> Option<String> {
    let metadata = &request.origin.metadata;
    let (org, conversation) = (metadata.org_id?, metadata.conversation_id?);
    let parts = [
        b"prompt cache".as_slice(),
        org.0.as_bytes(),
        conversation.0.as_bytes(),
    ];
    Some(derive_id(parts).to_string())
}

#[cfg(test)]
mod tests {
    use nexus_contracts::events::ModelParameters;
    use nexus_contracts::{ConversationId, Metadata, OrgId};
    use uuid::Uuid;

    use super::{ChatRequest, Dialect, OpenAi, Prompts};
    use crate::provider::Origin;

    fn key_of(prompts: Prompts, conversation: u128, org: u128) -> Option<String> {
        let dialect = OpenAi {
            limit_field: "max_tokens",
            prompts,
        };
        let metadata = Metadata {
            org_id: Some(OrgId(Uuid::from_u128(org))),
            conversation_id: Some(ConversationId(Uuid::from_u128(conversation))),
            ..Metadata::default()
        };
        let request = ChatRequest {
            id: "c".to_owned(),
            model: "m".to_owned(),
            messages: Vec::new(),
            tools: Vec::new(),
            parameters: ModelParameters::default(),
            origin: Origin {
                metadata,
                ..Origin::default()
            },
        };
        let body = dialect.call(&request).unwrap().body;
        body.get("prompt_cache_key")?.as_str().map(str::to_owned)
    }

    #[test]
    fn a_conversation_has_a_key_of_its_own_where_the_server_knows_the_field() {
        let key = key_of(Prompts::ByKey, 1, 1).unwrap();
        assert_eq!(key_of(Prompts::ByKey, 1, 1).unwrap(), key);
        assert_ne!(key_of(Prompts::ByKey, 2, 1).unwrap(), key);
        assert_ne!(key_of(Prompts::ByKey, 1, 2).unwrap(), key);
        assert!(!key.contains(&Uuid::from_u128(1).to_string()));
        assert_eq!(key_of(Prompts::ByThemselves, 1, 1), None);
    }
}
