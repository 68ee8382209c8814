//! How a run works: the layers of settings, resolved in this one place.

use std::collections::BTreeMap;

use nexus_contracts::events::ModelParameters;
use nexus_contracts::settings::{
    Aliases, Caching, OnBusy, Privacy, RunLimits, Settings, ToolPolicy,
};
use nexus_contracts::tool::ListedTool;
use nexus_contracts::{OrgId, UserId};
use serde::{Deserialize, Serialize};

/// What holds where no layer says anything; `config.default.yaml` says the same.
mod fallback {
    pub(super) const STEPS: u32 = 8;
    pub(super) const SECONDS: u32 = 120;
    pub(super) const APPROVAL_SECONDS: u32 = 3600;
    pub(super) const CONTEXT_TOKENS: u64 = 32_000;
    pub(super) const SUMMARY_AFTER: u32 = 20;
}

/// Most answers that are drawn for one step.
pub const MOST_SAMPLES: u8 = 9;

/// How a run works, with nothing left open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resolved {
    /// The provider; the router's choice when absent.
    pub provider: Option<String>,
    /// The model; the provider's choice when absent.
    pub model: Option<String>,
    /// The tools allowed; all when absent.
    pub tools: Option<Vec<String>>,
    /// Where what is said may go.
    #[serde(default)]
    pub privacy: Privacy,
    /// Whether an earlier answer will do.
    #[serde(default)]
    pub cache: Caching,
    /// Sampling.
    pub parameters: ModelParameters,
    /// What the model is told to be; may be empty.
    pub instructions: String,
    /// What this run's message does when another one is going on.
    pub on_busy: OnBusy,
    /// How many answers are drawn for each step.
    pub samples: u8,
    /// Whether tools may be called.
    pub tool_policy: BTreeMap<String, ToolPolicy>,
    /// How long a person has to approve, in seconds.
    pub approval_seconds: u32,
    /// Whether a person is asked for what a tool call lacks.
    pub clarify: bool,
    /// What names stand for in arguments of tools.
    #[serde(default)]
    pub aliases: Aliases,
    /// Most model calls, one after another.
    pub steps: u32,
    /// Most tokens, in and out together.
    pub tokens: Option<u64>,
    /// Most cost, in millionths of a US dollar.
    pub cost_microusd: Option<u64>,
    /// Longest time, in seconds.
    pub seconds: u32,
    /// Most tokens of a prompt.
    pub context_tokens: u64,
    /// After how many messages a summary is made; 0 for never.
    pub summary_after: u32,
}

/// The keys of `control.settings`, from the most general to the nearest.
#[must_use]
pub fn keys(org: OrgId, user: UserId) -> [String; 3] {
    [
        "global".to_owned(),
        format!("org:{org}"),
        format!("user:{org}/{user}"),
    ]
}

/// Lays request over conversation over user over organisation over global.
#[must_use]
pub fn resolve(
    layers: &BTreeMap<String, Settings>,
    (org, user): (OrgId, UserId),
    conversation: &Settings,
    request: &Settings,
) -> Resolved {
    let shared = keys(org, user);
    let shared = shared.iter().filter_map(|key| layers.get(key));
    let all = shared.chain([conversation, request]);
    settle(all.fold(Settings::default(), |general, near| {
        near.clone().over(&general)
    }))
}

fn settle(settings: Settings) -> Resolved {
    let RunLimits {
        steps,
        tokens,
        cost_microusd,
        seconds,
    } = settings.limits.unwrap_or_default();
    let budgets = settings.context_tokens.unwrap_or_default();
    let budget = settings.model.as_ref().and_then(|model| budgets.get(model));
    let budget = budget.or_else(|| budgets.get("*")).copied();
    Resolved {
        provider: settings.provider,
        model: settings.model,
        tools: settings.tools,
        privacy: settings.privacy.unwrap_or_default(),
        cache: settings.cache.unwrap_or_default(),
        parameters: settings.parameters.unwrap_or_default(),
        instructions: settings.instructions.unwrap_or_default(),
        on_busy: settings.on_busy.unwrap_or(OnBusy::Queue),
        samples: settings.samples.unwrap_or(1).clamp(1, MOST_SAMPLES),
        tool_policy: settings.tool_policy.unwrap_or_default(),
        approval_seconds: settings
            .approval_seconds
            .unwrap_or(fallback::APPROVAL_SECONDS),
        clarify: settings.clarify.unwrap_or(true),
        aliases: settings.aliases.unwrap_or_default(),
        steps: steps.unwrap_or(fallback::STEPS),
        tokens,
        cost_microusd,
        seconds: seconds.unwrap_or(fallback::SECONDS),
        context_tokens: budget.unwrap_or(fallback::CONTEXT_TOKENS),
        summary_after: settings.summary_after.unwrap_or(fallback::SUMMARY_AFTER),
    }
}

impl Resolved {
    /// Whether a tool may be called: what is said of it by name, or else the stricter of what is said
    /// of all and what the tool says of itself.
    #[must_use]
    pub fn policy_of(&self, tool: &ListedTool) -> ToolPolicy {
        let of_all = || self.tool_policy.get("*").copied().max(Some(tool.policy));
        let by_name = self.tool_policy.get(&tool.name).copied();
        by_name.or_else(of_all).unwrap_or(tool.policy)
    }

    /// Whether the model may ask for a tool at all.
    #[must_use]
    pub fn offers(&self, tool: &ListedTool) -> bool {
        let listed = self
            .tools
            .as_ref()
            .is_none_or(|allowed| allowed.contains(&tool.name));
        listed && self.policy_of(tool) != ToolPolicy::Deny
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const ORG: OrgId = OrgId(Uuid::from_u128(1));
    const USER: UserId = UserId(Uuid::from_u128(2));

    fn model(name: &str) -> Settings {
        Settings {
            model: Some(name.to_owned()),
            ..Settings::default()
        }
    }

    #[test]
    fn each_layer_is_nearer_than_the_one_before() {
        let [global, org, user] = keys(ORG, USER);
        let mut layers = BTreeMap::new();
        let none = Settings::default();
        let resolved =
            |layers: &BTreeMap<String, Settings>, conversation: &Settings, request: &Settings| {
                resolve(layers, (ORG, USER), conversation, request).model
            };
        assert_eq!(resolved(&layers, &none, &none), None);
        for (key, name) in [(global, "g"), (org, "o"), (user, "u")] {
            layers.insert(key, model(name));
            assert_eq!(resolved(&layers, &none, &none).as_deref(), Some(name));
        }
        assert_eq!(resolved(&layers, &model("c"), &none).as_deref(), Some("c"));
        assert_eq!(
            resolved(&layers, &model("c"), &model("r")).as_deref(),
            Some("r")
        );
    }

    #[test]
    fn another_users_layer_says_nothing() {
        let [_, _, other] = keys(ORG, UserId(Uuid::from_u128(9)));
        let layers = [(other, model("x"))].into();
        let none = Settings::default();
        assert_eq!(resolve(&layers, (ORG, USER), &none, &none).model, None);
    }

    #[test]
    fn the_budget_is_that_of_the_model() {
        let budgets = [("*".to_owned(), 10), ("big".to_owned(), 99)].into();
        let conversation = Settings {
            context_tokens: Some(budgets),
            ..Settings::default()
        };
        let of = |request: &Settings| {
            resolve(&BTreeMap::new(), (ORG, USER), &conversation, request).context_tokens
        };
        assert_eq!((of(&model("big")), of(&model("other"))), (99, 10));
    }

    #[test]
    fn a_request_cannot_allow_itself_more() {
        let limits = |steps| Settings {
            limits: Some(RunLimits {
                steps: Some(steps),
                ..RunLimits::default()
            }),
            ..Settings::default()
        };
        let layers = [("global".to_owned(), limits(3))].into();
        let none = Settings::default();
        assert_eq!(resolve(&layers, (ORG, USER), &none, &limits(100)).steps, 3);
        assert_eq!(resolve(&layers, (ORG, USER), &none, &limits(1)).steps, 1);
    }
}
