//! Settings a request may choose. Described here, read in [`crate::request`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What to choose; what is left out comes from the conversation, the user, the organisation and
/// the operator.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct ChosenSettings {
    /// The provider or route, by its name in `providers.yaml`.
    pub provider: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The tools the agent may use; all when absent, none when empty.
    pub tools: Option<Vec<String>>,
    /// Sampling.
    pub parameters: Option<Parameters>,
    /// Instructions to the model, besides those that hold for more; at most 64 KiB.
    pub instructions: Option<String>,
    /// What to do with a message while another one is answered: `queue`, `interrupt`, `reject`.
    pub on_busy: Option<String>,
    /// How many answers are drawn to vote on one, 1 to 9.
    pub samples: Option<u8>,
    /// Whether tools may be called, by name, `*` for the rest: `auto`, `ask`, `deny`.
    pub tool_policy: Option<BTreeMap<String, String>>,
    /// How long a person has to approve a tool call, in seconds; at most thirty days.
    pub approval_seconds: Option<u32>,
    /// Whether a person is asked for a required argument that a tool call lacks.
    pub clarify: Option<bool>,
    /// What names stand for in arguments of tools, by kind: `{"place": {"office": "1 Main Street"}}`.
    pub aliases: Option<BTreeMap<String, BTreeMap<String, String>>>,
    /// What a run may use.
    pub limits: Option<Limits>,
    /// Most tokens of a prompt, by model, `*` for the rest.
    pub context_tokens: Option<BTreeMap<String, u64>>,
    /// After how many messages a conversation is summarised; 0 for never.
    pub summary_after: Option<u32>,
    /// Where what is said may go: `open`, `sensitive`, `local_only`; the last two never leave.
    pub privacy: Option<String>,
    /// Whether an earlier answer of the organisation will do: `off`, `exact` (to the same question to the
    /// letter), `semantic` (to one that means the same).
    pub cache: Option<String>,
}

/// Sampling.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = SamplingParameters)]
pub struct Parameters {
    /// Randomness, 0 to 2.
    pub temperature: Option<f64>,
    /// Most tokens of the answer.
    pub max_tokens: Option<u32>,
    /// The share of likely tokens to choose among, 0 to 1.
    pub top_p: Option<f64>,
    /// The same seed makes the same choices, where the provider promises that.
    pub seed: Option<i64>,
    /// Texts that end the answer: one or several.
    pub stop: Option<serde_json::Value>,
    /// How much the model thinks first, such as `low`.
    pub reasoning_effort: Option<String>,
    /// What the answer must look like, as chat completions say it: `{"type": "json_schema", …}`.
    pub response_format: Option<serde_json::Value>,
    /// Whether the model must call a tool, as chat completions say it.
    pub tool_choice: Option<serde_json::Value>,
}

/// What a run may use; each more than 0.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = RunLimits)]
pub struct Limits {
    /// Most model calls, one after another.
    pub steps: Option<u32>,
    /// Most tokens, in and out together.
    pub tokens: Option<u64>,
    /// Most cost, in millionths of a US dollar.
    pub cost_microusd: Option<u64>,
    /// Longest time from start to end, in seconds.
    pub seconds: Option<u32>,
}
