//! What to tell when nobody answered. Pure.

use std::sync::Arc;

use crate::plan::Candidate;
use crate::provider::{FailureClass, ProviderFailure};

/// A failure, and who failed if it was only one.
type Verdict = (ProviderFailure, Option<Arc<str>>);

/// The failure to tell: of one who was asked alone its own, else what everybody said last.
pub(super) fn failed(failures: &[(&Candidate, ProviderFailure)]) -> Verdict {
    let mut last: Vec<(&Candidate, &ProviderFailure)> = Vec::new();
    for (by, failure) in failures {
        last.retain(|(one, _)| !std::ptr::eq(*one, *by));
        last.push((by, failure));
    }
    if let [(by, failure)] = last.as_slice() {
        let name = Arc::clone(&by.configured.name);
        return ((*failure).clone(), Some(name));
    }
    // If one of them may answer later, all of them together may.
    let mut passing = last.iter().map(|(_, failure)| failure.class);
    let class = passing
        .find(|class| class.is_transient())
        .or_else(|| last.first().map(|(_, failure)| failure.class));
    let words: Vec<String> = last
        .iter()
        .map(|(_, failure)| failure.to_string())
        .collect();
    let detail = format!("nobody answered: {}", words.join("; "));
    let class = class.unwrap_or(FailureClass::Unavailable);
    (ProviderFailure::new(class, detail), None)
}

/// The time was over before anybody answered.
pub(super) fn out_of_time(
    asked: &[Candidate],
    failures: &[(&Candidate, ProviderFailure)],
) -> Verdict {
    let names: Vec<&str> = asked.iter().map(|one| &*one.configured.name).collect();
    let names = names.join(", ");
    let mut detail = format!("{names} did not answer before the command's deadline");
    if let Some((_, failure)) = failures.last() {
        detail = format!("{detail}; before that: {failure}");
    }
    let alone = match asked {
        [one] => Some(Arc::clone(&one.configured.name)),
        _ => None,
    };
    let failure = ProviderFailure::new(FailureClass::DeadlineExceeded, detail);
    (failure, alone)
}
