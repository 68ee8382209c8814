//! The kind `demo`: the demo model behind the same wire as a real one, without the network.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::wire;
use super::{ChatRequest, DeltaSink, FailureClass, Provider, ProviderFailure, ProviderType, Setup};
use crate::assembler::{Answer, Assembler};
use crate::demo;

/// `type: demo`.
pub const TYPE: ProviderType = ProviderType {
    name: "demo",
    demo: true,
    local: true,
    default_model: demo::MODEL,
    base_url: None,
    api_key_env: None,
    build,
};

struct Demo {
    name: String,
    delay: Duration,
}

fn build(setup: &Setup<'_>) -> Result<Arc<dyn Provider>, ProviderFailure> {
    let settings = setup.settings;
    let foreign = [
        ("base_url", settings.base_url.is_some()),
        ("api_key_env", settings.api_key_env.is_some()),
        ("headers", !settings.headers.is_empty()),
        (
            "model",
            settings
                .model
                .as_deref()
                .is_some_and(|model| model != demo::MODEL),
        ),
        ("models", !settings.models.is_empty()),
    ];
    if let Some((key, _)) = foreign.iter().find(|(_, set)| *set) {
        let detail =
            format!("`{key}` means nothing to the type `demo`; did you mean `type: openai`?");
        return Err(ProviderFailure::new(FailureClass::BadRequest, detail));
    }
    let delay = Duration::from_millis(settings.delay_ms_per_token);
    Ok(Arc::new(Demo {
        name: setup.name.to_owned(),
        delay,
    }))
}

#[async_trait]
impl Provider for Demo {
    async fn chat(
        &self,
        request: &ChatRequest,
        sink: &mut dyn DeltaSink,
    ) -> Result<Answer, ProviderFailure> {
        if request.model != demo::MODEL {
            let (name, model, only) = (&self.name, &request.model, demo::MODEL);
            let detail = format!("{name} has no model `{model}`, only `{only}`");
            return Err(ProviderFailure::new(FailureClass::UnknownModel, detail));
        }
        let mut assembler = Assembler::new(&request.id);
        let failed = |error| ProviderFailure::of_wire(&self.name, &error);
        for event in demo::respond(&wire::body(request, "max_tokens")) {
            let text = assembler.push(&event).map_err(failed)?;
            if text.is_empty() {
                continue;
            }
            sink.delta(text).await;
            if !self.delay.is_zero() {
                tokio::time::sleep(self.delay).await;
            }
        }
        assembler.finish().map_err(failed)
    }

    async fn probe(&self) -> Result<String, ProviderFailure> {
        Ok("demo model, needs no network; its answers are made up by rules".to_owned())
    }
}
