//! How well it finds: a set of documents and questions with what answers them. Half of the questions
//! share no word of meaning with their answer.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use async_trait::async_trait;
use nexus_contracts::OrgId;
use nexus_contracts::settings::Privacy;
use nexus_retrieval::{
    EmbedError, Embedder, Embeddings, Limits, Mode, Retrieval, Search, TextKind,
};
use nexus_testkit::ports::free_port;
use nexus_testkit::{Spawn, Spawned, installed, wait_for};
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

/// A real model, of another kind than any that costs money: what it finds is the least there is to find.
struct Real {
    url: String,
    http: reqwest::Client,
    _process: Spawned,
}

const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/embedder.py");

impl Real {
    async fn start() -> Result<Self> {
        crate::chroma::provider();
        let package = installed("nexus/wordllama-0.4.0")?;
        let (port, http) = (free_port()?, reqwest::Client::new());
        // The system's own: it was installed for that one.
        let mut process = Spawn::new("/usr/bin/python3")
            .arg(SERVER)
            .arg(package)
            .arg(port.to_string())
            .start()?;
        let url = format!("http://127.0.0.1:{port}/v1/embeddings");
        wait_for(Duration::from_secs(60), "the embedder", async || {
            if let Some(status) = process.try_status()? {
                return Ok(Some(Err(status)));
            }
            http.get(&url).send().await?;
            Ok(Some(Ok(())))
        })
        .await
        .with_context(|| format!("it wrote:\n{}", process.output()))?
        .map_err(|status| {
            anyhow!(
                "the embedder ended at once ({status}): {}",
                process.output()
            )
        })?;
        Ok(Self {
            url,
            http,
            _process: process,
        })
    }

    async fn ask(&self, texts: &[String]) -> Result<Vec<Vec<f32>>> {
        let body = json!({ "model": "l2_supercat_256", "input": texts });
        let response = self.http.post(&self.url).json(&body).send().await?;
        let answer: Value = response.error_for_status()?.json().await?;
        let data = answer.get("data").and_then(Value::as_array);
        let vector = |item: &Value| {
            let vector = item.get("embedding").context("no vector")?;
            Ok(serde_json::from_value(vector.clone())?)
        };
        data.context("no `data`")?.iter().map(vector).collect()
    }
}

#[async_trait]
impl Embedder for Real {
    async fn embed(
        &self,
        _org: OrgId,
        texts: Vec<String>,
        _kind: TextKind,
        _privacy: Privacy,
    ) -> Result<Embeddings, EmbedError> {
        let failed = |error: anyhow::Error| EmbedError::Unavailable(error.to_string());
        let vectors = self.ask(&texts).await.map_err(failed)?;
        Ok(Embeddings {
            model: "l2_supercat_256".to_owned(),
            dimensions: vectors.first().map_or(0, Vec::len),
            vectors,
        })
    }
}

#[tokio::test]
async fn meaning_finds_more_than_words_alone() -> Result<()> {
    let (fixture, set) = (Fixture::sqlite()?, set()?);
    let embedder: Arc<dyn Embedder> = Arc::new(Real::start().await?);
    let by_words = filled(&fixture, &set, None).await?;
    let hybrid = filled(&fixture, &set, Some(embedder)).await?;
    for (first, more) in [(1, 0.2), (3, 0.4), (10, 0.6)] {
        let words = recall(&by_words, &set, first, Mode::Bm25).await?;
        let both = recall(&hybrid, &set, first, Mode::Hybrid).await?;
        println!("recall@{first}: bm25 {words:?}, hybrid {both:?}");
        ensure!(
            both.plain >= words.plain && both.paraphrased >= words.paraphrased + more,
            "recall@{first}: bm25 {words:?}, hybrid {both:?}"
        );
    }
    Ok(())
}
