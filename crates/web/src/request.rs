//! Requests a model writes itself, to hosts an operator has listed.
//!
//! Everything is refused that is not listed: host, path, method and headers. Addresses are checked
//! as for pages: listing a host says that it may be asked, not that it may be inside the network;
//! that is [`crate::guard::Reach`]'s to say. `robots.txt` is not asked, since the operator vouches
//! for the host.

mod allow;
mod response;

use std::sync::Arc;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LOCATION};
use serde::{Deserialize, Serialize};

pub use self::allow::{AllowError, AllowedHost};
pub use self::response::{Body, HttpResponse};

use crate::error::Error;
use crate::fetch::{Ask, Carries, Fetcher, next, too_many};
use crate::guard::Target;
use crate::text::shown;

/// Longest body a model may send, in bytes.
const MAX_BODY_BYTES: usize = 256 * 1024;
/// Most headers a model may send.
const MAX_HEADERS: usize = 20;
/// Longest value of one, in bytes.
const MAX_HEADER_BYTES: usize = 2048;

/// Headers a model may send without the operator's word.
const PLAIN_HEADERS: [&str; 9] = [
    "accept",
    "accept-language",
    "content-type",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-unmodified-since",
    "prefer",
    "range",
];

/// Headers no list opens: they say who asks, where to, or how a message is framed.
const NEVER: [&str; 22] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "cookie",
    "cookie2",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "origin",
    "proxy-authorization",
    "proxy-connection",
    "referer",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
];

/// What may be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RequestPolicy {
    /// Hosts that may be asked, with paths and methods.
    pub hosts: Vec<AllowedHost>,
    /// Headers a model may send beside the plain ones. Some never are: see the crate's page.
    pub headers: Vec<String>,
}

/// A request as a model writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET`, `POST` …
    pub method: String,
    /// The URL.
    pub url: String,
    /// Headers by name.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<String>,
}

/// Sends requests that a policy allows: cheap to clone.
#[derive(Clone, Debug)]
pub struct Requester {
    fetcher: Fetcher,
    policy: Arc<RequestPolicy>,
}

impl Requester {
    /// A requester with the reach and the limits of a fetcher.
    #[must_use]
    pub fn new(fetcher: Fetcher, policy: RequestPolicy) -> Self {
        Self {
            fetcher,
            policy: Arc::new(policy),
        }
    }

    /// Sends a request and reads the answer, whatever its status. A redirect of `GET` and `HEAD` is
    /// followed where the list allows its goal too; any other is the answer itself.
    ///
    /// # Errors
    ///
    /// [`Error::NotAllowed`] with what would be, and what [`Fetcher::fetch`] gives but for
    /// [`Error::Status`], [`Error::Robots`] and [`Error::ContentType`].
    pub async fn send(&self, request: &HttpRequest) -> Result<HttpResponse, Error> {
        self.fetcher
            .in_time(&request.url, self.send_in_time(request))
            .await
    }

    async fn send_in_time(&self, request: &HttpRequest) -> Result<HttpResponse, Error> {
        let ask = self.policy.ask(request)?;
        let carries = if ask.headers.is_empty() && ask.body.is_empty() {
            Carries::Nothing
        } else {
            Carries::Something
        };
        let reach = &self.fetcher.config().reach;
        let limit = self.fetcher.config().limits.redirects;
        let mut target = reach.check_url(&request.url)?;
        for followed in 0.. {
            self.policy.check(&target, &ask.method)?;
            let response = self.fetcher.ask(&target, &ask).await?;
            if matches!(ask.method, Method::GET | Method::HEAD) {
                let location = response.headers().get(LOCATION);
                match next(&target, response.status(), location, carries)? {
                    Some(_) if followed == limit => return Err(too_many(&target, limit)),
                    Some(url) => {
                        target = reach.check(url)?;
                        continue;
                    }
                    None => {}
                }
            }
            let answer = self.fetcher.answer(&target, response).await?;
            return Ok(HttpResponse::of(&answer));
        }
        Err(too_many(&target, limit))
    }
}

impl RequestPolicy {
    fn check(&self, target: &Target, method: &Method) -> Result<(), Error> {
        if self.hosts.iter().any(|host| host.allows(target, method)) {
            return Ok(());
        }
        let here: Vec<String> = self
            .hosts
            .iter()
            .filter(|host| host.is_host(target))
            .map(ToString::to_string)
            .collect();
        let host = shown(target.host());
        Err(Error::NotAllowed(if here.is_empty() {
            format!("requests to `{host}` are not allowed: the operator has not listed it")
        } else {
            let path = shown(target.url().path());
            format!(
                "{method} of `{path}` at `{host}` is not allowed, only: {}",
                here.join("; ")
            )
        }))
    }

    fn ask(&self, request: &HttpRequest) -> Result<Ask, Error> {
        let method = request.method.trim().to_ascii_uppercase();
        let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
        if !known.contains(&method.as_str()) {
            let method = shown(&method);
            return Err(Error::NotAllowed(format!(
                "`{method}` is no method that is sent"
            )));
        }
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_unknown| Error::NotAllowed("no such method".to_owned()))?;
        let body = request.body.as_deref().unwrap_or_default();
        if body.len() > MAX_BODY_BYTES {
            let reason = format!("the body has more than {MAX_BODY_BYTES} bytes");
            return Err(Error::NotAllowed(reason));
        }
        if !body.is_empty() && matches!(method, Method::GET | Method::HEAD) {
            return Err(Error::NotAllowed(format!(
                "{method} has no body: leave it out"
            )));
        }
        Ok(Ask {
            method,
            headers: self.headers(&request.headers)?,
            body: Bytes::copy_from_slice(body.as_bytes()),
        })
    }

    fn headers(&self, asked: &[(String, String)]) -> Result<HeaderMap, Error> {
        if asked.len() > MAX_HEADERS {
            let reason = format!("more than {MAX_HEADERS} headers are not sent");
            return Err(Error::NotAllowed(reason));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in asked {
            let name = name.trim().to_ascii_lowercase();
            if !self.allows_header(&name) {
                let name = shown(&name);
                let reason = format!("the header `{name}` is not sent: leave it out");
                return Err(Error::NotAllowed(reason));
            }
            let wrong =
                || Error::NotAllowed(format!("the value of `{}` is no header's", shown(&name)));
            if value.len() > MAX_HEADER_BYTES {
                return Err(wrong());
            }
            let value = HeaderValue::from_str(value.trim()).map_err(|_wrong| wrong())?;
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_wrong| wrong())?;
            headers.insert(name, value);
        }
        Ok(headers)
    }

    fn allows_header(&self, name: &str) -> bool {
        let is_never = NEVER.contains(&name)
            || ["x-forwarded", "sec-", "proxy-", "x-real-ip"]
                .iter()
                .any(|start| name.starts_with(start));
        let is_listed = self
            .headers
            .iter()
            .any(|listed| listed.eq_ignore_ascii_case(name));
        !is_never && (PLAIN_HEADERS.contains(&name) || is_listed)
    }
}
