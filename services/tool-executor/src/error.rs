//! What can go wrong in the tool executor itself; what goes wrong in a tool is a
//! [`crate::ToolError`].

use nexus_service_kit::ServiceError;

/// Why the tool executor cannot work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration names a tool that does not exist.
    #[error("tool-executor.{key} names `{name}`, which is no tool; there are: {known}")]
    UnknownTool {
        /// The key that names it.
        key: &'static str,
        /// The name.
        name: String,
        /// The tools there are.
        known: String,
    },
    /// A number of the configuration cannot be used.
    #[error("tool-executor.{key} must be {expected}")]
    BadNumber {
        /// The key.
        key: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A tool has a name that providers do not accept.
    #[error(
        "a tool is called `{name}`; names have 1 to 64 of the characters A-Z, a-z, 0-9, _ and -"
    )]
    BadName {
        /// The name.
        name: String,
    },
    /// Chroma cannot be used as it is configured.
    #[error("tool-executor.knowledge.chroma: {reason}")]
    Chroma {
        /// What is wrong.
        reason: String,
    },
    /// An MCP server cannot be started as it is configured.
    #[error("tool-executor.mcp: {reason}")]
    Mcp {
        /// What is wrong.
        reason: String,
    },
    /// The web cannot be reached as it is configured.
    #[error("tool-executor.web: {reason}")]
    Web {
        /// What is wrong.
        reason: String,
    },
    /// Two tools share a name.
    #[error("two tools are called `{name}`; names must be unique")]
    DuplicateTool {
        /// The name.
        name: String,
    },
}

impl From<Error> for ServiceError {
    fn from(error: Error) -> Self {
        Self::config(error.to_string())
    }
}
