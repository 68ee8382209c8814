//! What the model saw, and whether its answer is the one that came back.

use std::collections::BTreeMap;

use super::Found;
use crate::history::{Call, Ending, History, Purpose, Request};
use crate::prompt::read_answer;

/// Answers of a wrong history or of another call, and calls that were sent a wrong history.
pub fn answers_follow_history(history: &History) -> Vec<Found> {
    let calls: BTreeMap<u64, &Call> = history
        .calls
        .iter()
        .map(|call| (call.number, call))
        .collect();
    let mut found: Vec<Found> = history
        .requests
        .iter()
        .filter(|request| request.purpose == Purpose::Turn)
        .filter_map(|request| Some((vec![request.id.clone()], wrong_answer(request, &calls)?)))
        .collect();
    let ours = history.calls.iter().filter(|call| !call.client.is_empty());
    let gaps = ours.filter(|call| !call.turns.iter().copied().eq(1..=call.turn));
    found.extend(gaps.map(|call| {
        let about = vec![format!("{} turn {}", call.conversation, call.turn)];
        let what = format!(
            "model call {} was sent the turns {:?}",
            call.number, call.turns
        );
        (about, what)
    }));
    found
}

fn wrong_answer(request: &Request, calls: &BTreeMap<u64, &Call>) -> Option<String> {
    let completed = request
        .replies
        .iter()
        .find(|reply| reply.ending == Ending::Completed)?;
    let Some((digest, number)) = read_answer(&completed.text) else {
        return Some(format!("no answer of the model: {}", completed.text));
    };
    if digest != request.expected {
        let expected = &request.expected;
        return Some(format!("the model heard {digest}, and {expected} was said"));
    }
    match calls.get(&number) {
        Some(call) if call.conversation == request.conversation && call.turn == request.turn => {
            None
        }
        Some(call) => Some(format!(
            "answered with call {number} of {} turn {}",
            call.conversation, call.turn
        )),
        None => Some(format!("answered with call {number}, which was never made")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::caught;
    use crate::prompt::answer;

    const NAME: &str = "answers-follow-history";

    #[test]
    fn an_answer_to_another_history_is_caught() {
        caught(NAME, |history| {
            history.requests[1].replies[0].text = answer("digest9", 3);
        });
    }

    #[test]
    fn an_answer_of_another_call_is_caught() {
        for call in [1, 99] {
            caught(NAME, |history| {
                history.requests[1].replies[0].text = answer("digest2", call);
            });
        }
    }

    #[test]
    fn a_model_that_was_sent_a_gap_or_a_repetition_is_caught() {
        for turns in [vec![2], vec![1, 1, 2], vec![2, 1]] {
            caught(NAME, |history| history.calls[2].turns = turns);
        }
    }
}
