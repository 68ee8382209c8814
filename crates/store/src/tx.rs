//! Transactions: under one organisation, or shared by many.

use nexus_contracts::OrgId;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, QueryResult, Statement, Value};

use crate::rows::statements;
use crate::{StoreError, TryGetable};

/// What both kinds of transaction do with statements.
pub(crate) struct Tx {
    inner: DatabaseTransaction,
    backend: DbBackend,
}

impl Tx {
    pub(crate) fn new(inner: DatabaseTransaction) -> Self {
        let backend = inner.get_database_backend();
        Self { inner, backend }
    }

    pub(crate) const fn backend(&self) -> DbBackend {
        self.backend
    }

    async fn execute(&self, sql: &str, values: Vec<Value>) -> Result<u64, StoreError> {
        let statement = Statement::from_sql_and_values(self.backend, sql, values);
        Ok(self.inner.execute_raw(statement).await?.rows_affected())
    }

    async fn query(&self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        let statement = Statement::from_sql_and_values(self.backend, sql, values);
        let rows = self.inner.query_all_raw(statement).await?;
        Ok(rows.into_iter().map(Row).collect())
    }

    /// Several statements without values in one text.
    pub(crate) async fn execute_script(&self, sql: &str) -> Result<(), StoreError> {
        self.inner.execute_unprepared(sql).await?;
        Ok(())
    }

    async fn commit(self) -> Result<(), StoreError> {
        Ok(self.inner.commit().await?)
    }
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

/// A transaction under one organisation. Dropping it rolls it back.
///
/// Every statement must bind the organisation's id: `… WHERE org_id = $1 …`, or a row that carries
/// it. One that does not is refused, so that a forgotten condition is an error and not a leak.
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

    /// The same statements as on a [`SharedTx::tenant`].
    #[must_use]
    pub fn as_ref(&self) -> TenantRef<'_> {
        TenantRef {
            tx: &self.tx,
            tenant: self.tenant.clone(),
        }
    }

    /// Runs a statement; gives the number of rows it changed.
    ///
    /// # Errors
    /// When it does not bind the organisation or the database refuses it.
    pub async fn execute(&self, sql: &str, values: Vec<Value>) -> Result<u64, StoreError> {
        self.tenant.check(sql, &values)?;
        self.tx.execute(sql, values).await
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
        self.as_ref()
            .execute_rows(before, after, columns, values)
            .await
    }

    /// Runs a query; gives all rows.
    ///
    /// # Errors
    /// As [`TenantTx::execute`].
    pub async fn query(&self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        self.tenant.check(sql, &values)?;
        self.tx.query(sql, values).await
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

/// A transaction over many organisations in one commit. Dropping it rolls it back.
///
/// Tables that belong to organisations are reached through [`SharedTx::tenant`]; those exempt from
/// tenancy (dispatch, ledger) directly.
pub struct SharedTx {
    tx: Tx,
}

impl SharedTx {
    pub(crate) const fn new(tx: Tx) -> Self {
        Self { tx }
    }

    pub(crate) const fn tx(&self) -> &Tx {
        &self.tx
    }

    /// This transaction under an organisation.
    #[must_use]
    pub fn tenant(&self, org: OrgId) -> TenantRef<'_> {
        TenantRef {
            tx: &self.tx,
            tenant: Tenant::new(org),
        }
    }

    /// Runs a statement on a table exempt from tenancy; gives the number of rows it changed.
    ///
    /// # Errors
    /// When the database refuses it.
    pub async fn execute(&self, sql: &str, values: Vec<Value>) -> Result<u64, StoreError> {
        self.tx.execute(sql, values).await
    }

    /// As [`TenantTx::execute_rows`], on a table exempt from tenancy.
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
        let mut changed = 0;
        for (sql, values) in statements(self.tx.backend(), (before, after), columns, values)? {
            changed += self.tx.execute(&sql, values).await?;
        }
        Ok(changed)
    }

    /// Runs a query on a table exempt from tenancy; gives all rows.
    ///
    /// # Errors
    /// When the database refuses it.
    pub async fn query(&self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        self.tx.query(sql, values).await
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// As [`TenantTx::commit`].
    pub async fn commit(self) -> Result<(), StoreError> {
        self.tx.commit().await
    }
}

/// A [`SharedTx`] under one organisation.
pub struct TenantRef<'a> {
    tx: &'a Tx,
    tenant: Tenant,
}

impl TenantRef<'_> {
    /// The organisation.
    #[must_use]
    pub const fn org(&self) -> OrgId {
        self.tenant.org
    }

    /// As [`TenantTx::execute`].
    ///
    /// # Errors
    /// As there.
    pub async fn execute(&self, sql: &str, values: Vec<Value>) -> Result<u64, StoreError> {
        self.tenant.check(sql, &values)?;
        self.tx.execute(sql, values).await
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
        let mut changed = 0;
        for (sql, values) in statements(self.tx.backend(), (before, after), columns, values)? {
            changed += self.execute(&sql, values).await?;
        }
        Ok(changed)
    }

    /// As [`TenantTx::query`].
    ///
    /// # Errors
    /// As there.
    pub async fn query(&self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        self.tenant.check(sql, &values)?;
        self.tx.query(sql, values).await
    }
}

/// An organisation, and its id as columns hold it.
#[derive(Clone)]
struct Tenant {
    org: OrgId,
    text: String,
}

/// How much of a refused statement an error shows.
const SHOWN: usize = 120;

impl Tenant {
    fn new(org: OrgId) -> Self {
        Self {
            org,
            text: org.to_string(),
        }
    }

    fn check(&self, sql: &str, values: &[Value]) -> Result<(), StoreError> {
        let is_ours =
            |value: &Value| matches!(value, Value::String(Some(text)) if *text == self.text);
        if values.iter().any(is_ours) {
            return Ok(());
        }
        Err(StoreError::NotTenants {
            sql: sql.chars().take(SHOWN).collect(),
        })
    }
}
