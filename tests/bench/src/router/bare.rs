//! The floor: an HTTP client that posts a body it has ready and reads the answer to its end, with the
//! settings the router's own client has. Gateways are asked by the same one.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use nexus_provider_router::provider::wire;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use super::asker::{Asker, Prompt, Sample};
use super::wanted::{Wanted, word};

/// Longest wait for a connection; the router's default.
const CONNECT: Duration = Duration::from_secs(5);

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where to ask whom.
#[derive(Clone)]
pub(super) struct Address {
    /// Up to and with the version.
    pub(super) base_url: String,
    /// The model.
    pub(super) model: String,
    /// Sent with every request.
    pub(super) headers: Vec<(String, String)>,
}

impl Address {
    /// The upstream itself.
    pub(super) fn upstream(base_url: &str) -> Self {
        Self {
            base_url: base_url.to_owned(),
            model: "mock".to_owned(),
            headers: Vec::new(),
        }
    }
}

/// A client with connections of its own.
pub(super) struct Bare {
    client: reqwest::Client,
    url: String,
    model: String,
    prompt: Prompt,
}

impl Bare {
    /// A client of this address.
    pub(super) fn new(address: &Address, prompt: &Prompt) -> Result<Self> {
        let mut headers = HeaderMap::new();
        for (name, value) in &address.headers {
            let name = HeaderName::from_bytes(name.as_bytes())?;
            headers.insert(name, HeaderValue::from_str(value)?);
        }
        let client = reqwest::Client::builder()
            .user_agent("nexus-bench")
            .default_headers(headers)
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            client,
            url: format!("{}/chat/completions", address.base_url),
            model: address.model.clone(),
            prompt: prompt.clone(),
        })
    }

    async fn exchange(&self, body: String) -> Result<(Sample, Vec<u8>)> {
        let first_word = word(1);
        let began = Instant::now();
        let request = self
            .client
            .post(&self.url)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "text/event-stream");
        let mut response = request.body(body).send().await?;
        let status = response.status();
        let (mut heard, mut first, mut whole) = (Vec::new(), None, None);
        while let Some(bytes) = response.chunk().await? {
            heard.extend_from_slice(&bytes);
            if first.is_none() && contains(&heard, first_word.as_bytes()) {
                first = Some(began.elapsed());
            }
            // What comes behind it is no part of the answer, and the router does not wait for it.
            if whole.is_none() && heard.trim_ascii_end().ends_with(b"[DONE]") {
                whole = Some(began.elapsed());
            }
        }
        let text = || {
            String::from_utf8_lossy(&heard)
                .chars()
                .take(500)
                .collect::<String>()
        };
        ensure!(status.is_success(), "{status}: {}", text());
        let whole = whole.with_context(|| format!("an answer without end: {}", text()))?;
        Ok((Sample { first, whole }, heard))
    }
}

#[async_trait]
impl Asker for Bare {
    async fn ask(&self, wanted: Wanted) -> Result<Sample> {
        let request = self.prompt.request(wanted, &self.model);
        let body = wire::body(&request, "max_tokens").to_string();
        let answer = tokio::time::timeout(PATIENCE, self.exchange(body));
        let (sample, heard) = answer.await.context("no whole answer in time")??;
        // Here the text lies between what the gateway puts around it: each word must be there.
        let text = String::from_utf8_lossy(&heard);
        let came = (1..=wanted.words).filter(|place| text.contains(&word(*place)));
        let (came, all) = (came.count(), text.matches(" word-").count());
        ensure!(
            came == wanted.words && all == wanted.words,
            "{came} of {} words came, {all} with repetitions",
            wanted.words
        );
        Ok(sample)
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
