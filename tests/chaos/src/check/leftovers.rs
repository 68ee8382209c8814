//! What is left when everything had its time.

use super::Found;
use crate::history::{Ending, History};

/// Unsettled messages, backlogs, parked messages, and requests that are not accounted for.
pub fn drained(history: &History) -> Vec<Found> {
    let left = &history.leftovers;
    let mut found: Vec<Found> = Vec::new();
    if !left.outbox.is_empty() {
        let many = left.outbox.len();
        found.push((left.outbox.clone(), format!("{many} unsettled messages")));
    }
    for (channel, group, count) in &left.backlogs {
        let about = vec![channel.clone()];
        found.push((about, format!("{count} messages before the group {group}")));
    }
    for (channel, id) in &left.dead {
        found.push((vec![id.clone()], format!("parked in {channel}")));
    }
    let count = |ending| {
        let ended = history.requests.iter().filter(|request| {
            let first = request.replies.first();
            first.is_some_and(|reply| reply.ending == ending)
        });
        ended.count()
    };
    let accepted = history
        .requests
        .iter()
        .filter(|request| request.accepted_at.is_some())
        .count();
    let (replied, failed) = (count(Ending::Completed), count(Ending::Failed));
    if accepted != replied + failed + left.dead.len() {
        let dead = left.dead.len();
        let sum = format!("{accepted} accepted, {replied} replied, {failed} failed, {dead} parked");
        found.push((Vec::new(), sum));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::world::caught;

    const NAME: &str = "drained";

    #[test]
    fn whatever_is_left_is_caught() {
        caught(NAME, |history| {
            history.leftovers.outbox.push("message".to_owned());
        });
        caught(NAME, |history| {
            let backlog = ("tools.execute".to_owned(), "tool-executor".to_owned(), 1);
            history.leftovers.backlogs.push(backlog);
        });
        caught(NAME, |history| {
            let parked = ("tools.execute.dead".to_owned(), "message".to_owned());
            history.leftovers.dead.push(parked);
        });
    }

    #[test]
    fn a_request_that_is_not_accounted_for_is_caught() {
        caught(NAME, |history| history.requests[0].replies.clear());
    }
}
