//! Deleting erases.

use anyhow::{Context, Result, ensure};
use nexus_contracts::conversation::{ConversationDocument, FORMAT, SaidMessage, Speaker};
use nexus_contracts::{ConversationId, Extra};
use nexus_recorder::read;
use nexus_recorder::write::write;
use nexus_store::{Store, StoreKind, Value};

use crate::on_both;
use crate::picture::{found, list, picture};
use crate::world::World;

/// Every table that holds what anybody said, with everything it says as one text.
const CONTENTS: [(&str, &str); 5] = [
    ("archive", "message_id || COALESCE(metadata, '')"),
    ("said", "COALESCE(text, '') || COALESCE(words, '')"),
    ("run", "id"),
    ("summary", "summary"),
    (
        "conversation",
        "COALESCE(title, '') || COALESCE(title_words, '')",
    ),
];

/// A conversation with something in every table.
fn full(world: &mut World) -> Result<ConversationId> {
    let first = world.turn(None, "secretquestion", "secretanswer")?;
    world.rename(first.conversation, "secrettitle")?;
    world.summarize(first.conversation, "secretsummary")?;
    let document = ConversationDocument {
        format: FORMAT.to_owned(),
        version: 1,
        title: None,
        created_at: None,
        messages: vec![SaidMessage {
            role: Speaker::User,
            text: "secretimport".to_owned(),
            at: None,
            provider: None,
            model: None,
            extra: Extra::new(),
        }],
        extra: Extra::new(),
    };
    let imported = world.import(&document)?;
    world.delete(imported)?;
    Ok(first.conversation)
}

/// How many rows a table has.
async fn rows(store: &Store, world: &World, table: &str) -> Result<i64> {
    let tx = store.read(world.reader.org).await?;
    let sql = format!("SELECT COUNT(*) AS count FROM {table} WHERE org_id = $1");
    let rows = tx
        .query(&sql, vec![world.reader.org.to_string().into()])
        .await?;
    Ok(rows.first().context("a count")?.get("count")?)
}

async fn nothing_is_left(store: &Store, world: &World) -> Result<()> {
    for (table, content) in CONTENTS {
        let tx = store.read(world.reader.org).await?;
        let sql = format!("SELECT {content} AS content FROM {table} WHERE org_id = $1");
        let left = tx
            .query(&sql, vec![world.reader.org.to_string().into()])
            .await?;
        ensure!(left.is_empty(), "{} rows are left in {table}", left.len());
    }
    for word in [
        "secretquestion",
        "secretanswer",
        "secrettitle",
        "secretimport",
    ] {
        ensure!(found(store, world.reader, word).await?.is_empty(), "{word}");
    }
    Ok(())
}

/// How many blocks of the index of words hold a text.
async fn indexed(store: &Store, text: &str) -> Result<i64> {
    let tx = store.read_shared().await?;
    let sql = "SELECT COUNT(*) AS count FROM said_fts_data WHERE instr(block, $1) > 0";
    let rows = tx
        .query(sql, vec![Value::from(text.as_bytes().to_vec())])
        .await?;
    Ok(rows.first().context("a count")?.get("count")?)
}

on_both! {
    async fn nothing_of_a_deleted_conversation_is_left(store: &Store) -> Result<()> {
        let mut world = World::new();
        let id = full(&mut world)?;
        write(store, &world.messages).await?;
        for (table, _) in CONTENTS {
            ensure!(rows(store, &world, table).await? > 0, "{table} holds something");
        }
        if store.kind() == StoreKind::Sqlite {
            // Without what it shares with the word before it.
            ensure!(indexed(store, "question").await? == 1);
        }
        world.delete(id)?;
        write(store, &world.messages).await?;
        nothing_is_left(store, &world).await?;
        if store.kind() == StoreKind::Sqlite {
            for part in ["secret", "question"] {
                ensure!(indexed(store, part).await? == 0, "the index keeps `{part}`");
            }
        }
        ensure!(rows(store, &world, "erased").await? == 2, "tombstones stay");
        Ok(())
    }

    async fn what_arrives_after_the_end_is_not_stored(store: &Store) -> Result<()> {
        let mut world = World::new();
        let id = full(&mut world)?;
        world.delete(id)?;
        let ends = world.messages.iter().filter(|one| one.envelope.event_type == "conversation.deleted");
        let ends: Vec<_> = ends.cloned().collect();
        write(store, &ends).await?;
        write(store, &world.messages).await?;
        for message in &world.messages {
            write(store, std::slice::from_ref(message)).await?;
        }
        nothing_is_left(store, &world).await
    }

    async fn other_conversations_stay_as_they_were(store: &Store) -> Result<()> {
        let mut world = World::new();
        world.turn(None, "alpha", "beta")?;
        write(store, &world.messages).await?;
        let before = picture(store, world.reader).await?;
        let mut other = World::new();
        other.now = 100_000;
        let id = full(&mut other)?;
        other.delete(id)?;
        write(store, &other.messages).await?;
        let after = picture(store, world.reader).await?;
        ensure!(after == before, "{after}\n{before}");
        Ok(())
    }

    async fn the_same_conversation_of_another_organisation_stays(store: &Store) -> Result<()> {
        let mut world = World::new();
        let id = world.turn(None, "alpha", "beta")?.conversation;
        write(store, &world.messages).await?;
        let mut other = World::of(crate::world::OTHER_ORG, world.reader.user);
        other.delete(id)?;
        write(store, &other.messages).await?;
        ensure!(list(store, world.reader).await?.len() == 1);
        ensure!(read::export(store, world.reader, &id.to_string()).await?.is_some());
        Ok(())
    }
}
