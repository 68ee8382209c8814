//! A tool of an MCP server that waits for a person: listed, so that it is seen, and stopped.

use async_trait::async_trait;
use nexus_contracts::Extra;
use nexus_contracts::settings::ToolPolicy;
use nexus_contracts::tool::{CallLimits, Capabilities, Effect, ListedTool};
use nexus_mcp::Change;
use serde_json::json;

use crate::tool::{AnyTool, Returned, ToolContext, ToolError};

/// A tool that may not be used until its definition is approved.
pub(super) struct Waiting {
    name: String,
    source: String,
    why: String,
}

impl Waiting {
    pub(super) fn new(change: &Change) -> Self {
        let what = match change.old {
            None => "it is new",
            Some(_) => "its definition has changed since it was approved",
        };
        Self {
            name: change.offered.clone(),
            source: format!("mcp:{}", change.server),
            why: format!("{what}: `nexus mcp pending` shows it, and how to approve it"),
        }
    }
}

#[async_trait]
impl AnyTool for Waiting {
    fn listed(&self, limits: CallLimits) -> ListedTool {
        ListedTool {
            name: self.name.clone(),
            // What nobody approved is shown to people who ask for it, and to no model.
            description: "Waits for approval.".to_owned(),
            parameters: json!({ "type": "object" }),
            returns: None,
            effect: Effect::AtMostOnce,
            capabilities: Capabilities::default(),
            policy: ToolPolicy::Deny,
            limits,
            cost_microusd: None,
            example: None,
            source: self.source.clone(),
            stopped: Some(self.why.clone()),
            extra: Extra::new(),
        }
    }

    async fn invoke(&self, _: &str, _: &ToolContext) -> Result<Returned, ToolError> {
        Err(ToolError::Unavailable(self.why.clone()))
    }
}
