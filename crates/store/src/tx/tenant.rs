//! Under one organisation.

use nexus_contracts::OrgId;

use super::{Tenant, Tx, many};
use crate::session::{Row, Rows, Step};
use crate::{StoreError, StoreKind, Value};

/// A transaction under one organisation. Dropping it rolls it back.
///
/// Every table of organisations must be tied to this one: `… WHERE org_id = $1 …`, or a row that
/// carries it. A statement that does not is refused, so that a forgotten condition is an error and
/// not a leak; on `PostgreSQL` row-level security stands behind that.
pub struct TenantTx {
    tx: Tx,
    tenant: Tenant,
}

impl TenantTx {
    pub(crate) fn new(tx: Tx, org: OrgId) -> Self {
        Self {
            tx,
            tenant: Tenant::new(org),
        }
    }

    /// The organisation.
    #[must_use]
    pub const fn org(&self) -> OrgId {
        self.tenant.org
    }

    /// The same statements as on a [`SharedTx::tenant`](crate::SharedTx::tenant).
    #[must_use]
    pub fn as_ref(&self) -> TenantRef<'_> {
        TenantRef::new(&self.tx, self.tenant.clone())
    }

    /// Runs a statement; gives the number of rows it changed.
    ///
    /// # Errors
    /// When it does not keep to the organisation or the database refuses it.
    pub async fn execute(&self, sql: &str, values: Vec<Value>) -> Result<u64, StoreError> {
        self.tx.execute(Some(&self.tenant), sql, values).await
    }

    /// Runs `{before} ($1,$2),($3,$4)… {after}` over all rows, in as many statements as it takes;
    /// gives the number of rows changed.
    ///
    /// # Errors
    /// As [`TenantTx::execute`]; [`StoreError::Ragged`] when the values are not whole rows.
    pub async fn execute_rows(
        &self,
        before: &str,
        after: &str,
        columns: usize,
        values: Vec<Value>,
    ) -> Result<u64, StoreError> {
        let rows = many(before, after, columns, values);
        self.tx.execute_rows(Some(&self.tenant), rows).await
    }

    /// Runs a query; gives all rows.
    ///
    /// # Errors
    /// As [`TenantTx::execute`].
    pub async fn query(&self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        self.tx.query(Some(&self.tenant), sql, values).await
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// When the database refuses; nothing was stored then, unless the connection broke while it
    /// answered: only reading tells.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.tx.commit().await
    }
}

/// A [`SharedTx`](crate::SharedTx) under one organisation.
pub struct TenantRef<'a> {
    tx: &'a Tx,
    tenant: Tenant,
}

impl<'a> TenantRef<'a> {
    pub(super) const fn new(tx: &'a Tx, tenant: Tenant) -> Self {
        Self { tx, tenant }
    }

    /// The organisation.
    #[must_use]
    pub const fn org(&self) -> OrgId {
        self.tenant.org
    }

    pub(crate) const fn kind(&self) -> StoreKind {
        self.tx.kind
    }

    /// As [`TenantTx::execute`].
    ///
    /// # Errors
    /// As there.
    pub async fn execute(&self, sql: &str, values: Vec<Value>) -> Result<u64, StoreError> {
        self.tx.execute(Some(&self.tenant), sql, values).await
    }

    /// As [`TenantTx::execute_rows`].
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
        self.tx.execute_rows(Some(&self.tenant), rows).await
    }

    /// As [`TenantRef::execute`], but nobody waits: it goes to the database together with the next
    /// statement that somebody waits for, or with the commit. What it fails with, they fail with.
    ///
    /// # Errors
    /// When it does not keep to the organisation.
    pub async fn later(&self, sql: &str, values: Vec<Value>) -> Result<(), StoreError> {
        self.tx.later(Some(&self.tenant), sql, values).await
    }

    /// As [`TenantRef::later`], over rows as in [`TenantTx::execute_rows`].
    ///
    /// # Errors
    /// As [`TenantRef::later`]; [`StoreError::Ragged`] when the values are not whole rows.
    pub async fn later_rows(
        &self,
        before: &str,
        after: &str,
        columns: usize,
        values: Vec<Value>,
    ) -> Result<(), StoreError> {
        let rows = many(before, after, columns, values);
        self.tx.later_rows(Some(&self.tenant), rows).await
    }

    /// As [`TenantRef::later_rows`]; unless every row changes one in the database, what is waited
    /// for next fails with [`StoreError::Overtaken`], and so does the commit.
    ///
    /// # Errors
    /// As [`TenantRef::later_rows`].
    pub async fn later_all_rows(
        &self,
        before: &str,
        after: &str,
        columns: usize,
        values: Vec<Value>,
    ) -> Result<(), StoreError> {
        let all = Rows {
            all: true,
            ..many(before, after, columns, values)
        };
        self.tx.later_rows(Some(&self.tenant), all).await
    }

    /// Locks a table. Nothing but the store's own statements locks.
    pub(crate) async fn lock(&self, statement: &str) {
        self.tx.own(Step::Script(statement.to_owned())).await;
    }

    /// Deletes for good: what `work` removes or empties is overwritten in the file of `SQLite`, not
    /// only marked as free, and its log is written back soon after the commit. On `PostgreSQL`
    /// vacuum does that later.
    ///
    /// # Errors
    /// What `work` says, or when the database refuses; roll back then.
    pub async fn erasing<T, E: From<StoreError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.tx.secure_delete("ON").await;
        let done = work.await?;
        self.tx.secure_delete("FAST").await;
        self.tx.state.lock().await.erases = true;
        Ok(done)
    }

    /// As [`TenantTx::query`].
    ///
    /// # Errors
    /// As there.
    pub async fn query(&self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        self.tx.query(Some(&self.tenant), sql, values).await
    }

    /// Several queries on one way to the database; the rows of each.
    ///
    /// # Errors
    /// As [`TenantTx::execute`].
    pub async fn query_all(
        &self,
        questions: Vec<(String, Vec<Value>)>,
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        self.tx.query_all(Some(&self.tenant), questions).await
    }
}
