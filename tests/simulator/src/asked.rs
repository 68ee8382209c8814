//! What was asked, by whom, and what came of it: the record that invariants are checked against.

use std::collections::BTreeMap;

use nexus_contracts::events::ApprovalRequested;
use nexus_contracts::{ConversationId, MessageId, OrgId, RunId};

use crate::case;
use crate::people::{Door, Person};

/// What somebody heard about a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ending {
    Accepted,
    Completed,
    Failed(String),
}

/// Something that was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The act, for people to find.
    pub(crate) number: u32,
    pub(crate) who: Person,
    pub(crate) message_id: MessageId,
    pub(crate) run_id: RunId,
    /// The conversation it is about or opens.
    pub(crate) conversation: Option<ConversationId>,
    /// What kind of thing it is.
    pub(crate) kind: Kind,
    /// Why nobody has to keep a promise about it any more.
    pub(crate) fate: Fate,
    /// What was heard, by the id of the reply.
    pub(crate) heard: BTreeMap<MessageId, Ending>,
}

/// What kind of thing is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It starts a run: accepted, then completed or failed.
    Run,
    /// It is done with when it is accepted or failed.
    Command,
    /// It is about something of somebody else's, and must be refused with this.
    Intrusion(&'static str),
}

/// What the bus did to a request or its answers; adapters make up for that, clients cannot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fate {
    /// The request itself was lost.
    pub(crate) request_lost: bool,
    /// An answer was lost.
    pub(crate) answer_lost: bool,
}

/// A talk that was opened.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) owner: Person,
    pub(crate) by: MessageId,
    pub(crate) conversation: ConversationId,
    pub(crate) runs: Vec<RunId>,
}

/// What a person will say to a tool call.
#[derive(Clone, Debug)]
pub(crate) struct Decision {
    pub(crate) who: Person,
    pub(crate) request: ApprovalRequested,
    pub(crate) how: How,
}

/// How a person decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Approve,
    Deny,
    /// About other arguments than those asked about.
    Mistake,
}

/// Everything asked in one history.
#[derive(Default)]
pub(crate) struct Requests {
    pub(crate) all: Vec<Asked>,
    by_id: BTreeMap<(OrgId, Door, MessageId), usize>,
    pub(crate) talks: BTreeMap<case::Talk, Opened>,
    /// The acts whose words were said in a conversation.
    pub(crate) said: BTreeMap<ConversationId, Vec<u32>>,
    /// Whose words an act's are.
    pub(crate) authors: BTreeMap<u32, Person>,
    pub(crate) decisions: Vec<Decision>,
}

impl Requests {
    /// Puts one in.
    pub(crate) fn add(&mut self, asked: Asked) {
        let (org, _) = asked.who.identity();
        let key = (org, asked.who.door, asked.message_id.clone());
        self.by_id.insert(key, self.all.len());
        self.all.push(asked);
    }

    /// Whether there is one with this id.
    pub(crate) fn has(&self, org: OrgId, door: Door, id: &MessageId) -> bool {
        self.by_id.contains_key(&(org, door, id.clone()))
    }

    /// The one with this id.
    pub(crate) fn find(&mut self, org: OrgId, door: Door, id: &MessageId) -> Option<&mut Asked> {
        let at = self.by_id.get(&(org, door, id.clone()))?;
        self.all.get_mut(*at)
    }

    /// An act's words are said in a conversation.
    pub(crate) fn say(&mut self, number: u32, who: Person, conversation: ConversationId) {
        self.authors.insert(number, who);
        self.said.entry(conversation).or_default().push(number);
    }
}

/// The words of an act, which nothing else contains.
pub(crate) fn marker(number: u32) -> String {
    format!("q{number}z")
}

/// The acts whose words are in a text.
pub(crate) fn markers(text: &str) -> impl Iterator<Item = u32> {
    let starts = text.split('q').skip(1);
    starts.filter_map(|rest| rest.split_once('z')?.0.parse().ok())
}

/// Whether an act's words are in some bytes.
pub(crate) fn contains(bytes: &[u8], number: u32) -> bool {
    let words = marker(number);
    let words = words.as_bytes();
    bytes.windows(words.len()).any(|window| window == words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_where_they_are() {
        let text = format!("a {} b{}c qz q1 {}", marker(7), marker(12), marker(3));
        assert_eq!(markers(&text).collect::<Vec<_>>(), [7, 12, 3]);
        assert!(contains(text.as_bytes(), 12) && !contains(text.as_bytes(), 2));
        assert!(!contains(b"q1", 1));
    }
}
