//! What can go wrong with the fleet itself; calls have [`CallError`](crate::CallError).

use crate::definition::Pin;

/// A configuration, approval or reading that could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration of a server does not hold together.
    #[error("MCP server `{server}`: {reason}")]
    Config {
        /// Its name in the configuration.
        server: String,
        /// What is wrong and how to mend it.
        reason: String,
    },
    /// There is no such server.
    #[error("there is no MCP server `{0}`; the configuration names those there are")]
    UnknownServer(String),
    /// The server lists no such tool now.
    #[error("the MCP server `{server}` lists no tool `{tool}`")]
    UnknownTool {
        /// The server.
        server: String,
        /// Its own name of the tool.
        tool: String,
    },
    /// What the server says of the tool is no longer what was shown.
    #[error(
        "tool `{tool}` of the MCP server `{server}` changed again since it was shown (it is now \
         {now}); look at it anew"
    )]
    Moved {
        /// The server.
        server: String,
        /// Its own name of the tool.
        tool: String,
        /// The pin of what it says now.
        now: Pin,
    },
    /// Approvals could not be read or kept.
    #[error("approvals of the MCP server `{server}` could not be read or kept: {reason}")]
    Pins {
        /// The server.
        server: String,
        /// What the store said.
        reason: String,
    },
    /// A resource or prompt could not be had.
    #[error("the MCP server `{server}` gave no {what}: {reason}")]
    Reading {
        /// The server.
        server: String,
        /// What was asked for.
        what: &'static str,
        /// Why not.
        reason: String,
    },
}
