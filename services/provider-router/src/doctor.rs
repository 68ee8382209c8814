//! Looking at every provider from outside: what `nexus doctor` prints.

use std::time::Duration;

use futures::future::join_all;
use nexus_contracts::chat::{ChatMessage, Role};
use nexus_contracts::events::ModelParameters;
use tokio::time::timeout;

use crate::config::Config;
use crate::error::Error;
use crate::provider::{ChatRequest, FailureClass, Nobody, Origin, Provider, ProviderFailure};
use crate::registry::{Configured, Registry};

/// A provider that says nothing for this long is as good as away.
const PATIENCE: Duration = Duration::from_secs(20);

/// One line about one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderCheck {
    /// Its name.
    pub name: String,
    /// Whether it can be used.
    pub ok: bool,
    /// What was found, or what to do.
    pub detail: String,
}

/// How closely to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Whether it can be reached and takes the key. Free.
    Reach,
    /// Whether the model answers the smallest question there is. May cost a fraction of a cent.
    Ask,
}

/// Looks at every provider of the configuration.
///
/// # Errors
/// [`Error`] when the file cannot be used.
pub async fn check(config: &Config, depth: Depth) -> Result<Vec<ProviderCheck>, Error> {
    Ok(check_all(&crate::service::registry(config)?, depth).await)
}

/// The same of a registry at hand.
pub async fn check_all(registry: &Registry, depth: Depth) -> Vec<ProviderCheck> {
    join_all(
        registry
            .all()
            .map(|configured| check_one(configured, depth)),
    )
    .await
}

/// Looks at one.
pub async fn check_one(configured: &Configured, depth: Depth) -> ProviderCheck {
    let found = match &configured.provider {
        Err(failure) => Err(failure.clone()),
        Ok(provider) => {
            let looking = look(provider.as_ref(), &configured.model, depth);
            timeout(PATIENCE, looking).await.unwrap_or_else(|_elapsed| {
                let detail = format!("{} did not answer within {PATIENCE:?}", configured.name);
                Err(ProviderFailure::new(FailureClass::TimedOut, detail))
            })
        }
    };
    let name = configured.name.to_string();
    let ok = found.is_ok();
    let detail = found.unwrap_or_else(|failure| failure.to_string());
    ProviderCheck { name, ok, detail }
}

async fn look(
    provider: &dyn Provider,
    model: &str,
    depth: Depth,
) -> Result<String, ProviderFailure> {
    let found = provider.probe().await?;
    if depth == Depth::Reach {
        return Ok(found);
    }
    let request = ChatRequest {
        id: "check".to_owned(),
        model: model.to_owned(),
        messages: vec![ChatMessage::text(Role::User, "Say ok.")],
        tools: Vec::new(),
        parameters: ModelParameters::default(),
        origin: Origin::default(),
    };
    let answer = provider.chat(&request, &mut Nobody).await?;
    let model = answer.model.as_deref().unwrap_or(model);
    let tokens = answer.usage.input_tokens + answer.usage.output_tokens;
    Ok(format!("{found}; {model} answered ({tokens} tokens)"))
}
