//! A command, carried out by a model: what the engine says, in the words of the contract.

use std::time::Duration;

use nexus_contracts::Extra;
use nexus_contracts::events::{
    EmbeddingCompleted, EmbeddingRequested, InferenceCompleted, InferenceRequested,
};
use serde_json::json;
use tokio::sync::mpsc;

use crate::command::{Asked, Command, Failed, Reply};
use crate::engine::{Answer, Embedded, Engine, Question, Refusal, Slot};
use crate::metrics;

/// What is to be done, and by which model.
pub struct Wanted<'a> {
    /// The model.
    pub engine: &'a Engine,
    /// The command.
    pub command: &'a Command,
    /// Hears the text of an answer meanwhile.
    pub texts: mpsc::UnboundedSender<String>,
}

/// Does it.
pub async fn work(wanted: Wanted<'_>, slot: Slot) -> Reply {
    let provider = wanted.command.asked.provider().to_owned();
    let done = match &wanted.command.asked {
        Asked::Answer(asked) => answer(&wanted, asked, slot)
            .await
            .map(|answer| Reply::Completed(Box::new(completed(&wanted, answer, provider)))),
        Asked::Vectors(asked) => vectors(wanted.engine, asked, slot)
            .await
            .map(|embedded| Reply::Embedded(of_vectors(wanted.engine, embedded, provider))),
    };
    done.unwrap_or_else(|refusal| {
        let failed = Failed::from(refusal);
        metrics::ended(wanted.engine, failed.code);
        Reply::Failed(failed)
    })
}

async fn answer(
    wanted: &Wanted<'_>,
    asked: &InferenceRequested,
    slot: Slot,
) -> Result<Answer, Refusal> {
    let question = Question {
        id: wanted.command.id.as_str().to_owned(),
        messages: asked.messages.clone(),
        tools: asked.tools.clone(),
        parameters: asked.parameters.clone(),
    };
    let engine = wanted.engine;
    let answer = engine
        .generate(slot, &question, wanted.texts.clone())
        .await?;
    metrics::worked(engine, &answer.usage, answer.took, answer.first_text);
    Ok(answer)
}

async fn vectors(
    engine: &Engine,
    asked: &EmbeddingRequested,
    slot: Slot,
) -> Result<Embedded, Refusal> {
    if asked.input.is_empty() {
        return Err(Refusal::BadRequest("`input` is empty".to_owned()));
    }
    let embedded = engine.embed(slot, asked.input.clone()).await?;
    let length = embedded.vectors.first().map_or(0, Vec::len);
    if let Some(wanted) = asked.dimensions
        && usize::try_from(wanted) != Ok(length)
    {
        let reason = format!("`dimensions`: vectors of this model have {length}");
        return Err(Refusal::Unsupported(reason));
    }
    metrics::worked(engine, &embedded.usage, embedded.took, None);
    Ok(embedded)
}

fn completed(wanted: &Wanted<'_>, answer: Answer, provider: String) -> InferenceCompleted {
    InferenceCompleted {
        message: answer.message,
        finish_reason: answer.finish_reason,
        usage: answer.usage,
        provider,
        model: wanted.engine.name().to_owned(),
        duration_ms: u64::try_from(answer.took.as_millis()).unwrap_or(u64::MAX),
        metadata: spent(wanted.engine, answer.took),
        extra: Extra::new(),
    }
}

fn of_vectors(engine: &Engine, embedded: Embedded, provider: String) -> EmbeddingCompleted {
    EmbeddingCompleted {
        embeddings: embedded.vectors,
        usage: embedded.usage,
        provider,
        model: engine.name().to_owned(),
        extra: Extra::from([("metadata".to_owned(), json!(spent(engine, embedded.took)))]),
    }
}

/// What an answer took of the device. Wall time: answers of one batch share it.
fn spent(engine: &Engine, took: Duration) -> Extra {
    let key = if engine.device() == "cpu" {
        "compute_seconds"
    } else {
        "gpu_seconds"
    };
    Extra::from([
        ("device".to_owned(), json!(engine.device())),
        (key.to_owned(), json!(took.as_secs_f64())),
    ])
}
