//! The kind `local`: models that run here, in inference workers, which are reached over the bus.
//!
//! Every attempt is a command of its own on `inference.local`, under a new id: whoever takes over from a
//! worker that died goes on with that command, and an attempt that nobody wants any more is cancelled
//! without touching another. Text comes on the live stream of the run the command is itself; the answer
//! is the durable result.

mod call;
mod heard;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nexus_contracts::Envelope;
use nexus_contracts::events::{
    EmbeddingCompleted, EmbeddingFailed, Event, InferenceCompleted, InferenceFailed,
};
use serde_json::Value;
use tokio::time::timeout;

use super::{
    ChatRequest, DeltaSink, EmbedRequest, Embedded, FailureClass, Nobody, Provider,
    ProviderFailure, ProviderType, Reach, Setup,
};
use crate::assembler::Answer;
use crate::registry::file::Timeouts;

use call::Call;
use heard::Heard;

/// The model a worker takes when it is not told which.
pub const MODEL: &str = "default";

/// The same for vectors, which another model makes: what becomes of one says nothing of the other.
pub const EMBEDDING_MODEL: &str = "default-embedding";

/// `type: local`.
pub const TYPE: ProviderType = ProviderType {
    name: "local",
    demo: false,
    local: true,
    default_model: MODEL,
    embedding_model: Some(EMBEDDING_MODEL),
    base_url: None,
    api_key_env: None,
    build,
};

struct Local {
    name: String,
    timeouts: Timeouts,
    reach: Option<Reach>,
}

fn build(setup: &Setup<'_>) -> Result<Arc<dyn Provider>, ProviderFailure> {
    let settings = setup.settings;
    let foreign = [
        ("base_url", settings.base_url.is_some()),
        ("api_key_env", settings.api_key_env.is_some()),
        ("proxy", settings.proxy.is_some()),
        ("headers", !settings.headers.is_empty()),
        ("delay_ms_per_token", settings.delay_ms_per_token > 0),
    ];
    if let Some((key, _)) = foreign.iter().find(|(_, set)| *set) {
        let detail = format!(
            "`{key}` means nothing to the type `local`: inference workers are reached over the bus; \
             for a server of yours it is `type: openai`"
        );
        return Err(ProviderFailure::new(FailureClass::BadRequest, detail));
    }
    Ok(Arc::new(Local {
        name: setup.name.to_owned(),
        timeouts: settings.timeouts,
        reach: setup.reach.cloned(),
    }))
}

impl Local {
    fn failure(&self, class: FailureClass, what: impl std::fmt::Display) -> ProviderFailure {
        ProviderFailure::new(class, format!("{}: {what}", self.name))
    }

    fn silent(&self, what: &str, limit: Duration) -> ProviderFailure {
        let what = format!("no {what} within {limit:?}; see `timeouts` in providers.yaml");
        self.failure(FailureClass::TimedOut, what)
    }

    /// Somebody who could answer, or at least whoever will be able to.
    async fn find_worker(&self, reach: &Reach) -> Result<String, ProviderFailure> {
        let found = workers::find(reach).await;
        found.map_err(|(class, why)| self.failure(class, why))
    }

    /// What a worker answered, for whoever has heard `said` of it.
    fn answer(&self, reply: &Envelope) -> Result<Answer, ProviderFailure> {
        let unreadable = |error| self.failure(FailureClass::Garbled, error);
        if reply.event_type == InferenceCompleted::TYPE {
            let completed: InferenceCompleted = reply.decode().map_err(unreadable)?;
            return Ok(Answer {
                message: completed.message,
                finish_reason: completed.finish_reason,
                usage: completed.usage,
                model: Some(completed.model),
                metadata: completed.metadata,
            });
        }
        let failed: InferenceFailed = reply.decode().map_err(unreadable)?;
        Err(self.failure(class_of(&failed), failed.detail))
    }

    /// The vectors a worker made for so many texts.
    fn vectors(&self, reply: &Envelope, wanted: usize) -> Result<Embedded, ProviderFailure> {
        let unreadable = |error| self.failure(FailureClass::Garbled, error);
        if reply.event_type == EmbeddingCompleted::TYPE {
            let completed: EmbeddingCompleted = reply.decode().map_err(unreadable)?;
            let metadata = completed.extra.get("metadata").and_then(Value::as_object);
            let embedded = Embedded {
                vectors: completed.embeddings,
                usage: completed.usage,
                model: Some(completed.model),
                metadata: metadata.cloned().into_iter().flatten().collect(),
            };
            let wrong = |error| ProviderFailure::of_wire(&self.name, &error);
            return embedded.checked(wanted).map_err(wrong);
        }
        let failed: EmbeddingFailed = reply.decode().map_err(unreadable)?;
        let failed = InferenceFailed {
            code: failed.code,
            detail: failed.detail,
            retryable: failed.retryable,
            provider: failed.provider,
            extra: failed.extra,
        };
        Err(self.failure(class_of(&failed), failed.detail))
    }

    /// How workers are reached from here.
    fn reach(&self) -> Result<&Reach, ProviderFailure> {
        self.reach.as_ref().ok_or_else(|| {
            let what =
                "inference workers are asked through a running node; start one with `nexus up`";
            self.failure(FailureClass::Unreachable, what)
        })
    }

    /// This call's outcome, unless it takes too long in all.
    async fn in_time<T>(
        &self,
        call: impl Future<Output = Result<T, ProviderFailure>>,
    ) -> Result<T, ProviderFailure> {
        let total = self.timeouts.total;
        let outcome = timeout(total, call).await;
        outcome.unwrap_or_else(|_elapsed| Err(self.silent("whole answer", total)))
    }
}

/// What the failure of a worker means.
fn class_of(failed: &InferenceFailed) -> FailureClass {
    match failed.code.as_str() {
        "unknown_model" => FailureClass::UnknownModel,
        "unsupported" => FailureClass::Unsupported,
        "bad_request" => FailureClass::BadRequest,
        "deadline_exceeded" => FailureClass::DeadlineExceeded,
        "cancelled" => FailureClass::Cancelled,
        _ if failed.retryable => FailureClass::Unavailable,
        // It killed its workers: asking for it again would kill more of them.
        _ => FailureClass::Garbled,
    }
}

#[async_trait]
impl Provider for Local {
    async fn chat(
        &self,
        request: &ChatRequest,
        sink: &mut dyn DeltaSink,
    ) -> Result<Answer, ProviderFailure> {
        let reach = self.reach()?;
        self.find_worker(reach).await?;
        let call = Call::begin(self, reach, call::asked(self, reach, request)?).await?;
        self.in_time(call.answer(sink)).await
    }

    async fn embed(&self, request: &EmbedRequest) -> Result<Embedded, ProviderFailure> {
        let reach = self.reach()?;
        self.find_worker(reach).await?;
        let call = Call::begin(self, reach, call::texts(self, reach, request)?).await?;
        // Nothing is said of vectors; what is heard are signs of life.
        let mut heard = Heard::default();
        let reply = self.in_time(call.reply(&mut heard, &mut Nobody)).await?;
        self.vectors(&reply, request.input.len())
    }

    async fn probe(&self) -> Result<String, ProviderFailure> {
        match &self.reach {
            Some(reach) => self.find_worker(reach).await,
            None => Ok(
                "models run in inference workers; `nexus workers` shows which there are".to_owned(),
            ),
        }
    }
}
