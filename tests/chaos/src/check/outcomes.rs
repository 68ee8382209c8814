//! Requests and what came back.

use std::collections::{BTreeMap, BTreeSet};

use super::Found;
use crate::history::{Ending, History, Purpose, Request};

/// The replies of a request that differ by their id.
fn distinct(request: &Request) -> BTreeSet<&str> {
    request
        .replies
        .iter()
        .map(|reply| reply.id.as_str())
        .collect()
}

/// Requests nobody answered, in time or at all, and requests answered twice.
pub fn one_outcome(history: &History) -> Vec<Found> {
    let until = history.healed_at + history.patience;
    let wrong = |request: &Request| {
        let latest = request.accepted_at.unwrap_or(0) + history.run_timeout;
        let until = match request.purpose {
            Purpose::Silence => until.max(latest + history.patience),
            Purpose::Turn | Purpose::Intrusion => until,
        };
        let replies = distinct(request);
        match (request.accepted_at, request.answered_at()) {
            (None, _) => Some("was never accepted, though everything was healed".to_owned()),
            (Some(at), None) => Some(format!("accepted at {at} ms, and never answered")),
            (Some(_), Some(at)) if at > until => {
                Some(format!("answered at {at} ms, later than {until} ms"))
            }
            _ if replies.len() > 1 => {
                Some(format!("{} outcomes: {:?}", replies.len(), request.replies))
            }
            _ => None,
        }
    };
    let requests = history.requests.iter();
    requests
        .filter_map(|request| Some((vec![request.id.clone()], wrong(request)?)))
        .collect()
}

/// What is known of one reply: which requests it was seen for, and what it said.
#[derive(Default)]
struct Seen<'a> {
    requests: BTreeSet<&'a str>,
    said: BTreeSet<(Ending, &'a str)>,
}

/// Replies that change between two deliveries, or that answer two requests.
pub fn one_delivery(history: &History) -> Vec<Found> {
    let mut replies: BTreeMap<&str, Seen<'_>> = BTreeMap::new();
    for request in &history.requests {
        for reply in &request.replies {
            let seen = replies.entry(&reply.id).or_default();
            seen.requests.insert(&request.id);
            seen.said.insert((reply.ending, &reply.text));
        }
    }
    replies
        .into_iter()
        .filter(|(_, seen)| seen.requests.len() > 1 || seen.said.len() > 1)
        .map(|(id, seen)| {
            let about = seen.requests.into_iter().map(str::to_owned).collect();
            (about, format!("reply {id} says {:?}", seen.said))
        })
        .collect()
}

/// Runs that only a deadline can end, and that ended late or in another way.
pub fn deadlines_kept(history: &History) -> Vec<Found> {
    let silent = history
        .requests
        .iter()
        .filter(|request| request.purpose == Purpose::Silence);
    let wrong = |request: &Request| {
        let due = request.accepted_at? + history.run_timeout;
        let reply = request.replies.first()?;
        let late = reply.at > due + history.patience;
        let by_deadline =
            reply.ending == Ending::Failed && reply.text.starts_with("deadline_exceeded");
        (late || !by_deadline).then(|| {
            format!(
                "due at {due} ms; at {} ms {:?}: {}",
                reply.at, reply.ending, reply.text
            )
        })
    };
    silent
        .filter_map(|request| Some((vec![request.id.clone()], wrong(request)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::super::world::{caught, good, request};
    use super::*;
    use crate::history::Reply;

    fn silent(ending: Ending, text: &str, at: u64) -> Request {
        let mut silent = request("s", 1, 1);
        silent.purpose = Purpose::Silence;
        silent.replies = vec![Reply {
            id: "reply".to_owned(),
            ending,
            text: text.to_owned(),
            at,
        }];
        silent
    }

    #[test]
    fn a_request_without_an_answer_is_caught() {
        caught("one-outcome", |history| history.requests[0].replies.clear());
        caught("one-outcome", |history| {
            history.requests[0].accepted_at = None;
        });
    }

    #[test]
    fn a_late_answer_is_caught() {
        caught("one-outcome", |history| {
            history.requests[0].replies[0].at = 1_101;
        });
    }

    #[test]
    fn two_answers_are_caught_and_one_seen_twice_is_not() {
        caught("one-outcome", |history| {
            let mut second = history.requests[0].replies[0].clone();
            second.id = "another".to_owned();
            history.requests[0].replies.push(second);
        });
        let mut history = good();
        let again = history.requests[0].replies[0].clone();
        history.requests[0].replies.push(again);
        assert_eq!(check(&history), []);
    }

    #[test]
    fn a_reply_that_changes_or_strays_is_caught() {
        caught("one-delivery", |history| {
            let mut changed = history.requests[0].replies[0].clone();
            changed.text.push('!');
            history.requests[0].replies.push(changed);
        });
        caught("one-delivery", |history| {
            history.requests[1].replies[0].id = history.requests[0].replies[0].id.clone();
        });
    }

    #[test]
    fn a_deadline_that_passes_unnoticed_is_caught() {
        let detail = "deadline_exceeded: too long";
        let ends = |history: &mut History, silent| history.requests = vec![silent];
        caught("deadlines-kept", |history| {
            ends(history, silent(Ending::Failed, detail, 6_021));
        });
        caught("deadlines-kept", |history| {
            ends(history, silent(Ending::Completed, "heard x call 1", 60));
        });
        let mut history = good();
        ends(&mut history, silent(Ending::Failed, detail, 6_020));
        assert_eq!(check(&history), []);
    }
}
