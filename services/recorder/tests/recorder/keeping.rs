//! How long what is kept, and what an older version left.

use anyhow::{Context, Result, ensure};
use nexus_contracts::Timestamp;
use nexus_recorder::keep::{self, Limits};
use nexus_recorder::migrations::MIGRATIONS;
use nexus_recorder::read;
use nexus_recorder::write::write;
use nexus_store::{Migration, Store, Value};

use crate::on_both;
use crate::picture::{found, list, texts};
use crate::world::{BEGIN, ORG, World, open};

/// The tables as they were before people had conversations of their own.
const BEFORE: &[Migration] = MIGRATIONS.split_at(2).0;

fn at(now: i64) -> Timestamp {
    Timestamp::from_millis(BEGIN + now)
}

on_both! {
    async fn the_archive_is_forgotten_and_conversations_stay(store: &Store) -> Result<()> {
        let mut world = World::new();
        let id = world.turn(None, "alpha", "beta")?.conversation;
        let refused = world.ask(None, "never taken")?;
        world.refuse(&refused, "bad_request")?;
        let middle = world.now + 5;
        world.turn(Some(id), "gamma", "delta")?;
        write(store, &world.messages).await?;
        let limits = Limits { archive: at(middle), history: None };
        ensure!(keep::prune(store, ORG, limits).await? == 7, "six messages, a question not taken");
        let shown = texts(store, world.reader, &id.to_string()).await?;
        ensure!(shown == ["alpha", "beta", "gamma", "delta"], "{shown:?}");
        let trace = read::trace(store, world.reader, "all").await?.context("a trace")?;
        ensure!(trace.messages.len() == 4 && trace.runs.len() == 3, "{:?}", trace.runs);
        ensure!(keep::prune(store, ORG, limits).await? == 0);
        Ok(())
    }

    async fn history_is_forgotten_where_an_organisation_says_so(store: &Store) -> Result<()> {
        let mut world = World::new();
        let id = world.turn(None, "alpha", "beta")?.conversation;
        let middle = world.now + 5;
        world.turn(Some(id), "gamma", "delta")?;
        write(store, &world.messages).await?;
        let limits = Limits { archive: at(middle), history: Some(at(middle)) };
        keep::prune(store, ORG, limits).await?;
        let shown = texts(store, world.reader, &id.to_string()).await?;
        ensure!(shown == ["gamma", "delta"], "{shown:?}");
        ensure!(found(store, world.reader, "alpha").await?.is_empty());
        let trace = read::trace(store, world.reader, "all").await?.context("a trace")?;
        ensure!(trace.runs.len() == 1 && list(store, world.reader).await?.len() == 1);
        Ok(())
    }
}

/// Rows as version 1 wrote them.
async fn fill(store: &Store) -> Result<()> {
    let tx = store.begin(ORG).await?;
    let org = || Value::from(ORG.to_string());
    let user = crate::world::USER.to_string();
    tx.execute(
        "INSERT INTO conversation (org_id, id, user_id, created_at, updated_at) \
         VALUES ($1, 'c', $2, 1, 9)",
        vec![org(), user.into()],
    )
    .await?;
    for (run, accepted) in [("r", Some(2_i64)), ("refused", None)] {
        let sql = "INSERT INTO run (org_id, id, conversation_id, asked_at, accepted_at, provider, \
                   model) VALUES ($1, $2, 'c', 1, $3, 'demo', 'demo-1')";
        tx.execute(sql, vec![org(), run.into(), accepted.into()])
            .await?;
        for (role, text) in [("user", "an old question"), ("assistant", "an old answer")] {
            if run == "refused" && role == "assistant" {
                continue;
            }
            let sql = "INSERT INTO said (org_id, run_id, role, conversation_id, text, at) \
                       VALUES ($1, $2, $3, 'c', $4, 3)";
            let values = vec![org(), run.into(), role.into(), text.into()];
            tx.execute(sql, values).await?;
        }
    }
    tx.commit().await?;
    Ok(())
}

async fn an_older_store_is_taken_over(url: &str) -> Result<()> {
    let old = Store::open(&url.parse()?, "recorder", BEFORE).await?;
    fill(&old).await?;
    old.close().await;
    let store = open(url).await?;
    let world = World::new();
    let said = crate::picture::transcript(&store, world.reader, "c").await?;
    let shown: Vec<_> = said
        .iter()
        .map(|one| (one.text.as_str(), one.model.as_deref()))
        .collect();
    let expected = [("an old question", None), ("an old answer", Some("demo-1"))];
    ensure!(shown == expected, "{shown:?}");
    ensure!(
        found(&store, world.reader, "old").await?.is_empty(),
        "not cut into words yet"
    );
    keep::index(&store, ORG).await?;
    ensure!(found(&store, world.reader, "\"old answer\"").await?.len() == 1);
    ensure!(found(&store, world.reader, "old").await?.len() == 2);
    Ok(())
}

#[tokio::test]
async fn an_older_store_is_taken_over_on_sqlite() -> Result<()> {
    let folder = tempfile::tempdir()?;
    an_older_store_is_taken_over(&format!("sqlite:{}", folder.path().display())).await
}

#[tokio::test]
async fn an_older_store_is_taken_over_on_postgres() -> Result<()> {
    let server = nexus_testkit::postgres().await?;
    let url = server.fresh_database().await?;
    an_older_store_is_taken_over(&url).await
}
