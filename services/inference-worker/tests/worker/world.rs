//! Models in folders of their own, and a worker on a bus of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::join_all;
use nexus_contracts::Extra;
use nexus_contracts::chat::{ChatMessage, Role, ToolSpec};
use nexus_contracts::events::ModelParameters;
use nexus_inference_worker::config::{DeviceChoice, Kind, ModelConfig};
use nexus_inference_worker::engine::{Answer, Engine, Question, Refusal};
use nexus_service_kit::{Health, Tasks};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::made;

/// Long enough for a busy machine; nothing waits this long when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for what must come.
pub(crate) async fn soon<T>(what: &str, it: impl Future<Output = T>) -> Result<T> {
    tokio::time::timeout(PATIENCE, it)
        .await
        .with_context(|| format!("waited for {what}"))
}

/// A folder with models in it.
pub(crate) struct Shelf {
    folder: TempDir,
}

impl Shelf {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            folder: tempfile::tempdir()?,
        })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn scripted(&self) -> Result<ModelConfig> {
        made::scripted(&self.path("scripted"))?;
        Ok(self.config("scripted"))
    }

    pub(crate) fn random(&self) -> Result<ModelConfig> {
        made::random(&self.path("random"))?;
        Ok(self.config("random"))
    }

    pub(crate) fn embedding(&self) -> Result<ModelConfig> {
        made::random_embedding(&self.path("embedding"))?;
        Ok(ModelConfig {
            kind: Kind::Embedding,
            ..self.config("embedding")
        })
    }

    pub(crate) fn gguf(&self) -> Result<ModelConfig> {
        made::random_gguf(&self.path("tiny.gguf"))?;
        Ok(self.config("tiny.gguf"))
    }

    fn config(&self, name: &str) -> ModelConfig {
        ModelConfig {
            path: Some(self.path(name)),
            ..ModelConfig::default()
        }
    }
}

/// Loads a model on the CPU.
pub(crate) async fn load(config: &ModelConfig) -> Result<Engine> {
    let tasks = Tasks::new(Health::default(), CancellationToken::new());
    let loading = Engine::load("it", config, DeviceChoice::Cpu, tasks);
    Ok(soon("a model to load", loading).await??)
}

/// A question of a person.
pub(crate) fn ask(text: &str) -> Question {
    Question {
        id: "q".to_owned(),
        messages: vec![ChatMessage::text(Role::User, text)],
        tools: Vec::new(),
        parameters: ModelParameters::default(),
    }
}

/// A question with these parameters, beside the greedy choice of tokens.
pub(crate) fn ask_with(text: &str, extra: Value, most: u32) -> Result<Question> {
    let extra: Extra = serde_json::from_value(extra)?;
    let mut question = ask(text);
    question.parameters = ModelParameters {
        temperature: Some(0.0),
        max_tokens: Some(most),
        extra,
    };
    Ok(question)
}

/// A tool for the weather.
pub(crate) fn weather() -> ToolSpec {
    ToolSpec {
        name: "get_weather".to_owned(),
        description: "The weather".to_owned(),
        parameters: json!({"type": "object", "properties": {
            "place": {"type": "string", "pattern": "^[a-z]{1,8}$"},
            "unit": {"enum": ["C", "F"]}},
            "required": ["place", "unit"], "additionalProperties": false}),
        extra: BTreeMap::new(),
    }
}

/// Asks, and gives the answer with what was said meanwhile.
pub(crate) async fn heard(
    engine: &Engine,
    question: &Question,
) -> Result<Result<(Answer, String), Refusal>> {
    let slot = soon("a place", engine.admit()).await??;
    let (texts, mut said) = mpsc::unbounded_channel();
    let answer = soon("an answer", engine.generate(slot, question, texts)).await?;
    let mut all = String::new();
    while let Some(text) = said.recv().await {
        all.push_str(&text);
    }
    Ok(answer.map(|answer| (answer, all)))
}

/// Asks, and gives the answer.
pub(crate) async fn answer(engine: &Engine, question: &Question) -> Result<Answer> {
    Ok(heard(engine, question).await??.0)
}

/// Asks all at once.
pub(crate) async fn answers(engine: &Engine, questions: &[Question]) -> Result<Vec<Answer>> {
    let asked = questions.iter().map(|question| answer(engine, question));
    join_all(asked).await.into_iter().collect()
}
