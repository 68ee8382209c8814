//! What is said of MCP servers over HTTP.

use nexus_mcp::{Change, Health, Status};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The MCP servers.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ServerList {
    /// By name.
    pub servers: Vec<ServerView>,
}

/// An MCP server.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ServerView {
    /// Its name in the configuration.
    pub server: String,
    /// `starting`, `ready`, `failed` or `stopped`.
    pub state: String,
    /// Why, where it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many of its tools may be used.
    pub approved: usize,
    /// How many wait for approval.
    pub pending: usize,
    /// Tools that cannot be offered, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set_aside: Vec<String>,
    /// How often it ended.
    pub restarts: u32,
}

impl ServerView {
    pub(super) fn of(status: Status) -> Self {
        let (state, reason) = match status.health {
            Health::Starting => ("starting", None),
            Health::Ready => ("ready", None),
            Health::Failed { reason, .. } => ("failed", Some(reason)),
            Health::Stopped => ("stopped", None),
        };
        Self {
            server: status.server,
            state: state.to_owned(),
            reason,
            approved: status.approved,
            pending: status.pending,
            set_aside: status.set_aside,
            restarts: status.restarts,
        }
    }
}

/// Tools that wait for approval.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PendingList {
    /// Each with what was approved before.
    pub pending: Vec<PendingView>,
}

/// A tool that waits for approval.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PendingView {
    /// The server.
    pub server: String,
    /// The server's own name for the tool.
    pub tool: String,
    /// The hash of its definition: what is approved.
    pub pin: String,
    /// What was approved, and what it says now, line by line.
    pub change: String,
}

impl PendingView {
    pub(super) fn of(change: &Change) -> Self {
        Self {
            server: change.server.clone(),
            tool: change.new.name.clone(),
            pin: change.pin.to_string(),
            change: change.text(),
        }
    }
}

/// Approving a tool as it is.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ToApprove {
    /// The server.
    pub server: String,
    /// The server's own name for the tool.
    pub tool: String,
    /// The hash that was shown.
    pub pin: String,
}
