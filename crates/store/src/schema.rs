//! The tables of a service.

use nexus_contracts::derive_id;

use crate::StoreKind;

/// One step of a service's tables. Applied once, in order, and never changed once released.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// 1, 2, 3 …
    pub version: u32,
    /// What it does, in a few words.
    pub name: &'static str,
    /// The statements on `SQLite`.
    pub sqlite: &'static str,
    /// The statements on `PostgreSQL`.
    pub postgres: &'static str,
}

impl Migration {
    pub(crate) fn sql(&self, kind: StoreKind) -> &'static str {
        match kind {
            StoreKind::Sqlite => self.sqlite,
            StoreKind::Postgres => self.postgres,
        }
    }

    pub(crate) fn hash(&self, kind: StoreKind) -> String {
        derive_id([self.name.as_bytes(), self.sql(kind).as_bytes()]).to_string()
    }
}

/// Migrations, and which of the tables they make are exempt from tenancy.
///
/// Every other table with a column `org_id` belongs to organisations: it is reached under one of
/// them alone, and on `PostgreSQL` row-level security is forced on it.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    pub(crate) migrations: &'static [Migration],
    pub(crate) exempt: &'static [&'static str],
}

impl Schema {
    /// Tables none of which is exempt.
    #[must_use]
    pub const fn new(migrations: &'static [Migration]) -> Self {
        Self {
            migrations,
            exempt: &[],
        }
    }

    /// The tables that are exempt.
    #[must_use]
    pub const fn exempt_tables(&self) -> &'static [&'static str] {
        self.exempt
    }

    /// With tables that name organisations and still are read across all of them: ids and times,
    /// never what anybody said.
    #[must_use]
    pub const fn exempt(self, tables: &'static [&'static str]) -> Self {
        Self {
            exempt: tables,
            ..self
        }
    }
}

impl From<&'static [Migration]> for Schema {
    fn from(migrations: &'static [Migration]) -> Self {
        Self::new(migrations)
    }
}
