//! The configuration of a node.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use nexus_bus::{BusConfig, BusUrl, Durability};
use nexus_store::{StoreConfig, StoreError, StoreUrl};
use serde::Deserialize;

use super::yaml::Document;
use super::{ConfigError, ConfigSource};

const DEFAULTS: &str = include_str!("node.default.yaml");

/// Everything a node is started with; see `node.default.yaml` for the keys.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The bus.
    pub bus: BusConfig,
    /// The address of the databases, as the role that serves.
    pub store: String,
    /// The same as the role that owns the tables, where that is another one (`PostgreSQL`).
    pub store_owner: Option<String>,
    /// How much of what was acknowledged survives: of the databases and of the embedded bus.
    pub durability: Durability,
    /// The listener of all services.
    pub http: ListenConfig,
    /// The listener of `/healthz`, `/readyz` and `/metrics`.
    pub admin: ListenConfig,
    /// How long what is in flight has to finish at shutdown.
    pub grace: Duration,
    /// How long channels keep settled entries.
    pub retention: RetentionConfig,
    /// What is logged.
    pub log: LogConfig,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenConfig {
    /// The address; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Whether an address that is not loopback is meant.
    #[serde(default)]
    pub allow_public: bool,
    /// Largest request body, in bytes.
    #[serde(default = "body_limit")]
    pub body_limit: usize,
}

const fn body_limit() -> usize {
    1024 * 1024
}

/// How long channels keep what every group has settled.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionConfig {
    /// Of every channel that is not named.
    #[serde(with = "super::duration")]
    pub default: Duration,
    /// How often old entries are dropped.
    #[serde(with = "super::duration")]
    pub every: Duration,
    /// Of the channels named.
    pub channels: BTreeMap<String, Retention>,
}

/// A duration in a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Retention(#[serde(with = "super::duration")] pub Duration);

impl RetentionConfig {
    /// How long this channel keeps what is settled.
    #[must_use]
    pub fn of(&self, channel: &str) -> Duration {
        self.channels
            .get(channel)
            .map_or(self.default, |retention| retention.0)
    }
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// A level, or a filter of `tracing`.
    pub level: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BusSection {
    url: String,
    prefix: String,
    blobs: PathBuf,
    inline_limit: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoreSection {
    url: String,
    owner_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShutdownSection {
    #[serde(with = "super::duration")]
    grace: Duration,
}

impl NodeConfig {
    /// Reads and checks the sections of the node.
    ///
    /// # Errors
    /// What is wrong, where it is written, and what to write instead.
    pub fn from_source(source: &ConfigSource) -> Result<Self, ConfigError> {
        let durability = section(source, "durability")?;
        let bus = bus(source, durability)?;
        let store: StoreSection = section(source, "store")?;
        let http: ListenConfig = section(source, "http")?;
        let admin: ListenConfig = section(source, "admin")?;
        let shutdown: ShutdownSection = section(source, "shutdown")?;
        let url: StoreUrl = store
            .url
            .parse()
            .map_err(|error: StoreError| source.invalid("store.url", error.to_string()))?;
        if let Some(owner) = &store.owner_url {
            StoreConfig::new(url)
                .owned_by(owner)
                .map_err(|error| source.invalid("store.owner_url", error.to_string()))?;
        }
        let config = Self {
            bus,
            store: store.url,
            store_owner: store.owner_url,
            durability,
            http,
            admin,
            grace: shutdown.grace,
            retention: section(source, "retention")?,
            log: section(source, "log")?,
        };
        config.check(|key, reason| source.invalid(key, reason))?;
        Ok(config)
    }

    /// A node on loopback with any free ports, for tests and tools.
    #[must_use]
    pub fn local(bus: BusConfig, store: impl Into<String>) -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let listen = ListenConfig {
            listen,
            allow_public: false,
            body_limit: body_limit(),
        };
        Self {
            durability: bus.durability,
            bus,
            store: store.into(),
            store_owner: None,
            http: listen.clone(),
            admin: listen,
            grace: Duration::from_secs(10),
            retention: RetentionConfig {
                default: Duration::from_hours(7 * 24),
                every: Duration::from_mins(1),
                channels: BTreeMap::new(),
            },
            log: LogConfig {
                level: "info".to_owned(),
            },
        }
    }

    /// How the databases are opened.
    ///
    /// # Errors
    /// When an address cannot be used.
    pub fn store_config(&self) -> Result<StoreConfig, StoreError> {
        let config = StoreConfig {
            durability: match self.durability {
                Durability::Always => nexus_store::Durability::Always,
                Durability::Group => nexus_store::Durability::Group,
                Durability::Os => nexus_store::Durability::Os,
            },
            ..self.store.parse()?
        };
        match &self.store_owner {
            Some(owner) => config.owned_by(owner),
            None => Ok(config),
        }
    }

    /// What must hold whoever made the configuration.
    pub(crate) fn check(
        &self,
        invalid: impl Fn(&str, String) -> ConfigError,
    ) -> Result<(), ConfigError> {
        let http = self.http.listen;
        if !http.ip().is_loopback() {
            let reason = format!(
                "{http} can be reached from other machines, and there is no authentication yet; \
                 listen on 127.0.0.1 and put a proxy that authenticates in front"
            );
            return Err(invalid("http.listen", reason));
        }
        let admin = self.admin.listen;
        if !admin.ip().is_loopback() && !self.admin.allow_public {
            let reason = format!(
                "{admin} can be reached from other machines; listen on 127.0.0.1, or set \
                 `admin.allow_public: true` to let probes and scrapers in"
            );
            return Err(invalid("admin.listen", reason));
        }
        if http.port() != 0 && http == admin {
            let reason = format!("{http} is the address of `admin.listen` too; change one of them");
            return Err(invalid("http.listen", reason));
        }
        if self.retention.every.is_zero() {
            return Err(invalid(
                "retention.every",
                "must be longer than nothing".to_owned(),
            ));
        }
        Ok(())
    }
}

fn bus(source: &ConfigSource, durability: Durability) -> Result<BusConfig, ConfigError> {
    let section: BusSection = section(source, "bus")?;
    let url: BusUrl = section
        .url
        .parse()
        .map_err(|error: nexus_bus::BusError| source.invalid("bus.url", error.to_string()))?;
    Ok(BusConfig {
        url,
        prefix: section.prefix,
        blobs: section.blobs,
        inline_limit: section.inline_limit,
        durability,
    })
}

/// One section of the node, over its part of the embedded defaults.
fn section<T: serde::de::DeserializeOwned>(
    source: &ConfigSource,
    name: &'static str,
) -> Result<T, ConfigError> {
    let defaults = Document::parse(DEFAULTS, "built-in defaults")?;
    let defaults = defaults.value().get(name).cloned().unwrap_or_default();
    source.section_over(name, defaults)
}

#[cfg(test)]
mod tests;
