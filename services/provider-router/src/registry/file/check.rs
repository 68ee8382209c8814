//! What reads well and still cannot be meant.

use nexus_service_kit::ConfigError;
use nexus_service_kit::config::yaml::Document;

use super::{OneOrMore, ProviderSettings, ProvidersFile};
use crate::registry::nearest;
use crate::registry::route::{Route, Target};

/// What is wrong, with the path of the key.
type Wrong = (String, String);

/// How `serde` says that a value is of another type, as in ``invalid type: integer `5`, expected a string``.
const WRONG_TYPE: &str = "invalid type: ";
const WANTED: &str = ", expected ";

/// Checks what the types do not.
///
/// # Errors
/// [`ConfigError::Invalid`] with the line of the first thing that cannot be meant.
pub(super) fn check(file: &ProvidersFile, document: &Document) -> Result<(), ConfigError> {
    let wrong = providers(file)
        .or_else(|| routes(file))
        .or_else(|| delegates(file))
        .or_else(|| default(file));
    match wrong {
        Some((path, reason)) => Err(document.invalid(&path, reason)),
        None => Ok(()),
    }
}

/// The same without what was found: where a section or a text is wanted it may be a key, which somebody put
/// in the wrong place.
pub(super) fn without_value(mut error: ConfigError) -> ConfigError {
    if let ConfigError::Invalid { reason, .. } = &mut error
        && let Some(rest) = reason.strip_prefix(WRONG_TYPE)
        && let Some((found, wanted)) = rest.rsplit_once(WANTED)
    {
        let kind = found
            .split(['"', '`'])
            .next()
            .unwrap_or_default()
            .trim_end();
        *reason = format!("{WRONG_TYPE}{kind}{WANTED}{wanted}");
    }
    error
}

fn providers(file: &ProvidersFile) -> Option<Wrong> {
    file.providers.iter().find_map(|(name, settings)| {
        let path = format!("providers.{name}");
        misnamed(&path, name).or_else(|| provider(&path, settings))
    })
}

fn provider(path: &str, settings: &ProviderSettings) -> Option<Wrong> {
    let variables = settings.api_key_env.iter().flat_map(OneOrMore::all);
    if let Some(names) = &settings.api_key_env
        && names.all().is_empty()
    {
        let reason = "names no variable; leave it out for the usual one".to_owned();
        return Some((format!("{path}.api_key_env"), reason));
    }
    for variable in variables {
        if !is_variable(variable) {
            // What stands there may be the key itself: it is not repeated.
            let reason = "must be the name of an environment variable, such as OPENAI_API_KEY, \
                          not the key itself";
            return Some((format!("{path}.api_key_env"), reason.to_owned()));
        }
    }
    let mut seen = Vec::new();
    for (at, model) in settings.models.iter().enumerate() {
        let path = format!("{path}.models[{at}]");
        if model.name.trim().is_empty() {
            return Some((path, "has no name".to_owned()));
        }
        if seen.contains(&&model.name) {
            return Some((path, format!("lists `{}` twice", model.name)));
        }
        if model.quality.is_some_and(|quality| quality > 100) {
            return Some((format!("{path}.quality"), "must be 0 to 100".to_owned()));
        }
        seen.push(&model.name);
    }
    None
}

fn routes(file: &ProvidersFile) -> Option<Wrong> {
    file.routes.iter().find_map(|(name, route)| {
        let path = format!("routes.{name}");
        if file.providers.contains_key(name) {
            return Some((path, "there is a provider of this name already".to_owned()));
        }
        misnamed(&path, name).or_else(|| targets(file, &path, route))
    })
}

fn targets(file: &ProvidersFile, path: &str, route: &Route) -> Option<Wrong> {
    if route.targets.iter().all(|target| target.canary.is_some()) {
        let reason = "needs a target that is no canary: who answers the others?";
        return Some((format!("{path}.targets"), reason.to_owned()));
    }
    route.targets.iter().enumerate().find_map(|(at, target)| {
        let path = format!("{path}.targets[{at}]");
        one_target(file, &path, target)
    })
}

fn one_target(file: &ProvidersFile, path: &str, target: &Target) -> Option<Wrong> {
    if !file.providers.contains_key(&target.provider) {
        let known: Vec<&str> = file.providers.keys().map(String::as_str).collect();
        let reason = unknown("provider", &target.provider, &known);
        return Some((format!("{path}.provider"), reason));
    }
    if target.canary.is_some_and(|percent| percent > 100) {
        return Some((
            format!("{path}.canary"),
            "must be 0 to 100 percent".to_owned(),
        ));
    }
    if target.canary.is_some() && target.weight.is_some() {
        let reason = "has a weight and a canary; one of the two decides who gets a call";
        return Some((path.to_owned(), reason.to_owned()));
    }
    if target.weight == Some(0) {
        let reason = "must be 1 or more; leave the target out to give it nothing";
        return Some((format!("{path}.weight"), reason.to_owned()));
    }
    None
}

fn delegates(file: &ProvidersFile) -> Option<Wrong> {
    file.delegates.iter().find_map(|(capability, to)| {
        if file.has(to) {
            return None;
        }
        let word = serde_json::to_value(capability).unwrap_or_default();
        let path = format!("delegates.{}", word.as_str().unwrap_or_default());
        Some((path, unknown("provider or route", to, &names(file))))
    })
}

fn default(file: &ProvidersFile) -> Option<Wrong> {
    if file.default().is_some() {
        return None;
    }
    let known = names(file).join(", ");
    let reason = format!("must be the name of a provider or route in this file: {known}");
    Some(("default".to_owned(), reason))
}

fn names(file: &ProvidersFile) -> Vec<&str> {
    let names = file.providers.keys().chain(file.routes.keys());
    names.map(String::as_str).collect()
}

fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let hint = nearest(name, known.iter().copied())
        .map(|near| format!("; did you mean `{near}`?"))
        .unwrap_or_default();
    format!(
        "there is no {what} `{name}`, only: {}{hint}",
        known.join(", ")
    )
}

/// Names are typed by people and label metrics.
fn misnamed(path: &str, name: &str) -> Option<Wrong> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !name.is_empty() && name.len() <= 64 && name.chars().all(fits) {
        return None;
    }
    let reason = "names of providers and routes are 1 to 64 of a-z A-Z 0-9 - _";
    Some((path.to_owned(), reason.to_owned()))
}

/// As POSIX names variables.
fn is_variable(name: &str) -> bool {
    let mut letters = name.chars();
    let first = letters.next();
    first.is_some_and(|one| one.is_ascii_alphabetic() || one == '_')
        && letters.all(|one| one.is_ascii_alphanumeric() || one == '_')
}
