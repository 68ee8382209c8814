//! Checks the names a request uses against those there are.

use nexus_contracts::settings::Settings;

use super::Invalid;
use super::fields::{nearest, shown};

/// The names a message may use; `None` while they are not known, and then anything goes.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Names of providers.
    pub providers: Option<Vec<String>>,
    /// Names of tools.
    pub tools: Option<Vec<String>>,
}

/// Checks the names settings use against those there are.
///
/// # Errors
/// [`Invalid`] that names the nearest one and all of them.
pub fn check_names(settings: &Settings, known: &Known) -> Result<(), Invalid> {
    if let Some(provider) = &settings.provider {
        listed("provider", provider, known.providers.as_deref())?;
    }
    let policies = settings
        .tool_policy
        .iter()
        .flat_map(|by_name| by_name.keys());
    // A policy for a tool that is misspelt would protect nothing.
    let policies = policies.filter(|name| name.as_str() != "*");
    for tool in settings.tools.iter().flatten().chain(policies) {
        listed("tool", tool, known.tools.as_deref())?;
    }
    Ok(())
}

fn listed(what: &str, name: &str, known: Option<&[String]>) -> Result<(), Invalid> {
    let Some(known) = known.filter(|known| !known.iter().any(|other| other == name)) else {
        return Ok(());
    };
    let code = if what == "provider" {
        "unknown_provider"
    } else {
        "unknown_tool"
    };
    let hint = nearest(name, known.iter().map(String::as_str))
        .map_or_else(String::new, |near| format!(" (did you mean `{near}`?)"));
    let list = if known.is_empty() {
        "none".to_owned()
    } else {
        known.join(", ")
    };
    let detail = format!(
        "no {what} is called `{}`{hint}; known are {list}",
        shown(name)
    );
    Err(Invalid::unacceptable(code, detail))
}
