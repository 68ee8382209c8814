//! One transaction on one connection, which knows nothing of organisations.

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, QueryResult, Statement,
    TransactionOptions, TransactionTrait, Value,
};

use crate::{StoreError, TryGetable};

/// A transaction. Dropping it rolls it back.
pub(crate) struct Session {
    inner: DatabaseTransaction,
    backend: DbBackend,
}

impl Session {
    /// Begins. Not to be cancelled: see [`crate::Store`].
    ///
    /// Tries a second time when the connection turns out to be broken: connections are not tested
    /// when they are taken from the pool, and a server that restarted breaks all of them.
    pub(crate) async fn begin(
        pool: &DatabaseConnection,
        options: TransactionOptions,
    ) -> Result<Self, StoreError> {
        let again = TransactionOptions { ..options };
        let begun = match pool
            .begin_with_options(options)
            .await
            .map_err(StoreError::from)
        {
            Err(StoreError::Unavailable(_)) => pool
                .begin_with_options(again)
                .await
                .map_err(StoreError::from),
            begun => begun,
        };
        let inner = begun.map_err(|error| match error {
            // Nobody else holds a connection: there is none to be had.
            StoreError::Busy(error) if has_no_connection(pool) => StoreError::Unavailable(error),
            error => error,
        })?;
        let backend = inner.get_database_backend();
        Ok(Self { inner, backend })
    }

    pub(crate) const fn backend(&self) -> DbBackend {
        self.backend
    }

    pub(crate) async fn execute(&self, sql: &str, values: Vec<Value>) -> Result<u64, StoreError> {
        let statement = Statement::from_sql_and_values(self.backend, sql, values);
        Ok(self.inner.execute_raw(statement).await?.rows_affected())
    }

    pub(crate) async fn query(
        &self,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        let statement = Statement::from_sql_and_values(self.backend, sql, values);
        let rows = self.inner.query_all_raw(statement).await?;
        Ok(rows.into_iter().map(Row).collect())
    }

    /// Several statements without values in one text.
    pub(crate) async fn script(&self, sql: &str) -> Result<(), StoreError> {
        self.inner.execute_unprepared(sql).await?;
        Ok(())
    }

    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        Ok(self.inner.commit().await?)
    }
}

/// The pool of a server that is away tries again until its patience ends, and then says no more
/// than that it ended.
fn has_no_connection(pool: &DatabaseConnection) -> bool {
    pool.get_database_backend() == DbBackend::Postgres
        && pool.get_postgres_connection_pool().size() == 0
}

/// One row of an answer.
#[derive(Debug)]
pub struct Row(QueryResult);

impl Row {
    /// The value of a column. `Option` reads a null.
    ///
    /// # Errors
    /// [`StoreError::Column`] when there is no such column, it is null, or it holds another type.
    pub fn get<T: TryGetable>(&self, column: &str) -> Result<T, StoreError> {
        self.0
            .try_get_by(column)
            .map_err(|error| StoreError::Column {
                column: column.to_owned(),
                error,
            })
    }
}
