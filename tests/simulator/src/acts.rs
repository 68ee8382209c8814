//! People ask, hear and decide.

use std::collections::BTreeMap;
use std::rc::Rc;

use nexus_contracts::{ConversationId, Envelope, MessageId, Metadata, RunId, Timestamp};
use nexus_entry_api::outbox::{Key, Lanes};

use crate::asked::{Asked, Fate, Kind, Opened};
use crate::case::{Act, Ask, What};
use crate::delivery::Outgoing;
use crate::faults::Fault;
use crate::letter::Letter;
use crate::people::{Person, Proc};
use crate::world::{Alarm, EPOCH_MS, World};

/// How long a person waits before trying again where nobody took what was asked.
const RETRY_MS: i64 = 700;

/// What became of something handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Yes,
    /// Nobody took it; the person tries again.
    Not,
    /// It is about a conversation that is gone, which the adapter says at once.
    Gone,
}

/// Something ready to be asked.
pub(crate) struct Ready {
    pub(crate) envelope: Envelope,
    pub(crate) asked: Asked,
    /// The conversation a branch leaves.
    pub(crate) parent: Option<ConversationId>,
}

impl World<'_> {
    /// An act of the case.
    pub(crate) fn act(&mut self, at: usize, act: &Act) {
        let What::Ask { who, ask } = &act.what else {
            self.ahead -= 1;
            return self.trouble(u64::from(act.number), &act.what);
        };
        let Some(ready) = self.ready(act.number, *who, ask) else {
            self.ahead -= 1;
            return self.note(|| format!("#{} has nothing to be about", act.number));
        };
        let talk = ask.talk();
        let words = !matches!(ask, Ask::Cancel { .. } | Ask::Delete { .. });
        let (conversation, run) = (ready.asked.conversation, ready.asked.run_id);
        let by = ready.asked.message_id.clone();
        let starts = ready.asked.kind == Kind::Run;
        match self.ask(ready) {
            Taken::Not => return self.alarm(RETRY_MS, Alarm::Act(at)),
            Taken::Gone => {}
            Taken::Yes => {
                if let (Some(talk), Some(conversation)) = (talk, conversation) {
                    if words {
                        self.requests.say(act.number, *who, conversation);
                    }
                    let talks = self.requests.talks.entry(talk);
                    let opened = talks.or_insert_with(|| Opened {
                        owner: *who,
                        by,
                        conversation,
                        runs: Vec::new(),
                    });
                    opened.runs.extend(starts.then_some(run));
                }
            }
        }
        self.ahead -= 1;
    }

    /// What an act asks, as a message; nothing when there is no such talk (yet).
    fn ready(&mut self, number: u32, who: Person, ask: &Ask) -> Option<Ready> {
        let opened = ask
            .talk()
            .and_then(|talk| self.requests.talks.get(&talk))
            .cloned();
        let from = match ask {
            Ask::Branch { from, .. } => Some(self.requests.talks.get(from)?.clone()),
            _ => None,
        };
        if opened.is_some() && matches!(ask, Ask::Branch { .. } | Ask::Import { .. }) {
            return None;
        }
        let owner = from.as_ref().or(opened.as_ref());
        let intrudes = owner.is_some_and(|opened| !opened.owner.is_same_user(who));
        let victim = opened.as_ref().filter(|_| intrudes);
        let message_id = self.id_of(number, who, victim)?;
        let (org, _) = who.identity();
        let run_id = RunId::of(org, &who.door.incoming(), &message_id);
        let parent = from.as_ref().map(|from| from.conversation);
        let letter = Letter {
            id: message_id.clone(),
            now: Timestamp::from_millis(EPOCH_MS + self.now),
            number,
            run: run_id,
            known: opened,
            from,
        };
        let (envelope, conversation) = letter.write(ask)?;
        let asked = Asked {
            number,
            who,
            message_id,
            run_id,
            conversation,
            kind: if intrudes {
                refused_as(ask)
            } else {
                kind_of(ask)
            },
            fate: Fate::default(),
            heard: BTreeMap::new(),
        };
        Some(Ready {
            envelope: envelope.with_metadata(Self::metadata(who, conversation)),
            asked,
            parent,
        })
    }

    /// The id of an act's message. An intruder uses the very id its victim used, if it may.
    fn id_of(&self, number: u32, who: Person, victim: Option<&Opened>) -> Option<MessageId> {
        let (org, _) = who.identity();
        let borrowed = victim.map(|victim| victim.by.clone());
        let borrowed = borrowed.filter(|id| !self.requests.has(org, who.door, id));
        borrowed.or_else(|| MessageId::new(format!("m{number}")).ok())
    }

    /// What an adapter says about a message; what a client says is ignored.
    pub(crate) fn metadata(who: Person, conversation: Option<ConversationId>) -> Metadata {
        let (org, user) = who.identity();
        Metadata {
            org_id: Some(org),
            user_id: Some(user),
            conversation_id: conversation,
            ..Metadata::default()
        }
    }

    /// Hands something to an adapter, or writes it on the bus.
    pub(crate) fn ask(&mut self, ready: Ready) -> Taken {
        let Ready {
            envelope,
            asked,
            parent,
        } = ready;
        let door = asked.who.door;
        let (org, _) = asked.who.identity();
        let id = asked.message_id.clone();
        let request: Outgoing = (door.incoming().as_str().into(), Rc::new(envelope));
        if door.is_adapter() {
            let proc = Proc::Adapter(door);
            let is_up = self
                .processes
                .get(&proc)
                .is_some_and(|process| process.is_up);
            if !is_up || self.goes_wrong(Fault::StoreAway, id.as_str()).is_some() {
                return Taken::Not;
            }
            let now = self.clock(proc);
            let run = asked.run_id;
            let conversation = asked.conversation;
            let conversation = conversation.unwrap_or_else(|| ConversationId::opened_by(run));
            let place = (
                Key { org, run },
                Lanes {
                    conversation,
                    parent,
                },
            );
            let adapter = self.adapters.get_mut(&door);
            if !adapter.is_some_and(|adapter| adapter.admit(place, request.clone(), now)) {
                return Taken::Gone;
            }
        } else if self.goes_wrong(Fault::BusAway, id.as_str()).is_some() {
            return Taken::Not;
        }
        let number = asked.number;
        self.note(|| format!("#{number} is asked as {id}"));
        self.requests.add(asked);
        self.counts.requests += 1;
        if door.is_adapter() {
            self.publish_new(door);
        } else {
            self.send_all(&[request]);
        }
        Taken::Yes
    }
}

/// What kind of thing is asked.
const fn kind_of(ask: &Ask) -> Kind {
    match ask {
        Ask::Say { .. } | Ask::Branch { .. } => Kind::Run,
        _ => Kind::Command,
    }
}

/// How it is refused where it is about something of somebody else's.
const fn refused_as(ask: &Ask) -> Kind {
    Kind::Intrusion(match ask {
        Ask::Branch { .. } => "unknown_run",
        _ => "unknown_conversation",
    })
}
