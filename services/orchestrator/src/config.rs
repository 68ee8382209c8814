//! Configuration of the orchestrator: section `orchestrator` of `nexus.yaml`.

use std::collections::BTreeMap;
use std::time::Duration;

use nexus_contracts::settings::Settings;
use serde::Deserialize;

use crate::core::Bounds;
use crate::mutant::Mutant;

/// Every key, commented; also the defaults.
pub const DEFAULT_CONFIG: &str = include_str!("../config.default.yaml");

/// See `config.default.yaml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Adapters of ours: they say for whom they ask and confirm what they received.
    pub adapters: Vec<String>,
    /// External clients: they ask for the principal `client:<name>`.
    pub clients: Vec<String>,
    /// Services that confirm what became of conversations.
    pub keepers: Vec<String>,
    /// How agents work.
    pub settings: Layers,
    /// Most tool calls of one step.
    pub max_parallel_tools: usize,
    /// Most messages waiting behind a running one.
    pub max_queued: usize,
    /// Most past messages a model gets to see word for word.
    pub max_messages: usize,
    /// Most events in one commit.
    pub batch: usize,
    /// A delivery silent for this long is handed to another replica.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub lease: Duration,
    /// A message unanswered for this long is published again, then after twice as long.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub resend_after: Duration,
    /// How often due messages and timers are looked for.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub sweep_interval: Duration,
    /// How long after a start messages wait until some service has listed its tools.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub tools_wait: Duration,
    /// How long inbox rows and delivered answers are kept to recognise repetitions.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub retention: Duration,
    /// How the service is broken on purpose.
    #[cfg(feature = "mutants")]
    #[serde(default)]
    pub mutant: Option<Mutant>,
}

/// Layers of settings, as the operator writes them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layers {
    /// For everybody.
    pub global: Settings,
    /// By organisation.
    #[serde(default)]
    pub organisations: BTreeMap<String, Settings>,
    /// By `<organisation>/<user>`.
    #[serde(default)]
    pub users: BTreeMap<String, Settings>,
}

impl Layers {
    /// The layers by their keys in `control.settings`.
    #[must_use]
    pub fn by_key(&self) -> BTreeMap<String, Settings> {
        let global = [("global".to_owned(), self.global.clone())];
        let organisations = self.organisations.iter();
        let organisations = organisations.map(|(org, one)| (format!("org:{org}"), one.clone()));
        let users = self.users.iter();
        let users = users.map(|(user, one)| (format!("user:{user}"), one.clone()));
        global
            .into_iter()
            .chain(organisations)
            .chain(users)
            .collect()
    }
}

/// The client whose channels carry no name.
pub const LOCAL_CLIENT: &str = "local";

impl Config {
    /// What holds whatever the settings say.
    #[must_use]
    pub const fn bounds(&self) -> Bounds {
        Bounds {
            max_parallel_tools: self.max_parallel_tools,
            max_queued: self.max_queued,
            max_messages: self.max_messages,
        }
    }

    /// Whether the service is broken in this way on purpose.
    #[must_use]
    #[cfg_attr(
        not(feature = "mutants"),
        expect(
            clippy::unused_self,
            clippy::missing_const_for_fn,
            reason = "what users get is never broken"
        )
    )]
    pub(crate) fn is_mutant(&self, mutant: Mutant) -> bool {
        #[cfg(feature = "mutants")]
        return self.mutant == Some(mutant);
        #[cfg(not(feature = "mutants"))]
        {
            let _ = mutant;
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::resolve::resolve;
    use nexus_contracts::{OrgId, UserId};
    use uuid::Uuid;

    /// What holds where no layer says anything is what the commented defaults say.
    #[test]
    fn the_defaults_of_code_and_configuration_agree() {
        let source = nexus_service_kit::ConfigSource::load(None, &[]).unwrap();
        let config: Config = source.section(crate::NAME, DEFAULT_CONFIG).unwrap();
        let who = (OrgId(Uuid::nil()), UserId(Uuid::nil()));
        let none = Settings::default();
        let written = resolve(&config.settings.by_key(), who, &none, &none);
        let mut fallback = resolve(&BTreeMap::new(), who, &none, &none);
        assert!(
            !written.instructions.is_empty(),
            "models are told something"
        );
        fallback.instructions.clone_from(&written.instructions);
        assert_eq!(written, fallback);
    }
}
