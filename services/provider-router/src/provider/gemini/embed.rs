//! `models/{model}:batchEmbedContents`.

use nexus_contracts::chat::Usage;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Gemini, model_path};
use crate::assembler::{WireError, reported};
use crate::provider::dialect::{Call, Vectors};
use crate::provider::embed::{EmbedRequest, Embedded};

/// Most requests Google takes in one batch.
const AT_ONCE: usize = 100;

impl Vectors for Gemini {
    fn at_once(&self) -> usize {
        AT_ONCE
    }

    fn call(&self, request: &EmbedRequest, texts: &[String]) -> Result<Call, String> {
        let model = model_path(&request.model)?;
        let each = texts.iter().map(|text| {
            let mut one = json!({ "model": model, "content": { "parts": [{ "text": text }] } });
            if let (Value::Object(one), Some(length)) = (&mut one, request.dimensions) {
                one.insert("outputDimensionality".to_owned(), length.into());
            }
            one
        });
        Ok(Call {
            body: json!({ "requests": each.collect::<Vec<_>>() }),
            path: format!("{model}:batchEmbedContents"),
        })
    }

    fn read(&self, body: &[u8]) -> Result<Embedded, WireError> {
        let answer: Answer =
            serde_json::from_slice(body).map_err(|error| WireError::NotJson(error.to_string()))?;
        if let Some(error) = answer.error.filter(|error| !error.is_null()) {
            return Err(reported(&error));
        }
        let vectors = answer.embeddings.into_iter().map(|one| one.values);
        let counts = answer.usage_metadata;
        let tokens = counts.and_then(|counts| counts.prompt_token_count);
        Ok(Embedded {
            vectors: vectors.collect(),
            usage: Usage::of(tokens.unwrap_or_default(), 0),
            ..Embedded::default()
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    embeddings: Vec<One>,
    /// Newer models count, older ones do not.
    usage_metadata: Option<Counts>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct One {
    #[serde(default)]
    values: Vec<f32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    prompt_token_count: Option<u64>,
}
