//! A provider behind HTTP: one attempt, streaming, in whatever [`Dialect`] its kind speaks.

mod keys;
mod secrets;
mod vectors;

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Proxy, RequestBuilder, Response, Url};
use secrecy::ExposeSecret;
use tokio::time::timeout;

use super::dialect::Dialect;
use super::{
    ChatRequest, DeltaSink, EmbedRequest, Embedded, FailureClass, Provider, ProviderFailure, Setup,
};
use crate::assembler::{Answer, AnswerStream};
use crate::registry::file::Timeouts;
use crate::retry;

use keys::{Key, Keys};
use secrets::Secrets;

/// Most bytes read of an error's body.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// Longest wait for the end of a body whose answer is there.
const MAX_READ_OUT: std::time::Duration = std::time::Duration::from_secs(1);

struct OverHttp {
    name: String,
    dialect: Box<dyn Dialect>,
    client: Client,
    base: Url,
    keys: Keys,
    /// What must never be shown: the keys, the values of all headers, the login of the proxy.
    secrets: Secrets,
    timeouts: Timeouts,
}

/// A provider with these settings. Reaches no network.
///
/// # Errors
/// [`FailureClass::BadRequest`] when a setting cannot be used.
pub fn build(
    setup: &Setup<'_>,
    dialect: impl Dialect + 'static,
) -> Result<Arc<dyn Provider>, ProviderFailure> {
    let settings = setup.settings;
    if settings.delay_ms_per_token > 0 {
        return Err(wrong("`delay_ms_per_token` is for the type `demo`"));
    }
    let address = settings.address().unwrap_or_default();
    let base = base_url(address).map_err(wrong)?;
    let (headers, mut secrets) = headers(setup, &dialect)?;
    let keys = keys(setup, &dialect, &mut secrets)?;
    // A client cannot be built without, whoever builds the first one.
    nexus_service_kit::telemetry::install_tls();
    let mut client = Client::builder();
    if let Some(address) = &settings.proxy {
        client = client.proxy(proxy(address.expose_secret(), &mut secrets)?);
    }
    let client = client
        .user_agent(concat!("nexus/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .connect_timeout(settings.timeouts.connect)
        .tcp_nodelay(true)
        // The key must not travel to wherever a redirect points.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| wrong(format!("no HTTP client: {error}")))?;
    Ok(Arc::new(OverHttp {
        name: setup.name.to_owned(),
        dialect: Box::new(dialect),
        client,
        base,
        keys,
        secrets,
        timeouts: settings.timeouts,
    }))
}

fn wrong(what: impl Into<String>) -> ProviderFailure {
    ProviderFailure::new(FailureClass::BadRequest, what)
}

/// What is sent with every request, and the secrets in it.
fn headers(
    setup: &Setup<'_>,
    dialect: &impl Dialect,
) -> Result<(HeaderMap, Secrets), ProviderFailure> {
    let mut headers = HeaderMap::new();
    for (name, value) in dialect.headers() {
        headers.insert(*name, HeaderValue::from_static(value));
    }
    let mut secrets = Secrets::default();
    for (name, value) in &setup.settings.headers {
        let header = HeaderName::from_bytes(name.as_bytes())
            // Not repeated: who forgets to close a quote has the value in it.
            .map_err(|error| wrong(format!("`headers`: one of the names cannot be sent: {error}")))?;
        let value = value.expose_secret();
        secrets.add_header(value);
        let value = secret_header(value)
            .ok_or_else(|| wrong(format!("`headers`: the value of `{name}` cannot be sent")))?;
        headers.insert(header, value);
    }
    Ok((headers, secrets))
}

/// The keys as headers. Each is a secret.
fn keys(
    setup: &Setup<'_>,
    dialect: &impl Dialect,
    secrets: &mut Secrets,
) -> Result<Keys, ProviderFailure> {
    let mut keys = Vec::new();
    for key in &setup.api_keys {
        let key = key.expose_secret().trim();
        let (name, value) = dialect.key_header(key);
        let value = secret_header(&value)
            .ok_or_else(|| wrong("the API key has characters no header can carry"))?;
        keys.push((HeaderName::from_static(name), value));
        secrets.add(key);
    }
    Ok(Keys::new(keys))
}

/// The proxy at this address; a name and password in it are secrets.
fn proxy(address: &str, secrets: &mut Secrets) -> Result<Proxy, ProviderFailure> {
    secrets.add_login(address);
    // The library's words would repeat the address.
    Proxy::all(address)
        .map_err(|_it_repeats_it| wrong("`proxy` is no address such as http://proxy:3128"))
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

impl OverHttp {
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

    /// Sends a request with this key; anything but success is a failure.
    async fn send(
        &self,
        mut request: RequestBuilder,
        key: Option<&Key>,
    ) -> Result<Response, ProviderFailure> {
        if let Some((name, value)) = key.map(Key::header) {
            request = request.header(name, value);
        }
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
        failure.retry_after = retry_after.or(failure.retry_after);
        if let Some(key) = key {
            failure.another_key = self.keys.rest(key, &failure);
        }
        Err(failure)
    }

    /// The beginning of an error's body; what cannot be read of it is left out.
    async fn error_body(&self, mut response: Response) -> String {
        let mut body = Vec::new();
        while body.len() < MAX_ERROR_BYTES {
            match timeout(self.timeouts.idle, response.chunk()).await {
                Ok(Ok(Some(bytes))) => body.extend_from_slice(&bytes),
                Ok(Ok(None)) => return String::from_utf8_lossy(&body).into_owned(),
                _ => break,
            }
        }
        // Its last word may be the first half of a key, which nobody would recognise.
        let ends_word = |byte: &u8| byte.is_ascii_whitespace() || b"\"'<>".contains(byte);
        let whole_words = body.iter().rposition(ends_word).map_or(0, |at| at + 1);
        body.truncate(whole_words);
        String::from_utf8_lossy(&body).into_owned()
    }

    async fn exchange(
        &self,
        request: &ChatRequest,
        sink: &mut dyn DeltaSink,
    ) -> Result<Answer, ProviderFailure> {
        let call = self.dialect.call(request);
        let call = call.map_err(|why| self.failure(FailureClass::BadRequest, why))?;
        let post = self
            .client
            .post(self.request(&call.path)?)
            .header(CONTENT_TYPE, "application/json");
        let post = post.header(ACCEPT, "text/event-stream");
        let post = post.body(call.body.to_string());
        let response = self.send(post, self.keys.next()).await?;
        let reader = self.dialect.reader(&request.id);
        let answer = if is_json(&response) {
            AnswerStream::of_whole(reader)
        } else {
            AnswerStream::of_events(reader)
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
        read_out(response);
        Ok(answer)
    }
}

/// Reads what comes behind an answer, which nobody waits for: a connection whose body was not read to
/// its end cannot be used again, and the end may come a moment after the last word.
#[expect(
    clippy::disallowed_methods,
    reason = "a shutdown need not wait for it: what is read is dropped"
)]
fn read_out(mut response: Response) {
    tokio::spawn(async move {
        let rest = async { while let Ok(Some(_)) = response.chunk().await {} };
        // Where it takes longer the connection is closed, and its upstream learns that.
        let _may_elapse = timeout(MAX_READ_OUT, rest).await;
    });
}

fn is_json(response: &Response) -> bool {
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
impl Provider for OverHttp {
    async fn chat(
        &self,
        request: &ChatRequest,
        sink: &mut dyn DeltaSink,
    ) -> Result<Answer, ProviderFailure> {
        let total = self.timeouts.total;
        let answer = timeout(total, self.exchange(request, sink)).await;
        let answer = answer.unwrap_or_else(|_elapsed| Err(self.silent("whole answer", total)));
        answer.map_err(|failure| self.secrets.taken_out_of(failure))
    }

    async fn embed(&self, request: &EmbedRequest) -> Result<Embedded, ProviderFailure> {
        let total = self.timeouts.total;
        let answer = timeout(total, self.vectors(request)).await;
        let answer = answer.unwrap_or_else(|_elapsed| Err(self.silent("whole answer", total)));
        answer.map_err(|failure| self.secrets.taken_out_of(failure))
    }

    async fn probe(&self) -> Result<String, ProviderFailure> {
        let response = async {
            let get = self.client.get(self.request(self.dialect.probe_path())?);
            self.send(get, self.keys.next()).await
        }
        .await;
        match response {
            Ok(_) => Ok("reachable, and it takes the key".to_owned()),
            Err(failure) if failure.class == FailureClass::UnknownModel => {
                Ok("reachable; it does not list its models, so the key was not tried".to_owned())
            }
            Err(failure) => Err(self.secrets.taken_out_of(failure)),
        }
    }
}
