//! Configuration of the inference worker: section `inference-worker` of `nexus.yaml`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::error::Error;

/// Every key, commented; also the defaults.
pub const DEFAULT_CONFIG: &str = include_str!("../config.default.yaml");

/// See `config.default.yaml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The models, by name.
    pub models: BTreeMap<String, ModelConfig>,
    /// Which one answers when a command names none.
    pub default_model: Option<String>,
    /// The same for embeddings.
    pub default_embedding_model: Option<String>,
    /// Where models run.
    pub device: DeviceChoice,
    /// A command whose worker is silent for this long goes to another.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub lease: Duration,
    /// Tried more often than this, a command runs once alone.
    pub max_attempts: u32,
    /// A command that names no deadline has this long.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub timeout: Duration,
    /// How soon a command for a busy model is looked at again.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub busy_pause: Duration,
    /// How long results are kept, counted from the command's deadline.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub ledger_retention: Duration,
}

/// Where models run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceChoice {
    /// A GPU where there is one.
    #[default]
    Auto,
    /// Never a GPU.
    Cpu,
}

impl DeviceChoice {
    /// Whether a GPU may be used: this build knows one, and nobody forbids it.
    #[must_use]
    pub const fn may_use_gpu(self) -> bool {
        cfg!(any(feature = "cuda", feature = "metal")) && matches!(self, Self::Auto)
    }
}

/// One model.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// A folder, or a `*.gguf` file.
    pub path: Option<PathBuf>,
    /// An id on the model hub.
    pub hub: Option<String>,
    /// How the weights are written.
    pub format: Format,
    /// The `*.gguf` file inside `path` or `hub`.
    pub file: Option<String>,
    /// Quantise while loading.
    pub isq: Option<String>,
    /// The numbers the weights are held in.
    pub dtype: Dtype,
    /// In place of the model's own.
    pub chat_template: Option<PathBuf>,
    /// What it does.
    pub kind: Kind,
    /// Most answers at once.
    pub max_batch: MaxBatch,
    /// Most tokens of question and answer together.
    pub context: Context,
    /// Most tokens of an answer.
    pub max_tokens: MaxTokens,
}

/// How weights are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// As the name of the file says.
    #[default]
    Auto,
    /// `*.safetensors` in a folder.
    Safetensors,
    /// One `*.gguf` file.
    Gguf,
}

/// The numbers weights are held in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// What the device does best.
    #[default]
    Auto,
    /// 32 bits.
    F32,
    /// 16 bits.
    F16,
    /// 16 bits with the range of 32.
    Bf16,
}

/// What a model does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It answers.
    #[default]
    Chat,
    /// It turns texts into vectors.
    Embedding,
}

macro_rules! count {
    ($(#[$doc:meta])* $name:ident, $default:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub usize);

        impl Default for $name {
            fn default() -> Self {
                Self($default)
            }
        }
    };
}

count!(
    /// Most answers at once.
    MaxBatch,
    8
);
count!(
    /// Most tokens of question and answer together.
    Context,
    8192
);
count!(
    /// Most tokens of an answer.
    MaxTokens,
    2048
);

impl Config {
    /// The default for this kind: the one that is named, or the first by name.
    #[must_use]
    pub fn default_of(&self, kind: Kind) -> Option<&str> {
        let named = match kind {
            Kind::Chat => &self.default_model,
            Kind::Embedding => &self.default_embedding_model,
        };
        named.as_deref().or_else(|| {
            self.models
                .iter()
                .find(|(_, model)| model.kind == kind)
                .map(|(name, _)| name.as_str())
        })
    }

    /// How many commands run at once: as many as all models together take.
    #[must_use]
    pub fn permits(&self) -> usize {
        self.models
            .values()
            .map(|model| model.batch(self.device))
            .sum()
    }

    /// What can be seen to be wrong without loading anything.
    ///
    /// # Errors
    /// [`Error`].
    pub fn check(&self) -> Result<(), Error> {
        if self.models.is_empty() {
            return Err(Error::NoModels);
        }
        for (kind, key) in [
            (Kind::Chat, "default_model"),
            (Kind::Embedding, "default_embedding_model"),
        ] {
            if let Some(name) = self.default_of(kind)
                && self.models.get(name).is_none_or(|model| model.kind != kind)
            {
                let reason = format!("`{key}` names it, but no such model is in `models`");
                return Err(Error::model(name, reason));
            }
        }
        for (name, model) in &self.models {
            for (key, count) in [
                ("max_batch", model.max_batch.0),
                ("context", model.context.0),
                ("max_tokens", model.max_tokens.0),
            ] {
                if count == 0 {
                    return Err(Error::model(name, format!("`{key}` must be at least 1")));
                }
            }
        }
        Ok(())
    }
}

impl ModelConfig {
    /// Most answers at once where this model runs. On a CPU the engine mixes sequences of one
    /// batch up from their second token on, so they go one by one there.
    #[must_use]
    pub const fn batch(&self, device: DeviceChoice) -> usize {
        if device.may_use_gpu() {
            self.max_batch.0
        } else {
            1
        }
    }
}

#[cfg(test)]
mod tests {
    use nexus_service_kit::ConfigSource;

    use super::{Config, DEFAULT_CONFIG, Kind};

    fn config(yaml: &str) -> Result<Config, String> {
        ConfigSource::of_layers(Some(("nexus.yaml", yaml)), [], &[])
            .and_then(|source| source.section("inference-worker", DEFAULT_CONFIG))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn models_have_defaults_and_unknown_keys_are_errors() {
        let read = config(
            "inference-worker:\n  models:\n    b: {path: /b}\n    a: {hub: x/y, kind: embedding}\n",
        )
        .unwrap();
        read.check().unwrap();
        assert_eq!(read.default_of(Kind::Chat), Some("b"));
        assert_eq!(read.default_of(Kind::Embedding), Some("a"));
        assert_eq!(read.models["b"].max_tokens.0, 2048);
        let typo = config("inference-worker:\n  models:\n    b: {pth: /b}\n").unwrap_err();
        assert!(typo.contains("pth"), "{typo}");
    }

    #[test]
    fn a_default_that_is_no_model_and_none_at_all_are_refused() {
        let none = config("inference-worker: {}").unwrap().check().unwrap_err();
        assert!(none.to_string().contains("no model is configured"));
        let bad = "inference-worker: {default_model: x, models: {b: {path: /b}}}";
        let bad = config(bad).unwrap().check().unwrap_err();
        assert!(bad.to_string().contains("`x`"), "{bad}");
    }
}
