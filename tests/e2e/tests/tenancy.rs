//! Every table of every service that has an `org_id`, on both databases: one organisation reaches
//! its own rows and nothing else. The tables are those the database lists, so a new one is in here
//! by itself.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use nexus::compose::{Entry, SERVICES};
use nexus_contracts::OrgId;
use nexus_store::{Store, StoreConfig, StoreError, StoreKind, Value};
use nexus_testkit::{PgRoles, PgServer};
use uuid::Uuid;

const OURS: OrgId = OrgId(Uuid::from_u128(1));
const THEIRS: OrgId = OrgId(Uuid::from_u128(2));

/// Columns a row must have, with a value for each.
type Columns = BTreeMap<String, Value>;

const ON_SQLITE: &str = "SELECT m.name AS name, c.name AS column_name, upper(c.type) AS type, \
     c.\"notnull\" = 1 AND c.dflt_value IS NULL AND NOT (c.pk = 1 AND c.type = 'INTEGER') AS needed \
     FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'";
const ON_POSTGRES: &str = "SELECT table_name::text AS name, column_name::text AS column_name, \
     upper(data_type::text) AS type, is_nullable = 'NO' AND column_default IS NULL \
     AND is_identity = 'NO' AND is_generated = 'NEVER' AS needed \
     FROM information_schema.columns WHERE table_schema = current_schema()";

/// The tables of organisations, as the database lists them.
async fn tables(store: &Store, entry: &Entry) -> Result<BTreeMap<String, Columns>> {
    let sql = match store.kind() {
        StoreKind::Sqlite => ON_SQLITE,
        StoreKind::Postgres => ON_POSTGRES,
    };
    let mut types: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut with_org = Vec::new();
    for row in store.read_shared().await?.query(sql, Vec::new()).await? {
        let (table, column): (String, String) = (row.get("name")?, row.get("column_name")?);
        if column == "org_id" {
            with_org.push(table.clone());
        }
        let columns = types.entry(table).or_default();
        if row.get("needed")? {
            columns.insert(column, row.get("type")?);
        }
    }
    let exempt = entry.schema.exempt_tables();
    let is_exempt = |table: &str| table == "nexus_organisation" || exempt.contains(&table);
    types.retain(|table, _| with_org.contains(table) && !is_exempt(table));
    let table = |(table, columns): (String, BTreeMap<String, String>)| {
        let column = |(name, kind): (String, String)| Ok((name.clone(), value(&name, &kind)?));
        let columns: Result<Columns> = columns.into_iter().map(column).collect();
        Ok((table, columns?))
    };
    types.into_iter().map(table).collect()
}

fn value(column: &str, kind: &str) -> Result<Value> {
    Ok(match kind {
        _ if column == "org_id" => Value::from(OURS.to_string()),
        "TEXT" => Value::from("x"),
        "BIGINT" | "INTEGER" => Value::from(1_i64),
        "BLOB" | "BYTEA" => Value::from(b"x".to_vec()),
        other => anyhow::bail!("a value for a column of type {other} is missing here"),
    })
}

fn org(org: OrgId) -> Value {
    Value::from(org.to_string())
}

/// An insert of one row, and what to bind.
fn insert(table: &str, columns: &Columns) -> (String, Vec<Value>) {
    let names: Vec<&str> = columns.keys().map(String::as_str).collect();
    let places: Vec<String> = (1..=names.len()).map(|at| format!("${at}")).collect();
    let sql = format!(
        "INSERT INTO {table} ({}) VALUES ({})",
        names.join(", "),
        places.join(", ")
    );
    (sql, columns.values().cloned().collect())
}

fn is_refused<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::NotTenants { .. }))
}

async fn count(store: &Store, table: &str, who: OrgId) -> Result<i64> {
    let tx = store.read(who).await?;
    let sql = format!("SELECT count(*) AS n FROM {table} WHERE org_id = $1");
    let rows = tx.query(&sql, vec![org(who)]).await?;
    Ok(rows.first().context("a count")?.get("n")?)
}

/// What the store refuses, whichever database is below it.
async fn through_the_store(store: &Store, table: &str, columns: &Columns) -> Result<()> {
    let (sql, values) = insert(table, columns);
    let tx = store.begin(OURS).await?;
    ensure!(tx.execute(&sql, values.clone()).await? == 1);
    tx.commit().await?;
    for (sql, values) in [
        (sql, values),
        (
            format!("SELECT 1 FROM {table} WHERE org_id = $1"),
            vec![org(OURS)],
        ),
        (
            format!("SELECT 1 FROM {table} WHERE org_id <> $1"),
            vec![org(THEIRS)],
        ),
        (
            format!("SELECT 1 FROM {table} WHERE $1 = $1"),
            vec![org(THEIRS)],
        ),
        (
            format!("DELETE FROM {table} WHERE org_id = $1"),
            vec![org(OURS)],
        ),
        (
            format!("UPDATE {table} SET org_id = $1 WHERE org_id = $1"),
            vec![org(THEIRS)],
        ),
        (
            format!("UPDATE {table} SET org_id = org_id WHERE org_id = $1"),
            vec![org(OURS)],
        ),
    ] {
        let tx = store.begin(THEIRS).await?;
        ensure!(is_refused(&tx.query(&sql, values.clone()).await), "{sql}");
        ensure!(is_refused(&tx.execute(&sql, values.clone()).await), "{sql}");
        // One writer at a time.
        drop(tx);
        let tx = store.begin_shared().await?;
        ensure!(is_refused(&tx.execute(&sql, values).await), "nobody: {sql}");
    }
    ensure!(count(store, table, THEIRS).await? == 0, "{table}");
    ensure!(count(store, table, OURS).await? == 1, "{table}");
    ensure!(store.organisations().await?.contains(&OURS), "{table}");
    Ok(())
}

#[tokio::test]
async fn sqlite_keeps_organisations_apart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config: StoreConfig = format!("sqlite:{}", folder.path().display()).parse()?;
    let mut seen = 0;
    for entry in SERVICES {
        let store = Store::open(&config, entry.name, entry.schema).await?;
        for (table, columns) in tables(&store, entry).await? {
            through_the_store(&store, &table, &columns).await?;
            seen += 1;
        }
    }
    ensure!(seen > 10, "only {seen} tables were found");
    Ok(())
}

#[tokio::test]
async fn postgres_keeps_organisations_apart() -> Result<()> {
    let server = nexus_testkit::postgres().await?;
    let roles = server.fresh_database_with_roles().await?;
    let config = roles.app.parse::<StoreConfig>()?.owned_by(&roles.owner)?;
    let mut seen = 0;
    for entry in SERVICES {
        let store = Store::open(&config, entry.name, entry.schema).await?;
        for (table, columns) in tables(&store, entry).await? {
            through_the_store(&store, &table, &columns).await?;
            let schema = format!("nexus_{}", entry.name.replace('-', "_"));
            let place = format!("{schema}.{table}");
            past_the_store(&server, &roles, &place, &columns).await?;
            ensure!(count(&store, &table, OURS).await? == 1, "{place}");
            seen += 1;
        }
    }
    ensure!(seen > 10, "only {seen} tables were found");
    ensure!(guessable(&server, &roles).await?.is_empty());
    Ok(())
}

/// What the database refuses, whatever is sent to it as the role that serves.
async fn past_the_store(
    server: &PgServer,
    roles: &PgRoles,
    table: &str,
    columns: &Columns,
) -> Result<()> {
    let under = async |who: Option<OrgId>, sql: &str| {
        let who = who.map_or_else(String::new, |who| who.to_string());
        let enter = format!("DO $$ BEGIN PERFORM set_config('app.org_id', '{who}', true); END $$");
        let sql = format!("BEGIN; {enter}; {sql}; COMMIT");
        server.psql_at(&roles.app, &sql).await
    };
    let all = format!("SELECT count(*) FROM {table}");
    for (who, expected) in [(None, "0"), (Some(THEIRS), "0"), (Some(OURS), "1")] {
        let found = under(who, &all).await?;
        ensure!(found == expected, "{table} as {who:?}: {found}");
    }
    for who in [None, Some(THEIRS)] {
        let update = format!("UPDATE {table} SET org_id = org_id RETURNING 1");
        let delete = format!("DELETE FROM {table} RETURNING 1");
        for sql in [update, delete] {
            ensure!(under(who, &sql).await?.is_empty(), "{who:?}: {sql}");
        }
        let names: Vec<&str> = columns.keys().map(String::as_str).collect();
        let row = columns.iter().map(|(name, value)| literal(name, value));
        let row = row.collect::<Vec<_>>().join(", ");
        let insert = format!("INSERT INTO {table} ({}) VALUES ({row})", names.join(", "));
        let refused = under(who, &insert).await.err().context("refused")?;
        let said = refused.to_string();
        ensure!(
            said.contains("row-level security"),
            "{who:?}: {insert}: {said}"
        );
    }
    Ok(())
}

fn literal(name: &str, value: &Value) -> String {
    match (name, value) {
        ("org_id", _) => format!("'{OURS}'"),
        (_, Value::Integer(_)) => "2".to_owned(),
        (_, Value::Bytes(_)) => "'\\x00'".to_owned(),
        _ => "'y'".to_owned(),
    }
}

/// Unique keys that are the same for all organisations, but for numbers the database gives: who is
/// refused a row learns that somebody else has one.
async fn guessable(server: &PgServer, roles: &PgRoles) -> Result<String> {
    let sql = "SELECT c.relname, i.indexrelid::regclass FROM pg_index i \
         JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname LIKE 'nexus\\_%' AND i.indisunique AND c.relrowsecurity \
         AND NOT EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid \
           AND a.attnum = ANY (i.indkey) AND (a.attname = 'org_id' OR a.attidentity <> ''))";
    server.psql_at(&roles.superuser, sql).await
}
