//! Keeps statements within their organisation, on both databases alike.
//!
//! `PostgreSQL` enforces this itself; here it is an error before the statement is sent, and on
//! `SQLite` it is what there is. Every statement is looked at once: what its text demands of the
//! values is kept.

mod patterns;
mod shape;
mod tables;
mod ties;
mod tokens;
mod walk;
mod writes;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use crate::session::Rows;
use crate::{StoreError, Value};
use nexus_contracts::OrgId;
use shape::{LOOSE, Shape};

/// Most texts remembered. There are a few hundred; more means that values are written into texts.
const MOST_TEXTS: usize = 4096;
/// How much of a refused statement an error shows.
const SHOWN: usize = 120;

type Known = Arc<Result<Shape, &'static str>>;

/// What is known about the tables of a store.
#[derive(Default)]
pub(crate) struct Guard {
    /// Tables whose rows belong to organisations.
    tenants: RwLock<HashSet<String>>,
    shapes: RwLock<HashMap<String, Known>>,
    /// Organisations that are listed.
    listed: RwLock<HashSet<OrgId>>,
}

impl Guard {
    /// Takes note of the tables of organisations.
    pub(crate) fn protect(&self, tables: HashSet<String>) {
        *self.tenants.write().unwrap_or_else(PoisonError::into_inner) = tables;
        self.shapes
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Whether a statement stays within the organisation, or, with none, away from all of them.
    /// Gives whether it adds rows of the organisation.
    pub(crate) fn check(
        &self,
        org: Option<&str>,
        sql: &str,
        values: &[Value],
    ) -> Result<bool, StoreError> {
        verify(self.shape(sql).as_ref(), org, sql, values)
    }

    /// The same of a text for one row, and of every row.
    pub(crate) fn check_rows(
        &self,
        org: Option<&str>,
        sql: &str,
        rows: &Rows,
    ) -> Result<bool, StoreError> {
        let (shape, mut adds) = (self.shape(sql), false);
        for values in rows.values.chunks(rows.columns) {
            adds |= verify(shape.as_ref(), org, sql, values)?;
        }
        Ok(adds)
    }

    fn shape(&self, sql: &str) -> Known {
        let shapes = self.shapes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = shapes.get(sql) {
            return Arc::clone(known);
        }
        drop(shapes);
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let shape = Arc::new(Shape::of(sql, &|table| tenants.contains(table)));
        let mut shapes = self.shapes.write().unwrap_or_else(PoisonError::into_inner);
        if shapes.len() >= MOST_TEXTS {
            shapes.clear();
        }
        shapes.insert(sql.to_owned(), Arc::clone(&shape));
        shape
    }

    /// Whether an organisation is known to be listed.
    pub(crate) fn is_listed(&self, org: OrgId) -> bool {
        let listed = self.listed.read().unwrap_or_else(PoisonError::into_inner);
        listed.contains(&org)
    }

    /// These are: it was committed.
    pub(crate) fn list(&self, orgs: Vec<OrgId>) {
        if !orgs.is_empty() {
            let mut listed = self.listed.write().unwrap_or_else(PoisonError::into_inner);
            listed.extend(orgs);
        }
    }
}

/// Whether values are what a statement of this shape demands. Gives whether it adds rows.
fn verify(
    shape: &Result<Shape, &'static str>,
    org: Option<&str>,
    sql: &str,
    values: &[Value],
) -> Result<bool, StoreError> {
    let refused = |reason| {
        let sql = sql.chars().take(SHOWN).collect();
        Err(StoreError::NotTenants { sql, reason })
    };
    let shape = match shape {
        Ok(shape) => shape,
        Err(reason) => return refused(reason),
    };
    let Some(org) = org else {
        return match (shape.touches, shape.fault) {
            (false, _) => Ok(false),
            (true, Some(reason)) if reason != LOOSE => refused(reason),
            (true, _) => refused("it names a table of organisations; use `tenant`"),
        };
    };
    if let Some(reason) = shape.fault {
        return refused(reason);
    }
    let is_ours = |value: &Value| matches!(value, Value::Text(Some(text)) if text == org);
    if !shape
        .bound
        .iter()
        .all(|at| values.get(*at).is_some_and(is_ours))
    {
        return refused("it binds another organisation's id");
    }
    if !values.iter().any(is_ours) {
        return refused("it does not bind the organisation's id");
    }
    Ok(shape.touches && shape.inserts)
}
