//! What the model was asked.

use std::collections::BTreeSet;

use super::Found;
use crate::history::{Call, History};

/// Calls that were sent a tool call without its result, or a result without its call.
pub fn tools_answered(history: &History) -> Vec<Found> {
    let unpaired = history
        .calls
        .iter()
        .filter(|call| !call.unpaired.is_empty());
    unpaired
        .map(|call| {
            let about = vec![format!("{} turn {}", call.conversation, call.turn)];
            (about, call.unpaired.join("; "))
        })
        .collect()
}

/// Model calls beyond one for each step of each turn.
#[must_use]
pub fn extra_calls(calls: &[Call]) -> u64 {
    let ours: Vec<&Call> = calls
        .iter()
        .filter(|call| !call.client.is_empty())
        .collect();
    let needed: BTreeSet<_> = ours
        .iter()
        .map(|call| (&call.conversation, call.turn, call.results > 0))
        .collect();
    (ours.len() - needed.len()) as u64
}

/// More extra calls than the faults account for.
pub fn extra_calls_bounded(history: &History) -> Vec<Found> {
    let extra = extra_calls(&history.calls);
    let allowed = history.calls_per_fault * history.faults.len() as u64;
    if extra <= allowed {
        return Vec::new();
    }
    let faults = history.faults.len();
    vec![(
        Vec::new(),
        format!("{extra} extra model calls after {faults} faults, {allowed} allowed"),
    )]
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::super::world::{caught, good};
    use crate::history::{History, Span};

    fn repeat(history: &mut History) {
        let again = history.calls[0].clone();
        history.calls.push(again);
    }

    #[test]
    fn an_orphan_among_tool_calls_is_caught() {
        caught("tools-answered", |history| {
            history.calls[2]
                .unpaired
                .push("c1 has no result".to_owned());
        });
    }

    #[test]
    fn calls_made_again_are_caught_unless_faults_account_for_them() {
        caught("extra-calls-bounded", repeat);
        let mut history = good();
        repeat(&mut history);
        history.faults.push(Span {
            kind: "kill".to_owned(),
            target: "provider-router".to_owned(),
            from: 1,
            until: 2,
        });
        assert_eq!(check(&history), []);
    }
}
