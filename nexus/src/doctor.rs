//! `nexus doctor`: each line is ok, or says what to do.

pub mod checks;

use std::io::Write;

use serde::Serialize;
use serde_json::json;

use crate::cli::JsonArgs;
use crate::exit::Failure;
use crate::settings::Settings;
use crate::style::{Tone, toned};

/// What one look found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was found.
    pub found: String,
    /// What to do, where something is wrong or could be better.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub todo: Option<String>,
}

impl Check {
    /// As it should be.
    pub fn ok(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ok: true,
            found: found.into(),
            todo: None,
        }
    }

    /// Not as it should be.
    pub fn bad(name: impl Into<String>, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ok: false,
            found: found.into(),
            todo: Some(todo.into()),
        }
    }

    /// The same with a word on what could be better.
    #[must_use]
    pub fn but(mut self, todo: impl Into<String>) -> Self {
        self.todo = Some(todo.into());
        self
    }

    /// For people: one line, and another with what to do.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mark = if self.ok {
            toned(Tone::Good, "ok ")
        } else {
            toned(Tone::Bad, "no ")
        };
        let mut lines = vec![format!("{mark} {:<13} {}", self.name, self.found)];
        lines.extend(
            self.todo
                .as_ref()
                .map(|todo| format!("                  → {todo}")),
        );
        lines
    }
}

/// Looks at everything; fails when something is not as it should be.
///
/// # Errors
/// How much is wrong.
pub async fn doctor(
    args: &JsonArgs,
    settings: Result<Settings, Failure>,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let found = match &settings {
        Ok(settings) => checks::all(settings).await,
        Err(failure) => vec![checks::unreadable(failure)],
    };
    let wrong = found.iter().filter(|check| !check.ok).count();
    if args.json {
        writeln!(out, "{}", json!({ "ok": wrong == 0, "checks": found }))?;
    } else {
        for line in found.iter().flat_map(Check::lines) {
            writeln!(out, "{line}")?;
        }
    }
    match wrong {
        0 => Ok(()),
        1 => Err(Failure::failed("one thing needs attention")),
        more => Err(Failure::failed(format!("{more} things need attention"))),
    }
}
