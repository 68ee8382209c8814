//! What calls of models took and cost: `usage.recorded`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::chat::Usage;
use crate::events::Purpose;
use crate::{Event, Extra, channels};

/// One attempt at a provider is over, well or not.
///
/// What an attempt cost, not what a person is billed for: an answer that was given up half-way costs too.
/// `metadata.causation_id` names the command, `metadata.org_id` whose it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UsageRecorded {
    /// The provider that was asked.
    pub provider: String,
    /// The model that was asked, or the one that answered where the provider says so.
    pub model: String,
    /// `completed`, `aborted` (nobody wanted the rest), or the
    /// code of the failure, as in `inference.failed`.
    pub outcome: String,
    /// Tokens, and their cost where prices are known.
    #[serde(default)]
    pub usage: Usage,
    /// Whether the tokens are estimated, because the provider did not come to saying them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
    /// From sending the request to its end, in milliseconds.
    #[serde(default)]
    pub duration_ms: u64,
    /// From sending the request to the first piece of text, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token_ms: Option<u64>,
    /// Which attempt of its command it was, from 1.
    #[serde(default)]
    pub attempt: u32,
    /// What the answer was for.
    #[serde(default, skip_serializing_if = "Purpose::is_answer")]
    pub purpose: Purpose,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Event for UsageRecorded {
    const TYPE: &'static str = "usage.recorded";
    const CHANNEL: &'static str = channels::USAGE;
    const VERSION: u32 = 1;
}
