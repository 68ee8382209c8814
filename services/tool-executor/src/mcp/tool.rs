//! One tool of an MCP server, as one of ours.

use std::fmt::Write as _;
use std::time::Duration;

use async_trait::async_trait;
use nexus_contracts::Extra;
use nexus_contracts::settings::ToolPolicy;
use nexus_contracts::tool::{CallLimits, Capabilities, Effect, ListedTool, Taint};
use nexus_mcp::{CallError, CallResult, Fleet, Meta, Part, Tool};
use serde_json::{Value, json};

use crate::tool::{AnyTool, Returned, ToolContext, ToolError};

/// A tool that may be used.
pub(super) struct McpTool {
    fleet: Fleet,
    tool: Tool,
}

impl McpTool {
    pub(super) fn new(fleet: &Fleet, tool: Tool) -> Self {
        Self {
            fleet: fleet.clone(),
            tool,
        }
    }
}

#[async_trait]
impl AnyTool for McpTool {
    fn listed(&self, defaults: CallLimits) -> ListedTool {
        let Tool {
            trust, read_only, ..
        } = &self.tool;
        ListedTool {
            name: self.tool.name.clone(),
            description: self.tool.description.clone(),
            parameters: self.tool.input.clone(),
            returns: self.tool.output.clone(),
            // What the server says of itself decides nothing.
            effect: if *read_only {
                Effect::ReadOnly
            } else {
                Effect::AtMostOnce
            },
            capabilities: Capabilities {
                brings: Taint {
                    untrusted: trust.untrusted,
                    private: trust.private,
                },
                egress: trust.egress,
                sources: vec![format!("mcp:{}", self.tool.server)],
                ..Capabilities::default()
            },
            policy: if *read_only {
                ToolPolicy::Auto
            } else {
                ToolPolicy::Ask
            },
            limits: defaults,
            cost_microusd: None,
            example: None,
            source: format!("mcp:{}", self.tool.server),
            stopped: (!self.tool.ready).then(|| {
                let server = &self.tool.server;
                format!("the MCP server `{server}` is not running; it is started again by itself")
            }),
            extra: Extra::new(),
        }
    }

    async fn invoke(&self, arguments: &str, ctx: &ToolContext) -> Result<Returned, ToolError> {
        let arguments = match arguments.trim() {
            "" | "null" => json!({}),
            text => serde_json::from_str(text).map_err(|error| {
                ToolError::BadArguments(format!(
                    "the arguments of {} are no JSON: {error}",
                    self.tool.name
                ))
            })?,
        };
        let left = ctx.deadline.map(|deadline| {
            let left = deadline.as_millis().saturating_sub(ctx.now.as_millis());
            Duration::from_millis(left.max(0).unsigned_abs())
        });
        let meta = Meta {
            pin: Some(self.tool.pin.clone()),
            timeout: left,
            progress: None,
        };
        let called = self.fleet.call(&self.tool.name, arguments, meta).await;
        let result = called.map_err(|error| failed(&error))?;
        Ok(Returned {
            value: told(result),
            taint: Taint::default(),
        })
    }
}

fn failed(error: &CallError) -> ToolError {
    let text = error.to_string();
    match error {
        CallError::Arguments { .. } | CallError::UnknownTool { .. } => {
            ToolError::BadArguments(text)
        }
        CallError::NotReady { .. } | CallError::Timeout { .. } | CallError::Lost { .. } => {
            ToolError::Unavailable(text)
        }
        _ => ToolError::Failed(text),
    }
}

/// A result as a model reads it: the structured one where there is one, else its text, with a word on
/// what cannot be shown as text.
fn told(result: CallResult) -> Value {
    let mut text = result.text();
    for part in &result.parts {
        // Writing to a string cannot fail.
        let _ = match part {
            Part::Text(_) | Part::ResourceText { .. } => Ok(()),
            Part::Image { mime, data } => {
                write!(text, "\n[an image, {mime}, {} bytes]", data.len())
            }
            Part::Audio { mime, data } => write!(text, "\n[sound, {mime}, {} bytes]", data.len()),
            Part::ResourceBytes { uri, data, .. } => {
                write!(text, "\n[{uri}, {} bytes]", data.len())
            }
            Part::Link { uri, name, .. } => write!(text, "\n[{name}: {uri}]"),
        };
    }
    for note in &result.notes {
        let _ = write!(text, "\n[{note}]");
    }
    match result.structured {
        Some(structured) => structured,
        None => Value::String(text.trim_start_matches('\n').to_owned()),
    }
}
