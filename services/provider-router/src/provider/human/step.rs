//! What a call that waits for a person does next. Pure.

use nexus_contracts::Timestamp;

use super::entry::{Closed, InboxEntry};

/// Whose the entry is, as far as a call knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// This call has not asked yet.
    NotYet,
    /// This call waits.
    Ours,
    /// Another call waits in its place: that one takes the answer.
    Theirs,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Write our entry in the place of what is there, as asked at this moment.
    Put(Timestamp),
    /// Wait for a change; this is whose the entry is.
    Wait(Hold),
    /// It waits no more.
    Take(Closed),
}

/// What to do when this is found, where `ours` is what this call asks.
pub(super) fn next(
    found: Option<&InboxEntry>,
    ours: &InboxEntry,
    hold: Hold,
    now: Timestamp,
) -> Step {
    if hold == Hold::Theirs {
        return Step::Wait(hold);
    }
    let Some(found) = found else {
        // Not asked yet, or the bus has lost it with its data. What ends right now is not asked.
        return if ours.is_over(now) {
            Step::Wait(hold)
        } else {
            Step::Put(ours.asked_at)
        };
    };
    let is_ours = found.waiter == ours.waiter;
    if hold == Hold::Ours && !is_ours {
        return Step::Wait(Hold::Theirs);
    }
    let is_same = found.provider == ours.provider;
    match found.closed() {
        // One person of the route would not; now another one is asked.
        Some(Closed::Declined(_)) if !is_same => return Step::Put(ours.asked_at),
        // What was answered while nobody looked is taken too: a person does not answer twice.
        Some(closed) => return Step::Take(closed),
        None if is_ours => return Step::Wait(Hold::Ours),
        None => {}
    }
    // Somebody waited before us. A person who sees the question goes on seeing it.
    Step::Put(if is_same && !found.is_over(now) {
        found.asked_at
    } else {
        ours.asked_at
    })
}

#[cfg(test)]
mod tests {
    use nexus_contracts::{OrgId, Timestamp};

    use super::super::entry::{Closed, HumanAnswer, InboxEntry};
    use super::{Hold, Step, next};

    fn entry(waiter: &str, asked_at: i64) -> InboxEntry {
        InboxEntry {
            id: "c1".to_owned(),
            org: OrgId(uuid::Uuid::nil()),
            conversation_id: None,
            provider: "people".to_owned(),
            waiter: waiter.to_owned(),
            asked_at: Timestamp::from_millis(asked_at),
            deadline: Timestamp::from_millis(asked_at + 100),
            question: String::new(),
            conversation: Vec::new(),
            answer: None,
            declined: None,
            erased: false,
        }
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn answered() -> Closed {
        Closed::Answered(HumanAnswer {
            text: "Yes".to_owned(),
            by: None,
            at: at(60),
        })
    }

    #[test]
    fn what_is_not_there_is_asked_and_asked_again_when_it_was_lost() {
        let ours = entry("us", 50);
        for hold in [Hold::NotYet, Hold::Ours] {
            assert_eq!(next(None, &ours, hold, at(60)), Step::Put(at(50)));
            assert_eq!(next(None, &ours, hold, at(150)), Step::Wait(hold), "over");
        }
    }

    #[test]
    fn whoever_comes_later_goes_on_waiting_and_the_age_stays() {
        let (before, ours) = (entry("them", 0), entry("us", 50));
        let step = |now| next(Some(&before), &ours, Hold::NotYet, at(now));
        assert_eq!(step(60), Step::Put(at(0)));
        assert_eq!(step(120), Step::Put(at(50)), "the old one is over");
        let wait = next(Some(&ours), &ours, Hold::NotYet, at(60));
        assert_eq!(wait, Step::Wait(Hold::Ours));
    }

    #[test]
    fn an_answer_is_taken_by_the_one_who_waits() {
        for closed in [
            answered(),
            Closed::Declined("no".to_owned()),
            Closed::Erased,
        ] {
            let ours = entry("us", 50);
            let mut found = ours.clone();
            found.close(&closed);
            let step = next(Some(&found), &ours, Hold::Ours, at(60));
            assert_eq!(step, Step::Take(closed.clone()));
            // Of a call that died while the person wrote.
            found.waiter = "them".to_owned();
            let step = next(Some(&found), &ours, Hold::NotYet, at(60));
            assert_eq!(step, Step::Take(closed));
        }
    }

    #[test]
    fn where_one_person_declined_the_next_one_is_asked() {
        let (mut found, ours) = (entry("them", 0), entry("us", 50));
        found.provider = "boss".to_owned();
        found.close(&Closed::Declined("no".to_owned()));
        let step = |found: &InboxEntry| next(Some(found), &ours, Hold::NotYet, at(60));
        assert_eq!(step(&found), Step::Put(at(50)));
        found.close(&answered());
        assert_eq!(step(&found), Step::Take(answered()), "an answer is one");
    }

    #[test]
    fn what_another_has_taken_over_is_left_alone() {
        let (mut theirs, ours) = (entry("them", 50), entry("us", 50));
        let step = next(Some(&theirs), &ours, Hold::Ours, at(60));
        assert_eq!(step, Step::Wait(Hold::Theirs));
        theirs.close(&answered());
        for found in [Some(&theirs), None] {
            let step = next(found, &ours, Hold::Theirs, at(60));
            assert_eq!(step, Step::Wait(Hold::Theirs));
        }
    }
}
