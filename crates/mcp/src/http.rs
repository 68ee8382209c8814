//! Servers at an address: streamable HTTP.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Client, Url, redirect};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;

use crate::config::Server;

/// Bytes of a refusal's page that are kept.
const ERROR_BYTES: usize = 4096;

/// Whether `url` may be a server's.
///
/// # Errors
/// What is wrong. The address itself is not repeated: it may hold a secret.
pub(crate) fn check(url: &str) -> Result<Url, String> {
    let url = Url::parse(url).ok().ok_or("`url` is not an address")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("`url` must not hold a password; use `bearer_env`".to_owned());
    }
    if url.fragment().is_some() {
        return Err("`url` must not hold a fragment".to_owned());
    }
    let Some(host) = url.host_str() else {
        return Err("`url` has no host".to_owned());
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(host) => Ok(url),
        _ => Err("`url` must be https, or http to this machine itself".to_owned()),
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Where a token may go is where the operator said: no redirect is followed, and no proxy of the
/// environment is asked.
pub(crate) fn transport(
    server: &Server,
    url: &str,
    secrets: &BTreeMap<String, String>,
) -> Result<StreamableHttpClientTransport<Client>, String> {
    let url = check(url)?;
    let client = Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .connect_timeout(server.timeout)
        // A kept connection that the server closes meanwhile would fail the next call.
        .pool_idle_timeout(Duration::from_secs(5))
        .user_agent(concat!("nexus-mcp/", env!("CARGO_PKG_VERSION")))
        .build()
        .ok()
        .ok_or("no HTTP client could be made: no TLS provider is installed")?;
    let mut config = StreamableHttpClientTransportConfig::with_uri(url.as_str())
        .max_sse_event_size(server.limits.message_bytes)
        .max_json_response_size(server.limits.message_bytes)
        .max_error_response_size(ERROR_BYTES)
        .max_concurrent_requests(server.limits.calls.saturating_add(2))
        .custom_headers(headers(server, secrets)?);
    if let Some(token) = server
        .bearer_env
        .as_ref()
        .and_then(|name| secrets.get(name))
    {
        config = config.auth_header(token.clone());
    }
    Ok(StreamableHttpClientTransport::with_client(client, config))
}

fn headers(
    server: &Server,
    secrets: &BTreeMap<String, String>,
) -> Result<HashMap<HeaderName, HeaderValue>, String> {
    let mut headers = HashMap::new();
    for (name, variable) in &server.headers_env {
        let bad = || format!("`headers_env`: `{name}` or the value of {variable} is not a header");
        let header = HeaderName::try_from(name.as_str()).ok().ok_or_else(bad)?;
        let value = secrets
            .get(variable)
            .map(String::as_str)
            .unwrap_or_default();
        let mut value = HeaderValue::from_str(value).ok().ok_or_else(bad)?;
        value.set_sensitive(true);
        headers.insert(header, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_spoken_to_in_the_clear() {
        for good in [
            "https://a.example/mcp",
            "http://127.0.0.1:1/",
            "http://[::1]:2/",
            "http://localhost/x",
        ] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in [
            "http://a.example/",
            "http://127.0.0.1.example/",
            "http://10.0.0.1/",
            "file:///etc/passwd",
            "https://u@a.example/",
            "https://a.example/#x",
            "mcp",
            "http://localhost.example/",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
