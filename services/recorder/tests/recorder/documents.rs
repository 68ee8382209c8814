//! Export and import.

use anyhow::{Context, Result, ensure};
use nexus_contracts::conversation::{ConversationDocument, FORMAT, SaidMessage, Speaker};
use nexus_contracts::{Extra, Timestamp};
use nexus_recorder::read;
use nexus_recorder::write::write;
use nexus_store::Store;
use serde_json::json;

use crate::on_both;
use crate::picture::{found, list, texts};
use crate::world::{BEGIN, World};

fn message(role: Speaker, text: &str, at: Option<i64>) -> SaidMessage {
    SaidMessage {
        role,
        text: text.to_owned(),
        at: at.map(Timestamp::from_millis),
        provider: None,
        model: None,
        extra: Extra::from([("mood".to_owned(), json!({ "calm": true }))]),
    }
}

/// What another program may have written: out of order, without times, with more than is known.
fn foreign() -> ConversationDocument {
    ConversationDocument {
        format: FORMAT.to_owned(),
        version: 1,
        title: Some("a title from elsewhere".to_owned()),
        created_at: Some(Timestamp::from_millis(BEGIN - 5_000)),
        messages: vec![
            message(Speaker::Assistant, "alpha", Some(BEGIN - 3_000)),
            message(Speaker::User, "beta", None),
            message(Speaker::User, "gamma", Some(BEGIN - 4_000)),
            message(Speaker::Assistant, "delta", Some(BEGIN + 1_000_000)),
        ],
        extra: Extra::from([("source".to_owned(), json!("elsewhere"))]),
    }
}

on_both! {
    async fn what_was_imported_is_exported_as_it_was(store: &Store) -> Result<()> {
        let mut world = World::new();
        let id = world.import(&foreign())?;
        world.turn(Some(id), "omega", "and on it goes")?;
        write(store, &world.messages).await?;
        write(store, &world.messages).await?;
        let mut exported = read::export(store, world.reader, &id.to_string()).await?.context("it is there")?;
        let own = exported.messages.split_off(4);
        ensure!(exported == foreign(), "{exported:?}");
        ensure!(own.len() == 2 && own.iter().all(|said| said.at.is_some()), "{own:?}");
        let shown = texts(store, world.reader, &id.to_string()).await?;
        ensure!(shown == ["alpha", "beta", "gamma", "delta", "omega", "and on it goes"], "{shown:?}");
        ensure!(found(store, world.reader, "elsewhere").await?.len() == 1, "by its title");
        Ok(())
    }

    async fn a_document_of_ours_comes_back_the_same(store: &Store) -> Result<()> {
        let mut world = World::new();
        let first = world.turn(None, "q1", "a1")?;
        let second = world.turn(Some(first.conversation), "q2", "a2")?;
        let branch = world.branch(first.conversation, second.run, ("q3", "b3"))?;
        world.rename(branch.conversation, "given")?;
        write(store, &world.messages).await?;
        let export = async |id: nexus_contracts::ConversationId| {
            read::export(store, world.reader, &id.to_string()).await?.context("it is there")
        };
        let document = export(branch.conversation).await?;
        ensure!(document.messages.len() == 4 && document.title.as_deref() == Some("given"));
        let mut later = World::new();
        later.now = world.now;
        let copy = later.import(&document)?;
        write(store, &later.messages).await?;
        ensure!(export(copy).await? == document, "{:?}", export(copy).await?);
        let titles = list(store, world.reader).await?.into_iter().filter(|one| one.title == "given");
        ensure!(titles.count() == 2);
        Ok(())
    }
}
