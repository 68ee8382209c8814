//! The MCP servers of a node.

use nexus_tool_executor::api::mcp_view::{PendingList, ServerList, ToApprove};

use super::{Client, PATIENCE};
use crate::exit::Failure;

impl Client {
    /// The servers.
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub async fn mcp_servers(&self) -> Result<ServerList, Failure> {
        let url = self.address(&["v1", "mcp", "servers"])?;
        self.read(self.http.get(url).timeout(PATIENCE)).await
    }

    /// What waits for approval.
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub async fn mcp_pending(&self) -> Result<PendingList, Failure> {
        let url = self.address(&["v1", "mcp", "pending"])?;
        self.read(self.http.get(url).timeout(PATIENCE)).await
    }

    /// Approves a tool.
    ///
    /// # Errors
    /// As [`Client::submit`]; also when it is another by now.
    pub async fn mcp_approve(&self, what: &ToApprove) -> Result<PendingList, Failure> {
        let url = self.address(&["v1", "mcp", "pending"])?;
        self.read(self.http.post(url).json(what).timeout(PATIENCE))
            .await
    }
}
