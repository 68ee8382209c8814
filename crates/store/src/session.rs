//! One transaction on one connection, which knows nothing of organisations.
//!
//! Statements are handed over many at a time, because each way to the database and back costs more
//! than most statements do: a turn of a conversation is four transactions.

use std::sync::Arc;

use crate::postgres::PgSession;
use crate::sqlite::SqliteSession;
use crate::value::FromValue;
use crate::{StoreError, StoreKind, Value};

/// What a transaction is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Few rows, found by their keys.
    Few,
    /// Anything.
    Any,
}

/// What comes after a list of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// More of them.
    Stay,
    /// The end.
    Commit,
}

/// A statement, and what is wanted of it.
#[derive(Debug)]
pub(crate) enum Step {
    /// Gives rows.
    Query {
        /// The text.
        sql: String,
        /// What its placeholders stand for.
        values: Vec<Value>,
    },
    /// Changes rows.
    Execute {
        /// The text.
        sql: String,
        /// What its placeholders stand for.
        values: Vec<Value>,
    },
    /// Changes a row for each of many.
    Rows(Rows),
    /// Several statements without values in one text.
    Script(String),
}

/// `{before} ($1,$2),($3,$4)… {after}`.
#[derive(Debug)]
pub(crate) struct Rows {
    /// What stands before the rows.
    pub(crate) before: String,
    /// What stands after them.
    pub(crate) after: String,
    /// Values of a row; at least one.
    pub(crate) columns: usize,
    /// Whole rows.
    pub(crate) values: Vec<Value>,
    /// Whether nothing may be committed unless every row was changed.
    pub(crate) all: bool,
}

impl Rows {
    /// How many rows there are.
    pub(crate) fn count(&self) -> u64 {
        (self.values.len() / self.columns.max(1)) as u64
    }

    /// Whether as many rows were changed as must be.
    pub(crate) fn check(&self, changed: u64) -> Result<u64, StoreError> {
        let expected = self.count();
        if self.all && changed != expected {
            return Err(StoreError::Overtaken { expected, changed });
        }
        Ok(changed)
    }
}

/// What came of a step.
#[derive(Debug)]
pub(crate) enum Reply {
    /// Rows that were read.
    Rows(Vec<Row>),
    /// How many rows were changed.
    Changed(u64),
}

/// A transaction, begun by its first statement. Dropping it rolls it back.
pub(crate) enum Session {
    Sqlite(SqliteSession),
    Postgres(PgSession),
}

impl Session {
    /// Which database it is on.
    pub(crate) const fn kind(&self) -> StoreKind {
        match self {
            Self::Sqlite(_) => StoreKind::Sqlite,
            Self::Postgres(_) => StoreKind::Postgres,
        }
    }

    /// Performs steps in order, up to the first that fails; one reply each.
    pub(crate) async fn run(&mut self, steps: Vec<Step>) -> Result<Vec<Reply>, StoreError> {
        match self {
            Self::Sqlite(session) => session.run(steps).await,
            Self::Postgres(session) => session.run(&steps).await,
        }
    }

    /// Performs these steps and makes everything durable, if none of them fails.
    pub(crate) async fn commit(self, steps: Vec<Step>) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(session) => session.commit(steps).await,
            Self::Postgres(session) => session.commit(&steps).await,
        }
    }

    /// One step that changes rows.
    pub(crate) async fn execute(
        &mut self,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<u64, StoreError> {
        let sql = sql.to_owned();
        let replies = self.run(vec![Step::Execute { sql, values }]).await?;
        Ok(changed(replies))
    }

    /// One step that gives rows.
    pub(crate) async fn query(
        &mut self,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        let sql = sql.to_owned();
        let replies = self.run(vec![Step::Query { sql, values }]).await?;
        Ok(rows(replies))
    }

    /// Several statements without values in one text.
    pub(crate) async fn script(&mut self, sql: &str) -> Result<(), StoreError> {
        self.run(vec![Step::Script(sql.to_owned())]).await?;
        Ok(())
    }
}

/// The rows of the last step.
pub(crate) fn rows(replies: Vec<Reply>) -> Vec<Row> {
    replies
        .into_iter()
        .next_back()
        .map_or_else(Vec::new, rows_of)
}

/// The rows of a step.
pub(crate) fn rows_of(reply: Reply) -> Vec<Row> {
    match reply {
        Reply::Rows(rows) => rows,
        Reply::Changed(_) => Vec::new(),
    }
}

/// How many rows the last step changed.
pub(crate) fn changed(replies: Vec<Reply>) -> u64 {
    match replies.into_iter().next_back() {
        Some(Reply::Changed(count)) => count,
        _ => 0,
    }
}

/// One row of an answer.
#[derive(Clone, Debug)]
pub struct Row {
    /// Names, shared by all rows of an answer.
    columns: Arc<[String]>,
    values: Vec<Value>,
}

impl Row {
    pub(crate) const fn new(columns: Arc<[String]>, values: Vec<Value>) -> Self {
        Self { columns, values }
    }

    /// The value of a column. `Option` reads a null.
    ///
    /// # Errors
    /// [`StoreError::Column`] when there is no such column, it is null, or it holds another type.
    pub fn get<T: FromValue>(&self, column: &str) -> Result<T, StoreError> {
        let at = self.columns.iter().position(|name| name == column);
        let value = at.and_then(|at| self.values.get(at));
        let value = value.ok_or_else(|| "there is none".to_owned());
        value
            .and_then(T::from_value)
            .map_err(|reason| StoreError::Column {
                column: column.to_owned(),
                reason,
            })
    }
}
