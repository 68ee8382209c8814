//! The journal of each conversation.

use std::collections::BTreeMap;

use super::Found;
use crate::history::History;

/// The places of every conversation's events, in order.
fn places(history: &History) -> BTreeMap<(&str, &str), Vec<i64>> {
    let mut places: BTreeMap<(&str, &str), Vec<i64>> = BTreeMap::new();
    for row in &history.journal {
        let key = (row.org.as_str(), row.conversation.as_str());
        places.entry(key).or_default().push(row.seq);
    }
    for places in places.values_mut() {
        places.sort_unstable();
    }
    places
}

/// Journals with a gap, a repetition, or a beginning that is missing.
pub fn dense_journal(history: &History) -> Vec<Found> {
    let places = places(history);
    let mut found: Vec<Found> = Vec::new();
    for ((org, conversation), places) in &places {
        if !places.iter().copied().eq(1..=places.len() as i64) {
            let about = vec![(*conversation).to_owned()];
            found.push((about, format!("{org}: the journal counts {places:?}")));
        }
    }
    for row in &history.conversations {
        if !places.contains_key(&(row.org.as_str(), row.conversation.as_str())) {
            let about = vec![row.conversation.clone()];
            found.push((about, format!("{}: no journal at all", row.org)));
        }
    }
    found
}

/// Conversations whose stored state is not what their journal folds to, and those that were not
/// folded at all.
pub fn fold_is_checkpoint(history: &History) -> Vec<Found> {
    let misfolded = history.misfolded.iter();
    let mut found: Vec<Found> = misfolded
        .map(|(conversation, how)| (vec![conversation.clone()], how.clone()))
        .collect();
    let (folded, all) = (history.folded, history.conversations.len() as u64);
    if folded != all {
        found.push((Vec::new(), format!("{folded} of {all} were folded")));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::world::caught;

    #[test]
    fn a_gap_a_repetition_and_a_missing_beginning_are_caught() {
        let name = "dense-journal";
        caught(name, |history| drop(history.journal.remove(2)));
        caught(name, |history| {
            history.journal.push(history.journal[2].clone());
        });
        caught(name, |history| drop(history.journal.remove(0)));
        caught(name, |history| history.journal.clear());
    }

    #[test]
    fn a_state_that_is_not_its_journal_is_caught() {
        caught("fold-is-checkpoint", |history| {
            history
                .misfolded
                .push(("c".to_owned(), "turn 2 is missing".to_owned()));
        });
        caught("fold-is-checkpoint", |history| history.folded = 0);
    }
}
