//! The kind `openai`: any server that speaks chat completions, `OpenAI`'s own, Ollama, vLLM,
//! Perplexity and many more.
//!
//! One attempt over HTTP, streaming. The answer is read as raw JSON by [`crate::assembler`], so
//! that fields this version does not know survive.

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, RequestBuilder, Response, Url};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;

use super::wire;
use super::{ChatRequest, DeltaSink, FailureClass, Provider, ProviderFailure, ProviderType, Setup};
use crate::assembler::{Answer, AnswerStream};
use crate::registry::file::Timeouts;
use crate::retry;

/// `type: openai`.
pub const TYPE: ProviderType = ProviderType {
    name: "openai",
    demo: false,
    default_model: "gpt-5-mini",
    api_key_env: Some("OPENAI_API_KEY"),
    build,
};

/// Where `OpenAI` is.
const OPENAI: &str = "https://api.openai.com/v1";

/// Most bytes read of an error's body.
const MAX_ERROR_BYTES: usize = 64 * 1024;

struct OpenAi {
    name: String,
    client: Client,
    base: Url,
    /// What must never be shown: the key, and every word of the values of all headers.
    secrets: Vec<SecretString>,
    timeouts: Timeouts,
}

fn build(setup: &Setup<'_>) -> Result<Arc<dyn Provider>, ProviderFailure> {
    let wrong = |what: String| ProviderFailure::new(FailureClass::BadRequest, what);
    let settings = setup.settings;
    if settings.delay_ms_per_token > 0 {
        return Err(wrong(
            "`delay_ms_per_token` is for the type `demo`".to_owned(),
        ));
    }
    let base = base_url(settings.base_url.as_deref().unwrap_or(OPENAI)).map_err(wrong)?;
    let mut headers = HeaderMap::new();
    for (name, value) in &settings.headers {
        let header = HeaderName::from_bytes(name.as_bytes())
            .map_err(|error| wrong(format!("`headers`: `{name}`: {error}")))?;
        let value = secret_header(value.expose_secret())
            .ok_or_else(|| wrong(format!("`headers`: the value of `{name}` cannot be sent")))?;
        headers.insert(header, value);
    }
    // Word by word: an upstream may quote the key of `Bearer <key>` alone.
    let words = settings
        .headers
        .values()
        .flat_map(|value| value.expose_secret().split_whitespace());
    let mut secrets: Vec<SecretString> = words.map(SecretString::from).collect();
    if let Some(key) = &setup.api_key {
        let bearer = secret_header(&format!("Bearer {}", key.expose_secret().trim()))
            .ok_or_else(|| wrong("the API key has characters no header can carry".to_owned()))?;
        headers.insert(AUTHORIZATION, bearer);
        secrets.push(key.expose_secret().trim().into());
    }
    let client = Client::builder()
        .default_headers(headers)
        .user_agent(concat!("nexus/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(settings.timeouts.connect)
        .tcp_nodelay(true)
        // The key must not travel to wherever a redirect points.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| wrong(format!("no HTTP client: {error}")))?;
    let (name, timeouts) = (setup.name.to_owned(), settings.timeouts);
    Ok(Arc::new(OpenAi {
        name,
        client,
        base,
        secrets,
        timeouts,
    }))
}

/// With a slash at its end, so that paths join behind it.
fn base_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(&format!("{}/", text.trim_end_matches('/')))
        .map_err(|error| format!("`base_url`: {error}"))?;
    match url.scheme() {
        "http" | "https" if url.username().is_empty() && url.password().is_none() => Ok(url),
        "http" | "https" => Err("`base_url` must not carry a name or password".to_owned()),
        _ => Err("`base_url` must begin with https:// or http://".to_owned()),
    }
}

fn secret_header(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl OpenAi {
    fn request(&self, path: &str) -> Result<Url, ProviderFailure> {
        self.base
            .join(path)
            .map_err(|error| self.failure(FailureClass::BadRequest, error))
    }

    fn failure(&self, class: FailureClass, what: impl std::fmt::Display) -> ProviderFailure {
        ProviderFailure::new(class, format!("{}: {what}", self.name))
    }

    /// What an error of the HTTP client means.
    fn broken(&self, error: reqwest::Error) -> ProviderFailure {
        let (connecting, timed_out) = (error.is_connect(), error.is_timeout());
        let host = self.base.host_str().unwrap_or_default();
        let port = self.base.port_or_known_default().unwrap_or_default();
        let cause = root_cause(&error.without_url());
        if connecting {
            let why = if timed_out {
                "no answer in time".to_owned()
            } else {
                cause
            };
            let what = format!("cannot connect to {host}:{port}: {why}; check `base_url`");
            return self.failure(FailureClass::Unreachable, what);
        }
        let what = format!("the connection to {host}:{port} broke: {cause}");
        self.failure(FailureClass::Interrupted, what)
    }

    fn silent(&self, what: &str, limit: std::time::Duration) -> ProviderFailure {
        let what = format!("no {what} within {limit:?}; see `timeouts` in providers.yaml");
        self.failure(FailureClass::TimedOut, what)
    }

    /// Sends a request; anything but success is a failure.
    async fn send(&self, request: RequestBuilder) -> Result<Response, ProviderFailure> {
        let limit = self.timeouts.first_byte;
        let answer = timeout(limit, request.send()).await;
        let response = answer
            .map_err(|_elapsed| self.silent("answer", limit))?
            .map_err(|error| self.broken(error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let header = |name: &str| {
            response
                .headers()
                .get(name)?
                .to_str()
                .ok()
                .map(str::to_owned)
        };
        let retry_after = retry::asked_for(header);
        let body = self.error_body(response).await;
        let mut failure = ProviderFailure::of_status(&self.name, status, &body);
        failure.retry_after = retry_after;
        Err(failure)
    }

    /// The beginning of an error's body; what cannot be read of it is left out.
    async fn error_body(&self, mut response: Response) -> String {
        let mut body = Vec::new();
        while body.len() < MAX_ERROR_BYTES {
            match timeout(self.timeouts.idle, response.chunk()).await {
                Ok(Ok(Some(bytes))) => body.extend_from_slice(&bytes),
                _ => break,
            }
        }
        String::from_utf8_lossy(&body).into_owned()
    }

    async fn exchange(
        &self,
        request: &ChatRequest,
        sink: &mut dyn DeltaSink,
    ) -> Result<Answer, ProviderFailure> {
        // OpenAI itself refuses `max_tokens` for its newer models; others know nothing else.
        let limit = if self.base.as_str().starts_with(OPENAI) {
            "max_completion_tokens"
        } else {
            "max_tokens"
        };
        let body = wire::body(request, limit).to_string();
        let url = self.request("chat/completions")?;
        let post = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json");
        let response = self
            .send(post.header(ACCEPT, "text/event-stream").body(body))
            .await?;
        let answer = if is_object(&response) {
            AnswerStream::of_object(&request.id)
        } else {
            AnswerStream::of_events(&request.id)
        };
        self.read(response, answer, sink).await
    }

    /// Reads the answer as it comes.
    async fn read(
        &self,
        mut response: Response,
        mut answer: AnswerStream,
        sink: &mut dyn DeltaSink,
    ) -> Result<Answer, ProviderFailure> {
        let unreadable = |error| ProviderFailure::of_wire(&self.name, &error);
        let mut patience = self.timeouts.first_byte;
        while !answer.is_done() {
            let text = match timeout(patience, response.chunk()).await {
                Ok(Ok(Some(bytes))) => answer.push(&bytes).map_err(unreadable)?,
                Ok(Ok(None)) => break,
                // The model was done; only the token counts did not come.
                _ if answer.is_finished() => break,
                Ok(Err(error)) => return Err(self.broken(error)),
                Err(_elapsed) => return Err(self.silent("part of the answer", patience)),
            };
            patience = self.timeouts.idle;
            if !text.is_empty() {
                sink.delta(&text).await;
            }
        }
        let (text, answer) = answer.close().map_err(unreadable)?;
        if !text.is_empty() {
            sink.delta(&text).await;
        }
        Ok(answer)
    }

    fn fit_to_show(&self, failure: ProviderFailure) -> ProviderFailure {
        let secrets: Vec<&str> = self
            .secrets
            .iter()
            .map(ExposeSecret::expose_secret)
            .collect();
        failure.fit_to_show(&secrets)
    }
}

fn is_object(response: &Response) -> bool {
    let kind = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/json"))
}

/// The innermost cause: the outer ones only say that there is one.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[async_trait]
impl Provider for OpenAi {
    async fn chat(
        &self,
        request: &ChatRequest,
        sink: &mut dyn DeltaSink,
    ) -> Result<Answer, ProviderFailure> {
        let total = self.timeouts.total;
        let answer = timeout(total, self.exchange(request, sink)).await;
        let answer = answer.unwrap_or_else(|_elapsed| Err(self.silent("whole answer", total)));
        answer.map_err(|failure| self.fit_to_show(failure))
    }

    async fn probe(&self) -> Result<String, ProviderFailure> {
        let response = async { self.send(self.client.get(self.request("models")?)).await }.await;
        match response {
            Ok(_) => Ok("reachable, and it takes the key".to_owned()),
            Err(failure) if failure.class == FailureClass::UnknownModel => {
                Ok("reachable; it does not list its models, so the key was not tried".to_owned())
            }
            Err(failure) => Err(self.fit_to_show(failure)),
        }
    }
}
