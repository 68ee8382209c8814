//! The providers there are, as `providers.yaml` has them; [`crate::reload`] builds them anew.

pub mod file;
pub mod models;
pub mod route;
pub mod schema;
mod status;

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::SecretString;
use uuid::Uuid;

use crate::error::Error;
use crate::limits::Limits;
use crate::provider::{FailureClass, Provider, ProviderFailure, ProviderType, Reach, Setup};
use nexus_service_kit::breaker::BreakerPolicy;

use file::{Fingerprints, ProviderSettings, ProvidersFile};
use models::{Model, Task};
use route::{Delegates, Route, Target};

pub use status::{ProviderStatus, ROUTE};

/// Looks a secret up by the name of its variable.
pub type Secrets<'a> = &'a dyn Fn(&str) -> Option<SecretString>;

/// A provider as `providers.yaml` describes it.
pub struct Configured {
    /// Its name.
    pub name: Arc<str>,
    /// The model that answers when the command names none.
    pub model: Arc<str>,
    /// The model that turns texts into vectors when the command names none; `None` when none does.
    pub embedding_model: Option<Arc<str>>,
    /// The models the file lists, the usual one first.
    pub models: Vec<Model>,
    /// Its kind.
    pub kind: &'static ProviderType,
    /// Whether what is said to it stays here.
    pub local: bool,
    /// What it takes at most.
    pub limits: Limits,
    /// When it is left alone.
    pub breaker: BreakerPolicy,
    /// How many keys it has.
    pub keys: usize,
    /// The same for as long as nothing in the file changes about it.
    pub fingerprint: Uuid,
    /// The same for as long as nothing in the file changes about who answers there.
    pub answers: Uuid,
    /// The provider, or why it cannot be used.
    pub provider: Result<Arc<dyn Provider>, ProviderFailure>,
}

/// All providers and routes, by name.
pub struct Registry {
    default: String,
    providers: BTreeMap<String, Arc<Configured>>,
    routes: BTreeMap<String, Route>,
    delegates: Delegates,
}

/// Who is meant by a name.
pub enum Chosen<'a> {
    /// A provider, and its model if one is named.
    Provider(&'a Arc<Configured>, Option<Arc<str>>),
    /// A route.
    Route(&'a str, &'a Route),
}

impl Chosen<'_> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Provider(configured, _) => &configured.name,
            Self::Route(name, _) => name,
        }
    }
}

impl Registry {
    /// The providers of this file, with their keys. Reaches no network.
    ///
    /// # Errors
    /// [`Error::Settings`] when a setting of a provider cannot be used. A missing key is no error:
    /// the provider stays listed, and calls of it fail saying which variable to set.
    pub fn build(file: &ProvidersFile, secrets: Secrets<'_>) -> Result<Self, Error> {
        Self::reaching(file, secrets, None)
    }

    /// The same, of a running node.
    ///
    /// # Errors
    /// As [`Registry::build`].
    pub fn reaching(
        file: &ProvidersFile,
        secrets: Secrets<'_>,
        reach: Option<&Reach>,
    ) -> Result<Self, Error> {
        let default = file.default().unwrap_or_default().to_owned();
        let built = file.providers.iter().map(|(name, settings)| {
            let fingerprints = file.fingerprints(name);
            let configured = Configured::build((name, fingerprints), settings, secrets, reach)?;
            Ok((name.clone(), Arc::new(configured)))
        });
        let providers = built.collect::<Result<BTreeMap<_, _>, Error>>()?;
        Ok(Self {
            default,
            providers,
            routes: file.routes.clone(),
            delegates: file.delegates.clone(),
        })
    }

    /// The provider of this name, or the default one.
    ///
    /// # Errors
    /// [`FailureClass::UnknownProvider`], naming those that are known.
    pub fn find(&self, name: Option<&str>) -> Result<&Arc<Configured>, ProviderFailure> {
        let name = name.unwrap_or(&self.default);
        let found = self.providers.get(name);
        found.ok_or_else(|| match self.routes.get(name) {
            Some(route) => one_of(name, route),
            None => self.unknown(name),
        })
    }

    /// Who is meant for a task by these names of a provider or route and of a model. A model alone
    /// means the default if that has it, else the first provider that lists it.
    ///
    /// # Errors
    /// [`FailureClass::UnknownProvider`] and [`FailureClass::UnknownModel`], naming those that are
    /// known.
    pub fn meant(
        &self,
        name: Option<&str>,
        model: Option<&str>,
        task: Task,
    ) -> Result<Chosen<'_>, ProviderFailure> {
        let target = name.unwrap_or(&self.default);
        let lists = |configured: &Configured| model.is_some_and(|model| configured.lists(model));
        if let Some((route, settings)) = self.routes.get_key_value(target) {
            let Some(model) = model.filter(|model| !self.routes_to(settings, model, task)) else {
                return Ok(Chosen::Route(route, settings));
            };
            let elsewhere = self.all().find(|one| name.is_none() && lists(one));
            return match elsewhere {
                Some(configured) => Ok(Chosen::Provider(configured, Some(model.into()))),
                None => Err(self.no_such_model((route, settings), model, task)),
            };
        }
        let found = self.providers.get(target);
        let found = found.ok_or_else(|| self.unknown(target))?;
        let elsewhere = match (name, model) {
            (None, Some(_)) if !lists(found) => self.all().find(|one| lists(one)),
            _ => None,
        };
        // A model nobody lists may exist all the same: the provider knows best.
        let configured = elsewhere.unwrap_or(found);
        Ok(Chosen::Provider(configured, model.map(Arc::from)))
    }

    fn routes_to(&self, route: &Route, model: &str, task: Task) -> bool {
        let mut targets = route.targets.iter();
        targets.any(|target| self.model_of(target, task) == Some(model))
    }

    fn model_of<'a>(&'a self, target: &'a Target, task: Task) -> Option<&'a str> {
        let configured = self.providers.get(&target.provider)?;
        Some(configured.model_for(target.model.as_deref(), task))
    }

    fn no_such_model(
        &self,
        (name, route): (&str, &Route),
        model: &str,
        task: Task,
    ) -> ProviderFailure {
        let models = route.targets.iter();
        let models = models.filter_map(|one| self.model_of(one, task));
        let models: Vec<&str> = models.collect();
        let hint = hint(nearest(model, models.iter().copied()));
        let model = crate::assembler::excerpt(model);
        let models = models.join(", ");
        let detail = format!("route `{name}` has no model `{model}`, only: {models}{hint}");
        ProviderFailure::new(FailureClass::UnknownModel, detail)
    }

    fn unknown(&self, name: &str) -> ProviderFailure {
        let known = self.providers.keys().chain(self.routes.keys());
        let known: Vec<&str> = known.map(String::as_str).collect();
        let hint = hint(nearest(name, known.iter().copied()));
        let known = known.join(", ");
        let name = crate::assembler::excerpt(name);
        let detail = format!("there is no provider `{name}`, only: {known}{hint}");
        ProviderFailure::new(FailureClass::UnknownProvider, detail)
    }

    /// The provider of this name.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<&Arc<Configured>> {
        self.providers.get(name)
    }

    /// All providers, by name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Configured>> {
        self.providers.values()
    }

    /// All routes, by name.
    #[must_use]
    pub const fn routes(&self) -> &BTreeMap<String, Route> {
        &self.routes
    }

    /// Who is asked instead of a model that cannot.
    #[must_use]
    pub const fn delegates(&self) -> &Delegates {
        &self.delegates
    }

    /// Whether any route asks how complex a question is.
    #[must_use]
    pub fn weighs_complexity(&self) -> bool {
        let mut targets = self.routes.values().flat_map(|route| &route.targets);
        targets.any(|target| target.when.complexity.is_some())
    }

    /// What others may know about each provider and route.
    #[must_use]
    pub fn statuses(&self) -> Vec<ProviderStatus> {
        let providers = self.all().map(|provider| provider.status(&self.default));
        let routes = self.routes.iter();
        let routes = routes.map(|(name, route)| self.route_status(name, route));
        providers.chain(routes).collect()
    }
}

/// A route where one provider is wanted.
fn one_of(name: &str, route: &Route) -> ProviderFailure {
    let targets = route.targets.iter();
    let targets: Vec<&str> = targets.map(|target| target.provider.as_str()).collect();
    let targets = targets.join(", ");
    let detail = format!("`{name}` is a route; name one of its providers: {targets}");
    ProviderFailure::new(FailureClass::UnknownProvider, detail)
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

impl Configured {
    fn build(
        (name, fingerprints): (&str, Fingerprints),
        settings: &ProviderSettings,
        secrets: Secrets<'_>,
        reach: Option<&Reach>,
    ) -> Result<Self, Error> {
        let kind = settings.kind.0;
        let variables = settings.key_variables();
        let api_keys: Vec<SecretString> =
            variables.iter().filter_map(|name| secrets(name)).collect();
        let missing = variables.first().filter(|_| api_keys.is_empty());
        let keys = api_keys.len();
        // Made without its key too, so that its other settings are checked.
        let setup = Setup {
            name,
            settings,
            api_keys,
            reach,
        };
        let built = (kind.build)(&setup).map_err(|failure| Error::settings(name, &failure))?;
        let provider = match missing {
            Some(variable) => Err(missing_key(name, variable)),
            None => Ok(built),
        };
        let model = settings.model.as_deref().unwrap_or(kind.default_model);
        let mut models = settings.models.clone();
        match models.iter().position(|known| known.name == model) {
            Some(place) => models.get_mut(..=place).unwrap_or_default().rotate_right(1),
            None => models.insert(0, Model::named(model)),
        }
        let embeds = models.iter().find(|model| model.embeds == Some(true));
        let embedding_model = embeds
            .map(|model| model.name.as_str())
            .or_else(|| settings.usual_embedding_model());
        Ok(Self {
            name: name.into(),
            model: model.into(),
            embedding_model: embedding_model.map(Arc::from),
            models,
            kind,
            local: settings.is_local(),
            limits: settings.limits,
            breaker: settings.breaker,
            keys,
            fingerprint: fingerprints.all,
            answers: fingerprints.answers,
            provider,
        })
    }

    /// What the file says of a model.
    #[must_use]
    pub fn spec(&self, model: &str) -> Option<&Model> {
        self.models.iter().find(|known| known.name == model)
    }

    /// Whether the file lists a model, or it is the usual one for vectors.
    #[must_use]
    pub fn lists(&self, model: &str) -> bool {
        self.spec(model).is_some() || self.embedding_model.as_deref() == Some(model)
    }

    /// Whether a model turns texts into vectors. What is not said is not held against it, where such
    /// models are known of its provider.
    #[must_use]
    pub fn embeds(&self, model: &str) -> bool {
        let said = self.spec(model).and_then(|known| known.embeds);
        said.unwrap_or_else(|| self.embedding_model.is_some())
    }

    /// The model for a task where `named` is named for answers, as in a target of a route: another one
    /// makes the vectors, unless it is known to do both.
    #[must_use]
    pub fn model_for<'a>(&'a self, named: Option<&'a str>, task: Task) -> &'a str {
        let named = named.filter(|name| match task {
            Task::Chat => true,
            Task::Embed => {
                let known = self.spec(name).and_then(|known| known.embeds);
                known == Some(true) || self.embedding_model.as_deref() == Some(*name)
            }
        });
        named.unwrap_or_else(|| &**self.usual(task))
    }

    /// The model when none is named.
    #[must_use]
    pub fn usual(&self, task: Task) -> &Arc<str> {
        match task {
            Task::Chat => &self.model,
            Task::Embed => self.embedding_model.as_ref().unwrap_or(&self.model),
        }
    }
}

fn missing_key(name: &str, variable: &str) -> ProviderFailure {
    let detail = format!(
        "{name} has no key: set the environment variable {variable} and start again, \
         or name another one in its `api_key_env`"
    );
    ProviderFailure::new(FailureClass::MissingKey, detail)
}

/// The known name that is most like this one, if any is.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const ALIKE: f64 = 0.7;
    known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests;
