//! What is wrong with a configuration, where it is written, and what to write instead.

use std::fmt;

use serde_json::Value;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The defaults embedded in the program.
    Default,
    /// A file.
    File {
        /// Its name.
        file: String,
        /// The line, from 1.
        line: u64,
    },
    /// An environment variable.
    Environment(String),
    /// The command line.
    Override(String),
    /// A value that stands nowhere.
    Nowhere,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("built-in defaults"),
            Self::File { file, line } => write!(f, "{file}:{line}"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Override(text) => write!(f, "command line `{text}`"),
            Self::Nowhere => f.write_str("configuration"),
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read {file}: {reason}")]
    Read {
        /// The file.
        file: String,
        /// What the system said.
        reason: String,
    },
    /// A file is not YAML.
    #[error("{file}:{line}:{column}: {reason}")]
    Syntax {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// The column, from 1.
        column: u64,
        /// What is wrong there.
        reason: String,
    },
    /// Nobody knows this key.
    #[error("{origin}: unknown key `{key}`; {hint}")]
    UnknownKey {
        /// Where it is written.
        origin: Origin,
        /// The key with its path.
        key: String,
        /// The nearest known key, or all of them.
        hint: String,
    },
    /// A value is not what its key needs.
    #[error("{origin}: {}: {reason}", shown(key))]
    Invalid {
        /// Where it is written.
        origin: Origin,
        /// The key with its path.
        key: String,
        /// What was found and what is needed.
        reason: String,
    },
}

impl ConfigError {
    /// A value that reads well and still cannot be used. [`crate::ConfigSource::invalid`] adds
    /// where it is written.
    pub fn invalid(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid {
            origin: Origin::Nowhere,
            key: key.into(),
            reason: reason.into(),
        }
    }
}

/// A key as it is named in an error; the whole of a file has no key.
fn shown(key: &str) -> String {
    if key.is_empty() {
        "the file".to_owned()
    } else {
        format!("`{key}`")
    }
}

/// What to write instead of `found`: the nearest of `known`, or all of them.
pub(super) fn hint(found: &str, known: &[String]) -> String {
    let distance = |name: &String| strsim::damerau_levenshtein(found, name);
    let nearest = known.iter().min_by_key(|name| distance(name));
    match nearest {
        Some(name) if distance(name) <= 1 + found.chars().count() / 3 => {
            format!("did you mean `{name}`?")
        }
        Some(_) => format!("known keys are {}", known.join(", ")),
        None => "no key is known here".to_owned(),
    }
}

/// Turns serde's words for one path into an error.
pub(super) fn from_serde(path: &str, message: &str, origin: Origin) -> ConfigError {
    let key = path.to_owned();
    let unknown = message
        .strip_prefix("unknown field ")
        .and_then(|_| message.split_once("expected").or(Some((message, ""))));
    match unknown {
        Some((found, expected)) => {
            let found = quoted(found).pop().unwrap_or_default();
            let hint = hint(&found, &quoted(expected));
            ConfigError::UnknownKey { origin, key, hint }
        }
        None => ConfigError::Invalid {
            origin,
            key,
            reason: message.to_owned(),
        },
    }
}

/// The texts between backticks: how serde's messages name fields.
fn quoted(text: &str) -> Vec<String> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// What a YAML value is, in the words of a person.
pub(super) const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a section",
    }
}
