//! What decisions depend on: the tools there are, and settings that change while runs go on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use nexus_contracts::chat::ToolSpec;
use nexus_contracts::settings::{RunLimits, Settings, ToolPolicy};
use nexus_contracts::{Extra, OrgId, derive_id};
use nexus_orchestrator::core::checkpoint::encode_environment;
use nexus_orchestrator::core::{Bounds, Environment};
use nexus_store::EffectClass;

use crate::people::org;

/// A tool, and what may happen when its worker dies.
pub(crate) const TOOLS: [(&str, EffectClass); 4] = [
    ("look", EffectClass::ReadOnly),
    ("put", EffectClass::Idempotent),
    ("send", EffectClass::AtMostOnce),
    // Only after a person approved it.
    ("sign", EffectClass::AtMostOnce),
];

/// The tool for which a person is always asked.
pub(crate) const NEEDS_APPROVAL: &str = "sign";

/// Seconds a run may take.
pub(crate) const RUN_SECONDS: u32 = 40;

/// Seconds a person has to decide.
pub(crate) const APPROVAL_SECONDS: u32 = 25;

/// An environment with its name in the journal.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) environment: Environment,
    pub(crate) hash: String,
}

/// How many versions of the settings there are.
pub(crate) const VERSIONS: u8 = 3;

static ALL: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let versions = 0..VERSIONS;
    let both = versions.flat_map(|version| [0, 1].map(|of| (version, org(of))));
    both.filter_map(|(version, org)| known(version, org))
        .collect()
});

/// What an organisation's decisions depend on while this version of the settings holds.
pub(crate) fn of(version: u8, whose: OrgId) -> Option<&'static Known> {
    let second = usize::from(whose != org(0));
    ALL.get(usize::from(version % VERSIONS) * 2 + second)
}

/// The environment with this name.
pub(crate) fn named(hash: &str) -> Option<&'static Environment> {
    let found = ALL.iter().find(|known| known.hash == hash);
    found.map(|known| &known.environment)
}

fn known(version: u8, org: OrgId) -> Option<Known> {
    let environment = environment(version, org);
    let body = encode_environment(&environment).ok()?;
    let hash = derive_id([b"environment".as_slice(), &body]).to_string();
    Some(Known { environment, hash })
}

fn environment(version: u8, whose: OrgId) -> Environment {
    let layers = [
        ("global".to_owned(), global(version)),
        (format!("org:{whose}"), organisation(whose)),
    ];
    Environment {
        bounds: Bounds {
            max_parallel_tools: 3,
            max_queued: 2,
            max_messages: 14,
        },
        tools: TOOLS
            .map(|(name, _)| (name.to_owned(), tool(name).into()))
            .into(),
        off: BTreeSet::new(),
        settings: layers.into(),
    }
}

fn global(version: u8) -> Settings {
    Settings {
        instructions: Some(format!("Be brief, in style {version}.")),
        tool_policy: Some([(NEEDS_APPROVAL.to_owned(), ToolPolicy::Ask)].into()),
        approval_seconds: Some(APPROVAL_SECONDS),
        limits: Some(RunLimits {
            steps: Some(4),
            seconds: Some(RUN_SECONDS),
            ..RunLimits::default()
        }),
        ..Settings::default()
    }
}

/// The first organisation has its conversations summarised early, the second hardly ever.
fn organisation(whose: OrgId) -> Settings {
    Settings {
        summary_after: Some(if whose == org(0) { 6 } else { 0 }),
        ..Settings::default()
    }
}

fn tool(name: &str) -> ToolSpec {
    ToolSpec {
        name: name.to_owned(),
        description: "for the simulator".to_owned(),
        parameters: serde_json::json!({ "type": "object", "required": ["what"] }),
        extra: Extra::new(),
    }
}

/// What may happen when the worker that runs this tool dies.
pub(crate) fn class_of(tool: &str) -> EffectClass {
    let classes: BTreeMap<&str, EffectClass> = TOOLS.into();
    classes.get(tool).copied().unwrap_or(EffectClass::ReadOnly)
}
