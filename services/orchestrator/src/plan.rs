//! What a batch of events changes: rows to write and messages to publish. Pure.
//!
//! All events of one organisation that share a commit are applied in order of arrival to what was
//! loaded; the database layer then writes the plan in a handful of statements.

use std::collections::{BTreeMap, HashMap, HashSet};

use nexus_contracts::{
    ContractError, ConversationId, Envelope, Extra, MessageId, RunId, Timestamp, UserId,
};

use crate::core::run::failure;
use crate::core::{Command, Ctx, Input, Reject, RunHeader, State, step};
use crate::emit::{Emission, emission};
use crate::translate::Inbound;

/// A conversation as it was loaded, or as it will be written.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// How many events it has seen; 0 when it does not exist yet.
    pub version: i64,
    /// What is remembered of it.
    pub state: State,
    /// Who opened it.
    pub user: Option<UserId>,
}

/// How a message was handled the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// It was accepted and started or queued a run.
    Accepted,
    /// It was refused with `message.failed`.
    Refused,
}

/// What was found in the database for a batch.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The conversations that exist.
    pub conversations: HashMap<ConversationId, Conversation>,
    /// The submitted messages that were handled before, by (channel, id).
    pub inbox: HashMap<(String, MessageId), (Handled, ConversationId)>,
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
    /// Which of the batch's events it is.
    pub event: usize,
}

/// Everything a batch changes.
#[derive(Debug, Default)]
pub struct Plan {
    /// Conversations to write, with the version they were loaded at.
    pub conversations: BTreeMap<ConversationId, (i64, Conversation)>,
    /// Events to journal.
    pub journal: Vec<JournalRow>,
    /// Messages handled for the first time.
    pub inbox: Vec<InboxRow>,
    /// Messages to keep until they are settled.
    pub outbox: Vec<(RunId, Emission)>,
    /// Commands that need no answer any more.
    pub settled: Vec<MessageId>,
    /// Deadlines to be woken at.
    pub timers: Vec<(ConversationId, RunId, Timestamp)>,
    /// Runs whose deadline no longer matters.
    pub cleared: Vec<(ConversationId, RunId)>,
    /// Runs every worker should stop working for, and until when that matters.
    pub cancelled: Vec<(RunId, Timestamp)>,
    /// What to publish once this is committed.
    pub publish: Vec<(String, Envelope)>,
    /// Runs whose unsettled messages are published again, because an event of theirs was repeated.
    pub repeat: Vec<RunId>,
    /// Events of the batch that must be delivered again, because the same message is in it twice.
    pub again: Vec<usize>,
}

/// Applies the events of one organisation to what was loaded.
///
/// # Errors
/// [`ContractError::Encode`] when an event cannot be written.
pub fn plan(batch: &[&Inbound], loaded: &mut Loaded, ctx: &Ctx<'_>) -> Result<Plan, ContractError> {
    let mut plan = Plan::default();
    let mut in_batch = HashSet::new();
    for (at, inbound) in batch.iter().enumerate() {
        if let Input::Submitted(submission) = &inbound.input {
            let key = (inbound.channel.clone(), inbound.message_id.clone());
            if let Some((handled, conversation_id)) = loaded.inbox.get(&key) {
                repeat(
                    &mut plan,
                    &submission.header,
                    (*handled, *conversation_id),
                    ctx.now,
                )?;
                continue;
            }
            if !in_batch.insert(key) {
                plan.again.push(at);
                continue;
            }
        }
        apply(&mut plan, loaded, (at, inbound), ctx)?;
    }
    Ok(plan)
}

fn apply(
    plan: &mut Plan,
    loaded: &mut Loaded,
    (at, inbound): (usize, &Inbound),
    ctx: &Ctx<'_>,
) -> Result<(), ContractError> {
    let id = inbound.conversation_id;
    let fresh = || Conversation {
        version: 0,
        state: State::new(id),
        user: None,
    };
    let found = match loaded.conversations.get(&id) {
        Some(conversation) => conversation.clone(),
        None if inbound.opens => fresh(),
        None => return missing_conversation(plan, inbound, ctx),
    };
    match step(&found.state, &inbound.input, ctx) {
        Ok((state, commands)) => {
            let user = found.user.or_else(|| submitter(&inbound.input));
            let next = Conversation {
                version: found.version + 1,
                state,
                user,
            };
            plan.journal.push(JournalRow {
                conversation_id: id,
                seq: next.version,
                event: at,
            });
            plan.conversations
                .entry(id)
                .and_modify(|(_, latest)| *latest = next.clone())
                .or_insert_with(|| (found.version, next.clone()));
            loaded.conversations.insert(id, next);
            handled(plan, inbound, Handled::Accepted);
            carry_out(plan, inbound, commands, ctx.now)
        }
        Err(Reject::Stale) => {
            plan.repeat.push(inbound.run_id);
            Ok(())
        }
        Err(Reject::Refused { code, detail }) => refuse(plan, inbound, (code, &detail), ctx),
    }
}

fn submitter(input: &Input) -> Option<UserId> {
    match input {
        Input::Submitted(submission) => Some(submission.header.user_id),
        _ => None,
    }
}

/// A message into a conversation that this organisation does not have is refused; a late result
/// for one that is gone needs nothing.
fn missing_conversation(
    plan: &mut Plan,
    inbound: &Inbound,
    ctx: &Ctx<'_>,
) -> Result<(), ContractError> {
    let detail = format!(
        "there is no conversation {}; leave conversation_id out to open one",
        inbound.conversation_id
    );
    refuse(plan, inbound, ("unknown_conversation", &detail), ctx)
}

fn refuse(
    plan: &mut Plan,
    inbound: &Inbound,
    (code, detail): (&'static str, &str),
    ctx: &Ctx<'_>,
) -> Result<(), ContractError> {
    let Input::Submitted(submission) = &inbound.input else {
        return Ok(());
    };
    handled(plan, inbound, Handled::Refused);
    let metadata = submission.message.metadata.clone();
    let command = failure(&submission.header, code, detail, metadata);
    carry_out(plan, inbound, vec![command], ctx.now)
}

fn handled(plan: &mut Plan, inbound: &Inbound, handled: Handled) {
    if matches!(inbound.input, Input::Submitted(_)) {
        plan.inbox.push(InboxRow {
            channel: inbound.channel.clone(),
            message_id: inbound.message_id.clone(),
            handled,
            conversation_id: inbound.conversation_id,
        });
    }
}

/// A message that was handled before gets the same outcome under the same ids.
fn repeat(
    plan: &mut Plan,
    header: &RunHeader,
    (handled, conversation_id): (Handled, ConversationId),
    now: Timestamp,
) -> Result<(), ContractError> {
    plan.repeat.push(header.run_id);
    if handled == Handled::Accepted {
        let event = nexus_contracts::events::MessageAccepted {
            run_id: header.run_id,
            conversation_id,
            extra: Extra::new(),
        };
        let accept = Command::Accept {
            header: header.clone(),
            event,
        };
        if let Some(emission) = emission(&accept, &header.message_id, now)? {
            plan.publish.push((emission.channel, emission.envelope));
        }
    }
    Ok(())
}

fn carry_out(
    plan: &mut Plan,
    inbound: &Inbound,
    commands: Vec<Command>,
    now: Timestamp,
) -> Result<(), ContractError> {
    let conversation_id = inbound.conversation_id;
    for command in commands {
        if let Some(emission) = emission(&command, &inbound.message_id, now)? {
            plan.publish
                .push((emission.channel.clone(), emission.envelope.clone()));
            if emission.kept {
                let run = emission.envelope.metadata.run_id.unwrap_or(inbound.run_id);
                plan.outbox.push((run, emission));
            }
            continue;
        }
        match command {
            Command::Settle { commands } => plan.settled.extend(commands),
            Command::SetTimer { run_id, at } => plan.timers.push((conversation_id, run_id, at)),
            Command::ClearTimer { run_id } => plan.cleared.push((conversation_id, run_id)),
            Command::Cancel { run_id, until } => plan.cancelled.push((run_id, until)),
            Command::Accept { .. }
            | Command::Infer { .. }
            | Command::CallTool { .. }
            | Command::Complete { .. }
            | Command::Fail { .. } => {}
        }
    }
    Ok(())
}
