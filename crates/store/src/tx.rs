//! Transactions: under one organisation, or shared by many.

use std::sync::Arc;

use nexus_contracts::OrgId;
use sea_orm::{DbBackend, Value};
use tokio::sync::Mutex;

use crate::StoreError;
use crate::guard::Guard;
use crate::rows::statements;
use crate::session::{Row, Session};
use crate::upkeep::Upkeep;

/// What all kinds of transaction do with statements.
pub(crate) struct Tx {
    session: Session,
    guard: Arc<Guard>,
    /// Told about commits.
    upkeep: Option<Arc<Upkeep>>,
    /// Held over a statement and what must come right before it.
    state: Mutex<State>,
}

struct State {
    /// Whose rows the connection sees now.
    scope: Scope,
    /// Organisations this transaction has listed.
    listed: Vec<OrgId>,
    /// Something was erased.
    erases: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Of(Option<OrgId>),
    /// A change was given up half-way.
    Unknown,
}

/// For this transaction alone: after it, the connection is nobody's again.
const ENTER: &str = "SELECT set_config('app.org_id', $1, true)";
const LIST: &str = "INSERT INTO nexus_organisation (org_id) VALUES ($1) ON CONFLICT DO NOTHING";

impl Tx {
    pub(crate) fn new(session: Session, guard: Arc<Guard>, upkeep: Option<Arc<Upkeep>>) -> Self {
        let state = State {
            scope: Scope::Of(None),
            listed: Vec::new(),
            erases: false,
        };
        Self {
            session,
            guard,
            upkeep,
            state: Mutex::new(state),
        }
    }

    async fn execute(
        &self,
        tenant: Option<&Tenant>,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<u64, StoreError> {
        let _state = self.prepare(tenant, sql, &values).await?;
        self.session.execute(sql, values).await
    }

    async fn query(
        &self,
        tenant: Option<&Tenant>,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        let _state = self.prepare(tenant, sql, &values).await?;
        self.session.query(sql, values).await
    }

    async fn execute_rows(
        &self,
        tenant: Option<&Tenant>,
        text: (&str, &str),
        columns: usize,
        values: Vec<Value>,
    ) -> Result<u64, StoreError> {
        let mut changed = 0;
        for (sql, values) in statements(self.session.backend(), text, columns, values)? {
            changed += self.execute(tenant, &sql, values).await?;
        }
        Ok(changed)
    }

    /// Checks a statement and makes the connection that of its organisation. What is given back is
    /// held while the statement runs, so that no other comes in between.
    async fn prepare(
        &self,
        tenant: Option<&Tenant>,
        sql: &str,
        values: &[Value],
    ) -> Result<tokio::sync::MutexGuard<'_, State>, StoreError> {
        let adds = self
            .guard
            .check(tenant.map(|tenant| tenant.text.as_str()), sql, values)?;
        let mut state = self.state.lock().await;
        self.enter(&mut state, tenant).await?;
        if let Some(tenant) = tenant
            && adds
            && !self.guard.is_listed(tenant.org)
            && !state.listed.contains(&tenant.org)
        {
            self.session
                .execute(LIST, vec![Value::from(&tenant.text)])
                .await?;
            state.listed.push(tenant.org);
        }
        Ok(state)
    }

    async fn enter(&self, state: &mut State, tenant: Option<&Tenant>) -> Result<(), StoreError> {
        let wanted = Scope::Of(tenant.map(|tenant| tenant.org));
        if self.session.backend() != DbBackend::Postgres || state.scope == wanted {
            return Ok(());
        }
        state.scope = Scope::Unknown;
        let org = tenant.map_or("", |tenant| tenant.text.as_str());
        self.session.query(ENTER, vec![Value::from(org)]).await?;
        state.scope = wanted;
        Ok(())
    }

    async fn secure_delete(&self, mode: &str) -> Result<(), StoreError> {
        if self.session.backend() == DbBackend::Sqlite {
            let sql = format!("PRAGMA secure_delete = {mode}");
            self.session.query(&sql, Vec::new()).await?;
        }
        Ok(())
    }

    async fn commit(self) -> Result<(), StoreError> {
        self.session.commit().await?;
        let state = self.state.into_inner();
        self.guard.list(state.listed);
        if let Some(upkeep) = &self.upkeep {
            upkeep.committed();
            if state.erases {
                upkeep.erased();
            }
        }
        Ok(())
    }
}

/// An organisation, and its id as columns hold it.
#[derive(Clone)]
struct Tenant {
    org: OrgId,
    text: String,
}

impl Tenant {
    fn new(org: OrgId) -> Self {
        Self {
            org,
            text: org.to_string(),
        }
    }
}

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
        let tenant = Some(&self.tenant);
        self.tx
            .execute_rows(tenant, (before, after), columns, values)
            .await
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
        TenantRef {
            tx: &self.tx,
            tenant: Tenant::new(org),
        }
    }

    /// Runs a statement on tables exempt from tenancy; gives the number of rows it changed.
    ///
    /// # Errors
    /// When it names a table of organisations or the database refuses it.
    pub async fn execute(&self, sql: &str, values: Vec<Value>) -> Result<u64, StoreError> {
        self.tx.execute(None, sql, values).await
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
        self.tx
            .execute_rows(None, (before, after), columns, values)
            .await
    }

    /// Runs a query on tables exempt from tenancy; gives all rows.
    ///
    /// # Errors
    /// As [`SharedTx::execute`].
    pub async fn query(&self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        self.tx.query(None, sql, values).await
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

    pub(crate) const fn backend(&self) -> DbBackend {
        self.tx.session.backend()
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
        let tenant = Some(&self.tenant);
        self.tx
            .execute_rows(tenant, (before, after), columns, values)
            .await
    }

    /// Locks a table. Nothing but the store's own statements locks.
    pub(crate) async fn lock(&self, statement: &str) -> Result<(), StoreError> {
        self.tx.session.script(statement).await
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
        self.tx.secure_delete("ON").await?;
        let done = work.await?;
        self.tx.secure_delete("FAST").await?;
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
}
