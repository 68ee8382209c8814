//! The providers there are, as `providers.yaml` has them; [`crate::reload`] builds them anew.

pub mod file;

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::provider::{FailureClass, Provider, ProviderFailure, ProviderType, Setup};

use file::{ProviderSettings, ProvidersFile};

/// Looks a secret up by the name of its variable.
pub type Secrets<'a> = &'a dyn Fn(&str) -> Option<SecretString>;

/// A provider as `providers.yaml` describes it.
pub struct Configured {
    /// Its name.
    pub name: Arc<str>,
    /// The model that answers when the command names none.
    pub model: Arc<str>,
    /// The models the file lists; for people to choose from.
    pub models: Vec<String>,
    /// Its kind.
    pub kind: &'static ProviderType,
    /// The provider, or why it cannot be used.
    pub provider: Result<Arc<dyn Provider>, ProviderFailure>,
}

/// All providers, by name.
pub struct Registry {
    default: String,
    providers: BTreeMap<String, Configured>,
}

/// Value of the table `control.providers`: what others may know about a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "three independent facts, named on the wire"
)]
pub struct ProviderStatus {
    /// Its name.
    pub name: String,
    /// Its kind, such as `openai`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The model that answers when the command names none.
    pub model: String,
    /// The models it is known to have.
    pub models: Vec<String>,
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
    /// The providers of this file, with their keys. Reaches no network.
    ///
    /// # Errors
    /// [`Error::Settings`] when a setting of a provider cannot be used. A missing key is no error:
    /// the provider stays listed, and calls of it fail saying which variable to set.
    pub fn build(file: &ProvidersFile, secrets: Secrets<'_>) -> Result<Self, Error> {
        let default = file.default().unwrap_or_default().to_owned();
        let built = file.providers.iter().map(|(name, settings)| {
            Ok((name.clone(), Configured::build(name, settings, secrets)?))
        });
        let providers = built.collect::<Result<BTreeMap<_, _>, Error>>()?;
        Ok(Self { default, providers })
    }

    /// The provider of this name, or the default one.
    ///
    /// # Errors
    /// [`FailureClass::UnknownProvider`], naming those that are known.
    pub fn find(&self, name: Option<&str>) -> Result<&Configured, ProviderFailure> {
        let name = name.unwrap_or(&self.default);
        self.providers.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.providers.keys().map(String::as_str).collect();
            let nearest = nearest(name, known.iter().copied());
            let hint = nearest
                .map(|near| format!("; did you mean `{near}`?"))
                .unwrap_or_default();
            let known = known.join(", ");
            let name = crate::assembler::excerpt(name);
            let detail = format!("there is no provider `{name}`, only: {known}{hint}");
            ProviderFailure::new(FailureClass::UnknownProvider, detail)
        })
    }

    /// All of them, by name.
    pub fn all(&self) -> impl Iterator<Item = &Configured> {
        self.providers.values()
    }

    /// What others may know about each.
    #[must_use]
    pub fn statuses(&self) -> Vec<ProviderStatus> {
        self.all()
            .map(|provider| provider.status(&self.default))
            .collect()
    }
}

impl Configured {
    fn build(name: &str, settings: &ProviderSettings, secrets: Secrets<'_>) -> Result<Self, Error> {
        let kind = settings.kind.0;
        let variable = settings.key_variable();
        let api_key = variable.and_then(secrets);
        let missing = variable.filter(|_| api_key.is_none());
        // Made without its key too, so that its other settings are checked.
        let setup = Setup {
            name,
            settings,
            api_key,
        };
        let built = (kind.build)(&setup).map_err(|failure| Error::settings(name, &failure))?;
        let provider = match missing {
            Some(variable) => Err(missing_key(name, variable)),
            None => Ok(built),
        };
        let model = settings.model.as_deref().unwrap_or(kind.default_model);
        let mut models = settings.models.clone();
        if !models.iter().any(|known| known == model) {
            models.insert(0, model.to_owned());
        }
        Ok(Self {
            name: name.into(),
            model: model.into(),
            models,
            kind,
            provider,
        })
    }

    /// What others may know about it, where `default` is the name of the default provider.
    #[must_use]
    pub fn status(&self, default: &str) -> ProviderStatus {
        let reason = self.provider.as_ref().err().map(ToString::to_string);
        ProviderStatus {
            name: self.name.to_string(),
            kind: self.kind.name.to_owned(),
            model: self.model.to_string(),
            models: self.models.clone(),
            usable: reason.is_none(),
            reason,
            default: *self.name == *default,
            demo: self.kind.demo,
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
