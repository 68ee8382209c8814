//! Calls of a tool: `tools.execute`, `tools.results`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::settings::Privacy;
use crate::tool::{Taint, WholeResult};
use crate::{Event, Extra, channels};

/// Command: run a tool once. The envelope's id is the command's id and the key of its effect.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ToolRequested {
    /// The model's name for this call.
    pub call_id: String,
    /// The tool.
    pub name: String,
    /// The arguments as the model wrote them, aliases resolved: JSON text, not yet checked.
    pub arguments: String,
    /// What has come into the conversation so far.
    #[serde(default, skip_serializing_if = "Taint::is_clean")]
    pub taint: Taint,
    /// Where what is said in the conversation may go.
    #[serde(default, skip_serializing_if = "Privacy::is_open")]
    pub privacy: Privacy,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Event for ToolRequested {
    const TYPE: &'static str = "tool.requested";
    const CHANNEL: &'static str = channels::TOOLS_EXECUTE;
    const VERSION: u32 = 1;
}

/// Result: what the tool returned.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ToolCompleted {
    /// The model's name for the call.
    pub call_id: String,
    /// The tool.
    pub name: String,
    /// What it returned: its value, or where that is too long the beginning of its text.
    pub result: Value,
    /// Where the rest is, when this is only the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<WholeResult>,
    /// What it brings into the conversation, besides what the tool always brings.
    #[serde(default, skip_serializing_if = "Taint::is_clean")]
    pub taint: Taint,
    /// How long it ran, in milliseconds.
    #[serde(default)]
    pub duration_ms: u64,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Event for ToolCompleted {
    const TYPE: &'static str = "tool.completed";
    const CHANNEL: &'static str = channels::TOOLS_RESULTS;
    const VERSION: u32 = 1;
}

/// Result: the tool did not return, and what the model should know about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ToolFailed {
    /// The model's name for the call.
    pub call_id: String,
    /// The tool.
    pub name: String,
    /// A stable word: `unknown_tool`, `switched_off`, `unavailable`, `quota_exceeded`,
    /// `bad_arguments`, `failed`, `broken`, `timeout`, `cancelled`, `deadline_exceeded`, `unknown_outcome`,
    /// `poisoned`.
    pub code: String,
    /// What happened, in words the model can act on.
    pub detail: String,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Event for ToolFailed {
    const TYPE: &'static str = "tool.failed";
    const CHANNEL: &'static str = channels::TOOLS_RESULTS;
    const VERSION: u32 = 1;
}
