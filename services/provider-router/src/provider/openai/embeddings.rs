//! `POST embeddings`, as `OpenAI` and every compatible server has it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nexus_contracts::chat::Usage;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::OpenAi;
use crate::assembler::{WireError, reported};
use crate::provider::dialect::{Call, Vectors};
use crate::provider::embed::{EmbedRequest, Embedded, MOST_TEXTS};

/// `OpenAI` takes 300,000 tokens in one request; ours are estimates.
const MOST_TOKENS: u64 = 200_000;

impl Vectors for OpenAi {
    fn at_once(&self) -> usize {
        MOST_TEXTS
    }

    fn tokens_at_once(&self) -> u64 {
        MOST_TOKENS
    }

    fn call(&self, request: &EmbedRequest, texts: &[String]) -> Result<Call, String> {
        let mut body = json!({
            "model": request.model,
            "input": texts,
            "encoding_format": "float",
        });
        if let (Value::Object(body), Some(length)) = (&mut body, request.dimensions) {
            body.insert("dimensions".to_owned(), length.into());
        }
        Ok(Call {
            path: "embeddings".to_owned(),
            body,
        })
    }

    fn read(&self, body: &[u8]) -> Result<Embedded, WireError> {
        let answer: Answer =
            serde_json::from_slice(body).map_err(|error| WireError::NotJson(error.to_string()))?;
        if let Some(error) = answer.error.filter(|error| !error.is_null()) {
            return Err(reported(&error));
        }
        let usage = answer.usage.unwrap_or_default();
        let tokens = usage.prompt_tokens.or(usage.total_tokens);
        Ok(Embedded {
            vectors: in_order(answer.data)?,
            usage: Usage::of(tokens.unwrap_or_default(), 0),
            model: answer.model,
            ..Embedded::default()
        })
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    data: Vec<Item>,
    model: Option<String>,
    usage: Option<Counts>,
    error: Option<Value>,
}

#[derive(Default, Deserialize)]
struct Counts {
    prompt_tokens: Option<u64>,
    total_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct Item {
    index: Option<usize>,
    embedding: Numbers,
}

/// By `index`, which servers may answer in any order; some leave it out and keep the order.
fn in_order(mut items: Vec<Item>) -> Result<Vec<Vec<f32>>, WireError> {
    if items.iter().any(|item| item.index.is_some()) {
        items.sort_by_key(|item| item.index);
        let whole = (0..).zip(&items).all(|(at, item)| item.index == Some(at));
        if !whole {
            let what = "their `index` does not count the texts";
            return Err(WireError::NoVectors(what.to_owned()));
        }
    }
    Ok(items.into_iter().map(|item| item.embedding.0).collect())
}

/// A list of numbers, or base64 of them as little-endian `f32`, which some servers send unasked.
struct Numbers(Vec<f32>);

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ListOrBase64)
    }
}

/// Not `untagged`, which would keep every number twice.
struct ListOrBase64;

impl<'de> Visitor<'de> for ListOrBase64 {
    type Value = Numbers;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of numbers, or base64 of them")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Numbers, A::Error> {
        let mut numbers = Vec::new();
        while let Some(number) = list.next_element::<f32>()? {
            numbers.push(number);
        }
        Ok(Numbers(numbers))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Numbers, E> {
        let bytes = STANDARD.decode(text).map_err(E::custom)?;
        let (numbers, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(E::custom("base64 of what is no list of `f32`"));
        }
        let numbers = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes));
        Ok(Numbers(numbers.collect()))
    }
}
