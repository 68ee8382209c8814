//! The MCP servers of a node.

use nexus_tool_executor::api::mcp_reading::{Filled, Given, PromptList, ResourceList, ToFill};
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

    /// The resources of a server.
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub async fn mcp_resources(&self, server: &str) -> Result<ResourceList, Failure> {
        let url = self.address(&["v1", "mcp", "servers", server, "resources"])?;
        self.read(self.http.get(url).timeout(PATIENCE)).await
    }

    /// A resource of a server.
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub async fn mcp_resource(&self, server: &str, uri: &str) -> Result<Given, Failure> {
        let mut url = self.address(&["v1", "mcp", "servers", server, "resource"])?;
        url.query_pairs_mut().append_pair("uri", uri);
        self.read(self.http.get(url).timeout(PATIENCE)).await
    }

    /// The prompts of a server.
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub async fn mcp_prompts(&self, server: &str) -> Result<PromptList, Failure> {
        let url = self.address(&["v1", "mcp", "servers", server, "prompts"])?;
        self.read(self.http.get(url).timeout(PATIENCE)).await
    }

    /// A prompt of a server, filled in.
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub async fn mcp_prompt(
        &self,
        server: &str,
        prompt: &str,
        with: &ToFill,
    ) -> Result<Filled, Failure> {
        let url = self.address(&["v1", "mcp", "servers", server, "prompts", prompt])?;
        self.read(self.http.post(url).json(with).timeout(PATIENCE))
            .await
    }
}
