//! The kind `demo`: the demo model behind the same wire as a real one, without the network.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nexus_contracts::chat::Usage;
use nexus_contracts::tokens;

use super::wire;
use super::{
    ChatRequest, DeltaSink, EmbedRequest, Embedded, FailureClass, Provider, ProviderFailure,
    ProviderType, Setup,
};
use crate::assembler::{Answer, Assembler};
use crate::demo;

/// `type: demo`.
pub const TYPE: ProviderType = ProviderType {
    name: "demo",
    demo: true,
    local: true,
    default_model: demo::MODEL,
    embedding_model: Some(demo::embed::MODEL),
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

impl Demo {
    fn only(&self, only: &str, model: &str) -> Result<(), ProviderFailure> {
        if model == only {
            return Ok(());
        }
        let detail = format!("{} has no model `{model}`, only `{only}`", self.name);
        Err(ProviderFailure::new(FailureClass::UnknownModel, detail))
    }
}

#[async_trait]
impl Provider for Demo {
    async fn chat(
        &self,
        request: &ChatRequest,
        sink: &mut dyn DeltaSink,
    ) -> Result<Answer, ProviderFailure> {
        self.only(demo::MODEL, &request.model)?;
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

    async fn embed(&self, request: &EmbedRequest) -> Result<Embedded, ProviderFailure> {
        self.only(demo::embed::MODEL, &request.model)?;
        let usual = || Some(demo::embed::USUAL_LENGTH);
        let length = request.dimensions.map_or_else(usual, |length| {
            let length = usize::try_from(length).ok()?;
            (1..=demo::embed::MOST_LENGTH)
                .contains(&length)
                .then_some(length)
        });
        let Some(length) = length else {
            let (name, most) = (&self.name, demo::embed::MOST_LENGTH);
            let detail = format!("{name} makes vectors of 1 to {most} `dimensions`");
            return Err(ProviderFailure::new(FailureClass::BadRequest, detail));
        };
        let vectors = request.input.iter();
        let vectors = vectors.map(|text| demo::embed::vector(text, length));
        let tokens = request.input.iter().map(|text| tokens::of_text(text));
        Ok(Embedded {
            usage: Usage::of(tokens.sum(), 0),
            vectors: vectors.collect(),
            ..Embedded::default()
        })
    }

    async fn probe(&self) -> Result<String, ProviderFailure> {
        Ok("demo model, needs no network; its answers are made up by rules".to_owned())
    }
}
