//! Tools of MCP servers, beside ours: found, pinned, called.
//!
//! Servers are the operator's: they are configured for the whole installation. What one offers is
//! approved by the hash of its definition, and stops when that changes.

mod file;
mod pins;
mod tool;
mod waiting;

use std::sync::Arc;

use nexus_mcp::{Bubblewrap, Fleet, Parts as FleetParts};
use nexus_service_kit::{ConfigSource, Deps};
use nexus_store::Store;
use secrecy::ExposeSecret;

use crate::Registry;
use crate::config::Config;
use crate::error::Error;
use crate::programs;
use crate::tool::AnyTool;

pub use file::McpConfig;
use file::Servers;
use pins::StoredPins;
use tool::McpTool;
use waiting::Waiting;

/// Where the tools of all servers come from, as the registry sees it.
const SOURCE: &str = "mcp";
/// The program that confines servers: the one that runs code.
const CONFINER: &str = "nexus-sandbox";

/// Starts the servers and keeps the registry in step with what they offer, until the node stops.
///
/// # Errors
/// When the configuration cannot be used.
pub(crate) async fn start(
    deps: &Deps,
    config: &Config,
    store: Store,
    registry: Arc<Registry>,
) -> Result<Fleet, Error> {
    // Where it is missing, servers that need it say so and do not start; others do.
    let confiner = programs::find(CONFINER, &config.code.program, "tool-executor.code.program");
    let fleet = Fleet::new(FleetParts {
        launcher: Arc::new(Bubblewrap::of_system(confiner)),
        pins: Arc::new(StoredPins { store }),
        environment: Arc::new(|name| {
            ConfigSource::env_secret(name).map(|value| value.expose_secret().to_owned())
        }),
        sampler: None,
    });
    let bad = |error: nexus_mcp::Error| Error::Mcp {
        reason: error.to_string(),
    };
    let read = Servers::new(&config.mcp).await;
    let (servers, first) = read.map_err(|reason| Error::Mcp { reason })?;
    fleet.apply(&first).await.map_err(bad)?;
    let kept = servers.keep(deps.clone(), fleet.clone());
    deps.tasks.spawn("tools.mcp_file", kept);
    deps.tasks
        .spawn("tools.mcp", follow(deps.clone(), fleet.clone(), registry));
    Ok(fleet)
}

async fn follow(deps: Deps, fleet: Fleet, registry: Arc<Registry>) {
    let mut news = fleet.news();
    loop {
        let tools = fleet.tools().into_iter();
        let tools = tools.map(|tool| Arc::new(McpTool::new(&fleet, tool)) as Arc<dyn AnyTool>);
        let waiting = fleet.pending().into_iter();
        let waiting = waiting.map(|change| Arc::new(Waiting::new(&change)) as Arc<dyn AnyTool>);
        if let Err(error) = registry.replace(SOURCE, tools.chain(waiting).collect()) {
            tracing::error!(%error, "the tools of MCP servers cannot be listed");
        }
        let changed = deps.shutdown.run_until_cancelled(news.changed()).await;
        if !matches!(changed, Some(Ok(()))) {
            break;
        }
    }
    fleet.shutdown().await;
}
