//! How conversations look in a terminal. Pure.

use crate::client::conversations::{Conversation, Hit, Said, Summary};
use crate::exit::Failure;
use crate::style::{Tone, cut, toned};

/// Longest title, in characters.
const TITLE: usize = 80;

/// Longest surroundings of what was found, in characters.
const SNIPPET: usize = 160;

/// A conversation in a list.
pub(super) fn line(conversation: &Summary) -> String {
    let updated = conversation.updated_at.get(..16).unwrap_or_default();
    format!(
        "{}  {}  {}",
        toned(Tone::Name, &conversation.conversation_id),
        toned(Tone::Faint, updated.replace('T', " ")),
        cut(&conversation.title, TITLE)
    )
}

/// A conversation with everything that was said. What a person said is numbered.
pub(super) fn lines(conversation: &Conversation) -> Vec<String> {
    let mut lines = vec![line(&conversation.summary)];
    let mut number = 0;
    for said in &conversation.messages {
        let who = if said.role == "user" {
            number += 1;
            toned(Tone::Strong, format!("{number} you"))
        } else {
            toned(Tone::Faint, model(said))
        };
        lines.extend([String::new(), who, harmless(&said.text)]);
    }
    lines
}

fn model(said: &Said) -> String {
    match (&said.provider, &said.model) {
        (Some(provider), Some(model)) => format!("{provider}/{model}"),
        (_, Some(model)) => model.clone(),
        _ => "agent".to_owned(),
    }
}

/// Something that was found, with the words in bold.
pub(super) fn hit(hit: &Hit) -> String {
    let piece = |piece: &crate::client::conversations::Piece| {
        let text = cut(&piece.text, SNIPPET);
        if piece.hit {
            toned(Tone::Strong, text)
        } else {
            text
        }
    };
    let around: String = hit.snippet.iter().map(piece).collect();
    format!("{}  {around}", toned(Tone::Name, &hit.conversation_id))
}

/// The run that a person's message of this number started.
pub(super) fn run_of(conversation: &Conversation, number: usize) -> Result<String, Failure> {
    let said = conversation
        .messages
        .iter()
        .filter(|said| said.role == "user");
    let count = said.clone().count();
    let said = number.checked_sub(1).and_then(|at| said.clone().nth(at));
    let Some(said) = said else {
        let what = format!("there is no message {number}; there are {count}");
        let todo = "`nexus conversations show` numbers them";
        return Err(Failure::usage(what).todo(todo));
    };
    said.run_id.clone().ok_or_else(|| {
        let what = format!("message {number} was imported, and no run of Nexus answered it");
        Failure::usage(what).todo("Branch from a later message")
    })
}

/// Text of several lines whose other control characters, which could move the cursor, are blanks.
fn harmless(text: &str) -> String {
    let clean = |letter: char| match letter {
        '\n' | '\t' => letter,
        letter if letter.is_control() => ' ',
        letter => letter,
    };
    text.chars().map(clean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation() -> Conversation {
        serde_json::from_value(serde_json::json!({
            "conversation_id": "c", "title": "Sums", "updated_at": "2026-01-31T12:00:00.000Z",
            "messages": [
                { "role": "user", "text": "1+1?" },
                { "role": "assistant", "text": "2", "provider": "demo", "model": "demo-1" },
                { "role": "user", "text": "and\u{1b}[2J 2+2?", "run_id": "r" },
            ],
        }))
        .unwrap()
    }

    #[test]
    fn what_a_person_said_is_numbered_and_cannot_move_the_cursor() {
        let shown = lines(&conversation()).join("\n");
        let plain = anstream::adapter::strip_str(&shown).to_string();
        assert_eq!(
            plain,
            "c  2026-01-31 12:00  Sums\n\n1 you\n1+1?\n\ndemo/demo-1\n2\n\n2 you\nand [2J 2+2?"
        );
        assert!(!shown.contains("\u{1b}[2J"));
    }

    #[test]
    fn a_number_means_what_started_a_run() {
        let conversation = conversation();
        assert_eq!(run_of(&conversation, 2).unwrap(), "r");
        for number in [0, 1, 3] {
            assert!(run_of(&conversation, number).is_err(), "{number}");
        }
    }
}
