//! One question to one server, at an address that was checked.

use std::error::Error as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderValue, USER_AGENT};
use reqwest::{Client, Method, Response, redirect, retry};

use super::{Accept, Fetcher, Limits};
use crate::error::Error;
use crate::guard::Target;
use crate::resolve::Pinned;
use crate::text::shown;

/// What is asked.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Ask {
    pub(crate) fn get(accept: &Accept) -> Self {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_str(&accept.header()) {
            headers.insert(ACCEPT, value);
        }
        Self {
            method: Method::GET,
            headers,
            body: Bytes::new(),
        }
    }
}

impl Fetcher {
    /// Sends one question and reads the head of its answer. Redirects are the caller's.
    pub(crate) async fn ask(&self, target: &Target, ask: &Ask) -> Result<Response, Error> {
        let addresses = self.addresses(target).await?;
        let client = self.client(addresses)?;
        let mut headers = ask.headers.clone();
        let agent = self.inner.config.identity.user_agent();
        if let Ok(agent) = HeaderValue::from_str(&agent) {
            headers.insert(USER_AGENT, agent);
        }
        let packings = HeaderValue::from_static("gzip, deflate, br");
        headers.insert(ACCEPT_ENCODING, packings);
        let mut request = client
            .request(ask.method.clone(), target.url().clone())
            .headers(headers);
        if !ask.body.is_empty() {
            request = request.body(ask.body.clone());
        }
        let sent = request.send().await;
        let response = sent.map_err(|error| failed(target, &self.inner.config.limits, &error))?;
        let size = head_size(response.headers());
        let limit = self.inner.config.limits.head_bytes;
        if size > limit {
            return Err(Error::TooLarge {
                url: shown(target.url().as_str()),
                what: "head",
                limit,
            });
        }
        Ok(response)
    }

    /// The addresses of a host, resolved once and each of them checked: one that is refused
    /// refuses the host, since the others may be there to get past the check.
    async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, Error> {
        let found: Vec<IpAddr> = match target.literal() {
            Some(address) => vec![address],
            None => self
                .inner
                .resolver
                .resolve(target.host())
                .await
                .map_err(|error| unknown(target, &error.to_string()))?,
        };
        if found.is_empty() {
            return Err(unknown(target, "it has no address"));
        }
        let reach = &self.inner.config.reach;
        let mut addresses = Vec::with_capacity(found.len());
        for address in found {
            reach.check_address(target.host(), target.port(), address)?;
            addresses.push(SocketAddr::new(address, target.port()));
        }
        Ok(addresses)
    }

    /// A client for one question: it knows the checked addresses and no others, and no connection
    /// of it is used for another question.
    fn client(&self, addresses: Vec<SocketAddr>) -> Result<Client, Error> {
        let limits = &self.inner.config.limits;
        let head_bytes = u32::try_from(limits.head_bytes).unwrap_or(u32::MAX);
        Client::builder()
            .no_proxy()
            .dns_resolver(Arc::new(Pinned(addresses)))
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
            .pool_max_idle_per_host(0)
            .connect_timeout(limits.connect)
            .http2_max_header_list_size(head_bytes)
            .tls_backend_preconfigured(self.inner.tls.clone())
            .build()
            .map_err(|error| Error::Setup(reason(&error)))
    }
}

fn head_size(headers: &HeaderMap) -> usize {
    // Name, colon, blank, value, line end.
    let sizes = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4);
    sizes.sum()
}

fn unknown(target: &Target, reason: &str) -> Error {
    Error::UnknownHost {
        host: shown(target.host()),
        reason: shown(reason),
    }
}

fn failed(target: &Target, limits: &Limits, error: &reqwest::Error) -> Error {
    let host = shown(target.host());
    if error.is_timeout() {
        return Error::Timeout {
            url: shown(target.url().as_str()),
            after: limits.connect,
        };
    }
    let reason = reason(error);
    if error.is_connect() {
        Error::Unreachable { host, reason }
    } else {
        Error::BadResponse { host, reason }
    }
}

/// The innermost reason: what lies around it repeats the URL.
fn reason(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    if error.source().is_none() {
        return "the connection failed".to_owned();
    }
    shown(&inner.to_string())
}
