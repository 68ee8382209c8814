//! What keeps the inference worker from starting.

use nexus_service_kit::ServiceError;

/// Why a model cannot be used. Each says which one, and what to change.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No model is named.
    #[error(
        "no model is configured; name one in `inference-worker.models`, such as \
         `models: {{small: {{path: /models/small}}}}`"
    )]
    NoModels,
    /// A setting of a model, or a file of it, cannot be used.
    #[error("model `{model}`: {reason}")]
    Model {
        /// The model.
        model: String,
        /// What is wrong.
        reason: String,
    },
}

impl Error {
    pub(crate) fn model(model: &str, reason: impl Into<String>) -> Self {
        Self::Model {
            model: model.to_owned(),
            reason: reason.into(),
        }
    }
}

impl From<Error> for ServiceError {
    fn from(error: Error) -> Self {
        Self::config(error.to_string())
    }
}
