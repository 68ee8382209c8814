//! `PostgreSQL` through tokio-postgres: what is asked at once is sent at once, and answered in
//! order.

mod lists;
mod wire;

use std::time::Duration;

use deadpool_postgres::{Client, Pool, PoolError, TimeoutType};
use futures::FutureExt;
use futures::future::join_all;
use tokio::time::Instant;
use tokio_postgres::Statement;
use tokio_postgres::types::{ToSql, Type};

use crate::StoreError;
use crate::error::DatabaseError;
use crate::rows::statements;
use crate::session::{Reply, Step};

use lists::Text;

/// Most statements on their way at once: so many answers the server can hold back while nobody
/// reads them.
const AT_ONCE: usize = 24;
/// Between two tries to reach a server that is away.
const PAUSE: Duration = Duration::from_millis(50);

/// Connections to one server, given out in order of arrival. Cheap to clone.
#[derive(Clone)]
pub(crate) struct PgPool {
    pool: Pool,
    /// How long a caller waits for its turn, or for the server to come up.
    patience: Duration,
}

impl PgPool {
    pub(crate) const fn new(pool: Pool, patience: Duration) -> Self {
        Self { pool, patience }
    }

    /// Waits for a connection.
    async fn lease(&self) -> Result<Client, StoreError> {
        let until = Instant::now() + self.patience;
        loop {
            let error = match self.pool.get().await {
                Ok(client) => return Ok(client),
                Err(error) => leasing(error),
            };
            if !matches!(error, StoreError::Unavailable(_)) || Instant::now() + PAUSE >= until {
                return Err(error);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// A transaction, begun by its first statement.
    pub(crate) async fn session(&self) -> Result<PgSession, StoreError> {
        Ok(PgSession {
            client: Some(self.lease().await?),
            pool: self.clone(),
            stage: Stage::Fresh,
        })
    }

    /// Asks the server for nothing.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        let mut session = self.session().await?;
        session.run(&[Step::Script(String::new())]).await?;
        Ok(())
    }

    /// Closes all connections once they are free.
    pub(crate) fn close(&self) {
        self.pool.close();
    }
}

fn leasing(error: PoolError) -> StoreError {
    match error {
        PoolError::Timeout(TimeoutType::Wait) => {
            let reason = "every connection was in use for too long";
            StoreError::Busy(DatabaseError::new(reason))
        }
        PoolError::Timeout(_) => {
            StoreError::Unavailable(DatabaseError::new("connecting took too long"))
        }
        PoolError::Backend(error) => StoreError::from(error),
        PoolError::Closed => StoreError::Closed,
        error @ (PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_)) => {
            StoreError::Unavailable(DatabaseError::of(error))
        }
    }
}

/// A transaction. Dropping it rolls it back.
pub(crate) struct PgSession {
    /// Given back when dropped.
    client: Option<Client>,
    pool: PgPool,
    stage: Stage,
}

/// How far a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing was sent.
    Fresh,
    Begun,
    /// Something failed, or nobody waited for it: nothing more may be sent, or it might run outside
    /// of the transaction.
    Over,
}

/// A statement as it is sent, and which step it is part of.
struct Sent<'a> {
    step: usize,
    what: What<'a>,
}

enum What<'a> {
    /// Without placeholders, answered with no rows.
    Simple(&'a str),
    Prepared {
        statement: Statement,
        text: &'a Text<'a>,
        /// Whether rows are wanted.
        reads: bool,
    },
}

impl PgSession {
    /// What a lost connection costs before the transaction has begun is another try: connections
    /// are not tested when they are taken, and a server that restarted breaks all of them.
    pub(crate) async fn run(&mut self, steps: &[Step]) -> Result<Vec<Reply>, StoreError> {
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        if stage == Stage::Over {
            return over();
        }
        let done = match self.attempt(stage, steps).await {
            Err(StoreError::Unavailable(_)) if stage == Stage::Fresh => {
                // The broken one first: it may be the last there is.
                self.client = None;
                self.client = Some(self.pool.lease().await?);
                self.attempt(stage, steps).await?
            }
            done => done?,
        };
        self.stage = Stage::Begun;
        Ok(done)
    }

    pub(crate) async fn commit(mut self, steps: &[Step]) -> Result<(), StoreError> {
        if !steps.is_empty() {
            self.run(steps).await?;
        }
        match self.stage {
            Stage::Fresh => return Ok(()),
            Stage::Begun => {}
            Stage::Over => return over(),
        }
        self.client()?.batch_execute("COMMIT").await?;
        self.stage = Stage::Fresh;
        Ok(())
    }

    fn client(&self) -> Result<&Client, StoreError> {
        self.client.as_ref().ok_or(StoreError::Closed)
    }

    async fn attempt(&self, stage: Stage, steps: &[Step]) -> Result<Vec<Reply>, StoreError> {
        let client = self.client()?;
        let cut = cut(steps)?;
        let mut sent = Vec::with_capacity(cut.len() + 1);
        if stage == Stage::Fresh {
            let what = What::Simple("BEGIN");
            // Its reply is nobody's.
            let step = usize::MAX;
            sent.push(Sent { step, what });
        }
        for (step, cut) in &cut {
            let what = match cut {
                Cut::Simple(sql) => What::Simple(sql),
                Cut::Prepared { text, reads } => What::Prepared {
                    statement: prepare(client, text).await?,
                    text,
                    reads: *reads,
                },
            };
            sent.push(Sent { step: *step, what });
        }
        let mut replies: Vec<Option<Reply>> = steps.iter().map(|_| None).collect();
        for part in sent.chunks(AT_ONCE) {
            let answers = join_all(part.iter().map(|sent| sent.what.send(client))).await;
            for (sent, answer) in part.iter().zip(answers) {
                // The first that fails; those behind it say no more than that it did. What an
                // earlier one did not change may be why: whoever was overtaken writes twice what
                // the other one wrote.
                let answer = match answer {
                    Ok(answer) => answer,
                    Err(error) => {
                        let whole = steps.iter().take(sent.step).zip(replies);
                        return Err(checked(whole).err().unwrap_or(error));
                    }
                };
                if let Some(reply) = replies.get_mut(sent.step) {
                    *reply = Some(together(reply.take(), answer));
                }
            }
        }
        checked(steps.iter().zip(replies))
    }
}

/// The replies, unless too few rows were changed.
fn checked<'a>(
    replies: impl Iterator<Item = (&'a Step, Option<Reply>)>,
) -> Result<Vec<Reply>, StoreError> {
    let checked = replies.map(|(step, reply)| {
        let reply = reply.unwrap_or(Reply::Changed(0));
        if let (Step::Rows(rows), Reply::Changed(changed)) = (step, &reply) {
            rows.check(*changed)?;
        }
        Ok(reply)
    });
    checked.collect()
}

impl Drop for PgSession {
    fn drop(&mut self) {
        if let Some(client) = self.client.take()
            && self.stage != Stage::Fresh
        {
            // Sent by the first look at it, ahead of whatever the next user sends; that nobody
            // waits for the answer changes nothing.
            let _sent = client.batch_execute("ROLLBACK").now_or_never();
        }
    }
}

fn over<T>() -> Result<T, StoreError> {
    let reason = "the transaction was ended by an earlier error";
    Err(StoreError::Refused(DatabaseError::new(reason)))
}

/// A statement of a step.
enum Cut<'a> {
    Simple(&'a str),
    Prepared { text: Text<'a>, reads: bool },
}

/// The statements the steps come to.
fn cut(steps: &[Step]) -> Result<Vec<(usize, Cut<'_>)>, StoreError> {
    let mut all = Vec::with_capacity(steps.len());
    for (at, step) in steps.iter().enumerate() {
        match step {
            Step::Script(sql) => all.push((at, Cut::Simple(sql))),
            Step::Query { sql, values } | Step::Execute { sql, values } => {
                let (text, reads) = (Text::of(sql, values), matches!(step, Step::Query { .. }));
                all.push((at, Cut::Prepared { text, reads }));
            }
            Step::Rows(rows) => all.extend(statements(rows)?.map(|(sql, values)| {
                let (text, reads) = (Text::plain(sql.into(), values), false);
                (at, Cut::Prepared { text, reads })
            })),
        }
    }
    Ok(all)
}

async fn prepare(client: &Client, text: &Text<'_>) -> Result<Statement, StoreError> {
    let types = text.values.iter().map(wire::type_of);
    let types: Vec<_> = types
        .chain(text.list.is_some().then_some(Type::TEXT_ARRAY))
        .collect();
    Ok(client.prepare_typed_cached(&text.sql, &types).await?)
}

impl What<'_> {
    async fn send(&self, client: &Client) -> Result<Reply, StoreError> {
        let (statement, text, reads) = match self {
            Self::Simple(sql) => {
                client.batch_execute(sql).await?;
                return Ok(Reply::Changed(0));
            }
            Self::Prepared {
                statement,
                text,
                reads,
            } => (statement, text, *reads),
        };
        let values = text.values.iter().map(|value| value as &(dyn ToSql + Sync));
        let list = text.list.iter().map(|list| list as _);
        let values: Vec<_> = values.chain(list).collect();
        if reads {
            let rows = client.query(statement, &values).await?;
            return Ok(Reply::Rows(wire::rows(statement, &rows)?));
        }
        Ok(Reply::Changed(client.execute(statement, &values).await?))
    }
}

/// A step may be several statements.
fn together(before: Option<Reply>, answer: Reply) -> Reply {
    match (before, answer) {
        (Some(Reply::Changed(before)), Reply::Changed(more)) => Reply::Changed(before + more),
        (_, answer) => answer,
    }
}
