//! What is asked, and the hash of a conversation as both sides compute it. Pure.
//!
//! Every question says who asks, in which conversation, the how-manieth time, and what the model is
//! to do. The model answers with a hash of everything it was sent, so that a message that was lost,
//! doubled or put in another order on the way changes the answer.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// What a question makes the model do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Answer.
    Answer,
    /// Ask `math_solver` for a product first.
    Product(u32, u32),
    /// Ask `math_solver` and `current_time` at once first.
    Both(u32, u32),
    /// Never answer: only the run's deadline ends it.
    Silence,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Whose it is.
    pub client: String,
    /// Our name of the conversation.
    pub conversation: String,
    /// From 1.
    pub turn: u32,
    /// What the model is to do.
    pub task: Task,
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer => f.write_str("answer"),
            Self::Product(a, b) => write!(f, "product:{a}*{b}"),
            Self::Both(a, b) => write!(f, "both:{a}*{b}"),
            Self::Silence => f.write_str("silence"),
        }
    }
}

impl FromStr for Task {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let factors = |text: &str| {
            let (a, b) = text.split_once('*')?;
            Some((a.parse().ok()?, b.parse().ok()?))
        };
        match text.split_once(':') {
            None if text == "answer" => Ok(Self::Answer),
            None if text == "silence" => Ok(Self::Silence),
            Some(("product", rest)) => factors(rest).map(|(a, b)| Self::Product(a, b)).ok_or(()),
            Some(("both", rest)) => factors(rest).map(|(a, b)| Self::Both(a, b)).ok_or(()),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            client,
            conversation,
            turn,
            task,
        } = self;
        write!(
            f,
            "chaos client={client} conversation={conversation} turn={turn} task={task}"
        )
    }
}

impl FromStr for Prompt {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut words = text.split(' ');
        if words.next() != Some("chaos") {
            return Err(());
        }
        let mut value = |name: &str| words.next()?.strip_prefix(name)?.strip_prefix('=');
        let parts = (
            value("client"),
            value("conversation"),
            value("turn"),
            value("task"),
        );
        let (Some(client), Some(conversation), Some(turn), Some(task)) = parts else {
            return Err(());
        };
        Ok(Self {
            client: client.to_owned(),
            conversation: conversation.to_owned(),
            turn: turn.parse().map_err(|_not_a_number| ())?,
            task: task.parse()?,
        })
    }
}

/// A tool the model asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The tool.
    pub tool: &'static str,
    /// Its arguments, as JSON.
    pub arguments: String,
}

impl Task {
    /// The tools the model asks for before it answers.
    #[must_use]
    pub fn tools(self) -> Vec<Asked> {
        let product = |a, b| Asked {
            tool: "math_solver",
            arguments: format!("{{\"expression\":\"{a} * {b}\"}}"),
        };
        let time = Asked {
            tool: "current_time",
            arguments: "{}".to_owned(),
        };
        match self {
            Self::Answer | Self::Silence => Vec::new(),
            Self::Product(a, b) => vec![product(a, b)],
            Self::Both(a, b) => vec![product(a, b), time],
        }
    }

    /// What the result of `math_solver` must contain.
    #[must_use]
    pub fn product(self) -> Option<u64> {
        match self {
            Self::Product(a, b) | Self::Both(a, b) => Some(u64::from(a) * u64::from(b)),
            Self::Answer | Self::Silence => None,
        }
    }
}

/// A conversation as far as it counts. What tools returned is left out of the hash, because the
/// time is not known beforehand; that there is one result for each call is checked by the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript(String);

impl Transcript {
    /// A person said this.
    pub fn user(&mut self, text: &str) {
        self.line("user", text);
    }

    /// The model asked for a tool.
    pub fn call(&mut self, tool: &str, arguments: &str) {
        self.line("call", &format!("{tool} {arguments}"));
    }

    /// A tool returned something.
    pub fn result(&mut self) {
        self.line("result", "");
    }

    /// The model said this.
    pub fn assistant(&mut self, text: &str) {
        self.line("assistant", text);
    }

    fn line(&mut self, kind: &str, text: &str) {
        // With its length, so that no text can look like two lines.
        self.0.push_str(&format!("{kind} {} {text}\n", text.len()));
    }

    /// A question and the tools it leads to: everything before the answer.
    pub fn question(&mut self, prompt: &Prompt) {
        self.user(&prompt.to_string());
        let asked = prompt.task.tools();
        for call in &asked {
            self.call(call.tool, &call.arguments);
        }
        for _ in &asked {
            self.result();
        }
    }

    /// The hash of it all.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut text = hex::encode(Sha256::digest(self.0.as_bytes()));
        text.truncate(16);
        text
    }
}

/// The text of an answer: the hash of what was heard, and which model call this was. The number
/// makes two answers to one question differ.
#[must_use]
pub fn answer(digest: &str, call: u64) -> String {
    format!("heard {digest} call {call}")
}

/// The hash and the call of an answer.
#[must_use]
pub fn read_answer(text: &str) -> Option<(&str, u64)> {
    let (digest, call) = text.strip_prefix("heard ")?.split_once(" call ")?;
    Some((digest, call.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(task: Task) -> Prompt {
        Prompt {
            client: "acme".to_owned(),
            conversation: "acme-3".to_owned(),
            turn: 2,
            task,
        }
    }

    #[test]
    fn prompts_and_answers_read_as_they_were_written() {
        for task in [
            Task::Answer,
            Task::Product(3, 4),
            Task::Both(5, 6),
            Task::Silence,
        ] {
            let prompt = prompt(task);
            assert_eq!(prompt.to_string().parse(), Ok(prompt));
        }
        assert_eq!("Give this talk a title".parse::<Prompt>(), Err(()));
        assert_eq!(read_answer(&answer("abc", 7)), Some(("abc", 7)));
        assert_eq!(read_answer("sorry"), None);
    }

    #[test]
    fn what_is_lost_doubled_or_swapped_changes_the_hash() {
        let of = |texts: &[&str]| {
            let mut transcript = Transcript::default();
            for text in texts {
                transcript.user(text);
            }
            transcript.digest()
        };
        let right = of(&["a", "b"]);
        for wrong in [&["a"][..], &["a", "a", "b"], &["b", "a"], &["a\nuser 1 b"]] {
            assert_ne!(of(wrong), right, "{wrong:?}");
        }
    }
}
