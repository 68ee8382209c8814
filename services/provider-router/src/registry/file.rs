//! `providers.yaml`: what a provider can be told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nexus_service_kit::config::yaml;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

use super::nearest;
use crate::error::Error;
use crate::provider::{ProviderType, TYPES};

/// Where the file is looked for when the configuration does not say.
const USUAL_PATH: &str = "config/providers.yaml";

/// What counts when there is no file: the same one, built in.
const BUILT_IN: &str = include_str!("../../../../config/providers.yaml");

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvidersFile {
    /// Who answers commands that name no provider; may be left out when there is only one.
    #[serde(default)]
    default: Option<String>,
    /// The providers, by name.
    pub providers: BTreeMap<String, ProviderSettings>,
}

/// One provider. Which keys mean something depends on its type.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderSettings {
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Where its API is, up to and with the version.
    #[serde(default)]
    pub base_url: Option<String>,
    /// The environment variable that holds its key.
    #[serde(default)]
    pub api_key_env: Option<String>,
    /// The model that answers when the command names none.
    #[serde(default)]
    pub model: Option<String>,
    /// The models to list.
    #[serde(default)]
    pub models: Vec<String>,
    /// How long it may be silent.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Headers to send with every request. Their values are treated as secrets.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretString>,
    /// Of the demo model: how long it pauses after every word.
    #[serde(default)]
    pub delay_ms_per_token: u64,
}

/// How long a provider may be silent.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// Until there is a connection.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub connect: Duration,
    /// Until the answer begins.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub first_byte: Duration,
    /// Between two pieces of it; keepalives count.
    #[serde(with = "nexus_service_kit::config::duration")]
    pub idle: Duration,
    /// Until it is whole.
    #[serde(with = "nexus_service_kit::config::duration")]
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

    /// The variable its key is in, if it needs one. The usual variable of a kind is only read for
    /// the usual address: a key must not go to another server because nobody said which.
    #[must_use]
    pub fn key_variable(&self) -> Option<&str> {
        let usual = if self.base_url.is_none() {
            self.kind.0.api_key_env
        } else {
            None
        };
        self.api_key_env.as_deref().or(usual)
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
        let file: Self = yaml::parse(text, name)?;
        let document = yaml::Document::parse(text, name)?;
        if let Some(bad) = file.providers.keys().find(|name| !is_name(name)) {
            let reason = "names of providers are 1 to 64 of a-z A-Z 0-9 - _";
            return Err(document.invalid(&format!("providers.{bad}"), reason).into());
        }
        let key = |provider: &ProviderSettings| provider.api_key_env.clone();
        let misread = file
            .providers
            .iter()
            .find(|(_, one)| key(one).is_some_and(|v| !is_variable(&v)));
        if let Some((bad, _)) = misread {
            // What stands there may be the key itself: it is not repeated.
            let reason = "must be the name of an environment variable, such as OPENAI_API_KEY, \
                          not the key itself";
            return Err(document
                .invalid(&format!("providers.{bad}.api_key_env"), reason)
                .into());
        }
        if file.default().is_none() {
            let known = file
                .providers
                .keys()
                .cloned()
                .collect::<Vec<_>>()
                .join(", ");
            let reason = format!("must be the name of a provider in this file: {known}");
            return Err(document.invalid("default", reason).into());
        }
        Ok(file)
    }

    /// Who answers commands that name no provider.
    #[must_use]
    pub fn default(&self) -> Option<&str> {
        let mut names = self.providers.keys().map(String::as_str);
        match (&self.default, names.next(), names.next()) {
            (Some(name), ..) => self.providers.contains_key(name).then_some(name),
            (None, only, None) => only,
            (None, ..) => None,
        }
    }
}

/// Names are typed by people and label metrics.
fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    !name.is_empty() && name.len() <= 64 && name.chars().all(fits)
}

/// As POSIX names variables.
fn is_variable(name: &str) -> bool {
    let mut letters = name.chars();
    let first = letters.next();
    first.is_some_and(|one| one.is_ascii_alphabetic() || one == '_')
        && letters.all(|one| one.is_ascii_alphanumeric() || one == '_')
}
