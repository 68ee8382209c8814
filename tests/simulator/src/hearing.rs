//! People hear what became of what they asked, and decide about tool calls.

use std::collections::BTreeMap;

use nexus_contracts::events::{
    ApprovalDecided, ApprovalRequested, Decision as Verdict, Event, MessageAccepted,
    MessageCompleted, MessageFailed,
};
use nexus_contracts::{Envelope, Extra, MessageId, RunId, Timestamp};

use crate::acts::{Ready, Taken};
use crate::asked::{Asked, Decision, Ending, Fate, How, Kind, markers};
use crate::chance::{name, within};
use crate::delivery::answered;
use crate::invariant::Invariant;
use crate::people::{Door, Person};
use crate::surroundings::APPROVAL_SECONDS;
use crate::world::{Alarm, EPOCH_MS, World};

/// How long a person waits before trying again where nobody took a decision.
const RETRY_MS: i64 = 700;

/// The number of the first decision, beyond those of acts.
const DECISIONS: u32 = 1_000;

impl World<'_> {
    /// Somebody hears a reply.
    pub(crate) fn heard(&mut self, door: Door, reply: &Envelope) {
        if !door.is_adapter() {
            self.arrived(reply);
        }
        let Some((org, cause)) = answered(reply) else {
            let detail = format!("{} answers nobody", reply.id);
            return self.violated(Invariant::Isolated, detail);
        };
        let ending = match reply.event_type.as_str() {
            MessageAccepted::TYPE => Some(Ending::Accepted),
            MessageCompleted::TYPE => {
                let completed = reply.decode::<MessageCompleted>();
                let text = completed.map(|event| event.text).unwrap_or_default();
                self.belongs(markers(&text), reply);
                Some(Ending::Completed)
            }
            MessageFailed::TYPE => {
                let failed = reply.decode::<MessageFailed>();
                Some(Ending::Failed(
                    failed.map(|event| event.code).unwrap_or_default(),
                ))
            }
            _ => None,
        };
        let Some(asked) = self.requests.find(org, door, &cause) else {
            let detail = format!(
                "{} at {door:?} answers {cause}, which nobody asked",
                reply.id
            );
            return self.violated(Invariant::Isolated, detail);
        };
        let who = asked.who;
        match ending {
            Some(ending) => {
                let line = format!("{} hears {ending:?} of #{}", who.name(), asked.number);
                asked.heard.insert(reply.id.clone(), ending);
                self.note(|| line);
            }
            None => self.consider(who, reply),
        }
        if reply.metadata.user_id != Some(who.identity().1) {
            let detail = format!(
                "{} of {:?} reaches {}",
                reply.id,
                reply.metadata.user_id,
                who.name()
            );
            self.violated(Invariant::Isolated, detail);
        }
    }

    /// What is said belongs to whoever a message is for.
    pub(crate) fn belongs(&mut self, said: impl Iterator<Item = u32>, message: &Envelope) {
        let metadata = &message.metadata;
        let whose = metadata.org_id.zip(metadata.user_id);
        let words = said.filter_map(|number| Some((number, self.requests.authors.get(&number)?)));
        let strange = words.filter(|(_, author)| Some(author.identity()) != whose);
        let strange: Vec<u32> = strange.map(|(number, _)| number).collect();
        if let Some(number) = strange.first() {
            let detail = format!("{} carries the words of #{number} to {whose:?}", message.id);
            self.violated(Invariant::Isolated, detail);
        }
    }

    /// Somebody is asked about a tool call, and will decide, or not.
    fn consider(&mut self, who: Person, reply: &Envelope) {
        let Ok(request) = reply.decode::<ApprovalRequested>() else {
            return;
        };
        let draw = self.chance(name(request.approval_id.as_str()));
        let how = match draw % 10 {
            0..=5 => How::Approve,
            6 => How::Deny,
            7 => How::Mistake,
            _ => return,
        };
        // The same person at any door; now and then somebody else.
        let people = Person::ALL.into_iter();
        let people: Vec<Person> = people
            .filter(|other| other.is_same_user(who) || draw.is_multiple_of(41))
            .collect();
        let at = usize::try_from(draw / 100).unwrap_or_default();
        let at = at.checked_rem(people.len()).unwrap_or_default();
        let decision = Decision {
            who: people.get(at).copied().unwrap_or(who),
            request,
            how,
        };
        let after = within(draw, 100, i64::from(APPROVAL_SECONDS) * 1_200);
        self.alarm(after, Alarm::Decide(self.requests.decisions.len()));
        self.requests.decisions.push(decision);
        self.ahead += 1;
    }

    /// A person decides about a tool call.
    pub(crate) fn decide(&mut self, at: usize) {
        let Some(decision) = self.requests.decisions.get(at).cloned() else {
            return;
        };
        let Some(ready) = self.decided(at, &decision) else {
            self.ahead -= 1;
            return;
        };
        if self.ask(ready) == Taken::Not {
            return self.alarm(RETRY_MS, Alarm::Decide(at));
        }
        self.ahead -= 1;
    }

    fn decided(&mut self, at: usize, decision: &Decision) -> Option<Ready> {
        let Decision { who, request, how } = decision;
        let message_id = MessageId::new(format!("d{at}")).ok()?;
        let (org, _) = who.identity();
        let verdict = if *how == How::Deny {
            Verdict::Deny
        } else {
            Verdict::Approve
        };
        let arguments_hash = if *how == How::Mistake {
            "0".repeat(64)
        } else {
            request.arguments_hash.clone()
        };
        let event = ApprovalDecided {
            approval_id: request.approval_id.clone(),
            run_id: request.run_id,
            conversation_id: request.conversation_id,
            arguments_hash,
            decision: verdict,
            comment: None,
            extra: Extra::new(),
        };
        let owner = self.requests.talks.values();
        let mut owner = owner.filter(|talk| talk.conversation == request.conversation_id);
        let intrudes = owner
            .next()
            .is_some_and(|talk| !talk.owner.is_same_user(*who));
        if *how == How::Approve && !intrudes {
            self.outside.approved.insert(request.approval_id.clone());
        }
        let now = Timestamp::from_millis(EPOCH_MS + self.now);
        let envelope = Envelope::new(message_id.clone(), now, &event).ok()?;
        let conversation = Some(request.conversation_id);
        let kind = if intrudes {
            Kind::Intrusion("unknown_conversation")
        } else {
            Kind::Command
        };
        let asked = Asked {
            number: DECISIONS.saturating_add(u32::try_from(at).unwrap_or_default()),
            who: *who,
            run_id: RunId::of(org, &who.door.incoming(), &message_id),
            message_id,
            conversation,
            kind,
            fate: Fate::default(),
            heard: BTreeMap::new(),
        };
        Some(Ready {
            envelope: envelope.with_metadata(Self::metadata(*who, conversation)),
            asked,
            parent: None,
        })
    }
}
