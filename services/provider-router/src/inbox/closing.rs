//! What is taken of what a person says, and when it comes too late. Pure.

use nexus_contracts::Timestamp;
use nexus_service_kit::Problem;
use serde_json::json;

use super::view::{NewInboxAnswer, NewInboxRefusal};
use crate::assembler::excerpt;
use crate::provider::human::{Closed, HumanAnswer, InboxEntry};

/// Longest answer, in bytes.
const LONGEST_TEXT: usize = 64 * 1024;

/// Longest reason, in bytes.
const LONGEST_REASON: usize = 4 * 1024;

/// Longest name of whoever answers, in characters.
const LONGEST_NAME: usize = 200;

/// An answer given at this moment.
///
/// # Errors
/// What cannot be taken: 413, 422.
pub fn answer(said: &NewInboxAnswer, at: Timestamp) -> Result<Closed, Problem> {
    let text = text("text", &said.text, LONGEST_TEXT)?;
    let by = said.by.as_deref().map(str::trim);
    let by = by.filter(|by| !by.is_empty()).map(str::to_owned);
    let is_odd =
        |by: &String| by.chars().count() > LONGEST_NAME || by.chars().any(char::is_control);
    if by.as_ref().is_some_and(is_odd) {
        let detail = format!("`by` is a name of at most {LONGEST_NAME} characters on one line");
        return Err(Problem::unprocessable(detail));
    }
    Ok(Closed::Answered(HumanAnswer { text, by, at }))
}

/// That a question is not going to be answered.
///
/// # Errors
/// As [`answer`].
pub fn refusal(said: &NewInboxRefusal) -> Result<Closed, Problem> {
    text("reason", &said.reason, LONGEST_REASON).map(Closed::Declined)
}

fn text(field: &str, said: &str, most: usize) -> Result<String, Problem> {
    let said = said.trim();
    if said.is_empty() {
        return Err(Problem::unprocessable(format!("`{field}` says nothing")));
    }
    if said.len() > most {
        let detail = format!("`{field}` is {} bytes, at most {most}", said.len());
        return Err(Problem::too_large(detail));
    }
    // PostgreSQL, where the answer is kept, has no such character.
    if said.contains('\0') {
        let detail = format!("`{field}` has the character U+0000, which cannot be kept");
        return Err(Problem::unprocessable(detail));
    }
    Ok(said.to_owned())
}

/// The entry that was found, if it can still be answered at this moment.
///
/// # Errors
/// 404 when nobody waits any more, 409 when somebody else was quicker.
pub fn open(found: Option<InboxEntry>, now: Timestamp) -> Result<InboxEntry, Problem> {
    let entry = found.ok_or_else(unknown_question)?;
    match entry.closed() {
        Some(closed) => Err(too_late(&closed)),
        None if entry.is_over(now) => Err(unknown_question()),
        None => Ok(entry),
    }
}

/// Nobody waits: it never was, it is dealt with, its time is over, or it is somebody else's. They
/// look alike.
#[must_use]
pub fn unknown_question() -> Problem {
    Problem::not_found(
        "nobody waits for an answer to this question: it may be answered already, or its time is \
         over; GET /v1/inbox lists what waits",
    )
    .with_code("unknown_question", "There is no such question")
}

fn too_late(closed: &Closed) -> Problem {
    let (detail, said) = match closed {
        Closed::Answered(answer) => {
            let who = answer.by.as_deref().unwrap_or("somebody else");
            let detail = format!("{who} has answered: {}", excerpt(&answer.text));
            (detail, json!({ "text": answer.text, "by": answer.by }))
        }
        Closed::Declined(why) => {
            let detail = format!("somebody else has declined: {}", excerpt(why));
            (detail, json!({ "declined": why }))
        }
        Closed::Erased => return unknown_question(),
    };
    Problem::conflict(detail)
        .with_code("already_answered", "Somebody else was quicker")
        .with("said", said)
}

#[cfg(test)]
mod tests {
    use nexus_contracts::{OrgId, Timestamp};

    use super::{Closed, HumanAnswer, InboxEntry, answer, open, refusal};
    use crate::inbox::view::{NewInboxAnswer, NewInboxRefusal};

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn said(text: &str, by: Option<&str>) -> NewInboxAnswer {
        NewInboxAnswer {
            text: text.to_owned(),
            by: by.map(str::to_owned),
        }
    }

    fn answered(text: &str, by: Option<&str>) -> Closed {
        Closed::Answered(HumanAnswer {
            text: text.to_owned(),
            by: by.map(str::to_owned),
            at: NOW,
        })
    }

    fn entry() -> InboxEntry {
        InboxEntry {
            id: "c1".to_owned(),
            org: OrgId(uuid::Uuid::nil()),
            conversation_id: None,
            provider: "people".to_owned(),
            waiter: "w".to_owned(),
            asked_at: NOW,
            deadline: NOW.plus_millis(100),
            question: "Why?".to_owned(),
            conversation: Vec::new(),
            answer: None,
            declined: None,
            erased: false,
        }
    }

    #[test]
    fn what_is_said_is_taken_without_blanks_around_it() {
        let ann = said(" Because.\n", Some(" Ann "));
        assert_eq!(answer(&ann, NOW), Ok(answered("Because.", Some("Ann"))));
        let nobody = said("two\nlines", Some(" "));
        assert_eq!(answer(&nobody, NOW), Ok(answered("two\nlines", None)));
        let reason = " Ask Bob. ".to_owned();
        let declined = refusal(&NewInboxRefusal { reason });
        assert_eq!(declined, Ok(Closed::Declined("Ask Bob.".to_owned())));
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        let long = "x".repeat(70_000);
        for (text, by, status, word) in [
            (" \n", None, 422, "`text` says nothing"),
            (&*long, None, 413, "70000 bytes"),
            ("a\0", None, 422, "U+0000"),
            ("a", Some("two\nlines"), 422, "`by`"),
            ("a", Some(long.as_str()), 422, "`by`"),
        ] {
            let problem = answer(&said(text, by), NOW).unwrap_err();
            assert_eq!(problem.status.as_u16(), status, "{}", problem.detail);
            assert!(problem.detail.contains(word), "{}", problem.detail);
        }
        let reason = String::new();
        let problem = refusal(&NewInboxRefusal { reason }).unwrap_err();
        assert!(problem.detail.contains("`reason`"), "{}", problem.detail);
    }

    #[test]
    fn who_comes_late_is_told_what_was_said() {
        assert_eq!(open(Some(entry()), NOW), Ok(entry()));
        let over = open(Some(entry()), NOW.plus_millis(100)).unwrap_err();
        let gone = open(None, NOW).unwrap_err();
        assert_eq!(over, gone);
        assert_eq!(gone.code, "unknown_question");
        let mut erased = entry();
        erased.close(&Closed::Erased);
        assert_eq!(open(Some(erased), NOW).unwrap_err(), gone);
        for (closed, words) in [
            (
                answered("Because.", Some("Ann")),
                "Ann has answered: Because.",
            ),
            (
                Closed::Declined("Ask Bob.".to_owned()),
                "declined: Ask Bob.",
            ),
        ] {
            let mut entry = entry();
            entry.close(&closed);
            let late = open(Some(entry), NOW).unwrap_err();
            assert_eq!((late.status.as_u16(), late.code), (409, "already_answered"));
            assert!(late.detail.contains(words), "{}", late.detail);
        }
    }
}
