//! What others may know about providers and routes.

use serde::{Deserialize, Serialize};

use super::models::{Model, Task};
use super::route::Route;
use super::{Configured, Registry};

/// The kind of a status that is about a route.
pub const ROUTE: &str = "route";

/// Value of the table `control.providers`: what others may know about a provider or route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, named on the wire"
)]
pub struct ProviderStatus {
    /// Its name.
    pub name: String,
    /// Its kind, such as `openai`, or [`ROUTE`].
    #[serde(rename = "type")]
    pub kind: String,
    /// The model that answers when the command names none; of a route `provider/model`.
    pub model: String,
    /// The models it is known to have; of a route, its targets.
    pub models: Vec<String>,
    /// The model that turns texts into vectors, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding_model: Option<String>,
    /// What is known of those models.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<Model>,
    /// Whether what is said to it stays here.
    #[serde(default)]
    pub local: bool,
    /// Whether it can be called.
    pub usable: bool,
    /// Why not, and what to do.
    pub reason: Option<String>,
    /// Whether it answers commands that name no provider.
    pub default: bool,
    /// Whether its answers are made up without a model.
    pub demo: bool,
}

impl Registry {
    pub(super) fn route_status(&self, name: &str, route: &Route) -> ProviderStatus {
        let targets = route.targets.iter();
        let models = targets.clone().map(|target| {
            let model = self.model_of(target, Task::Chat).unwrap_or_default();
            format!("{}/{model}", target.provider)
        });
        let models: Vec<String> = models.collect();
        let providers = targets.filter_map(|target| self.providers.get(&target.provider));
        let usable = providers.clone().any(|one| one.provider.is_ok());
        let why = "none of its targets can be used".to_owned();
        ProviderStatus {
            name: name.to_owned(),
            kind: ROUTE.to_owned(),
            model: models.first().cloned().unwrap_or_default(),
            models,
            embedding_model: None,
            facts: Vec::new(),
            local: providers.clone().all(|one| one.local),
            usable,
            reason: (!usable).then_some(why),
            default: *name == self.default,
            demo: providers.clone().all(|one| one.kind.demo),
        }
    }
}

impl Configured {
    /// What others may know about it, where `default` is the name of the default provider.
    #[must_use]
    pub fn status(&self, default: &str) -> ProviderStatus {
        let reason = self.provider.as_ref().err().map(ToString::to_string);
        let name = |model: &Model| model.name.clone();
        ProviderStatus {
            name: self.name.to_string(),
            kind: self.kind.name.to_owned(),
            model: self.model.to_string(),
            models: self.models.iter().map(name).collect(),
            embedding_model: self.embedding_model.as_deref().map(str::to_owned),
            facts: self.models.clone(),
            local: self.local,
            usable: reason.is_none(),
            reason,
            default: *self.name == *default,
            demo: self.kind.demo,
        }
    }
}
