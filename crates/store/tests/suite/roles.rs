//! The roles of `PostgreSQL`: who may serve, and what the database itself refuses.

use anyhow::{Context, Result, ensure};
use nexus_store::{Migration, Schema, Store, StoreConfig, StoreError, Value};
use nexus_testkit::{PgRoles, PgServer};

use crate::fixture::{NOTE, NOTES, SERVICE, config, org};

const SCHEMA: &str = "nexus_store_test";

async fn server() -> Result<(PgServer, PgRoles)> {
    let server = nexus_testkit::postgres().await?;
    let roles = server.fresh_database_with_roles().await?;
    Ok((server, roles))
}

async fn refusal(config: &StoreConfig) -> Result<StoreError> {
    let opened = Store::open(config, SERVICE, NOTES).await;
    opened.err().context("it must not open")
}

fn says(error: &StoreError, words: &[&str]) -> bool {
    let text = error.to_string();
    words.iter().all(|word| text.contains(word)) && !error.is_transient()
}

/// A row of an organisation, stored through the store.
async fn one_note(store: &Store) -> Result<String> {
    let org = org();
    let tx = store.begin(org).await?;
    let sql = "INSERT INTO note (org_id, id, body) VALUES ($1, 1, 'x')";
    tx.execute(sql, vec![Value::from(org.to_string())]).await?;
    tx.commit().await?;
    Ok(org.to_string())
}

#[tokio::test]
async fn a_superuser_is_refused_and_told_what_to_do() -> Result<()> {
    let (_server, roles) = server().await?;
    let cases = [
        config(&roles.superuser, None)?,
        config(&roles.superuser, Some(&roles.owner))?,
        config(&roles.app, Some(&roles.superuser))?,
    ];
    for config in cases {
        let error = refusal(&config).await?;
        let words = [
            "`postgres` is a superuser",
            "CREATE ROLE nexus_app",
            "store.owner_url",
        ];
        ensure!(says(&error, &words), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn a_role_that_bypasses_or_owns_is_refused() -> Result<()> {
    let (server, roles) = server().await?;
    let both = config(&roles.app, Some(&roles.owner))?;
    Store::open(&both, SERVICE, NOTES).await?.close().await;
    let swapped = config(&roles.owner, Some(&roles.app))?;
    let error = refusal(&swapped).await?;
    ensure!(says(&error, &["owns the tables", "store.url"]), "{error}");
    let twice = config(&roles.owner, Some(&roles.owner))?;
    let error = refusal(&twice).await?;
    ensure!(says(&error, &["owns the tables"]), "{error}");
    // A member may become the owner.
    let name = |url: &str| url.split(['/', '@']).nth(2).unwrap_or_default().to_owned();
    let (owner, app) = (name(&roles.owner), name(&roles.app));
    server.psql(&format!("GRANT {owner} TO {app}")).await?;
    let error = refusal(&both).await?;
    ensure!(says(&error, &["owns the tables"]), "{error}");
    server
        .psql(&format!(
            "REVOKE {owner} FROM {app}; ALTER ROLE {app} BYPASSRLS"
        ))
        .await?;
    let error = refusal(&both).await?;
    ensure!(says(&error, &["BYPASSRLS"]), "{error}");
    server
        .psql(&format!("ALTER ROLE {app} NOBYPASSRLS"))
        .await?;
    Store::open(&both, SERVICE, NOTES).await?;
    Ok(())
}

#[tokio::test]
async fn whoever_serves_need_not_know_the_owner() -> Result<()> {
    let (_server, roles) = server().await?;
    let alone = config(&roles.app, None)?;
    let error = refusal(&alone).await?;
    let named = matches!(error, StoreError::NotMigrated { set: "own", .. });
    ensure!(
        named && says(&error, &["start once with `store.owner_url`"]),
        "{error}"
    );
    let both = config(&roles.app, Some(&roles.owner))?;
    Store::open(&both, SERVICE, NOTES).await?.close().await;
    let store = Store::open(&alone, SERVICE, NOTES).await?;
    one_note(&store).await?;
    // And one that is old is not used.
    const MORE: &[Migration] = &[
        NOTE,
        Migration {
            version: 2,
            name: "more",
            sqlite: "",
            postgres: "CREATE TABLE more (n BIGINT)",
        },
    ];
    let old = Store::open(&alone, SERVICE, MORE).await.err();
    ensure!(
        matches!(old, Some(StoreError::NotMigrated { .. })),
        "{old:?}"
    );
    Ok(())
}

#[tokio::test]
async fn one_address_serves_as_a_role_that_owns_nothing() -> Result<()> {
    let server = nexus_testkit::postgres().await?;
    let url = server.fresh_database().await?;
    for _ in 0..2 {
        let store = Store::open(&url.parse()?, SERVICE, NOTES).await?;
        one_note(&store).await?;
        let tx = store.begin_shared().await?;
        let sql = "SELECT current_user::text AS me, session_user::text AS login, \
                   (SELECT relowner::regrole::text FROM pg_class WHERE oid = 'note'::regclass) AS owner";
        let row = tx.query(sql, Vec::new()).await?;
        let row = row.first().context("a row")?;
        let (me, login): (String, String) = (row.get("me")?, row.get("login")?);
        ensure!(me == format!("{login}_app"), "{me} {login}");
        ensure!(row.get::<String>("owner")? == login);
        drop(tx);
        store.close().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_role_that_may_not_make_roles_is_told_what_to_do() -> Result<()> {
    let (server, roles) = server().await?;
    let config = config(&roles.owner, None)?;
    let error = refusal(&config).await?;
    let StoreError::NoAppRole { owner, app, .. } = &error else {
        anyhow::bail!("{error}")
    };
    let remedy = [
        format!("CREATE ROLE {app} NOLOGIN"),
        format!("GRANT {app} TO {owner}"),
    ];
    ensure!(says(&error, &[&remedy[0], &remedy[1]]), "{error}");
    server.psql(&remedy.join("; ")).await?;
    one_note(&Store::open(&config, SERVICE, NOTES).await?).await?;
    Ok(())
}

/// Past everything this crate checks: SQL typed by hand, as the role that serves.
#[tokio::test]
async fn the_database_itself_keeps_organisations_apart() -> Result<()> {
    let (server, roles) = server().await?;
    let both = config(&roles.app, Some(&roles.owner))?;
    let store = Store::open(&both, SERVICE, NOTES).await?;
    let (ours, theirs) = (one_note(&store).await?, one_note(&store).await?);
    let as_app = async |sql: &str| {
        let sql = format!("SET search_path TO {SCHEMA}; BEGIN; {sql}; COMMIT");
        server.psql_at(&roles.app, &sql).await
    };
    let under = |org: &str, sql: &str| {
        format!("SELECT NULL FROM set_config('app.org_id', '{org}', true); {sql}")
    };
    ensure!(
        as_app("SELECT count(*) FROM note").await? == "0",
        "nobody sees rows"
    );
    let seen = as_app(&under(&ours, "SELECT org_id FROM note")).await?;
    ensure!(seen.trim() == ours, "{seen}");
    for sql in ["UPDATE note SET body = 'y'", "DELETE FROM note"] {
        let sql = format!("{sql} WHERE org_id = '{theirs}' RETURNING id");
        ensure!(
            as_app(&under(&ours, &sql)).await?.trim().is_empty(),
            "{sql}"
        );
    }
    for sql in [
        format!("INSERT INTO note (org_id, id) VALUES ('{theirs}', 2)"),
        format!("UPDATE note SET org_id = '{theirs}'"),
    ] {
        let refused = as_app(&under(&ours, &sql)).await;
        let error = refused.err().context("the policy refuses it")?.to_string();
        ensure!(error.contains("row-level security"), "{error}");
    }
    for sql in [
        "TRUNCATE note",
        "ALTER TABLE note NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE note DISABLE ROW LEVEL SECURITY",
        "DROP POLICY nexus_tenant ON note",
        "CREATE TABLE mine (n BIGINT)",
        "UPDATE nexus_migration SET hash = ''",
    ] {
        ensure!(as_app(sql).await.is_err(), "{sql}");
    }
    // Forced: its owner sees no more.
    let sql = format!("SELECT count(*) FROM {SCHEMA}.note");
    ensure!(server.psql_at(&roles.owner, &sql).await? == "0");
    ensure!(server.psql_at(&roles.superuser, &sql).await? == "2");
    Ok(())
}

#[tokio::test]
async fn a_hole_made_by_hand_is_found_at_the_next_start() -> Result<()> {
    let (server, roles) = server().await?;
    let both = config(&roles.app, Some(&roles.owner))?;
    let alone = config(&roles.app, None)?;
    Store::open(&both, SERVICE, NOTES).await?.close().await;
    let holes = [
        (
            format!("ALTER TABLE {SCHEMA}.note NO FORCE ROW LEVEL SECURITY"),
            true,
        ),
        (
            format!("ALTER TABLE {SCHEMA}.note DISABLE ROW LEVEL SECURITY"),
            true,
        ),
        (format!("DROP POLICY nexus_tenant ON {SCHEMA}.note"), true),
        (format!("CREATE TABLE {SCHEMA}.other (org_id TEXT)"), true),
        (
            format!("CREATE POLICY all_of_it ON {SCHEMA}.note USING (true)"),
            false,
        ),
        (
            format!("CREATE VIEW {SCHEMA}.leak AS SELECT * FROM {SCHEMA}.note"),
            false,
        ),
    ];
    for (hole, mends) in &holes {
        server.psql_at(&roles.owner, hole).await?;
        let error = refusal(&alone).await?;
        let named = matches!(&error, StoreError::Unprotected { .. });
        ensure!(
            named && says(&error, &["kept apart", SCHEMA]),
            "{hole}: {error}"
        );
        // The owner puts back what was taken away; what was added is for a person to drop.
        ensure!(
            Store::open(&both, SERVICE, NOTES).await.is_ok() == *mends,
            "{hole}"
        );
        let undo = format!(
            "DROP POLICY IF EXISTS all_of_it ON {SCHEMA}.note; DROP VIEW IF EXISTS {SCHEMA}.leak"
        );
        server.psql_at(&roles.owner, &undo).await?;
    }
    Store::open(&alone, SERVICE, NOTES).await?;
    Ok(())
}

#[tokio::test]
async fn an_exempt_table_is_read_across_organisations() -> Result<()> {
    const DUE: &[Migration] = &[Migration {
        version: 1,
        name: "due",
        sqlite: "",
        postgres: "CREATE TABLE due (org_id TEXT NOT NULL, at BIGINT NOT NULL)",
    }];
    let (_server, roles) = server().await?;
    let both = config(&roles.app, Some(&roles.owner))?;
    let store = Store::open(&both, SERVICE, Schema::new(DUE).exempt(&["due"])).await?;
    let tx = store.begin_shared().await?;
    let rows = (0..3_i64).flat_map(|at| [Value::from(org().to_string()), Value::from(at)]);
    tx.execute_rows("INSERT INTO due (org_id, at) VALUES", "", 2, rows.collect())
        .await?;
    ensure!(
        tx.query("SELECT at FROM due ORDER BY at", Vec::new())
            .await?
            .len()
            == 3
    );
    Ok(())
}
