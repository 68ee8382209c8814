//! Questions to engines of the operator's.

use std::time::Duration;

use futures::StreamExt as _;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, RequestBuilder, Response, redirect, retry};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

use super::SearchError;
use crate::fetch::{Identity, retry_after};
use crate::text::shown;

/// How much of an answer is read, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchLimits {
    /// One question with its answer. Answers of models take longer than lists.
    pub total: Duration,
    /// The answer, in bytes.
    pub bytes: usize,
}

impl Default for SearchLimits {
    fn default() -> Self {
        Self {
            total: Duration::from_secs(30),
            bytes: 2 * 1024 * 1024,
        }
    }
}

/// What all engines ask through: cheap to clone, with connections that are kept.
#[derive(Clone, Debug)]
pub struct SearchClient {
    http: Client,
    limits: SearchLimits,
}

impl SearchClient {
    /// A client without proxy, redirects and repetitions.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Setup`] when TLS cannot be set up.
    pub fn new(limits: SearchLimits, identity: &Identity) -> Result<Self, crate::Error> {
        let http = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
            .connect_timeout(limits.total)
            .user_agent(identity.user_agent())
            .tls_backend_preconfigured(crate::tls::client_config()?)
            .build()
            .map_err(|_error| crate::Error::Setup("no client for searches".to_owned()))?;
        Ok(Self { http, limits })
    }

    pub(super) const fn http(&self) -> &Client {
        &self.http
    }

    /// Asks, and reads the answer as JSON of a shape.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        engine: &'static str,
        request: RequestBuilder,
    ) -> Result<T, SearchError> {
        let after = self.limits.total;
        let body = timeout(after, self.body(engine, request))
            .await
            .map_err(|_elapsed| SearchError::Timeout { engine, after })??;
        serde_json::from_slice(&body).map_err(|error| SearchError::BadAnswer {
            engine,
            // Of the answer itself only the place.
            reason: format!(
                "no JSON of its shape at line {}, column {}",
                error.line(),
                error.column()
            ),
        })
    }

    async fn body(
        &self,
        engine: &'static str,
        request: RequestBuilder,
    ) -> Result<Vec<u8>, SearchError> {
        let response = request
            .send()
            .await
            .map_err(|error| SearchError::Unreachable {
                engine,
                reason: if error.is_connect() {
                    "no connection"
                } else {
                    "the connection broke"
                }
                .to_owned(),
            })?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let body = self.read(engine, response).await?;
        if status == 200 {
            Ok(body)
        } else {
            Err(refusal(engine, status, &headers, &body))
        }
    }

    async fn read(&self, engine: &'static str, response: Response) -> Result<Vec<u8>, SearchError> {
        let mut body = Vec::new();
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_broken| SearchError::Unreachable {
                engine,
                reason: "its answer breaks off".to_owned(),
            })?;
            if body.len() + chunk.len() > self.limits.bytes {
                let limit = self.limits.bytes;
                let reason = format!("it has more than {limit} bytes");
                return Err(SearchError::BadAnswer { engine, reason });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// A header with a key in it, which no log shows.
pub(super) fn key_header(
    engine: &'static str,
    name: &'static str,
    prefix: &str,
    key: &SecretString,
) -> Result<HeaderMap, SearchError> {
    let text = SecretString::from(format!("{prefix}{}", key.expose_secret().trim()));
    let mut value =
        HeaderValue::from_str(text.expose_secret()).map_err(|_wrong| SearchError::Setup {
            engine,
            reason: "its key holds characters no key has".to_owned(),
        })?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(
        HeaderName::from_static(name),
        value,
    )]))
}

/// An endpoint below a base, whether or not that ends with `/`.
pub(super) fn endpoint(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    let path = format!("{}/{path}", base.path().trim_end_matches('/'));
    url.set_path(&path);
    url
}

/// What a status other than 200 means.
pub(super) fn refusal(
    engine: &'static str,
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
) -> SearchError {
    let said = said(body);
    if status == 402 || (matches!(status, 400..=499) && is_quota(&said)) {
        return SearchError::Quota { engine };
    }
    match status {
        429 => SearchError::RateLimited {
            engine,
            retry_after: retry_after(headers).or_else(|| reset(headers)),
        },
        401 | 403 => SearchError::Key { engine },
        _ => {
            let words = said.first().map_or("no reason given", String::as_str);
            let reason = shown(words);
            SearchError::Status {
                engine,
                status,
                reason,
            }
        }
    }
}

/// The words and codes in an error's body, wherever the engine puts them.
fn said(body: &[u8]) -> Vec<String> {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return Vec::new();
    };
    let error = value.get("error").unwrap_or(&value);
    let fields = ["message", "detail", "code", "type"];
    let mut said: Vec<String> = fields
        .iter()
        .filter_map(|field| error.get(field).or_else(|| value.get(field)))
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    said.extend(error.as_str().map(str::to_owned));
    said
}

/// Serper's, Brave's and Perplexity's words for it. Brave's `RATE_LIMITED` names its quota in
/// other fields, which are not looked at.
fn is_quota(said: &[String]) -> bool {
    said.iter().any(|words| {
        let words = words.to_ascii_lowercase();
        [
            "not enough credits",
            "insufficient_quota",
            "quota_limited",
            "exceeded your current quota",
        ]
        .iter()
        .any(|known| words.contains(known))
    })
}

/// Brave's `X-RateLimit-Reset`: seconds for each of its windows, the shortest first.
fn reset(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("x-ratelimit-reset")?.to_str().ok()?;
    let seconds: u64 = text.split(',').next()?.trim().parse().ok()?;
    (seconds <= 86_400).then(|| Duration::from_secs(seconds))
}
