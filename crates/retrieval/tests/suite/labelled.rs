//! How well it finds: a set of documents and questions with what answers them. Half of the questions
//! share no word of meaning with their answer.

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use async_trait::async_trait;
use nexus_contracts::OrgId;
use nexus_contracts::settings::Privacy;
use nexus_retrieval::{
    EmbedError, Embedder, Embeddings, Limits, Mode, Retrieval, Search, TextKind,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::embedders::Thesaurus;
use crate::fixture::{Fixture, at, note, org, shared};

const SET: &str = include_str!("../data/labelled.json");

#[derive(Deserialize)]
struct Set {
    documents: Vec<Document>,
    queries: Vec<Query>,
    thesaurus: Vec<Vec<String>>,
}

#[derive(Deserialize)]
struct Document {
    id: String,
    text: String,
}

#[derive(Deserialize)]
struct Query {
    query: String,
    relevant: Vec<String>,
    #[serde(default)]
    paraphrase: bool,
}

/// Of the queries, which share have what answers them among the first few.
#[derive(Debug, PartialEq)]
struct Recall {
    plain: f64,
    paraphrased: f64,
}

async fn filled(
    fixture: &Fixture,
    set: &Set,
    embedder: Option<Arc<dyn Embedder>>,
) -> Result<(Retrieval, OrgId)> {
    let (retrieval, org) = (
        fixture.open(Limits::default(), embedder, None).await?,
        org(),
    );
    for document in &set.documents {
        let ingest = nexus_retrieval::Ingest {
            // Its name says what it is about: not to be found by it.
            title: String::new(),
            ..note(&document.id, &document.text)
        };
        retrieval.ingest(org, ingest, at(0)).await?;
    }
    Ok((retrieval, org))
}

async fn recall(
    (retrieval, org): &(Retrieval, OrgId),
    set: &Set,
    first: usize,
    mode: Mode,
) -> Result<Recall> {
    let (mut sums, mut counts) = ([0.0; 2], [0.0; 2]);
    for query in &set.queries {
        let search = Search {
            viewer: shared(*org),
            collections: None,
            query: query.query.clone(),
            privacy: Privacy::Open,
            limit: first,
        };
        let found = retrieval.search(search).await?;
        ensure!(found.mode == mode, "{:?}", found.reason);
        let hits: Vec<String> = found.hits.into_iter().map(|hit| hit.source).collect();
        let right = query.relevant.iter().filter(|id| hits.contains(id)).count();
        let at = usize::from(query.paraphrase);
        sums[at] += right as f64 / query.relevant.len() as f64;
        counts[at] += 1.0;
    }
    Ok(Recall {
        plain: sums[0] / counts[0],
        paraphrased: sums[1] / counts[1],
    })
}

fn set() -> Result<Set> {
    let set: Set = serde_json::from_str(SET)?;
    ensure!(set.documents.len() >= 60 && set.queries.len() >= 40);
    Ok(set)
}

#[tokio::test]
async fn words_find_what_has_them() -> Result<()> {
    let (fixture, set) = (Fixture::sqlite()?, set()?);
    let by_words = filled(&fixture, &set, None).await?;
    let one = recall(&by_words, &set, 1, Mode::Bm25).await?;
    let three = recall(&by_words, &set, 3, Mode::Bm25).await?;
    println!("bm25 recall@1 {one:?}, recall@3 {three:?}");
    ensure!(one.plain >= 0.9 && three.plain >= 0.99, "{one:?} {three:?}");
    Ok(())
}

/// Says nothing of any model: the words that mean the same are written down beside the questions. It
/// says that what an embedder knows arrives in the results, and costs nothing of what words find.
#[tokio::test]
async fn what_an_embedder_knows_is_found_as_well() -> Result<()> {
    let (fixture, set) = (Fixture::sqlite()?, set()?);
    let by_words = filled(&fixture, &set, None).await?;
    let embedder: Arc<dyn Embedder> = Arc::new(Thesaurus::new(&set.thesaurus));
    let hybrid = filled(&fixture, &set, Some(embedder)).await?;
    let words = recall(&by_words, &set, 3, Mode::Bm25).await?;
    let both = recall(&hybrid, &set, 3, Mode::Hybrid).await?;
    println!("recall@3: bm25 {words:?}, hybrid with a thesaurus {both:?}");
    ensure!(both.plain >= words.plain, "{words:?} {both:?}");
    ensure!(
        both.paraphrased >= words.paraphrased + 0.3,
        "{words:?} {both:?}"
    );
    Ok(())
}

/// An embedder with an OpenAI-compatible interface, for the comparison that counts.
struct OverHttp {
    url: String,
    model: String,
    key: Option<String>,
    http: reqwest::Client,
}

#[async_trait]
impl Embedder for OverHttp {
    async fn embed(
        &self,
        _org: OrgId,
        texts: Vec<String>,
        _kind: TextKind,
        _privacy: Privacy,
    ) -> Result<Embeddings, EmbedError> {
        let failed = |error: String| EmbedError::Unavailable(error);
        let mut request = self.http.post(&self.url);
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        let body = json!({ "model": self.model, "input": texts });
        let response = request
            .json(&body)
            .send()
            .await
            .map_err(|e| failed(e.to_string()))?;
        let answer: Value = response.json().await.map_err(|e| failed(e.to_string()))?;
        let data = answer.get("data").and_then(Value::as_array);
        let data = data.ok_or_else(|| failed(format!("no `data` in {answer}")))?;
        let vectors: Vec<Vec<f32>> = data
            .iter()
            .filter_map(|item| serde_json::from_value(item.get("embedding")?.clone()).ok())
            .collect();
        Ok(Embeddings {
            model: self.model.clone(),
            dimensions: vectors.first().map_or(0, Vec::len),
            vectors,
        })
    }
}

fn from_environment() -> Result<OverHttp> {
    let read = |name: &str| std::env::var_os(name).and_then(|value| value.into_string().ok());
    let (url, model) = (
        read("NEXUS_TEST_EMBEDDINGS_URL"),
        read("NEXUS_TEST_EMBEDDINGS_MODEL"),
    );
    let (Some(url), Some(model)) = (url, model) else {
        bail!(
            "set NEXUS_TEST_EMBEDDINGS_URL to http://host/v1/embeddings, \
             NEXUS_TEST_EMBEDDINGS_MODEL to a model, and, if asked for, NEXUS_TEST_EMBEDDINGS_KEY"
        )
    };
    crate::chroma::provider();
    Ok(OverHttp {
        url,
        model,
        key: read("NEXUS_TEST_EMBEDDINGS_KEY"),
        http: reqwest::Client::builder().build().context("a client")?,
    })
}

#[tokio::test]
#[ignore = "needs a real embedder: see what NEXUS_TEST_EMBEDDINGS_URL is for"]
async fn meaning_finds_more_than_words_alone() -> Result<()> {
    let (fixture, set) = (Fixture::sqlite()?, set()?);
    let embedder: Arc<dyn Embedder> = Arc::new(from_environment()?);
    let by_words = filled(&fixture, &set, None).await?;
    let hybrid = filled(&fixture, &set, Some(embedder)).await?;
    for first in [1, 3, 10] {
        let words = recall(&by_words, &set, first, Mode::Bm25).await?;
        let both = recall(&hybrid, &set, first, Mode::Hybrid).await?;
        println!("recall@{first}: bm25 {words:?}, hybrid {both:?}");
        if first > 1 {
            ensure!(both.plain >= words.plain && both.paraphrased > words.paraphrased);
        }
    }
    Ok(())
}
