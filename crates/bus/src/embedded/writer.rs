//! The one thread that writes. It performs whatever is queued in one transaction, so that the
//! busier the bus, the cheaper each message; then it answers.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::checkpoint::Checkpoints;
use super::command::{Command, Settle};
use super::failure::failure;
use super::lock::OwnerLock;
use super::state::{Channel, Member, Shared};
use super::transaction::{Durables, Effects, Transaction};
use crate::clock::now_ms;
use crate::{BusError, EntryId, PutOutcome};

/// Commands one transaction performs at most, so that nobody waits long for the first of them.
const BATCH: usize = 512;
/// How long a delivery's mark waits for company. It usually meets the acknowledgement that makes
/// it needless.
const LAZY: Duration = Duration::from_millis(2);

pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) shared: Arc<Shared>,
    pub(super) durables: Durables,
    pub(super) lock: OwnerLock,
    pub(super) checkpoints: Checkpoints,
}

/// What a command came to.
enum Outcome {
    Published(Vec<EntryId>),
    Settled,
    Marked,
    Joined(Member),
    Created(Arc<Channel>),
    Trimmed(u64),
    Table(PutOutcome),
}

impl Writer {
    /// Until told to close, or until nobody is left to tell.
    pub(super) fn run(mut self, queue: &Receiver<Command>) {
        let mut closing = None;
        while let Some(mut batch) = collect(queue) {
            if let Some(at) = batch
                .iter()
                .position(|c| matches!(c, Command::Close { .. }))
            {
                // What came behind it finds the bus closed: its answer is dropped.
                closing = batch.drain(at..).next();
            }
            self.perform_all(batch);
            if closing.is_some() {
                break;
            }
        }
        self.shared.closed.cancel();
        self.shared.watchers.close();
        let Self {
            connection,
            lock,
            checkpoints,
            shared,
            ..
        } = self;
        checkpoints.stop();
        if let Err((_, error)) = connection.close() {
            tracing::warn!(path = %shared.path.display(), %error, "closing the bus file");
        }
        // Only now may another process own the file.
        drop(lock);
        if let Some(Command::Close { reply }) = closing {
            let _ = reply.send(());
        }
    }

    fn perform_all(&mut self, batch: Vec<Command>) {
        if batch.is_empty() {
            return;
        }
        match self.commit(&batch) {
            Ok(outcomes) => {
                batch
                    .into_iter()
                    .zip(outcomes)
                    .for_each(|(c, outcome)| answer(c, outcome));
            }
            // One of them cannot be done: each gets a transaction of its own.
            Err(error) if batch.len() > 1 => {
                tracing::debug!(%error, commands = batch.len(), "transaction split");
                batch
                    .into_iter()
                    .for_each(|command| self.perform_all(vec![command]));
            }
            Err(error) => {
                let error = failure(&self.shared.path, &error);
                batch
                    .into_iter()
                    .for_each(|command| self.refuse(command, &error));
            }
        }
    }

    fn settle_alone(&mut self, member: &Member, settle: Settle) -> Result<(), BusError> {
        // Nobody listens to this reply: the result is read off the commit.
        let (reply, _) = oneshot::channel();
        let command = Command::Settle {
            member: member.clone(),
            settles: vec![settle],
            reply,
        };
        match self.commit(&[command]) {
            Ok(_) => Ok(()),
            Err(error) => Err(failure(&self.shared.path, &error)),
        }
    }

    /// Performs all in one transaction, or none.
    fn commit(&mut self, batch: &[Command]) -> rusqlite::Result<Vec<Outcome>> {
        let connection = &self.connection;
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let performed = perform_in(connection, &self.shared, &self.durables, batch);
        let committed = performed.and_then(|performed| {
            connection.prepare_cached("COMMIT")?.execute([])?;
            Ok(performed)
        });
        match committed {
            Ok((outcomes, effects)) => {
                self.checkpoints.wrote(effects.bytes());
                effects.apply(&self.shared, &mut self.durables);
                Ok(outcomes)
            }
            Err(error) => {
                // Some failures have rolled back already.
                if !connection.is_autocommit() {
                    connection.execute_batch("ROLLBACK")?;
                }
                Err(error)
            }
        }
    }

    fn refuse(&mut self, command: Command, error: &BusError) {
        match command {
            Command::Publish { reply, .. } => drop(reply.send(Err(error.clone()))),
            Command::Settle {
                member,
                settles,
                reply,
            } if settles.len() > 1 => {
                let results = settles
                    .into_iter()
                    .map(|settle| self.settle_alone(&member, settle));
                let _ = reply.send(results.collect());
            }
            Command::Settle { reply, .. } => drop(reply.send(vec![Err(error.clone())])),
            Command::Mark {
                member,
                mark,
                reply,
            } => {
                // Written with the group's next change. What was handed out once more keeps the
                // place it has.
                let durable = self.durables.entry(member.group.id).or_default();
                if let Some(last) = mark.fresh.last() {
                    durable.delivered = durable.delivered.max(*last);
                    durable.open.extend(&mark.fresh);
                    durable.open.sort_unstable();
                }
                tracing::warn!(%error, group = member.group.name, "delivery not written down");
                reply.map(|reply| reply.send(Err(error.clone())));
            }
            Command::Join { reply, .. } => drop(reply.send(Err(error.clone()))),
            Command::Create { reply, .. } => drop(reply.send(Err(error.clone()))),
            Command::Trim { reply, .. } => drop(reply.send(Err(error.clone()))),
            Command::Table { reply, .. } => drop(reply.send(Err(error.clone()))),
            Command::Close { reply } => drop(reply.send(())),
        }
    }
}

/// What is queued, at least one. Nothing when nobody is left to ask.
fn collect(queue: &Receiver<Command>) -> Option<Vec<Command>> {
    let mut batch = vec![queue.recv().ok()?];
    let deadline = Instant::now() + LAZY;
    while batch.len() < BATCH && batch.iter().all(Command::is_lazy) {
        match queue.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(command) => batch.push(command),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    batch.extend(queue.try_iter().take(BATCH.saturating_sub(batch.len())));
    Some(batch)
}

fn perform_in(
    connection: &Connection,
    shared: &Shared,
    durables: &Durables,
    batch: &[Command],
) -> rusqlite::Result<(Vec<Outcome>, Effects)> {
    let mut transaction = Transaction::new(connection, shared, durables, now_ms());
    let outcomes = batch
        .iter()
        .map(|command| perform(&mut transaction, command))
        .collect::<rusqlite::Result<Vec<Outcome>>>()?;
    transaction.write_groups()?;
    Ok((outcomes, transaction.into_effects()))
}

fn perform(transaction: &mut Transaction<'_>, command: &Command) -> rusqlite::Result<Outcome> {
    Ok(match command {
        Command::Publish { appends, .. } => {
            let ids = appends.iter().map(|append| transaction.append(append));
            Outcome::Published(ids.collect::<rusqlite::Result<Vec<_>>>()?)
        }
        Command::Settle {
            member, settles, ..
        } => {
            for settle in settles {
                transaction.settle(member, settle)?;
            }
            Outcome::Settled
        }
        Command::Mark { member, mark, .. } => {
            transaction.mark(member, mark)?;
            Outcome::Marked
        }
        Command::Join { channel, group, .. } => Outcome::Joined(transaction.join(channel, group)?),
        Command::Create { channel, .. } => Outcome::Created(transaction.channel(channel)?),
        Command::Trim {
            channel, before_ms, ..
        } => Outcome::Trimmed(transaction.trim(channel, *before_ms)?),
        Command::Table { write, .. } => Outcome::Table(transaction.write_table(write)?),
        Command::Close { .. } => Outcome::Marked,
    })
}

fn answer(command: Command, outcome: Outcome) {
    match (command, outcome) {
        (Command::Publish { reply, .. }, Outcome::Published(ids)) => drop(reply.send(Ok(ids))),
        (Command::Settle { settles, reply, .. }, Outcome::Settled) => {
            drop(reply.send(settles.iter().map(|_| Ok(())).collect()));
        }
        (
            Command::Mark {
                reply: Some(reply), ..
            },
            Outcome::Marked,
        ) => drop(reply.send(Ok(()))),
        (Command::Join { reply, .. }, Outcome::Joined(member)) => drop(reply.send(Ok(member))),
        (Command::Create { reply, .. }, Outcome::Created(made)) => drop(reply.send(Ok(made))),
        (Command::Trim { reply, .. }, Outcome::Trimmed(count)) => drop(reply.send(Ok(count))),
        (Command::Table { reply, .. }, Outcome::Table(put)) => drop(reply.send(Ok(put))),
        // A mark nobody waits for.
        _ => {}
    }
}
