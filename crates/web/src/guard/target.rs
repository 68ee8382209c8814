//! Whether a URL may be asked for, before its name is resolved.

use std::net::IpAddr;

use url::{Host, Url};

use super::reach::Reach;
use crate::error::Error;
use crate::text::shown;

/// Longest URL that is looked at, in bytes.
pub const MAX_URL_BYTES: usize = 4096;

/// Last labels of names that mean something inside a network only (RFC 6761, RFC 6762, RFC 8375,
/// RFC 9476, ICANN's reserved `internal` and the names ICANN does not give out because networks
/// use them).
const INNER_NAMES: [&str; 19] = [
    "localhost",
    "localdomain",
    "local",
    "internal",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
    "mail",
    "test",
    "invalid",
    "example",
    "onion",
    "alt",
    "arpa",
    "i2p",
    "cluster",
    "svc",
];

/// A URL that passed: `http` or `https`, without user and password, without fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    url: Url,
    host: String,
    port: u16,
    literal: Option<IpAddr>,
}

impl Target {
    /// The URL to ask for.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// The host, in lower case, without the dot at its end and without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The address, where the URL names one instead of a host.
    #[must_use]
    pub const fn literal(&self) -> Option<IpAddr> {
        self.literal
    }
}

impl Reach {
    /// Reads and checks a URL as somebody wrote it.
    ///
    /// # Errors
    ///
    /// [`Error::BadUrl`], [`Error::BlockedHost`], [`Error::BlockedPort`] or
    /// [`Error::BlockedAddress`].
    pub fn check_url(&self, text: &str) -> Result<Target, Error> {
        if text.len() > MAX_URL_BYTES {
            return Err(bad(text, "it is longer than 4096 bytes"));
        }
        let url = Url::parse(text.trim()).map_err(|error| bad(text, &error.to_string()))?;
        self.check(url)
    }

    /// Checks a URL. How its host is spelled does not matter: `0x7f.1`, `2130706433` and
    /// `①②⑦.0.0.1` are read as `127.0.0.1`, as the URL Standard has it.
    ///
    /// # Errors
    ///
    /// As [`Reach::check_url`].
    pub fn check(&self, mut url: Url) -> Result<Target, Error> {
        if url.as_str().len() > MAX_URL_BYTES {
            return Err(bad(url.as_str(), "it is longer than 4096 bytes"));
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad(url.as_str(), "only http and https are fetched"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            // The message must not repeat them.
            return Err(bad(
                url.host_str().unwrap_or_default(),
                "a user or a password in a URL is not sent",
            ));
        }
        url.set_fragment(None);
        let port = url.port_or_known_default().unwrap_or(0);
        let (host, literal) = match url.host() {
            Some(Host::Ipv4(address)) => (address.to_string(), Some(IpAddr::V4(address))),
            Some(Host::Ipv6(address)) => (address.to_string(), Some(IpAddr::V6(address))),
            Some(Host::Domain(name)) => (name.strip_suffix('.').unwrap_or(name).to_owned(), None),
            None => return Err(bad(url.as_str(), "it names no host")),
        };
        match literal {
            Some(address) => self.check_address(&host, port, address)?,
            None => self.check_name(&host, port)?,
        }
        Ok(Target {
            url,
            host,
            port,
            literal,
        })
    }

    fn check_name(&self, host: &str, port: u16) -> Result<(), Error> {
        if self.names(host, port) {
            return Ok(());
        }
        let last = host.rsplit('.').next().unwrap_or_default();
        if !host.contains('.') || INNER_NAMES.contains(&last) || host.contains("..") {
            return Err(Error::BlockedHost { host: shown(host) });
        }
        // A port that a network was opened for is checked again with the address.
        if self.is_web_port(port) || self.opens_port(port) {
            Ok(())
        } else {
            Err(Error::BlockedPort { port })
        }
    }
}

fn bad(url: &str, reason: &str) -> Error {
    Error::BadUrl {
        url: shown(url),
        reason: reason.to_owned(),
    }
}
