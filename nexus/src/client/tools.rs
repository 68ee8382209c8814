//! The tools of a node.

use std::time::Duration;

use nexus_tool_executor::api::view::{Called, ToCall, ToSwitch, ToolList, ToolView};
use serde_json::Value;

use super::{Client, PATIENCE};
use crate::exit::Failure;

/// How much longer than its tool a call is waited for: the node says itself when it gives up.
const SLACK: Duration = Duration::from_secs(15);

impl Client {
    /// All tools, by name.
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub async fn tools(&self) -> Result<Vec<ToolView>, Failure> {
        let url = self.address(&["v1", "tools"])?;
        let list: ToolList = self.read(self.http.get(url).timeout(PATIENCE)).await?;
        Ok(list.tools)
    }

    /// One tool.
    ///
    /// # Errors
    /// As [`Client::submit`]; also when there is none of this name.
    pub async fn tool(&self, name: &str) -> Result<ToolView, Failure> {
        let url = self.address(&["v1", "tools", name])?;
        self.read(self.http.get(url).timeout(PATIENCE)).await
    }

    /// Calls a tool and waits for as long as it may take.
    ///
    /// # Errors
    /// As [`Client::tool`]; a call that failed is no error.
    pub async fn call_tool(&self, tool: &ToolView, arguments: Value) -> Result<Called, Failure> {
        let url = self.address(&["v1", "tools", &tool.tool.name, "calls"])?;
        let patience = Duration::from_millis(tool.tool.limits.timeout_ms) + SLACK;
        let request = self.http.post(url).json(&ToCall { arguments });
        self.read(request.timeout(patience)).await
    }

    /// Switches a tool off or on.
    ///
    /// # Errors
    /// As [`Client::tool`].
    pub async fn switch_tool(&self, name: &str, to: &ToSwitch) -> Result<ToolView, Failure> {
        let url = self.address(&["v1", "tools", name])?;
        self.read(self.http.patch(url).json(to).timeout(PATIENCE))
            .await
    }
}
