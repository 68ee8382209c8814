//! A small good history, for tests to spoil.

use super::{Violation, check};
use crate::history::{
    Call, ConversationRow, EffectRow, Ending, History, JournalRow, Purpose, Reply, Request,
};
use crate::prompt::answer;

pub(super) fn request(id: &str, turn: u32, call: u64) -> Request {
    Request {
        id: id.to_owned(),
        client: "acme".to_owned(),
        purpose: Purpose::Turn,
        conversation: "acme-1".to_owned(),
        turn,
        expected: format!("digest{turn}"),
        asked_at: 10,
        accepted_at: Some(20),
        replies: vec![Reply {
            id: format!("reply-to-{id}"),
            ending: Ending::Completed,
            text: answer(&format!("digest{turn}"), call),
            at: 50,
        }],
    }
}

fn call(number: u64, turn: u32, results: usize) -> Call {
    Call {
        number,
        at: 30,
        client: "acme".to_owned(),
        conversation: "acme-1".to_owned(),
        turn,
        results,
        digest: format!("digest{turn}"),
        turns: (1..=turn).collect(),
        strangers: Vec::new(),
        unpaired: Vec::new(),
    }
}

fn row(seq: i64) -> JournalRow {
    JournalRow {
        org: "org".to_owned(),
        conversation: "c".to_owned(),
        seq,
        message: format!("message-{seq}"),
    }
}

/// Two turns of a conversation, the second one with a tool, and two replicas that met once.
pub(super) fn good() -> History {
    History {
        requests: vec![request("r1", 1, 1), request("r2", 2, 3)],
        calls: vec![call(1, 1, 0), call(2, 2, 0), call(3, 2, 1)],
        journal: (1..=5).map(row).collect(),
        conversations: vec![ConversationRow {
            org: "org".to_owned(),
            conversation: "c".to_owned(),
            version: 5,
        }],
        folded: 1,
        effects: vec![EffectRow {
            service: "tool-executor".to_owned(),
            id: "e".to_owned(),
            class: "read_only".to_owned(),
            attempt: 2,
            done: true,
        }],
        refused: [("conflicts".to_owned(), 1)].into(),
        competed: true,
        healed_at: 100,
        patience: 1_000,
        run_timeout: 5_000,
        calls_per_fault: 2,
        ..History::default()
    }
}

/// Asserts that exactly this invariant catches what was done to the good history.
pub(super) fn caught(name: &str, spoil: impl FnOnce(&mut History)) -> Vec<Violation> {
    let mut history = good();
    spoil(&mut history);
    let found = check(&history);
    assert!(
        found.iter().any(|violation| violation.invariant == name),
        "{name} did not notice: {found:?}"
    );
    found
}
