//! MCP servers of a file, which come and go while this runs.
//!
//! The file is looked at rather than watched, as `providers.yaml` is: a mounted `ConfigMap` is a link
//! that is put elsewhere. Who may write it may have programs started here; there is no way over HTTP.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use nexus_mcp::{Config, Fleet, Server};
use nexus_service_kit::Deps;
use nexus_service_kit::config::yaml;
use serde::Deserialize;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// `mcp` of the configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct McpConfig {
    /// Servers by name.
    pub servers: BTreeMap<String, Server>,
    /// A file with more of them, under `servers` too; none when empty.
    pub file: PathBuf,
}

/// The servers there are to be, and what looks whether the file says otherwise.
pub(super) struct Servers {
    config: McpConfig,
    /// What was read last, or why it could not be; `None` before there was a file.
    seen: Result<Option<String>, String>,
}

impl Servers {
    /// Looks for the first time.
    ///
    /// # Errors
    /// In words, when what the file says cannot be used.
    pub(super) async fn new(config: &McpConfig) -> Result<(Self, Config), String> {
        let config = config.clone();
        let seen = read(&config).await?;
        let all = together(&config, seen.as_deref())?;
        let seen = Ok(seen);
        Ok((Self { config, seen }, all))
    }

    /// Keeps the fleet as the file says, until the node stops. What cannot be used is told once, and
    /// changes nothing.
    pub(super) async fn keep(mut self, deps: Deps, fleet: Fleet) {
        if self.config.file.as_os_str().is_empty() {
            return;
        }
        loop {
            let pause = tokio::time::sleep(LOOK);
            if deps.shutdown.run_until_cancelled(pause).await.is_none() {
                return;
            }
            let seen = match read(&self.config).await {
                // Once there was a file, that it is gone is a fault, not a wish for no servers.
                Ok(None) if self.seen != Ok(None) => {
                    Err(format!("{}: it is gone", self.config.file.display()))
                }
                seen => seen,
            };
            if seen == self.seen {
                continue;
            }
            self.seen = seen;
            match self.take_up(&fleet).await {
                Ok(()) => {
                    tracing::info!(file = %self.config.file.display(), "the MCP servers were read anew");
                }
                Err(why) => {
                    tracing::warn!(%why, "the changed MCP servers cannot be used; the earlier ones stay");
                }
            }
        }
    }

    async fn take_up(&self, fleet: &Fleet) -> Result<(), String> {
        let all = together(&self.config, self.seen.clone()?.as_deref())?;
        let applied = fleet.apply(&all).await;
        applied.map_err(|error| error.to_string())
    }
}

async fn read(config: &McpConfig) -> Result<Option<String>, String> {
    if config.file.as_os_str().is_empty() {
        return Ok(None);
    }
    match tokio::fs::read_to_string(&config.file).await {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", config.file.display())),
    }
}

/// Those of the configuration and those of the file.
fn together(config: &McpConfig, text: Option<&str>) -> Result<Config, String> {
    let mut servers = config.servers.clone();
    let name = config.file.display().to_string();
    let of_file: Config = match text {
        Some(text) => yaml::parse(text, &name).map_err(|error| error.to_string())?,
        None => Config::default(),
    };
    for (server, how) in of_file.servers {
        if servers.insert(server.clone(), how).is_some() {
            return Err(format!(
                "{name}: the server `{server}` is in the configuration too; name it otherwise"
            ));
        }
    }
    Ok(Config { servers })
}
