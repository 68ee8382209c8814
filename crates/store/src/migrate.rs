//! Bringing tables up to date.

use std::collections::HashSet;

use crate::connect::{Pool, Roles, roles::quoted, schema};
use crate::postgres::PgPool;
use crate::protect;
use crate::schema::{Migration, Schema};
use crate::session::{Reach, Session};
use crate::{StoreError, StoreKind, Value};

/// What was applied, and which organisations there are. Exempt from tenancy.
const TABLES: &str = "CREATE TABLE IF NOT EXISTS nexus_migration (
    set_name TEXT NOT NULL,
    version BIGINT NOT NULL,
    name TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (set_name, version)
);
CREATE TABLE IF NOT EXISTS nexus_organisation (org_id TEXT NOT NULL PRIMARY KEY)";

/// Held by whoever migrates on `PostgreSQL`: replicas start at the same time. Any number that
/// nobody else uses.
const LOCK: i64 = 0x6e65_7875_735f_6d67;

/// A service's store, as far as migrating needs it.
pub(crate) struct Target<'a> {
    pub(crate) service: &'static str,
    pub(crate) kind: StoreKind,
    /// Who serves and who migrates, on `PostgreSQL`.
    pub(crate) roles: Option<&'a Roles>,
    /// What the service writes through.
    pub(crate) write: &'a Pool,
    /// Tables exempt from tenancy, of all sets.
    pub(crate) exempt: &'a HashSet<&'static str>,
}

impl Target<'_> {
    /// Applies what is missing of a set, all in one transaction, and protects what it made. Gives
    /// the tables of organisations.
    pub(crate) async fn run(
        self,
        set: &'static str,
        wanted: Schema,
    ) -> Result<HashSet<String>, StoreError> {
        check_numbers(self.service, set, wanted.migrations)?;
        let Some(roles) = self.roles else {
            let mut session = self.write.session(Reach::Any).await?;
            let is_new = protect::lists_nobody(&mut session).await?;
            self.apply(&mut session, set, wanted.migrations).await?;
            let tables = protect::tenants_of_sqlite(&mut session, self.exempt).await?;
            if is_new {
                protect::list(&mut session, &tables).await?;
            }
            session.commit(Vec::new()).await?;
            return Ok(tables);
        };
        if let Some(owner) = &roles.owner {
            let pool = owner.connect()?;
            let migrated = self
                .run_as_owner(&pool, roles, set, wanted.migrations)
                .await;
            pool.close();
            migrated?;
        }
        // As the role that serves: what it finds is what counts.
        let mut session = self.write.session(Reach::Any).await?;
        let schema = schema(self.service);
        if roles.owner.is_none() {
            self.check_complete(&mut session, set, wanted.migrations)
                .await?;
        }
        protect::verify(&mut session, &schema, self.exempt).await
    }

    async fn run_as_owner(
        &self,
        pool: &PgPool,
        roles: &Roles,
        set: &'static str,
        migrations: &'static [Migration],
    ) -> Result<(), StoreError> {
        let mut session = Session::Postgres(pool.session().await?);
        let lock = "SELECT pg_advisory_xact_lock($1)";
        session.query(lock, vec![Value::from(LOCK)]).await?;
        let schema = schema(self.service);
        let there = "SELECT 1 FROM pg_namespace WHERE nspname = $1";
        // Not IF NOT EXISTS: that asks for a right the owner of the schema may not have any more.
        if session
            .query(there, vec![Value::from(&schema)])
            .await?
            .is_empty()
        {
            session
                .script(&format!("CREATE SCHEMA {}", quoted(&schema)))
                .await?;
        }
        self.apply(&mut session, set, migrations).await?;
        protect::protect(&mut session, &schema, &roles.app, self.exempt).await?;
        session.commit(Vec::new()).await
    }

    async fn apply(
        &self,
        session: &mut Session,
        set: &'static str,
        migrations: &'static [Migration],
    ) -> Result<(), StoreError> {
        session.script(TABLES).await?;
        let applied = applied(session, set).await?;
        check_applied(self, set, migrations, &applied)?;
        if self.roles.is_some() && applied.len() < migrations.len() {
            protect::open_to_owner(session, &schema(self.service)).await?;
        }
        for migration in migrations.iter().skip(applied.len()) {
            apply(session, self, set, migration).await?;
        }
        Ok(())
    }

    /// Somebody else migrates: everything must have been applied.
    async fn check_complete(
        &self,
        session: &mut Session,
        set: &'static str,
        migrations: &'static [Migration],
    ) -> Result<(), StoreError> {
        let there = "SELECT 1 WHERE to_regclass('nexus_migration') IS NOT NULL";
        let applied = match session.query(there, Vec::new()).await?.is_empty() {
            true => Vec::new(),
            false => applied(session, set).await?,
        };
        check_applied(self, set, migrations, &applied)?;
        if applied.len() < migrations.len() {
            let service = self.service;
            return Err(StoreError::NotMigrated { service, set });
        }
        Ok(())
    }
}

fn check_numbers(
    service: &'static str,
    set: &'static str,
    migrations: &[Migration],
) -> Result<(), StoreError> {
    match (1..)
        .zip(migrations)
        .find(|(number, migration)| *number != migration.version)
    {
        None => Ok(()),
        Some((_, Migration { version, .. })) => Err(StoreError::Misnumbered {
            service,
            set,
            version: *version,
        }),
    }
}

/// Version and hash of what was applied, in order.
async fn applied(session: &mut Session, set: &str) -> Result<Vec<(u32, String)>, StoreError> {
    let sql = "SELECT version, hash FROM nexus_migration WHERE set_name = $1 ORDER BY version";
    let rows = session.query(sql, vec![Value::from(set)]).await?;
    rows.iter()
        .map(|row| {
            let version: i64 = row.get("version")?;
            Ok((u32::try_from(version).unwrap_or(u32::MAX), row.get("hash")?))
        })
        .collect()
}

fn check_applied(
    target: &Target<'_>,
    set: &'static str,
    migrations: &[Migration],
    applied: &[(u32, String)],
) -> Result<(), StoreError> {
    let service = target.service;
    let known = migrations.last().map_or(0, |migration| migration.version);
    if let Some((found, _)) = applied.last()
        && *found > known
    {
        return Err(StoreError::Newer {
            service,
            set,
            found: *found,
            known,
        });
    }
    for (migration, (_, hash)) in migrations.iter().zip(applied) {
        if *hash != migration.hash(target.kind) {
            let Migration { version, name, .. } = *migration;
            return Err(StoreError::Drifted {
                service,
                set,
                version,
                name,
            });
        }
    }
    Ok(())
}

async fn apply(
    session: &mut Session,
    target: &Target<'_>,
    set: &'static str,
    migration: &Migration,
) -> Result<(), StoreError> {
    let (service, kind) = (target.service, target.kind);
    let Migration { version, name, .. } = *migration;
    let applied = session.script(migration.sql(kind)).await;
    applied.map_err(|error| StoreError::Migration {
        service,
        version,
        name,
        error: Box::new(error),
    })?;
    let values = vec![
        Value::from(set),
        Value::from(i64::from(version)),
        Value::from(name),
        Value::from(migration.hash(kind)),
    ];
    let sql = "INSERT INTO nexus_migration (set_name, version, name, hash) VALUES ($1, $2, $3, $4)";
    session.execute(sql, values).await?;
    tracing::info!(service, set, version, name, "migrated");
    Ok(())
}
