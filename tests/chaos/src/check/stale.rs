//! Writes from an outdated state.

use std::collections::BTreeMap;

use super::Found;
use crate::history::History;

/// Conversations of which an older version was written over a newer one, and those that are behind
/// their own journal, or ahead of it.
#[must_use]
pub fn accepted(history: &History) -> Vec<Found> {
    let mut last: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for row in &history.journal {
        let seq = last.entry((&row.org, &row.conversation)).or_default();
        *seq = row.seq.max(*seq);
    }
    let differing = history.conversations.iter().filter_map(|row| {
        let last = last.get(&(row.org.as_str(), row.conversation.as_str()));
        let last = last.copied().unwrap_or(0);
        (last != row.version).then(|| {
            let what = format!("version {} after {last} events", row.version);
            (vec![row.conversation.clone()], what)
        })
    });
    let overwritten = history.overwritten.iter();
    let overwritten = overwritten.map(|(id, what)| (vec![id.clone()], what.clone()));
    overwritten.chain(differing).collect()
}

/// Stale writes that stayed; and replicas that competed without ever refusing one.
pub fn stale_writes_refused(history: &History) -> Vec<Found> {
    let mut found = accepted(history);
    let refused: u64 = history.refused.values().sum();
    if history.competed && refused == 0 {
        let what = "replicas competed, and not one write was refused";
        found.push((Vec::new(), what.to_owned()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::world::caught;

    const NAME: &str = "stale-writes-refused";

    #[test]
    fn a_lost_update_is_caught() {
        caught(NAME, |history| history.conversations[0].version = 4);
    }

    #[test]
    fn a_write_over_a_newer_version_is_caught() {
        let what = ("c".to_owned(), "version 4 over 4".to_owned());
        caught(NAME, |history| history.overwritten.push(what));
    }

    #[test]
    fn competition_without_a_refusal_is_caught() {
        caught(NAME, |history| history.refused.clear());
    }
}
