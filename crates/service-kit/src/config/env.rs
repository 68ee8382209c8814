//! The environment: read here and nowhere else.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

/// What every variable that sets a configuration key starts with.
const PREFIX: &str = "NEXUS__";

/// Where the configuration is looked for when nobody names a file.
const USUAL_FILE: &str = "config/nexus.yaml";

/// One variable `NEXUS__SECTION__KEY`.
#[derive(Clone, Debug)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) path: Vec<String>,
    pub(super) value: String,
}

/// Every variable of these that sets a configuration key, by name.
pub(super) fn variables(all: impl IntoIterator<Item = (String, String)>) -> Vec<Variable> {
    let variable = |(name, value): (String, String)| {
        let path = name
            .strip_prefix(PREFIX)?
            .split("__")
            .map(str::to_lowercase)
            .collect();
        Some(Variable { name, path, value })
    };
    let mut found: Vec<_> = all.into_iter().filter_map(variable).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// The environment of this process; what is not UTF-8 is left out.
pub(super) fn process() -> Vec<(String, String)> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

/// The file to read: `NEXUS_CONFIG`, or `config/nexus.yaml` where there is one.
#[must_use]
pub fn config_file() -> Option<PathBuf> {
    match variable("NEXUS_CONFIG") {
        Some(file) => Some(file.into()),
        None => Some(PathBuf::from(USUAL_FILE)).filter(|file: &PathBuf| Path::exists(file)),
    }
}

/// `RUST_LOG`, where it is set.
#[must_use]
pub fn log_filter() -> Option<String> {
    variable("RUST_LOG")
}

pub(super) fn secret(name: &str) -> Option<SecretString> {
    variable(name).map(SecretString::from)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
