//! Summaries: models get to see one instead of older messages, which the journal keeps verbatim.

use std::fmt::Write;

use nexus_contracts::chat::{ChatMessage, Role};
use nexus_contracts::events::{
    ConversationRenamed, ConversationSummarized, InferenceCompleted, InferenceRequested,
    ModelParameters, Purpose,
};
use nexus_contracts::settings::Caching;
use nexus_contracts::{Extra, MessageId, tokens};

use super::command::{Command, Fact, command_id};
use super::context;
use super::event::Ctx;
use super::resolve::Resolved;
use super::state::{RunHeader, State, Summarizing, Title};

/// What the model is told to do.
const INSTRUCTIONS: &str = "You keep the memory of a conversation. Write one summary of everything \
    below: who the person is and what they want, facts, names, numbers, decisions and open \
    questions, so that you could go on with the conversation from it alone. At most 300 words, in \
    the language of the conversation. The first line is `Title: ` and a title of at most eight \
    words; then an empty line; then the summary.";

/// Longest title, in characters.
pub const MOST_TITLE: usize = 200;

/// Most characters of one message that the model reads.
const MOST_READ: usize = 4_000;

/// Asks for a summary when the conversation has grown to `summary_after` messages or beyond what
/// the model gets to see, of all but the newer half.
pub fn ask(
    state: &mut State,
    header: &RunHeader,
    settings: &Resolved,
    ctx: &Ctx<'_>,
) -> Option<Command> {
    let after = usize::try_from(settings.summary_after).unwrap_or(usize::MAX);
    let pending = state.summarizing.as_ref();
    let asked = pending.is_some_and(|one| one.deadline > ctx.now);
    let size: u64 = state.messages.iter().map(tokens::of_message).sum();
    let grown = state.messages.len() >= after || size > settings.context_tokens;
    if after == 0 || asked || !grown {
        return None;
    }
    let upto = context::window_start(&state.messages, after / 2, settings.context_tokens / 2);
    if upto == 0 {
        return None;
    }
    let id = command_id(header.run_id, 0, 0, "summary");
    let deadline = ctx.now.plus_millis(i64::from(settings.seconds) * 1000);
    let older = state.messages.get(..upto).unwrap_or_default();
    let event = InferenceRequested {
        messages: vec![
            ChatMessage::text(Role::System, INSTRUCTIONS),
            ChatMessage::text(Role::User, transcript(state.summary.as_deref(), older)),
        ],
        tools: Vec::new(),
        provider: settings.provider.clone(),
        model: settings.model.clone(),
        parameters: ModelParameters::default(),
        quiet: true,
        purpose: Purpose::Summary,
        privacy: state.privacy,
        cache: Caching::Off,
        extra: Extra::new(),
    };
    state.summarizing = Some(Summarizing {
        command: id.clone(),
        header: header.clone(),
        upto,
        deadline,
    });
    Some(Command::Infer {
        id,
        header: header.clone(),
        step: 0,
        deadline,
        event: Box::new(event),
    })
}

/// What the model reads.
fn transcript(summary: Option<&str>, messages: &[ChatMessage]) -> String {
    let mut text = String::new();
    if let Some(summary) = summary {
        // Writing to a String never fails.
        let _ = writeln!(text, "Summary of what was said before:\n{summary}\n");
    }
    for message in messages {
        let who = match message.role {
            Role::System => "system",
            Role::User => "person",
            Role::Assistant => "agent",
            Role::Tool => "tool",
        };
        if !message.content.is_empty() {
            let said: String = message.content.chars().take(MOST_READ).collect();
            let _ = writeln!(text, "{who}: {said}");
        }
        for call in &message.tool_calls {
            let _ = writeln!(text, "{who} calls {} {}", call.name, call.arguments);
        }
    }
    text
}

/// Whether this is the summary that was asked for.
#[must_use]
pub fn awaits(state: &State, command: &MessageId) -> bool {
    state
        .summarizing
        .as_ref()
        .is_some_and(|pending| pending.command == *command)
}

/// Takes the summary in: it replaces the messages it stands for.
pub fn take(state: &mut State, result: &InferenceCompleted) -> Vec<Command> {
    let Some(Summarizing {
        command,
        header,
        upto,
        ..
    }) = state.summarizing.take()
    else {
        return Vec::new();
    };
    let mut commands = vec![Command::Settle {
        commands: vec![command],
    }];
    let (title, summary) = parse(&result.message.content);
    // An answer without a summary stands for nothing: the messages stay, and the end of the next
    // run asks again.
    if summary.is_empty() {
        return commands;
    }
    let upto = upto.min(state.messages.len());
    state.messages.drain(..upto);
    state.summary = Some(summary.clone());
    commands.push(tell(
        &header,
        "summarized",
        Fact::Summarized(ConversationSummarized {
            conversation_id: state.conversation_id,
            summary,
            messages: u32::try_from(upto).unwrap_or(u32::MAX),
            extra: Extra::new(),
        }),
    ));
    let by_person = state.title.as_ref().is_some_and(|title| !title.automatic);
    if let Some(title) = title.filter(|_| !by_person) {
        state.title = Some(Title {
            text: title.clone(),
            automatic: true,
        });
        commands.push(tell(
            &header,
            "titled",
            Fact::Renamed(ConversationRenamed {
                conversation_id: state.conversation_id,
                title,
                automatic: true,
                extra: Extra::new(),
            }),
        ));
    }
    commands
}

/// No model summarised: the end of the next run asks again.
pub fn give_up(state: &mut State) -> Vec<Command> {
    let pending = state.summarizing.take();
    let commands = pending.map(|one| vec![one.command]).unwrap_or_default();
    vec![Command::Settle { commands }]
}

/// A fact, named after the request that led to it.
#[must_use]
pub fn tell(header: &RunHeader, kind: &str, fact: Fact) -> Command {
    Command::Tell {
        id: command_id(header.run_id, 0, 0, kind),
        header: header.clone(),
        fact: Box::new(fact),
    }
}

/// Title and summary of what the model wrote; all of it is the summary when it gave no title.
fn parse(text: &str) -> (Option<String>, String) {
    let text = text.trim();
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let named = first
        .trim()
        .trim_matches(['*', '#', ' '])
        .strip_prefix("Title:");
    match named {
        None => (None, text.to_owned()),
        Some(title) => {
            let title: String = title
                .trim_matches(|c: char| c.is_whitespace() || c == '*' || c == '"')
                .chars()
                .take(MOST_TITLE)
                .collect();
            let title = (!title.is_empty()).then_some(title);
            let rest = rest.trim();
            (
                title,
                rest.strip_prefix("Summary:")
                    .unwrap_or(rest)
                    .trim()
                    .to_owned(),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_told_from_the_summary() {
        let (title, summary) = parse("Title: A trip to Rome\n\nThey plan a trip.\nIn May.");
        assert_eq!(title.as_deref(), Some("A trip to Rome"));
        assert_eq!(summary, "They plan a trip.\nIn May.");
        let (title, summary) = parse("**Title: \"Rome\"**\n\nSummary: May.");
        assert_eq!((title.as_deref(), summary.as_str()), (Some("Rome"), "May."));
    }

    #[test]
    fn without_a_title_all_is_summary() {
        assert_eq!(parse("They plan."), (None, "They plan.".to_owned()));
        assert_eq!(
            parse("Title: only"),
            (Some("only".to_owned()), String::new())
        );
    }
}
