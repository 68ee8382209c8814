//! Tools as they are listed, what they may do, and what their results carry.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::chat::ToolSpec;
use crate::settings::ToolPolicy;
use crate::{ConversationId, Extra, OrgId, Timestamp};

/// What may happen when a worker dies during a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It changes nothing, and runs again.
    #[default]
    ReadOnly,
    /// It runs again under the same key, which makes it one effect.
    Idempotent,
    /// It never runs again; its outcome is reported as unknown.
    AtMostOnce,
}

/// What a tool comes in touch with: the three properties of the rule of two
/// (<https://ai.meta.com/blog/practical-ai-agent-security/>), and where it reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Capabilities {
    /// What its results bring into a conversation.
    #[serde(default, skip_serializing_if = "Taint::is_clean")]
    pub brings: Taint,
    /// What it is given leaves Nexus, or changes something elsewhere.
    #[serde(default, skip_serializing_if = "is_false")]
    pub egress: bool,
    /// The hosts it reaches, where they are known beforehand: `api.example.org`, `*.example.org`; `*`
    /// for any public one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// The data it reads: `documents`, `memory`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
}

/// What has come into a conversation. Only ever grows: every later prompt repeats what was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Taint {
    /// Something that strangers wrote, and that may try to give orders.
    #[serde(default, skip_serializing_if = "is_false")]
    pub untrusted: bool,
    /// Something private to the person or the organisation.
    #[serde(default, skip_serializing_if = "is_false")]
    pub private: bool,
}

impl Taint {
    /// What strangers wrote.
    pub const UNTRUSTED: Self = Self {
        untrusted: true,
        private: false,
    };
    /// What is private.
    pub const PRIVATE: Self = Self {
        untrusted: false,
        private: true,
    };

    /// What either brings.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self {
            untrusted: self.untrusted || other.untrusted,
            private: self.private || other.private,
        }
    }

    /// Whether nothing came in.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        !self.untrusted && !self.private
    }
}

/// How much one call may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallLimits {
    /// Longest time, in milliseconds.
    #[serde(default)]
    pub timeout_ms: u64,
    /// Most bytes of a result that a model gets to see; the rest is kept, and read with
    /// `read_result`.
    #[serde(default)]
    pub output_bytes: u64,
}

/// All tools of one source: an entry of `control.tools`, whose key is the source. One entry each, so
/// that nobody ever reads half a list, and what is gone from it is gone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ToolList {
    /// The tools. A name that several sources list means the tool of the first one, by key.
    pub tools: Vec<ListedTool>,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl ToolList {
    /// Every tool of these lists, by name.
    #[must_use]
    pub fn by_name(lists: BTreeMap<String, Self>) -> BTreeMap<String, ListedTool> {
        let mut all = BTreeMap::new();
        for tool in lists.into_values().flat_map(|list| list.tools) {
            all.entry(tool.name.clone()).or_insert(tool);
        }
        all
    }
}

/// A tool as it is listed in `control.tools`. A superset of [`ToolSpec`], which is what models see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ListedTool {
    /// Unique name, `[a-zA-Z0-9_-]`, at most 64 characters.
    pub name: String,
    /// What it does and when to use it, for the model.
    pub description: String,
    /// JSON Schema of the arguments object. A property may say `x-alias` (see
    /// [`crate::settings::Settings::aliases`]) and `x-alias-words`.
    pub parameters: Value,
    /// JSON Schema of the result, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returns: Option<Value>,
    /// What may happen when a worker dies during a call.
    #[serde(default)]
    pub effect: Effect,
    /// What it comes in touch with.
    #[serde(default)]
    pub capabilities: Capabilities,
    /// Whether it may be called where no setting names it.
    #[serde(default = "auto")]
    pub policy: ToolPolicy,
    /// How much one call may take.
    #[serde(default)]
    pub limits: CallLimits,
    /// What a call costs, in millionths of a US dollar, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_microusd: Option<u64>,
    /// The arguments of a harmless call that shows whether it works, as JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
    /// Where it comes from: `nexus`, or `mcp:<server>`.
    #[serde(default)]
    pub source: String,
    /// Why it cannot be used, and what to do; absent when it can. Models are not told of it then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl ListedTool {
    /// What models are told.
    #[must_use]
    pub fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: self.name.clone(),
            description: self.description.clone(),
            parameters: self.parameters.clone(),
            extra: Extra::new(),
        }
    }
}

impl From<ToolSpec> for ListedTool {
    /// A tool of which only this is known: it reads, and touches nothing.
    fn from(spec: ToolSpec) -> Self {
        Self {
            name: spec.name,
            description: spec.description,
            parameters: spec.parameters,
            returns: None,
            effect: Effect::default(),
            capabilities: Capabilities::default(),
            policy: auto(),
            limits: CallLimits::default(),
            cost_microusd: None,
            example: None,
            source: String::new(),
            stopped: None,
            extra: spec.extra,
        }
    }
}

/// A tool switched off for an organisation or for one of its conversations: an entry of
/// `control.tools.off`, whose key is [`ToolSwitch::key`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ToolSwitch {
    /// The organisation.
    pub org_id: OrgId,
    /// The conversation; all of the organisation's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<ConversationId>,
    /// The tool.
    pub tool: String,
    /// When it was switched off.
    pub at: Timestamp,
}

impl ToolSwitch {
    /// `<org>/<tool>` or `<org>/<conversation>/<tool>`.
    #[must_use]
    pub fn key(org: OrgId, conversation: Option<ConversationId>, tool: &str) -> String {
        match conversation {
            None => format!("{org}/{tool}"),
            Some(conversation) => format!("{org}/{conversation}/{tool}"),
        }
    }
}

/// The whole of a result of which a model saw the beginning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WholeResult {
    /// What `read_result` takes.
    pub reference: String,
    /// How many bytes of text are kept.
    pub bytes: u64,
    /// How many more there were, which are not.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped_bytes: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

const fn auto() -> ToolPolicy {
    ToolPolicy::Auto
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_listed_before_there_were_capabilities_still_reads() {
        let old = json!({"name": "add", "description": "adds", "parameters": {}});
        let read: ListedTool = serde_json::from_value(old).unwrap();
        assert_eq!(read.policy, ToolPolicy::Auto);
        assert_eq!(read.effect, Effect::ReadOnly);
        assert!(read.capabilities.brings.is_clean());
        assert_eq!(read.spec().name, "add");
    }

    #[test]
    fn taint_only_grows() {
        let both = Taint::UNTRUSTED.with(Taint::PRIVATE);
        assert!(both.untrusted && both.private);
        assert_eq!(both.with(Taint::default()), both);
    }
}
