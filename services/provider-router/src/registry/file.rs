//! `providers.yaml`: what a provider can be told.

mod check;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nexus_contracts::derive_id;
use nexus_service_kit::breaker::BreakerPolicy;
use nexus_service_kit::config::{Span, yaml};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use uuid::Uuid;

use super::models::Model;
use super::nearest;
use super::route::{Delegates, DelegatesSchema, Route};
use super::schema::{Name, Variable};
use crate::error::Error;
use crate::limits::Limits;
use crate::provider::{ProviderType, TYPES};

/// Where the file is looked for when the configuration does not say.
const USUAL_PATH: &str = "config/providers.yaml";

/// What counts when there is no file: the same one, built in.
const BUILT_IN: &str = include_str!("../../../../config/providers.yaml");

/// The whole file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProvidersFile {
    /// Who answers commands that name no provider: a provider or a route; may be left out when there
    /// is only one provider.
    #[serde(default)]
    default: Option<String>,
    /// The providers, by name.
    #[schemars(with = "BTreeMap<Name, ProviderSettings>")]
    pub providers: BTreeMap<String, ProviderSettings>,
    /// Several models that can answer, by name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<Name, Route>")]
    pub routes: BTreeMap<String, Route>,
    /// Who is asked instead of a model that cannot.
    #[serde(default)]
    #[schemars(with = "DelegatesSchema")]
    pub delegates: Delegates,
    /// What the file says of each provider, as hashes.
    #[serde(skip)]
    fingerprints: BTreeMap<String, Fingerprints>,
}

/// What the file says of a provider, as hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprints {
    /// Of all of it.
    pub all: Uuid,
    /// Of all but what leaves its answers what they are.
    pub answers: Uuid,
}

/// What says how a provider is asked, and how its models fare and what they cost, rather than who
/// answers.
const LEAVES_ANSWERS: [&str; 5] = [
    "models",
    "limits",
    "breaker",
    "timeouts",
    "delay_ms_per_token",
];

impl Fingerprints {
    fn of(said: &Value) -> Self {
        let hash = |said: &Value| derive_id([said.to_string().as_bytes()]);
        let mut answers = said.clone();
        if let Value::Object(keys) = &mut answers {
            keys.retain(|key, _| !LEAVES_ANSWERS.contains(&key.as_str()));
        }
        Self {
            all: hash(said),
            answers: hash(&answers),
        }
    }
}

/// One provider. Which keys mean something depends on its type.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderSettings {
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Where its API is, up to and with the version.
    #[serde(default)]
    pub base_url: Option<String>,
    /// The environment variable that holds its key; several keys take turns.
    #[serde(default)]
    pub api_key_env: Option<OneOrMore>,
    /// The model that answers when the command names none.
    #[serde(default)]
    pub model: Option<String>,
    /// The models to list, by name or with what is known of them.
    #[serde(default)]
    pub models: Vec<Model>,
    /// Where it is.
    #[serde(default)]
    pub locality: Option<Locality>,
    /// What it takes at most.
    #[serde(default)]
    pub limits: Limits,
    /// When it is left alone.
    #[serde(default)]
    pub breaker: BreakerPolicy,
    /// The proxy to reach it through; may carry a name and password, so it is treated as a secret.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub proxy: Option<SecretString>,
    /// How long it may be silent.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Headers to send with every request. Their values are treated as secrets.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub headers: BTreeMap<String, SecretString>,
    /// Of the demo model: how long it pauses after every word.
    #[serde(default)]
    pub delay_ms_per_token: u64,
}

/// Where a provider is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Locality {
    /// What is said to it stays with whoever runs Nexus.
    Local,
    /// What is said to it leaves.
    Remote,
}

/// A name, or a list of names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMore {
    /// One.
    One(#[schemars(with = "Variable")] String),
    /// Several.
    More(#[schemars(with = "Vec<Variable>", length(min = 1))] Vec<String>),
}

impl OneOrMore {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::More(all) => all,
        }
    }
}

/// How long a provider may be silent.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// Until there is a connection.
    #[serde(with = "nexus_service_kit::config::duration")]
    #[schemars(with = "Span")]
    pub connect: Duration,
    /// Until the answer begins.
    #[serde(with = "nexus_service_kit::config::duration")]
    #[schemars(with = "Span")]
    pub first_byte: Duration,
    /// Between two pieces of it; keepalives count.
    #[serde(with = "nexus_service_kit::config::duration")]
    #[schemars(with = "Span")]
    pub idle: Duration,
    /// Until it is whole.
    #[serde(with = "nexus_service_kit::config::duration")]
    #[schemars(with = "Span")]
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_mins(1),
            idle: Duration::from_mins(1),
            total: Duration::from_mins(10),
        }
    }
}

/// One of [`TYPES`].
#[derive(Clone, Copy, Debug)]
pub struct Kind(pub &'static ProviderType);

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        TYPES
            .iter()
            .find(|kind| kind.name == name)
            .map(Self)
            .ok_or_else(|| {
                let known: Vec<&str> = TYPES.iter().map(|kind| kind.name).collect();
                let hint = nearest(&name, known.iter().copied())
                    .map(|near| format!("; did you mean `{near}`?"))
                    .unwrap_or_default();
                let known = known.join(", ");
                serde::de::Error::custom(format!("unknown type `{name}`, known are {known}{hint}"))
            })
    }
}

impl ProviderSettings {
    /// Where it is: what the file says, or what is usual for its kind.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        self.base_url.as_deref().or(self.kind.0.base_url)
    }

    /// The variables its keys are in; none if it needs no key. The usual variable of a kind is only
    /// read for the usual address: a key must not go to another server because nobody said which.
    #[must_use]
    pub fn key_variables(&self) -> Vec<&str> {
        match &self.api_key_env {
            Some(names) => names.all().iter().map(String::as_str).collect(),
            None if self.base_url.is_none() => self.kind.0.api_key_env.into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// The model that makes vectors where the file names none. What only speaks the language of another
    /// company's interface does not have its models.
    #[must_use]
    pub fn usual_embedding_model(&self) -> Option<&'static str> {
        let elsewhere = self.base_url.is_some()
            && self
                .kind
                .0
                .base_url
                .is_some_and(|usual| !is_loopback(usual));
        self.kind.0.embedding_model.filter(|_| !elsewhere)
    }

    /// Whether what is said to it stays here: as the file says, else if it needs no network or is on
    /// this very machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match (self.locality, self.address()) {
            (Some(locality), _) => locality == Locality::Local,
            (None, Some(address)) => is_loopback(address),
            (None, None) => self.kind.0.local,
        }
    }
}

/// What a file says, not looked at yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Where it is from, as people know it.
    pub name: String,
    /// All of it.
    pub yaml: String,
}

/// The usual file, if there is one.
#[must_use]
pub fn usual() -> Option<PathBuf> {
    Path::new(USUAL_PATH).exists().then(|| USUAL_PATH.into())
}

impl Text {
    /// The file at this path, or what counts where there is no file.
    ///
    /// # Errors
    /// [`Error::Unreadable`].
    pub fn read(path: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = path else {
            return Ok(Self {
                name: "built-in providers.yaml".to_owned(),
                yaml: BUILT_IN.to_owned(),
            });
        };
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(yaml) => Ok(Self { name, yaml }),
            Err(source) => Err(Error::Unreadable { path: name, source }),
        }
    }

    /// What stands for a file that cannot be read.
    pub(crate) fn unreadable(error: &Error) -> Self {
        Self {
            name: error.to_string(),
            yaml: String::new(),
        }
    }
}

impl ProvidersFile {
    /// Reads the file at this path; without a path the usual one if there is one, else the built-in one.
    ///
    /// # Errors
    /// [`Error::Unreadable`], or [`Error::Config`] with line and nearest known key.
    pub fn load(path: Option<&Path>) -> Result<Self, Error> {
        let path = path.map(Path::to_owned).or_else(usual);
        let text = Text::read(path.as_deref())?;
        Self::parse(&text.yaml, &text.name)
    }

    /// Reads the text of a file called `name`.
    ///
    /// # Errors
    /// [`Error::Config`] with line and nearest known key.
    pub fn parse(text: &str, name: &str) -> Result<Self, Error> {
        let mut file: Self = yaml::parse(text, name).map_err(check::without_value)?;
        let document = yaml::Document::parse(text, name)?;
        check::check(&file, &document)?;
        let said = document.value().get("providers").and_then(Value::as_object);
        let said = said.into_iter().flatten();
        let hashed = said.map(|(name, said)| (name.clone(), Fingerprints::of(said)));
        file.fingerprints = hashed.collect();
        Ok(file)
    }

    /// Who answers commands that name no provider.
    #[must_use]
    pub fn default(&self) -> Option<&str> {
        let mut names = self.providers.keys().map(String::as_str);
        match (&self.default, names.next(), names.next()) {
            (Some(name), ..) => self.has(name).then_some(name),
            (None, only, None) => only,
            (None, ..) => None,
        }
    }

    /// The same for as long as the file says the same of this provider.
    #[must_use]
    pub fn fingerprints(&self, name: &str) -> Fingerprints {
        self.fingerprints.get(name).copied().unwrap_or_default()
    }

    /// Whether there is a provider or route of this name.
    fn has(&self, name: &str) -> bool {
        self.providers.contains_key(name) || self.routes.contains_key(name)
    }
}

fn is_loopback(address: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(address) else {
        return false;
    };
    match url.host_str().unwrap_or_default() {
        "localhost" => true,
        host => {
            let host = host.trim_matches(|c| c == '[' || c == ']');
            host.parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
        }
    }
}
