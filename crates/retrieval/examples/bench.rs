//! How fast it is: ten thousand chunks with vectors of 1,024 numbers.
//!
//! `cargo run --release -p nexus-retrieval --example bench`

#![expect(clippy::print_stdout, reason = "it is asked for figures")]

use std::sync::Arc;

use anyhow::Result;
use async_trait::async_trait;
use nexus_contracts::settings::Privacy;
use nexus_contracts::{OrgId, Timestamp};
use nexus_retrieval::{
    EmbedError, Embedder, Embeddings, Ingest, Limits, Retrieval, Search, TextKind, Viewer,
};
use nexus_store::Store;
use tokio::time::Instant;
use uuid::Uuid;

const DOCUMENTS: u64 = 500;
const PARAGRAPHS: u64 = 20;
const DIMENSIONS: usize = 1_024;
const SEARCHES: u64 = 200;

/// Numbers that look like chance and are the same every time (Knuth's constants).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// Few words often, many seldom, as in any language.
    fn word(&mut self) -> String {
        let most = 1 << (self.next() % 15);
        format!("w{}", self.next() % most)
    }

    fn text(&mut self, words: usize) -> String {
        let words: Vec<String> = (0..words).map(|_| self.word()).collect();
        words.join(" ")
    }
}

struct Chance;

#[async_trait]
impl Embedder for Chance {
    async fn embed(
        &self,
        _org: OrgId,
        texts: Vec<String>,
        _kind: TextKind,
        _privacy: Privacy,
    ) -> Result<Embeddings, EmbedError> {
        let vector = |text: &String| {
            let seed = text
                .bytes()
                .fold(7_u64, |seed, byte| seed.wrapping_mul(31) + u64::from(byte));
            let mut numbers = Numbers(seed);
            (0..DIMENSIONS)
                .map(|_| numbers.next() as f32 / 1e9 - 1.0)
                .collect()
        };
        Ok(Embeddings {
            model: "chance".to_owned(),
            dimensions: DIMENSIONS,
            vectors: texts.iter().map(vector).collect(),
        })
    }
}

async fn fill(retrieval: &Retrieval, org: OrgId) -> Result<usize> {
    let (mut numbers, mut chunks) = (Numbers(1), 0);
    for number in 0..DOCUMENTS {
        let paragraphs: Vec<String> = (0..PARAGRAPHS).map(|_| numbers.text(170)).collect();
        let ingest = Ingest {
            owner: None,
            collection: "bench".to_owned(),
            title: format!("document {number}"),
            source: format!("{number}"),
            content_type: "text/plain".to_owned(),
            text: paragraphs.join("\n\n"),
            untrusted: false,
            privacy: None,
            apart: false,
        };
        let now = Timestamp::from_millis(0);
        chunks += retrieval.ingest(org, ingest, now).await?.chunks;
    }
    Ok(chunks)
}

async fn measure(name: &str, retrieval: &Retrieval, org: OrgId) -> Result<()> {
    let (mut numbers, mut times) = (Numbers(2), Vec::new());
    let first = Instant::now();
    for number in 0..=SEARCHES {
        let search = Search {
            viewer: Viewer { org, user: None },
            collections: None,
            query: numbers.text(6),
            privacy: Privacy::Open,
            limit: 10,
        };
        let start = Instant::now();
        let found = retrieval.search(search).await?;
        anyhow::ensure!(!found.hits.is_empty());
        match number {
            0 => println!(
                "{name}: index built in {:?} ({:?})",
                first.elapsed(),
                found.mode
            ),
            _ => times.push(start.elapsed()),
        }
    }
    times.sort_unstable();
    let at = |part: usize| {
        times
            .get(times.len() * part / 100)
            .copied()
            .unwrap_or_default()
    };
    println!(
        "{name}: p50 {:?}, p95 {:?}, p99 {:?}",
        at(50),
        at(95),
        at(99)
    );
    Ok(())
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite:{}", folder.path().display());
    let store = Store::open(&url.parse()?, "bench", Retrieval::MIGRATIONS).await?;
    let (org, limits) = (OrgId(Uuid::now_v7()), Limits::default());
    let embedder = || -> Option<Arc<dyn Embedder>> { Some(Arc::new(Chance)) };
    let hybrid = Retrieval::new(store.clone(), limits.clone(), embedder(), None);
    let start = Instant::now();
    let chunks = fill(&hybrid, org).await?;
    println!(
        "{chunks} chunks of {DOCUMENTS} documents ingested in {:?}",
        start.elapsed()
    );
    measure("hybrid", &hybrid, org).await?;
    measure(
        "words alone",
        &Retrieval::new(store, limits, None, None),
        org,
    )
    .await
}
