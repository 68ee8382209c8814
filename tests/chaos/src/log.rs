//! What clients and the nemesis write down while a run goes on.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use crate::history::{Ending, Millis, Reply, Request, Span};
use crate::model::millis_since;

/// A final reply, as a client hears it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The reply's own id.
    pub reply: String,
    /// How it ends the request.
    pub ending: Ending,
    /// The text of an answer; code and detail of a failure.
    pub text: String,
    /// The conversation, where it says so.
    pub conversation: Option<String>,
}

/// A conversation somebody has, for others to try and get into.
#[derive(Clone, Debug)]
pub struct Owned {
    /// Whose it is.
    pub client: String,
    /// Our name of it.
    pub label: String,
    /// Its id.
    pub conversation: String,
    /// A run of it, which is also a correlation id.
    pub run: String,
}

/// The log of a run.
pub struct Log {
    began: Instant,
    state: Mutex<State>,
    changed: watch::Sender<u64>,
    losses: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    requests: Vec<Request>,
    by_id: HashMap<String, usize>,
    by_reply: HashMap<String, usize>,
    first: HashMap<String, Heard>,
    owned: Vec<Owned>,
    faults: Vec<Span>,
    leaks: Vec<String>,
}

impl Log {
    /// Empty; the run began now.
    #[must_use]
    pub fn new(began: Instant) -> Self {
        Self {
            began,
            state: Mutex::default(),
            changed: watch::Sender::new(0),
            losses: watch::Sender::new(0),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since the run began.
    #[must_use]
    pub fn now(&self) -> Millis {
        millis_since(self.began)
    }

    /// A request is put.
    pub fn asked(&self, mut request: Request) {
        request.asked_at = self.now();
        let mut state = self.state();
        let at = state.requests.len();
        state.by_id.insert(request.id.clone(), at);
        state.requests.push(request);
    }

    /// A request is promised an outcome.
    pub fn accepted(&self, id: &str) {
        let now = self.now();
        let mut state = self.state();
        if let Some(request) = state.request(id) {
            request.accepted_at.get_or_insert(now);
        }
    }

    /// `client` heard how a request ended. A reply to somebody else's request is a leak.
    pub fn replied(&self, client: &str, id: &str, heard: Heard) {
        let now = self.now();
        let mut state = self.state();
        let Some(request) = state.request(id) else {
            let leak = format!("{client} heard a reply to {id}, which nobody asked: {heard:?}");
            state.leaks.push(leak);
            return;
        };
        if request.client != client {
            let leak = format!("{client} heard the reply to {id} of {}", request.client);
            state.leaks.push(leak);
            return;
        }
        request.replies.push(Reply {
            id: heard.reply.clone(),
            ending: heard.ending,
            text: heard.text.clone(),
            at: now,
        });
        if let Some(at) = state.by_id.get(id).copied() {
            state.by_reply.insert(heard.reply.clone(), at);
        }
        state.first.entry(id.to_owned()).or_insert(heard);
        drop(state);
        self.changed.send_modify(|changes| *changes += 1);
    }

    /// The reply with this id was seen once more, by whoever saw it first.
    pub fn replied_again(&self, heard: Heard) {
        let now = self.now();
        let mut state = self.state();
        let at = state.by_reply.get(&heard.reply).copied();
        if let Some(request) = at.and_then(|at| state.requests.get_mut(at)) {
            request.replies.push(Reply {
                id: heard.reply,
                ending: heard.ending,
                text: heard.text,
                at: now,
            });
        }
    }

    /// The first final reply to a request, once it is there.
    pub async fn first_reply(&self, id: &str) -> Heard {
        let mut changes = self.changed.subscribe();
        loop {
            if let Some(heard) = self.state().first.get(id) {
                return heard.clone();
            }
            // The sender lives as long as this log.
            let _ended = changes.changed().await;
        }
    }

    /// A conversation others may try to get into.
    pub fn owns(&self, owned: Owned) {
        self.state().owned.push(owned);
    }

    /// Every conversation there is to get into.
    #[must_use]
    pub fn owned(&self) -> Vec<Owned> {
        self.state().owned.clone()
    }

    /// Somebody saw what is not theirs.
    pub fn leaked(&self, what: String) {
        self.state().leaks.push(what);
    }

    /// The bus may have lost what it had: those who trust it alone say it again.
    pub fn bus_lost(&self) {
        self.losses.send_modify(|losses| *losses += 1);
    }

    /// How often that happened; changes when it happens again.
    #[must_use]
    pub fn losses(&self) -> watch::Receiver<u64> {
        self.losses.subscribe()
    }

    /// A fault that is healed.
    pub fn fault(&self, kind: &str, target: &str, from: Millis) {
        let span = Span {
            kind: kind.to_owned(),
            target: target.to_owned(),
            from,
            until: self.now(),
        };
        self.state().faults.push(span);
    }

    /// All of it: requests, faults, leaks.
    #[must_use]
    pub fn copy(&self) -> (Vec<Request>, Vec<Span>, Vec<String>) {
        let state = self.state();
        (
            state.requests.clone(),
            state.faults.clone(),
            state.leaks.clone(),
        )
    }
}

impl State {
    fn request(&mut self, id: &str) -> Option<&mut Request> {
        let at = *self.by_id.get(id)?;
        self.requests.get_mut(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Purpose;

    fn heard() -> Heard {
        Heard {
            reply: "reply".to_owned(),
            ending: Ending::Completed,
            text: "text".to_owned(),
            conversation: None,
        }
    }

    #[tokio::test]
    async fn replies_reach_whoever_waits_and_strays_are_leaks() {
        let log = Log::new(Instant::now());
        log.asked(Request {
            id: "r".to_owned(),
            client: "acme".to_owned(),
            purpose: Purpose::Turn,
            conversation: "acme-1".to_owned(),
            turn: 1,
            expected: String::new(),
            asked_at: 0,
            accepted_at: None,
            replies: Vec::new(),
        });
        log.accepted("r");
        let (first, ()) = tokio::join!(log.first_reply("r"), async {
            log.replied("acme", "r", heard());
        });
        assert_eq!(first, heard());
        log.replied("bolt", "r", heard());
        log.replied("acme", "unknown", heard());
        let (requests, _, leaks) = log.copy();
        assert_eq!(requests[0].replies.len(), 1);
        assert_eq!(leaks.len(), 2);
    }
}
