//! The layers of a configuration, and what they come to.

use std::path::Path;

use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::env::{self, Variable};
use super::error::{ConfigError, Origin, hint, kind_of};
use super::yaml::{self, Document, above};

/// The sections of the node itself.
pub const NODE_SECTIONS: &[&str] = &[
    "durability",
    "bus",
    "store",
    "http",
    "admin",
    "shutdown",
    "retention",
    "log",
    "principals",
];

/// The sections of the services that ship with Nexus: one file serves all processes, so each must
/// tell a neighbour's section from a mistyped one.
pub const SERVICE_SECTIONS: &[&str] = &[
    "orchestrator",
    "provider-router",
    "tool-executor",
    "recorder",
    "entry-api",
    "inference-worker",
];

/// Every layer that was given, ready to be read section by section.
#[derive(Clone, Debug, Default)]
pub struct ConfigSource {
    file: Option<Document>,
    variables: Vec<Variable>,
    overrides: Vec<(String, String)>,
}

impl ConfigSource {
    /// Reads the file, if there is one, and the environment of this process.
    ///
    /// # Errors
    /// [`ConfigError::Read`], [`ConfigError::Syntax`].
    pub fn load(file: Option<&Path>, overrides: &[(String, String)]) -> Result<Self, ConfigError> {
        let Some(path) = file else {
            return Self::of_layers(None, env::process(), overrides);
        };
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Read {
            file: name.clone(),
            reason: error.to_string(),
        })?;
        Self::of_layers(Some((&name, &text)), env::process(), overrides)
    }

    /// The same from layers at hand: the file's name and text, variables, overrides.
    ///
    /// # Errors
    /// [`ConfigError::Syntax`], or [`ConfigError::Invalid`] when the file is not a section.
    pub fn of_layers(
        file: Option<(&str, &str)>,
        environment: impl IntoIterator<Item = (String, String)>,
        overrides: &[(String, String)],
    ) -> Result<Self, ConfigError> {
        let file = file
            .map(|(name, text)| Document::parse(text, name))
            .transpose()?;
        if let Some(document) = &file
            && !document.value().is_object()
        {
            let found = kind_of(document.value());
            let reason = format!("the file is {found}; it needs sections such as `bus:`");
            return Err(document.invalid("", reason));
        }
        let variables = env::variables(environment);
        Ok(Self {
            file,
            variables,
            overrides: overrides.to_vec(),
        })
    }

    /// A section, all layers merged. `defaults_yaml` holds its keys without the section's name.
    ///
    /// # Errors
    /// [`ConfigError::UnknownKey`], [`ConfigError::Invalid`].
    pub fn section<T: DeserializeOwned>(
        &self,
        name: &'static str,
        defaults_yaml: &'static str,
    ) -> Result<T, ConfigError> {
        let defaults = Document::parse(defaults_yaml, "built-in defaults")?;
        self.section_over(name, defaults.value().clone())
    }

    /// As [`ConfigSource::section`], over defaults at hand.
    pub(super) fn section_over<T: DeserializeOwned>(
        &self,
        name: &'static str,
        defaults: Value,
    ) -> Result<T, ConfigError> {
        let mut value = defaults;
        if let Some(theirs) = self.file.as_ref().and_then(|file| file.value().get(name)) {
            self.must_fit(name, theirs, &value)?;
            merge(&mut value, theirs);
        }
        for variable in self
            .variables
            .iter()
            .filter(|variable| is_for(variable, name))
        {
            let path = variable.path.get(1..).unwrap_or_default();
            set(&mut value, path, &variable.value);
        }
        for (key, text) in &self.overrides {
            match key.split_once('.') {
                Some((section, path)) if section == name => {
                    let path: Vec<String> = path.split('.').map(str::to_owned).collect();
                    set(&mut value, &path, text);
                }
                // A key that stands by itself.
                None if key == name => set(&mut value, &[], text),
                _ => {}
            }
        }
        yaml::read(value, name, |path| self.origin(path))
    }

    /// Refuses sections nobody knows. The node's own and those of the services that ship with
    /// Nexus are known; `known` adds to them.
    ///
    /// # Errors
    /// [`ConfigError::UnknownKey`].
    pub fn check_sections(&self, known: &[&str]) -> Result<(), ConfigError> {
        let all = [NODE_SECTIONS, SERVICE_SECTIONS, known].concat();
        let written = self.file.iter().filter_map(|file| file.value().as_object());
        let written = written
            .flat_map(Map::keys)
            .map(|key| (key.as_str(), self.origin(key)));
        let variables = self.variables.iter().map(|variable| {
            let section = variable.path.first().map_or("", String::as_str);
            (section, Origin::Environment(variable.name.clone()))
        });
        let overrides = self.overrides.iter().map(|(key, value)| {
            let section = key.split('.').next().unwrap_or(key);
            (section, Origin::Override(format!("{key}={value}")))
        });
        let is_known = |section: &str| all.iter().any(|name| same_key(name, section));
        let mut unknown = written
            .chain(variables)
            .chain(overrides)
            .filter(|(section, _)| !is_known(section));
        let Some((section, origin)) = unknown.next() else {
            return Ok(());
        };
        let all: Vec<_> = all.iter().map(|name| (*name).to_owned()).collect();
        let hint = hint(section, &all);
        Err(ConfigError::UnknownKey {
            origin,
            key: section.to_owned(),
            hint,
        })
    }

    /// A secret, by the name of the environment variable that holds it. `None` when it is not set
    /// or empty.
    #[must_use]
    pub fn env_secret(name: &str) -> Option<SecretString> {
        env::secret(name)
    }

    /// A value that reads well and still cannot be used, with where it is written.
    #[must_use]
    pub fn invalid(&self, path: &str, reason: impl Into<String>) -> ConfigError {
        let (origin, key) = (self.origin(path), path.to_owned());
        ConfigError::Invalid {
            origin,
            key,
            reason: reason.into(),
        }
    }

    /// Where a value comes from: the topmost layer that names it, or else the nearest key above it.
    #[must_use]
    pub fn origin(&self, path: &str) -> Origin {
        above(path)
            .find_map(|path| self.origin_of(path))
            .unwrap_or(Origin::Default)
    }

    fn origin_of(&self, path: &str) -> Option<Origin> {
        let flag = self
            .overrides
            .iter()
            .rev()
            .find(|(key, _)| same_key(key, path));
        if let Some((key, value)) = flag {
            return Some(Origin::Override(format!("{key}={value}")));
        }
        let named = |variable: &&Variable| same_key(&variable.path.join("."), path);
        if let Some(variable) = self.variables.iter().find(named) {
            return Some(Origin::Environment(variable.name.clone()));
        }
        self.file
            .as_ref()
            .filter(|file| file.has(path))
            .map(|file| file.origin(path))
    }

    /// A section must be written as one: `bus: redis://…` would otherwise replace all its keys.
    fn must_fit(&self, name: &str, theirs: &Value, defaults: &Value) -> Result<(), ConfigError> {
        if theirs.is_object() || theirs.is_null() || !defaults.is_object() {
            return Ok(());
        }
        let keys: Vec<_> = defaults
            .as_object()
            .into_iter()
            .flat_map(Map::keys)
            .collect();
        let example = keys.first().map_or("key", |key| key.as_str());
        let found = kind_of(theirs);
        let reason = format!("expected a section with keys such as `{example}:`, found {found}");
        Err(self.invalid(name, reason))
    }
}

fn is_for(variable: &Variable, section: &str) -> bool {
    variable
        .path
        .first()
        .is_some_and(|name| same_key(section, name))
}

/// Whether both name one key: an environment variable writes `-` as `_`.
fn same_key(one: &str, other: &str) -> bool {
    one.len() == other.len()
        && one
            .chars()
            .zip(other.chars())
            .all(|(a, b)| a == b || matches!((a, b), ('-', '_') | ('_', '-')))
}

/// Lays `above` over `value`: sections key by key, everything else as a whole.
fn merge(value: &mut Value, above: &Value) {
    match (value, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, theirs) in above {
                merge(below.entry(key).or_insert(Value::Null), theirs);
            }
        }
        // A section left empty (`bus:` with all its keys commented out) changes nothing.
        (Value::Object(_), Value::Null) => {}
        (value, above) => *value = above.clone(),
    }
}

/// Sets one key from text.
fn set(value: &mut Value, path: &[String], text: &str) {
    let Some((first, rest)) = path.split_first() else {
        *value = typed(text, value);
        return;
    };
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    if let Some(section) = value.as_object_mut() {
        let written = section.keys().find(|key| same_key(key, first)).cloned();
        let key = written.unwrap_or_else(|| first.clone());
        set(section.entry(key).or_insert(Value::Null), rest, text);
    }
}

/// Text stays text where text stands; elsewhere it is read as YAML would read it.
fn typed(text: &str, standing: &Value) -> Value {
    if standing.is_string() {
        return Value::String(text.to_owned());
    }
    // `a: b` and `a # b` are meant as they are written; only `{…}` is a section.
    let parsed = Document::parse(text, "value")
        .ok()
        .filter(|_| !text.contains('#'));
    let value = parsed.map(|document| document.value().clone());
    match value {
        Some(Value::Object(_)) if !text.trim_start().starts_with('{') => text.into(),
        Some(value) => value,
        None => text.into(),
    }
}
