//! What a run gave, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::check::{Violation, check, extra_calls, stale};
use crate::history::{Ending, History, Millis, Refused, Request};

/// How fast answers came once what delayed them was healed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Recovery {
    /// Requests that were open when a fault was healed.
    pub requests: usize,
    /// Half were answered within this.
    pub p50_ms: Millis,
    /// All but one in a hundred.
    pub p99_ms: Millis,
    /// All.
    pub most_ms: Millis,
}

/// A run in figures.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// How to run it again.
    pub command: String,
    /// Requests accepted.
    pub requests: usize,
    /// Conversations begun.
    pub conversations: usize,
    /// Requests answered.
    pub completed: usize,
    /// Requests failed, by code.
    pub failed: BTreeMap<String, usize>,
    /// Faults by kind.
    pub faults: BTreeMap<String, usize>,
    /// Accepted requests without any outcome.
    pub lost: usize,
    /// Requests with more than one.
    pub doubled: usize,
    /// Writes from an outdated state that stayed.
    pub stale_accepted: usize,
    /// Writes from an outdated state that were refused, by what they were.
    pub stale_refused: Refused,
    /// Calls the model received.
    pub model_calls: usize,
    /// Those beyond one for each step.
    pub extra_model_calls: u64,
    /// From healing to the answer.
    pub recovery: Recovery,
    /// Workers that ended by themselves and were started again.
    pub ended_by_themselves: u64,
    /// What panics said.
    pub panics: Vec<String>,
    /// What did not hold.
    pub violations: Vec<Violation>,
    /// What the workers wrote last.
    #[serde(skip)]
    pub output: String,
}

/// What is known beside the history.
#[derive(Clone, Debug, Default)]
pub struct Aside {
    /// How to run it again.
    pub command: String,
    /// Workers that ended by themselves.
    pub ended_by_themselves: u64,
    /// What panics said.
    pub panics: Vec<String>,
    /// What the workers wrote last.
    pub output: String,
}

impl Report {
    /// Checks a history and sums it up.
    #[must_use]
    pub fn new(history: &History, aside: Aside) -> Self {
        let accepted = || {
            let requests = history.requests.iter();
            requests.filter(|request| request.accepted_at.is_some())
        };
        let mut failed = BTreeMap::new();
        let mut conversations = std::collections::BTreeSet::new();
        let mut doubled = 0;
        for request in accepted() {
            conversations.insert(request.conversation.as_str());
            doubled += usize::from(is_doubled(request));
            let first = request.replies.first();
            if let Some(reply) = first.filter(|reply| reply.ending == Ending::Failed) {
                let code = reply.text.split(':').next().unwrap_or_default();
                *failed.entry(code.to_owned()).or_default() += 1;
            }
        }
        let mut faults = BTreeMap::new();
        for fault in &history.faults {
            *faults.entry(fault.kind.clone()).or_default() += 1;
        }
        let answered = accepted().filter(|request| !request.replies.is_empty());
        let answered = answered.count();
        Self {
            command: aside.command,
            requests: accepted().count(),
            conversations: conversations.len(),
            completed: answered - failed.values().sum::<usize>(),
            failed,
            faults,
            lost: accepted().count() - answered,
            doubled,
            stale_accepted: stale::accepted(history).len(),
            stale_refused: history.refused.clone(),
            model_calls: history.calls.len(),
            extra_model_calls: extra_calls(&history.calls),
            recovery: recovery(history),
            ended_by_themselves: aside.ended_by_themselves,
            panics: aside.panics,
            violations: check(history),
            output: aside.output,
        }
    }

    /// The names of the invariants that did not hold.
    #[must_use]
    pub fn broken(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self
            .violations
            .iter()
            .map(|violation| violation.invariant)
            .collect();
        names.dedup();
        names
    }
}

fn is_doubled(request: &Request) -> bool {
    let first = request.replies.first();
    let differs = |reply: &crate::history::Reply| {
        first.is_some_and(|first| first.id != reply.id || first.text != reply.text)
    };
    request.replies.iter().any(differs)
}

fn recovery(history: &History) -> Recovery {
    let mut healed: Vec<Millis> = history.faults.iter().map(|fault| fault.until).collect();
    healed.sort_unstable();
    let mut times: Vec<Millis> = history
        .requests
        .iter()
        .filter_map(|request| {
            let answered = request.answered_at()?;
            let before = healed.partition_point(|at| *at < answered);
            let last = *healed.get(before.checked_sub(1)?)?;
            (last >= request.asked_at).then_some(answered - last)
        })
        .collect();
    times.sort_unstable();
    let at = |percent: usize| {
        let rank = (times.len() * percent).div_ceil(100).saturating_sub(1);
        times.get(rank).copied().unwrap_or(0)
    };
    Recovery {
        requests: times.len(),
        p50_ms: at(50),
        p99_ms: at(99),
        most_ms: at(100),
    }
}

fn list<N: fmt::Display>(counts: &BTreeMap<String, N>) -> String {
    let parts: Vec<String> = counts
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    if parts.is_empty() {
        "none".to_owned()
    } else {
        parts.join(", ")
    }
}

/// Most violations shown of one run; all are in the JSON.
const SHOWN: usize = 20;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, value: String| writeln!(f, "{name:<22}{value}");
        row("command", self.command.clone())?;
        let conversations = self.conversations;
        row(
            "requests",
            format!("{} in {conversations} conversations", self.requests),
        )?;
        row("answered", self.completed.to_string())?;
        row("failed", list(&self.failed))?;
        let total: usize = self.faults.values().sum();
        row("faults", format!("{total}: {}", list(&self.faults)))?;
        let bound = |count: usize| match (count, self.requests) {
            (0, 1..) => format!(
                "0 in {0} (at 95 %: at most {1:.4} %)",
                self.requests,
                300.0 / self.requests as f64
            ),
            _ => format!("{count} in {}", self.requests),
        };
        row("lost", bound(self.lost))?;
        row("doubled", bound(self.doubled))?;
        row("stale writes accepted", self.stale_accepted.to_string())?;
        row("stale writes refused", list(&self.stale_refused))?;
        row(
            "extra model calls",
            format!("{} of {}", self.extra_model_calls, self.model_calls),
        )?;
        let Recovery {
            requests,
            p50_ms,
            p99_ms,
            most_ms,
        } = self.recovery;
        row(
            "recovery",
            format!("p50 {p50_ms} ms, p99 {p99_ms} ms, most {most_ms} ms, of {requests} requests"),
        )?;
        row("ended by themselves", self.ended_by_themselves.to_string())?;
        row("panics", self.panics.len().to_string())?;
        for panic in self.panics.iter().take(SHOWN) {
            writeln!(f, "  {panic}")?;
        }
        if self.violations.is_empty() {
            return writeln!(f, "every invariant holds");
        }
        writeln!(f, "\nVIOLATED: {}", self.broken().join(", "))?;
        for violation in self.violations.iter().take(SHOWN) {
            let about = violation.about.join(" ");
            writeln!(f, "  {}: {about}: {}", violation.invariant, violation.found)?;
        }
        let rest = self.violations.len().saturating_sub(SHOWN);
        if rest > 0 {
            writeln!(f, "  and {rest} more; --json has them all")?;
        }
        Ok(())
    }
}
