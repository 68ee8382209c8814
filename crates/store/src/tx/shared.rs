//! For many organisations.

use nexus_contracts::OrgId;

use super::{Tenant, TenantRef, Tx, many};
use crate::session::{Row, Step};
use crate::{StoreError, StoreKind, Value};

/// A transaction over many organisations in one commit. Dropping it rolls it back.
///
/// Tables that belong to organisations are reached through [`SharedTx::tenant`]; those exempt from
/// tenancy directly.
pub struct SharedTx {
    tx: Tx,
}

impl SharedTx {
    pub(crate) const fn new(tx: Tx) -> Self {
        Self { tx }
    }

    /// This transaction under an organisation.
    #[must_use]
    pub fn tenant(&self, org: OrgId) -> TenantRef<'_> {
        TenantRef::new(&self.tx, Tenant::new(org))
    }

    /// Runs a statement on tables exempt from tenancy; gives the number of rows it changed.
    ///
    /// # Errors
    /// When it names a table of organisations or the database refuses it.
    pub async fn execute(&self, sql: &str, values: Vec<Value>) -> Result<u64, StoreError> {
        self.tx.execute(None, sql, values).await
    }

    /// As [`TenantTx::execute_rows`](crate::TenantTx::execute_rows), on a table exempt from tenancy.
    ///
    /// # Errors
    /// As there.
    pub async fn execute_rows(
        &self,
        before: &str,
        after: &str,
        columns: usize,
        values: Vec<Value>,
    ) -> Result<u64, StoreError> {
        let rows = many(before, after, columns, values);
        self.tx.execute_rows(None, rows).await
    }

    /// Runs a query on tables exempt from tenancy; gives all rows.
    ///
    /// # Errors
    /// As [`SharedTx::execute`].
    pub async fn query(&self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        self.tx.query(None, sql, values).await
    }

    /// On `PostgreSQL` this commit does not wait for the disk: what it stores may be lost with the
    /// server's last moment, as under [`crate::Durability::Os`]. For what can be done again.
    pub(crate) async fn unsynced(&self) {
        if self.tx.kind == StoreKind::Postgres {
            let sql = "SET LOCAL synchronous_commit = off".to_owned();
            self.tx.own(Step::Script(sql)).await;
        }
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// As [`TenantTx::commit`](crate::TenantTx::commit).
    pub async fn commit(self) -> Result<(), StoreError> {
        self.tx.commit().await
    }
}
