//! `nexus inbox`: questions that wait for a person, and answering them.

use std::io::{Read, Write};

use nexus_contracts::Timestamp;
use nexus_provider_router::inbox::view::{
    InboxItem, InboxMessage, InboxQuestion, NewInboxAnswer, NewInboxRefusal,
};
use nexus_service_kit::Clock;

use crate::cli::inbox::{AnswerArgs, DeclineArgs, InboxAction, InboxArgs, ListArgs, ShowArgs};
use crate::exit::Failure;
use crate::locate::locate;
use crate::settings::Settings;
use crate::style::{Tone, column, cut, json_line, millis, toned};

/// How much of a question is shown in a list, in characters.
const QUESTION: usize = 80;

/// Lists what waits, shows a question, answers or declines it.
///
/// # Errors
/// When no node can be found, or what it says against it.
pub async fn inbox(
    args: &InboxArgs,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), Failure> {
    match &args.action {
        None => list(&args.list, settings, out).await,
        Some(InboxAction::List(args)) => list(args, settings, out).await,
        Some(InboxAction::Show(args)) => show(args, settings, out).await,
        Some(InboxAction::Answer(args)) => answer(args, settings, out).await,
        Some(InboxAction::Decline(args)) => decline(args, settings, out).await,
    }
}

async fn list(args: &ListArgs, settings: &Settings, out: &mut impl Write) -> Result<(), Failure> {
    let found = locate(settings, &args.node).await?;
    let waiting = found.client.inbox().await;
    found.leave().await?;
    let waiting = waiting?;
    if args.json {
        return json_line(&waiting, out);
    }
    if waiting.is_empty() {
        let nothing = "no question waits for a person";
        return Ok(writeln!(out, "{}", toned(Tone::Faint, nothing))?);
    }
    let now = Clock::system().now();
    for item in &waiting {
        writeln!(out, "{}", line(item, now))?;
    }
    Ok(())
}

async fn show(args: &ShowArgs, settings: &Settings, out: &mut impl Write) -> Result<(), Failure> {
    let found = locate(settings, &args.node).await?;
    let question = found.client.question(&args.id).await;
    found.leave().await?;
    let question = question?;
    if args.json {
        return json_line(&question, out);
    }
    for line in lines(&question, Clock::system().now()) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

async fn answer(
    args: &AnswerArgs,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let said = NewInboxAnswer {
        text: text(&args.text)?,
        by: args.by.clone(),
    };
    let found = locate(settings, &args.node).await?;
    let answered = found.client.answer_question(&args.id, &said).await;
    found.leave().await?;
    answered?;
    Ok(writeln!(out, "answered {}", args.id)?)
}

async fn decline(
    args: &DeclineArgs,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let said = NewInboxRefusal {
        reason: text(&args.reason)?,
    };
    let found = locate(settings, &args.node).await?;
    let declined = found.client.decline_question(&args.id, &said).await;
    found.leave().await?;
    declined?;
    Ok(writeln!(out, "declined {}", args.id)?)
}

/// What was written on the command line, or into standard input.
fn text(text: &str) -> Result<String, Failure> {
    if text != "-" {
        return Ok(text.to_owned());
    }
    let mut read = String::new();
    let done = std::io::stdin().read_to_string(&mut read);
    done.map_err(|error| Failure::usage(format!("standard input does not read: {error}")))?;
    Ok(read)
}

/// A question in a list: age, id, provider, what is asked. The id is whole, to be copied.
fn line(item: &InboxItem, now: Timestamp) -> String {
    let shown = [
        column(Tone::Faint, &age(item, now), 8),
        toned(Tone::Name, &item.id),
        column(Tone::Strong, &item.provider, 16),
        cut(&item.question, QUESTION),
    ];
    shown.join("  ").trim_end().to_owned()
}

/// For how long a question has waited; nothing where the node says it in words that do not read.
fn age(item: &InboxItem, now: Timestamp) -> String {
    let asked: Option<Timestamp> = item.asked_at.parse().ok();
    let waited = asked.map(|asked| now.as_millis().saturating_sub(asked.as_millis()));
    waited
        .map(|waited| millis(waited.max(0)))
        .unwrap_or_default()
}

/// A question with the end of its conversation, and what to run next.
fn lines(question: &InboxQuestion, now: Timestamp) -> Vec<String> {
    let item = &question.item;
    let head = format!(
        "{}  {}",
        toned(Tone::Name, &item.id),
        toned(
            Tone::Faint,
            format!(
                "{} · asked {} ago · open until {}",
                cut(&item.provider, 64),
                age(item, now),
                item.deadline
            )
        )
    );
    let mut lines = vec![head];
    for said in &question.conversation {
        lines.extend([String::new(), who(said)]);
        // Line by line: what is in a line cannot move the cursor.
        lines.extend(said.content.lines().map(|line| cut(line, usize::MAX)));
    }
    let id = &item.id;
    let next = match (&question.answer, &question.declined) {
        (Some(answer), _) => {
            let by = answer.by.as_deref().unwrap_or("somebody");
            format!("{} has answered it", cut(by, 200))
        }
        (None, Some(why)) => format!("it was declined: {}", cut(why, 400)),
        (None, None) => {
            format!("nexus inbox answer {id} \"…\"\nnexus inbox decline {id} \"…\"")
        }
    };
    lines.push(String::new());
    lines.extend(next.lines().map(|line| toned(Tone::Faint, line)));
    lines
}

fn who(said: &InboxMessage) -> String {
    let tone = if said.role == "user" {
        Tone::Strong
    } else {
        Tone::Faint
    };
    toned(tone, cut(&said.role, 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_769_860_925_000);

    fn question() -> InboxQuestion {
        serde_json::from_value(serde_json::json!({
            "id": "c1", "provider": "people", "question": "When\u{1b}[2J?\nAnd why?",
            "asked_at": "2026-01-31T12:00:00.000Z", "deadline": "2026-01-31T12:10:00.000Z",
            "conversation": [
                { "role": "system", "content": "Be kind." },
                { "role": "user", "content": "When\u{1b}[2J?\nAnd why?" },
            ],
        }))
        .unwrap()
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_list_says_how_long_a_question_has_waited() {
        let shown = line(&question().item, NOW);
        assert_eq!(
            plain(&shown),
            "2m05s     c1  people            When [2J? And why?"
        );
        assert!(!shown.contains("\u{1b}[2J"));
        let mut odd = question().item;
        odd.asked_at = "a while ago".to_owned();
        assert_eq!(age(&odd, NOW), "");
    }

    #[test]
    fn a_question_is_shown_with_what_was_said_and_what_to_run() {
        let mut question = question();
        let shown = lines(&question, NOW).join("\n");
        assert_eq!(
            plain(&shown),
            "c1  people · asked 2m05s ago · open until 2026-01-31T12:10:00.000Z\n\n\
             system\nBe kind.\n\nuser\nWhen [2J?\nAnd why?\n\n\
             nexus inbox answer c1 \"…\"\nnexus inbox decline c1 \"…\""
        );
        assert!(!shown.contains("\u{1b}[2J"));
        question.declined = Some("no".to_owned());
        let shown = plain(&lines(&question, NOW).join("\n"));
        assert!(shown.ends_with("it was declined: no"), "{shown}");
    }
}
