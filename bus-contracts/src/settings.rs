//! How an agent is to work: said by a request, a conversation, a user, an organisation, or globally.
//!
//! Every field is optional; what a layer leaves out is taken from the next one. How layers meet is
//! decided by [`Settings::over`], and nowhere else.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::events::ModelParameters;

/// What to do with a message that arrives while its conversation is answering another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnBusy {
    /// It waits for its turn.
    Queue,
    /// The run going on ends (`interrupted`), and this message is next.
    Interrupt,
    /// It fails (`conversation_busy`).
    Reject,
}

/// Whether a tool may be called. Ordered from the loosest to the strictest.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ToolPolicy {
    /// Whenever the model asks.
    Auto,
    /// When a person approves this call with these arguments.
    Ask,
    /// Never.
    Deny,
}

/// Where what is said may go. Ordered from the loosest to the strictest.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Privacy {
    /// To every provider.
    #[default]
    Open,
    /// It must not leave: only to providers whose `locality` is `local`.
    Sensitive,
    /// Nothing of its organisation, user or conversation leaves: the same, whatever is said.
    LocalOnly,
}

impl Privacy {
    /// Whether it may go anywhere.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }

    /// `open`, `sensitive` or `local_only`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Sensitive => "sensitive",
            Self::LocalOnly => "local_only",
        }
    }
}

/// Whether an earlier answer to the same question of the same organisation will do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Caching {
    /// No: the model is asked.
    #[default]
    Off,
    /// When everything that shapes the answer is the same, to the letter.
    Exact,
    /// When the last message means the same, and all the rest is the same to the letter.
    Semantic,
}

impl Caching {
    /// Whether the model is always asked.
    #[must_use]
    pub const fn is_off(&self) -> bool {
        matches!(self, Self::Off)
    }
}

/// What a run may use. Every limit set by any layer holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunLimits {
    /// Most model calls, one after another (`step_limit`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    /// Most tokens, in and out together (`token_limit`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Most cost, in millionths of a US dollar (`cost_limit`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_microusd: Option<u64>,
    /// Longest time from start to end, waiting for approvals not counted, in seconds
    /// (`deadline_exceeded`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u32>,
}

/// What names stand for, by kind and then by name.
pub type Aliases = BTreeMap<String, BTreeMap<String, String>>;

/// One layer of settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The provider or route, by its name in `providers.yaml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The tools the agent may use; all enabled ones when absent, none when empty. A nearer layer
    /// can only take tools away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<String>>,
    /// Sampling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<ModelParameters>,
    /// Instructions to the model. Those of all layers are given, the global ones first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// What to do with a message while another one is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_busy: Option<OnBusy>,
    /// How many answers are drawn to vote on one (self-consistency), 1 to 9.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<u8>,
    /// Whether tools may be called, by name; `*` for those not named. The strictest layer wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_policy: Option<BTreeMap<String, ToolPolicy>>,
    /// How long a person has to approve a tool call, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_seconds: Option<u32>,
    /// Whether a person is asked for a required argument that a tool call lacks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clarify: Option<bool>,
    /// What names stand for in arguments of tools, by kind: `{place: {office: "1 Main Street"}}`.
    /// Names are compared without case, and without `the`, `my` or `our` before them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aliases: Option<Aliases>,
    /// What a run may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<RunLimits>,
    /// Most tokens of a prompt, by model; `*` for those not named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_tokens: Option<BTreeMap<String, u64>>,
    /// After how many messages a conversation is summarised; 0 for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary_after: Option<u32>,
    /// Where what is said may go. The strictest layer wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privacy: Option<Privacy>,
    /// Whether an earlier answer to the same question will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Caching>,
    /// How many days a conversation's history is kept beside its present state; for ever when
    /// absent. Read from the layers of the organisation and the globe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history_days: Option<u32>,
}

impl Settings {
    /// This layer laid over a more general one.
    #[must_use]
    pub fn over(self, general: &Self) -> Self {
        Self {
            provider: nearest(self.provider, &general.provider),
            model: nearest(self.model, &general.model),
            tools: both(self.tools, &general.tools, |near, far| {
                near.into_iter().filter(|tool| far.contains(tool)).collect()
            }),
            parameters: both(self.parameters, &general.parameters, ModelParameters::over),
            instructions: both(self.instructions, &general.instructions, |near, far| {
                format!("{far}\n\n{near}")
            }),
            on_busy: self.on_busy.or(general.on_busy),
            samples: self.samples.or(general.samples),
            tool_policy: both(self.tool_policy, &general.tool_policy, |near, far| {
                strictest(&near, far)
            }),
            approval_seconds: self.approval_seconds.or(general.approval_seconds),
            clarify: self.clarify.or(general.clarify),
            aliases: both(self.aliases, &general.aliases, |near, far| {
                let mut all = far.clone();
                for (kind, names) in near {
                    all.entry(kind).or_default().extend(names);
                }
                all
            }),
            limits: both(self.limits, &general.limits, RunLimits::tightest),
            context_tokens: both(self.context_tokens, &general.context_tokens, |near, far| {
                far.iter()
                    .map(|(name, most)| (name.clone(), *most))
                    .chain(near)
                    .collect()
            }),
            summary_after: self.summary_after.or(general.summary_after),
            privacy: self.privacy.max(general.privacy),
            cache: self.cache.or(general.cache),
            history_days: self.history_days.or(general.history_days),
        }
    }

    /// Whether a tool may be called.
    #[must_use]
    pub fn policy_of(&self, tool: &str) -> ToolPolicy {
        let policies = self.tool_policy.as_ref();
        let found = policies.and_then(|by_name| by_name.get(tool).or_else(|| by_name.get("*")));
        found.copied().unwrap_or(ToolPolicy::Auto)
    }
}

impl RunLimits {
    /// Whatever either allows less of.
    #[must_use]
    pub fn tightest(self, other: &Self) -> Self {
        fn less<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
            match (one, other) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            }
        }
        Self {
            steps: less(self.steps, other.steps),
            tokens: less(self.tokens, other.tokens),
            cost_microusd: less(self.cost_microusd, other.cost_microusd),
            seconds: less(self.seconds, other.seconds),
        }
    }
}

fn nearest<T: Clone>(near: Option<T>, far: &Option<T>) -> Option<T> {
    near.or_else(|| far.clone())
}

fn both<T: Clone>(near: Option<T>, far: &Option<T>, meet: impl FnOnce(T, &T) -> T) -> Option<T> {
    match (near, far) {
        (Some(near), Some(far)) => Some(meet(near, far)),
        (near, far) => near.or_else(|| far.clone()),
    }
}

/// For every tool either names: the stricter of what both say about it.
fn strictest(
    near: &BTreeMap<String, ToolPolicy>,
    far: &BTreeMap<String, ToolPolicy>,
) -> BTreeMap<String, ToolPolicy> {
    let of = |policies: &BTreeMap<String, ToolPolicy>, tool: &str| {
        let found = policies.get(tool).or_else(|| policies.get("*"));
        found.copied().unwrap_or(ToolPolicy::Auto)
    };
    let names = near.keys().chain(far.keys());
    names
        .map(|tool| (tool.clone(), of(near, tool).max(of(far, tool))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policies(named: &[(&str, ToolPolicy)]) -> Settings {
        let named = named
            .iter()
            .map(|(name, policy)| ((*name).to_owned(), *policy));
        Settings {
            tool_policy: Some(named.collect()),
            ..Settings::default()
        }
    }

    #[test]
    fn the_nearest_preference_wins_and_what_is_left_out_comes_from_afar() {
        let near = Settings {
            model: Some("b".to_owned()),
            ..Settings::default()
        };
        let far = Settings {
            model: Some("a".to_owned()),
            provider: Some("p".to_owned()),
            ..Settings::default()
        };
        let both = near.over(&far);
        assert_eq!(
            (both.model.as_deref(), both.provider.as_deref()),
            (Some("b"), Some("p"))
        );
    }

    #[test]
    fn tools_can_only_be_taken_away() {
        let layer = |names: &[&str]| Settings {
            tools: Some(names.iter().map(|name| (*name).to_owned()).collect()),
            ..Settings::default()
        };
        let both = layer(&["a", "b"]).over(&layer(&["b", "c"]));
        assert_eq!(both.tools, Some(vec!["b".to_owned()]));
    }

    #[test]
    fn the_strictest_policy_wins_whichever_layer_says_it() {
        let near = policies(&[("mail", ToolPolicy::Auto), ("*", ToolPolicy::Ask)]);
        let far = policies(&[("mail", ToolPolicy::Ask), ("pay", ToolPolicy::Deny)]);
        let both = near.over(&far);
        let of = |tool| both.policy_of(tool);
        assert_eq!(
            [of("mail"), of("pay"), of("search")],
            [ToolPolicy::Ask, ToolPolicy::Deny, ToolPolicy::Ask]
        );
    }

    #[test]
    fn no_layer_makes_a_stricter_one_open() {
        let layer = |privacy| Settings {
            privacy,
            ..Settings::default()
        };
        let met = |near, far| layer(near).over(&layer(far)).privacy;
        let (open, strict) = (Some(Privacy::Open), Some(Privacy::LocalOnly));
        assert_eq!(met(open, strict), strict);
        assert_eq!(met(strict, open), strict);
        assert_eq!(
            met(None, Some(Privacy::Sensitive)),
            Some(Privacy::Sensitive)
        );
        assert_eq!(met(open, None), open);
    }

    #[test]
    fn every_limit_holds() {
        let near = RunLimits {
            steps: Some(9),
            tokens: Some(5),
            ..RunLimits::default()
        };
        let far = RunLimits {
            steps: Some(3),
            seconds: Some(60),
            ..RunLimits::default()
        };
        let both = near.tightest(&far);
        assert_eq!(
            (both.steps, both.tokens, both.seconds),
            (Some(3), Some(5), Some(60))
        );
    }

    #[test]
    fn instructions_add_up_with_the_most_general_first() {
        let layer = |text: &str| Settings {
            instructions: Some(text.to_owned()),
            ..Settings::default()
        };
        let both = layer("near").over(&layer("far"));
        assert_eq!(both.instructions.as_deref(), Some("far\n\nnear"));
    }
}
