//! Bringing tables up to date.

use nexus_contracts::derive_id;
use sea_orm::Value;

use crate::connect::schema;
use crate::tx::SharedTx;
use crate::{Store, StoreError, StoreKind};

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
    fn sql(&self, kind: StoreKind) -> &'static str {
        match kind {
            StoreKind::Sqlite => self.sqlite,
            StoreKind::Postgres => self.postgres,
        }
    }

    fn hash(&self, kind: StoreKind) -> String {
        derive_id([self.name.as_bytes(), self.sql(kind).as_bytes()]).to_string()
    }
}

const TABLE: &str = "CREATE TABLE IF NOT EXISTS nexus_migration (
    set_name TEXT NOT NULL,
    version BIGINT NOT NULL,
    name TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (set_name, version)
)";

/// Held by whoever migrates on `PostgreSQL`: replicas start at the same time. Any number that
/// nobody else uses.
const LOCK: i64 = 0x6e65_7875_735f_6d67;

/// Applies what is missing, all in one transaction.
pub(crate) async fn run(
    store: &Store,
    set: &'static str,
    migrations: &'static [Migration],
) -> Result<(), StoreError> {
    let service = store.service();
    check_numbers(service, set, migrations)?;
    let tx = store.begin_shared().await?;
    if store.kind() == StoreKind::Postgres {
        tx.query("SELECT pg_advisory_xact_lock($1)", vec![Value::from(LOCK)])
            .await?;
        let schema = format!("CREATE SCHEMA IF NOT EXISTS {}", schema(service));
        tx.tx().execute_script(&schema).await?;
    }
    tx.tx().execute_script(TABLE).await?;
    let applied = applied(&tx, set).await?;
    check_applied(store, set, migrations, &applied)?;
    for migration in migrations.iter().skip(applied.len()) {
        apply(&tx, store, set, migration).await?;
    }
    tx.commit().await
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
async fn applied(tx: &SharedTx, set: &str) -> Result<Vec<(u32, String)>, StoreError> {
    let sql = "SELECT version, hash FROM nexus_migration WHERE set_name = $1 ORDER BY version";
    let rows = tx.query(sql, vec![Value::from(set)]).await?;
    rows.iter()
        .map(|row| {
            let version: i64 = row.get("version")?;
            Ok((u32::try_from(version).unwrap_or(u32::MAX), row.get("hash")?))
        })
        .collect()
}

fn check_applied(
    store: &Store,
    set: &'static str,
    migrations: &[Migration],
    applied: &[(u32, String)],
) -> Result<(), StoreError> {
    let service = store.service();
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
        if *hash != migration.hash(store.kind()) {
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
    tx: &SharedTx,
    store: &Store,
    set: &'static str,
    migration: &Migration,
) -> Result<(), StoreError> {
    let (service, kind) = (store.service(), store.kind());
    let Migration { version, name, .. } = *migration;
    let applied = tx.tx().execute_script(migration.sql(kind)).await;
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
    tx.execute(sql, values).await?;
    tracing::info!(service, set, version, name, "migrated");
    Ok(())
}
