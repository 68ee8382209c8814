//! Who got to see what.

use super::Found;
use crate::history::{Ending, History, Purpose, Request};

/// What was seen of others: in prompts, in answers, and by those who tried.
pub fn tenants_apart(history: &History) -> Vec<Found> {
    let leaks = history.leaks.iter().cloned();
    let mut found: Vec<Found> = leaks.map(|leak| (Vec::new(), leak)).collect();
    let mixed = history
        .calls
        .iter()
        .filter(|call| !call.strangers.is_empty());
    found.extend(mixed.map(|call| {
        let about = vec![format!("{} turn {}", call.conversation, call.turn)];
        let what = format!("the model was also sent {:?}", call.strangers);
        (about, what)
    }));
    let intruders = history
        .requests
        .iter()
        .filter(|request| request.purpose == Purpose::Intrusion);
    found
        .extend(intruders.filter_map(|request| Some((vec![request.id.clone()], let_in(request)?))));
    found
}

fn let_in(request: &Request) -> Option<String> {
    let refused = |reply: &crate::history::Reply| {
        reply.ending == Ending::Failed && reply.text.starts_with("unknown_conversation")
    };
    let other = request.replies.iter().find(|reply| !refused(reply))?;
    Some(format!(
        "{} went on with {}: {}",
        request.client, request.conversation, other.text
    ))
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::super::world::{caught, good};
    use super::*;

    const NAME: &str = "tenants-apart";

    #[test]
    fn a_leak_in_an_answer_or_a_prompt_is_caught() {
        caught(NAME, |history| {
            history
                .leaks
                .push("acme's run was shown to bolt".to_owned());
        });
        caught(NAME, |history| {
            history.calls[0].strangers.push("bolt-1".to_owned());
        });
    }

    #[test]
    fn an_intruder_that_is_answered_is_caught_and_one_that_is_refused_is_not() {
        let intrude = |history: &mut History| {
            history.requests[1].purpose = Purpose::Intrusion;
        };
        caught(NAME, intrude);
        let mut history = good();
        intrude(&mut history);
        history.requests[1].replies[0].ending = Ending::Failed;
        history.requests[1].replies[0].text = "unknown_conversation: none".to_owned();
        assert_eq!(check(&history), []);
    }
}
