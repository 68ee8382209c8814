//! How a bus is addressed.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::BusError;

/// How much of what was acknowledged survives. The same three words, with the same meaning, as for
/// the databases of the services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// Everything is on disk before it is acknowledged: one fsync per group of commits.
    Always,
    /// Survives `kill -9`; a power cut may cost the last second (as Redis's AOF everysec).
    #[default]
    Group,
    /// Survives `kill -9`; a power cut may cost what the system had not written back.
    Os,
}

/// Which backend, where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusUrl {
    /// `embedded:<path of a file>`: no server; one process owns the file.
    Embedded {
        /// The `SQLite` file.
        path: PathBuf,
        /// Open beside the owner, only to read.
        read_only: bool,
    },
    /// `redis://[user:password@]host:port[/db]` or `rediss://…`.
    Redis(String),
    /// `nats://[user:password@]host:port` or `tls://…`.
    Nats(String),
}

impl FromStr for BusUrl {
    type Err = BusError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("embedded:") {
            let (path, query) = path.split_once('?').unwrap_or((path, ""));
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                return Err(BusError::Config(
                    "`embedded:` needs a file: embedded:data/bus.db".into(),
                ));
            }
            return Ok(Self::Embedded {
                path: path.into(),
                read_only: query == "mode=ro",
            });
        }
        match text.split_once("://").map(|(scheme, _)| scheme) {
            Some("redis" | "rediss") => Ok(Self::Redis(text.to_owned())),
            Some("nats" | "tls") => Ok(Self::Nats(text.to_owned())),
            _ => Err(BusError::Config(
                "bus url must be embedded:<file>, redis://host:port or nats://host:port".into(),
            )),
        }
    }
}

/// Everything a bus is opened with.
#[derive(Clone, Debug)]
pub struct BusConfig {
    /// Which backend, where.
    pub url: BusUrl,
    /// Put before every key, stream and subject; keeps tests and deployments on one server apart.
    /// Empty by default, so that `redis-cli XADD requests.incoming` works.
    pub prefix: String,
    /// Where blobs live; a folder all workers share.
    pub blobs: PathBuf,
    /// Envelopes with a payload above this many bytes carry a reference.
    pub inline_limit: usize,
    /// Of the embedded bus.
    pub durability: Durability,
}

/// Default of [`BusConfig::inline_limit`]: 64 KiB.
pub const INLINE_LIMIT: usize = 64 * 1024;

impl BusConfig {
    /// The defaults for this address.
    #[must_use]
    pub fn new(url: BusUrl, blobs: impl Into<PathBuf>) -> Self {
        Self {
            url,
            prefix: String::new(),
            blobs: blobs.into(),
            inline_limit: INLINE_LIMIT,
            durability: Durability::default(),
        }
    }
}
