//! What a batch of events changes: rows to write and messages to publish. Pure.
//!
//! All events of one organisation that share a commit are applied in order of arrival to what was
//! loaded; the database layer then writes the plan in a handful of statements.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use nexus_contracts::{ConversationId, Envelope, MessageId, RunId, Timestamp};

use crate::core::checkpoint::encode_input;
use crate::core::run::failure;
use crate::core::{Asked, Command, Ctx, Input, Reject, Request, State, Timer, step};
use crate::emit::{Emission, emission};
use crate::error::Error;
use crate::translate::Inbound;

/// After how many events of a conversation its state is kept beside the journal, so that folding
/// never has to go further back.
pub const SNAPSHOT_EVERY: i64 = 100;

/// A conversation as it was loaded, or as it will be written.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// How many events it has seen; 0 when it does not exist yet.
    pub version: i64,
    /// What is remembered of it.
    pub state: State,
}

/// How a message was handled the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// It was accepted.
    Accepted,
    /// It was refused with `message.failed`.
    Refused,
}

/// What was found in the database for a batch.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The conversations that exist.
    pub conversations: HashMap<ConversationId, Conversation>,
    /// The requests that were handled before, by (channel, id): how, where and when.
    pub inbox: HashMap<(String, MessageId), (Handled, ConversationId, Timestamp)>,
    /// What conversations were just before a run of theirs started, for branches.
    pub bases: HashMap<(ConversationId, RunId), State>,
}

/// A row of the inbox.
#[derive(Clone, Debug)]
pub struct InboxRow {
    /// The channel.
    pub channel: String,
    /// The message.
    pub message_id: MessageId,
    /// What became of it.
    pub handled: Handled,
    /// The conversation.
    pub conversation_id: ConversationId,
}

/// A row of the journal.
#[derive(Clone, Debug)]
pub struct JournalRow {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The version the event led to: dense and ordered.
    pub seq: i64,
    /// The run it is about.
    pub run_id: RunId,
    /// The message that said it.
    pub message_id: MessageId,
    /// Its type.
    pub event_type: String,
    /// What happened ([`encode_input`]).
    pub input: Vec<u8>,
}

/// A row of the outbox.
#[derive(Clone, Debug)]
pub struct OutboxRow {
    /// The conversation whose content it carries: it goes with it. A refusal carries none, and may be
    /// for somebody who must not even know of the conversation.
    pub conversation_id: Option<ConversationId>,
    /// The run it is about: a repetition of what started that run repeats it.
    pub run_id: RunId,
    /// What led to it: the run whose request did, or the result or timer with this id. Its repetition
    /// repeats it.
    pub cause: String,
    /// The message.
    pub emission: Emission,
}

/// An event that comes again: what it led to is published again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeated {
    /// The conversation it is about.
    pub conversation_id: ConversationId,
    /// Which one.
    pub event: Which,
}

/// Which event comes again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The request of a run. Its answers are repeated too, whatever led to them.
    Request(RunId),
    /// A result or a timer: what it alone led to. What others of the run wait for is their matter,
    /// or one slow tool would repeat the work of all.
    Other(MessageId),
}

impl Which {
    fn of(inbound: &Inbound) -> Self {
        match inbound.input.asked() {
            Some(_) => Self::Request(inbound.run_id),
            None => Self::Other(inbound.message_id.clone()),
        }
    }

    /// As [`OutboxRow::cause`] has it.
    #[must_use]
    pub fn cause(&self) -> String {
        match self {
            Self::Request(run) => run.to_string(),
            Self::Other(id) => id.to_string(),
        }
    }
}

/// Everything a batch changes.
#[derive(Debug, Default)]
pub struct Plan {
    /// Conversations to write, with the version they were loaded at.
    pub conversations: BTreeMap<ConversationId, (i64, Conversation)>,
    /// Events to journal.
    pub journal: Vec<JournalRow>,
    /// States to keep beside the journal.
    pub snapshots: Vec<(ConversationId, Conversation)>,
    /// Conversations of which everything stored before this batch goes.
    pub erased: BTreeSet<ConversationId>,
    /// Requests handled for the first time.
    pub inbox: Vec<InboxRow>,
    /// Messages to keep until they are settled.
    pub outbox: Vec<OutboxRow>,
    /// Commands that need no answer any more.
    pub settled: Vec<MessageId>,
    /// Timers to set, and to clear.
    pub timers: BTreeMap<(ConversationId, Timer), Option<Timestamp>>,
    /// Runs every worker should stop working for, and until when that matters.
    pub cancelled: Vec<(RunId, Timestamp)>,
    /// What to publish once this is committed.
    pub publish: Vec<(String, Envelope)>,
    /// What was repeated.
    pub repeat: Vec<Repeated>,
    /// Events of the batch that must be delivered again, because the same message is in it twice.
    pub again: Vec<usize>,
}

/// Applies the events of one organisation to what was loaded.
///
/// # Errors
/// When an event cannot be written.
pub fn plan(batch: &[&Inbound], loaded: &mut Loaded, ctx: &Ctx<'_>) -> Result<Plan, Error> {
    let mut plan = Plan::default();
    let mut in_batch = HashSet::new();
    for (at, inbound) in batch.iter().enumerate() {
        if let Some(asked) = inbound.input.asked() {
            let key = (inbound.channel.clone(), inbound.message_id.clone());
            if let Some(before) = loaded.inbox.get(&key) {
                repeat(&mut plan, asked, *before)?;
                continue;
            }
            if !in_batch.insert(key) {
                plan.again.push(at);
                continue;
            }
        }
        apply(&mut plan, loaded, inbound, ctx)?;
    }
    Ok(plan)
}

fn apply(
    plan: &mut Plan,
    loaded: &mut Loaded,
    inbound: &Inbound,
    ctx: &Ctx<'_>,
) -> Result<(), Error> {
    let id = inbound.conversation_id;
    let based = with_base(&inbound.input, loaded);
    let input = based.as_ref().unwrap_or(&inbound.input);
    let opens = input.asked().is_some_and(|asked| asked.request.opens());
    let fresh = || Conversation {
        version: 0,
        state: State::new(id),
    };
    let found = loaded.conversations.get(&id);
    let stepped = match found {
        Some(found) => step(&found.state, input, ctx),
        None if opens => step(&State::new(id), input, ctx),
        None => Err(match input.asked() {
            Some(_) => Reject::unknown_conversation(id),
            // Late for a conversation that was never committed: nobody waits.
            None => Reject::Stale,
        }),
    };
    match stepped {
        Ok((state, commands)) => {
            let found = found.cloned().unwrap_or_else(fresh);
            let next = Conversation {
                version: found.version + 1,
                state,
            };
            advance(plan, (inbound, input), found.version, &next)?;
            loaded.conversations.insert(id, next);
            handled(plan, inbound, Handled::Accepted);
            carry_out(plan, (inbound, Some(id)), commands, ctx.now)
        }
        Err(Reject::Stale) => {
            plan.repeat.push(Repeated {
                conversation_id: id,
                event: Which::of(inbound),
            });
            // A command that nobody awaits needs no answer any more.
            plan.settled.extend(input.answers().cloned());
            Ok(())
        }
        Err(Reject::Refused { code, detail }) => refuse(plan, inbound, (code, &detail), ctx),
    }
}

/// A branch is told what its parent was.
fn with_base(input: &Input, loaded: &Loaded) -> Option<Input> {
    let asked = input.asked()?;
    let Request::Branch(branch) = &asked.request else {
        return None;
    };
    let base = loaded.bases.get(&(branch.parent, branch.run_id)).cloned();
    let mut branch = branch.clone();
    branch.base = base.map(Box::new);
    Some(Input::Asked(Box::new(Asked {
        header: asked.header.clone(),
        request: Request::Branch(branch),
    })))
}

/// The conversation has another version.
fn advance(
    plan: &mut Plan,
    (inbound, input): (&Inbound, &Input),
    previous: i64,
    next: &Conversation,
) -> Result<(), Error> {
    let id = inbound.conversation_id;
    plan.journal.push(JournalRow {
        conversation_id: id,
        seq: next.version,
        run_id: inbound.run_id,
        message_id: inbound.message_id.clone(),
        event_type: inbound.event_type.clone(),
        input: encode_input(input)?,
    });
    if next.version % SNAPSHOT_EVERY == 0 {
        plan.snapshots.push((id, next.clone()));
    }
    plan.conversations
        .entry(id)
        .and_modify(|(_, latest)| *latest = next.clone())
        .or_insert_with(|| (previous, next.clone()));
    Ok(())
}

fn refuse(
    plan: &mut Plan,
    inbound: &Inbound,
    (code, detail): (&'static str, &str),
    ctx: &Ctx<'_>,
) -> Result<(), Error> {
    let Some(Asked { header, request }) = inbound.input.asked() else {
        return Ok(());
    };
    handled(plan, inbound, Handled::Refused);
    let metadata = match request {
        Request::Submit(message) => message.metadata.clone(),
        Request::Branch(branch) => branch.message.metadata.clone(),
        _ => nexus_contracts::Extra::new(),
    };
    let command = failure(header, code, detail, metadata);
    carry_out(plan, (inbound, None), vec![command], ctx.now)
}

fn handled(plan: &mut Plan, inbound: &Inbound, handled: Handled) {
    if inbound.input.asked().is_some() {
        plan.inbox.push(InboxRow {
            channel: inbound.channel.clone(),
            message_id: inbound.message_id.clone(),
            handled,
            conversation_id: inbound.conversation_id,
        });
    }
}

/// A request that was handled before gets the same outcome under the same ids, and of the same
/// moment: when it was accepted is where others place it among what was said.
fn repeat(
    plan: &mut Plan,
    asked: &Asked,
    (handled, conversation_id, at): (Handled, ConversationId, Timestamp),
) -> Result<(), Error> {
    plan.repeat.push(Repeated {
        conversation_id,
        event: Which::Request(asked.header.run_id),
    });
    if handled == Handled::Accepted {
        let accept = Command::Accept {
            header: asked.header.clone(),
            event: asked.accepted(conversation_id),
        };
        if let Some(emission) = emission(&accept, &asked.header.message_id, at)? {
            plan.publish.push((emission.channel, emission.envelope));
        }
    }
    Ok(())
}

fn carry_out(
    plan: &mut Plan,
    (inbound, content_of): (&Inbound, Option<ConversationId>),
    commands: Vec<Command>,
    now: Timestamp,
) -> Result<(), Error> {
    let conversation_id = inbound.conversation_id;
    for command in commands {
        if let Some(emission) = emission(&command, &inbound.message_id, now)? {
            plan.publish
                .push((emission.channel.clone(), emission.envelope.clone()));
            if emission.kept {
                let run_id = emission.envelope.metadata.run_id.unwrap_or(inbound.run_id);
                let cause = Which::of(inbound).cause();
                plan.outbox.push(OutboxRow {
                    conversation_id: content_of,
                    run_id,
                    cause,
                    emission,
                });
            }
            continue;
        }
        match command {
            Command::Settle { commands } => plan.settled.extend(commands),
            Command::SetTimer { timer, at } => {
                plan.timers.insert((conversation_id, timer), Some(at));
            }
            // A timer that fired is cleared by whoever woke it, once all of this is published: until
            // then it is what repeats it.
            Command::ClearTimer { timer } if inbound.input.timer().as_ref() == Some(&timer) => {}
            Command::ClearTimer { timer } => {
                plan.timers.insert((conversation_id, timer), None);
            }
            Command::Cancel { run_id, until } => plan.cancelled.push((run_id, until)),
            Command::Erase => erase(plan, conversation_id),
            Command::Accept { .. }
            | Command::Infer { .. }
            | Command::CallTool { .. }
            | Command::AskApproval { .. }
            | Command::Complete { .. }
            | Command::Fail { .. }
            | Command::Tell { .. } => {}
        }
    }
    Ok(())
}

/// Nothing said before is written any more, not even by this batch. What is left can be folded from
/// the empty state.
fn erase(plan: &mut Plan, id: ConversationId) {
    plan.erased.insert(id);
    plan.journal.retain(|row| row.conversation_id != id);
    plan.snapshots
        .retain(|(conversation, _)| *conversation != id);
    plan.outbox.retain(|row| row.conversation_id != Some(id));
    if let Some((_, conversation)) = plan.conversations.get(&id) {
        plan.snapshots.push((id, conversation.clone()));
    }
}
