//! Transactions: under one organisation, or shared by many.

mod shared;
mod tenant;

use std::sync::Arc;

use nexus_contracts::OrgId;
use tokio::sync::Mutex;

use crate::guard::Guard;
use crate::rows;
use crate::session::{self, Row, Rows, Session, Step};
use crate::upkeep::Upkeep;
use crate::{StoreError, StoreKind, Value};

pub use shared::SharedTx;
pub use tenant::{TenantRef, TenantTx};

/// What all kinds of transaction do with statements.
pub(crate) struct Tx {
    kind: StoreKind,
    guard: Arc<Guard>,
    /// Told about commits.
    upkeep: Option<Arc<Upkeep>>,
    /// Held over a statement and what must come right before it.
    state: Mutex<State>,
}

struct State {
    session: Session,
    /// Goes with the next statement that is waited for, or with the commit.
    waiting: Vec<Step>,
    /// Whose rows the connection sees once what waits has run.
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

impl State {
    /// Makes the connection that of the organisation.
    fn enter(&mut self, kind: StoreKind, tenant: Option<&Tenant>) {
        let wanted = Scope::Of(tenant.map(|tenant| tenant.org));
        if kind == StoreKind::Postgres && self.scope != wanted {
            let org = tenant.map_or("", |tenant| tenant.text.as_str());
            self.waiting.push(Step::Query {
                sql: ENTER.to_owned(),
                values: vec![Value::from(org)],
            });
            self.scope = wanted;
        }
    }

    /// Lists the organisation, unless this transaction has.
    fn list(&mut self, tenant: &Tenant) {
        if !self.listed.contains(&tenant.org) {
            self.waiting.push(Step::Execute {
                sql: LIST.to_owned(),
                values: vec![Value::from(&tenant.text)],
            });
            self.listed.push(tenant.org);
        }
    }

    /// Runs what waits.
    async fn run(&mut self) -> Result<Vec<session::Reply>, StoreError> {
        let steps = std::mem::take(&mut self.waiting);
        let scope = std::mem::replace(&mut self.scope, Scope::Unknown);
        let replies = self.session.run(steps).await?;
        self.scope = scope;
        Ok(replies)
    }
}

impl Tx {
    pub(crate) fn new(session: Session, guard: Arc<Guard>, upkeep: Option<Arc<Upkeep>>) -> Self {
        Self {
            kind: session.kind(),
            guard,
            upkeep,
            state: Mutex::new(State {
                session,
                waiting: Vec::new(),
                scope: Scope::Of(None),
                listed: Vec::new(),
                erases: false,
            }),
        }
    }

    /// Puts a statement behind what waits, with what must come right before it.
    async fn push(
        &self,
        tenant: Option<&Tenant>,
        step: Step,
    ) -> Result<tokio::sync::MutexGuard<'_, State>, StoreError> {
        let org = tenant.map(|tenant| tenant.text.as_str());
        let adds = match &step {
            Step::Query { sql, values } | Step::Execute { sql, values } => {
                self.guard.check(org, sql, values)?
            }
            Step::Rows(rows) => {
                let text = rows::of_one(&rows.before, &rows.after, rows.columns);
                self.guard.check_rows(org, &text, rows)?
            }
            Step::Script(_) => false,
        };
        let new = tenant.filter(|tenant| adds && !self.guard.is_listed(tenant.org));
        let mut state = self.state.lock().await;
        state.enter(self.kind, tenant);
        if let Some(tenant) = new {
            state.list(tenant);
        }
        state.waiting.push(step);
        Ok(state)
    }

    async fn execute(
        &self,
        tenant: Option<&Tenant>,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<u64, StoreError> {
        let sql = sql.to_owned();
        let mut state = self.push(tenant, Step::Execute { sql, values }).await?;
        Ok(session::changed(state.run().await?))
    }

    async fn query(
        &self,
        tenant: Option<&Tenant>,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        let sql = sql.to_owned();
        let mut state = self.push(tenant, Step::Query { sql, values }).await?;
        Ok(session::rows(state.run().await?))
    }

    async fn query_all(
        &self,
        tenant: Option<&Tenant>,
        questions: Vec<(String, Vec<Value>)>,
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        let count = questions.len();
        let mut last = None;
        for (sql, values) in questions {
            drop(last.take());
            last = Some(self.push(tenant, Step::Query { sql, values }).await?);
        }
        let Some(mut state) = last else {
            return Ok(Vec::new());
        };
        let replies = state.run().await?;
        let before = replies.len().saturating_sub(count);
        Ok(replies
            .into_iter()
            .skip(before)
            .map(session::rows_of)
            .collect())
    }

    async fn execute_rows(&self, tenant: Option<&Tenant>, rows: Rows) -> Result<u64, StoreError> {
        rows::check(&rows.values, rows.columns)?;
        if rows.values.is_empty() {
            return Ok(0);
        }
        let mut state = self.push(tenant, Step::Rows(rows)).await?;
        Ok(session::changed(state.run().await?))
    }

    async fn later(
        &self,
        tenant: Option<&Tenant>,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<(), StoreError> {
        let sql = sql.to_owned();
        drop(self.push(tenant, Step::Execute { sql, values }).await?);
        Ok(())
    }

    async fn later_rows(&self, tenant: Option<&Tenant>, rows: Rows) -> Result<(), StoreError> {
        rows::check(&rows.values, rows.columns)?;
        if !rows.values.is_empty() {
            drop(self.push(tenant, Step::Rows(rows)).await?);
        }
        Ok(())
    }

    /// A statement of the store's own.
    async fn own(&self, step: Step) {
        self.state.lock().await.waiting.push(step);
    }

    async fn secure_delete(&self, mode: &str) {
        if self.kind == StoreKind::Sqlite {
            let sql = format!("PRAGMA secure_delete = {mode}");
            let values = Vec::new();
            self.own(Step::Query { sql, values }).await;
        }
    }

    async fn commit(self) -> Result<(), StoreError> {
        let state = self.state.into_inner();
        state.session.commit(state.waiting).await?;
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

fn many(before: &str, after: &str, columns: usize, values: Vec<Value>) -> Rows {
    Rows {
        before: before.to_owned(),
        after: after.to_owned(),
        columns,
        values,
        all: false,
    }
}
