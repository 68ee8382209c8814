//! Why something of the web was not had.

use std::net::IpAddr;
use std::time::Duration;

use crate::guard::AddressKind;

/// Why something of the web was not had, in words a model can act on.
///
/// No message holds a header, a body, a user or a password; URLs and names of strangers are cut
/// short and freed of what cannot be seen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not a URL that is fetched.
    #[error("`{url}` is not fetched: {reason}. Give a full http or https URL")]
    BadUrl {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A name that means something inside a network only.
    #[error(
        "`{host}` is a name inside a network and not of the public web, so it is not fetched; do \
         not try other spellings of it"
    )]
    BlockedHost {
        /// The name.
        host: String,
    },
    /// A port at which no web pages are.
    #[error("port {port} is not fetched from: use the site's usual address")]
    BlockedPort {
        /// The port.
        port: u16,
    },
    /// An address that is not public.
    #[error(
        "`{host}` is {kind} ({address}) and not on the public web, so it is not fetched; do not \
         try other spellings of it"
    )]
    BlockedAddress {
        /// The host as it was asked for.
        host: String,
        /// What it stands for.
        address: IpAddr,
        /// What the address is for.
        kind: AddressKind,
    },
    /// The operator does not allow the request.
    #[error("{0}")]
    NotAllowed(String),
    /// The site asks not to be read by programs, or cannot be asked.
    #[error("{url} is not read: {reason}. Use another source")]
    Robots {
        /// The URL.
        url: String,
        /// What the site said.
        reason: &'static str,
    },
    /// The name stands for no address.
    #[error("there is no host `{host}`: {reason}. Check the spelling, or search for the page")]
    UnknownHost {
        /// The name.
        host: String,
        /// What the resolver said.
        reason: String,
    },
    /// No connection.
    #[error("`{host}` cannot be reached: {reason}. Try later, or another source")]
    Unreachable {
        /// The host.
        host: String,
        /// What happened.
        reason: String,
    },
    /// The server answers, but not by the rules.
    #[error("`{host}` gave no proper answer: {reason}. Try another source")]
    BadResponse {
        /// The host.
        host: String,
        /// What happened.
        reason: String,
    },
    /// More redirects than are followed, or one that is not.
    #[error("{url} leads nowhere: {reason}. Try another source")]
    Redirect {
        /// Where the redirect came from.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server says that there is no page.
    #[error("{url} answered {status}: {}", advice(*.status))]
    Status {
        /// The URL.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What `Retry-After` said, where it gave seconds.
        retry_after: Option<Duration>,
    },
    /// Larger than is read.
    #[error("{url} is too large: its {what} has more than {limit} bytes. Try a smaller part of it")]
    TooLarge {
        /// The URL.
        url: String,
        /// `head`, `body as sent` or `body unpacked`.
        what: &'static str,
        /// The limit, in bytes.
        limit: usize,
    },
    /// A kind of content that is not read here.
    #[error("{url} is `{found}`, which cannot be read as text. Try another source")]
    ContentType {
        /// The URL.
        url: String,
        /// The media type that came.
        found: String,
    },
    /// Packed in a way that is not unpacked.
    #[error("{url} is packed as `{found}`, which is not unpacked. Try another source")]
    ContentEncoding {
        /// The URL.
        url: String,
        /// What `Content-Encoding` said.
        found: String,
    },
    /// It took too long.
    #[error("{url} took longer than {} ms and was given up. Try later, or another source", .after.as_millis())]
    Timeout {
        /// The URL.
        url: String,
        /// The time that was given.
        after: Duration,
    },
    /// The content is there, and no text could be made of it.
    #[error("{url} was loaded, but its text cannot be read: {reason}. Try another source")]
    Unreadable {
        /// The URL.
        url: String,
        /// What happened.
        reason: String,
    },
    /// This process cannot fetch anything: for the operator.
    #[error("the web cannot be reached from here: {0}")]
    Setup(String),
}

impl Error {
    /// The word for it, which does not change.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::BadUrl { .. } => "bad_url",
            Self::BlockedHost { .. } => "blocked_host",
            Self::BlockedPort { .. } => "blocked_port",
            Self::BlockedAddress { .. } => "blocked_address",
            Self::NotAllowed(_) => "not_allowed",
            Self::Robots { .. } => "robots",
            Self::UnknownHost { .. } => "unknown_host",
            Self::Unreachable { .. } => "unreachable",
            Self::BadResponse { .. } => "bad_response",
            Self::Redirect { .. } => "redirect",
            Self::Status { .. } => "status",
            Self::TooLarge { .. } => "too_large",
            Self::ContentType { .. } => "content_type",
            Self::ContentEncoding { .. } => "content_encoding",
            Self::Timeout { .. } => "timeout",
            Self::Unreadable { .. } => "unreadable",
            Self::Setup(_) => "setup",
        }
    }

    /// Whether the same may work a little later.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } => true,
            Self::Status { status, .. } => matches!(*status, 408 | 425 | 429 | 500..=599),
            _ => false,
        }
    }
}

const fn advice(status: u16) -> &'static str {
    match status {
        401 | 403 | 407 | 451 => "it is not open to everybody. Use another source",
        404 | 410 => "there is no such page. Check the URL, or search for the page",
        429 => "it wants fewer requests. Wait before another one, or use another source",
        500..=599 => "the site has trouble. Try later, or another source",
        _ => "there is no page. Use another source",
    }
}
