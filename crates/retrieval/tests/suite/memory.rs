//! What is remembered of people.

use anyhow::{Context, Result, ensure};
use nexus_contracts::settings::Privacy;
use nexus_contracts::{ConversationId, RunId};
use nexus_retrieval::{Limits, Page, Remember};
use uuid::Uuid;

use crate::fixture::{Fixture, at, note, org, remember, shared, titles, user};

pub(crate) async fn the_same_is_remembered_once(fixture: &Fixture) -> Result<()> {
    let (memory, org, ada) = (fixture.plain().await?.memory(), org(), user());
    let untrusted = Remember {
        untrusted: true,
        ..remember("likes TEA")
    };
    let first = memory.remember(org, ada, untrusted, at(0)).await?;
    ensure!(!first.merged);
    let again = Remember {
        untrusted: true,
        ..remember(" Likes\n tea. ")
    };
    let again = memory.remember(org, ada, again, at(1)).await?;
    ensure!(again.merged && again.id == first.id);
    let items = memory.list(org, ada, Page::default()).await?;
    ensure!(items.len() == 1 && items[0].text == "likes TEA" && items[0].untrusted);
    // What a person says themselves stands before what a page said of them.
    let trusted = memory
        .remember(org, ada, remember("Likes tea"), at(2))
        .await?;
    ensure!(trusted.merged);
    let items = memory.list(org, ada, Page::default()).await?;
    ensure!(items.len() == 1 && items[0].text == "Likes tea" && !items[0].untrusted);
    let page = Remember {
        untrusted: true,
        ..remember("likes tea!")
    };
    ensure!(memory.remember(org, ada, page, at(3)).await?.merged);
    let recalled = memory
        .recall(org, ada, ("tea", Privacy::Open), 5)
        .await?
        .memories;
    ensure!(
        recalled.len() == 1 && !recalled[0].item.untrusted,
        "{recalled:?}"
    );
    // The same meaning in other words is not the same.
    ensure!(
        !memory
            .remember(org, ada, remember("is fond of tea"), at(4))
            .await?
            .merged
    );
    Ok(())
}

pub(crate) async fn it_is_recalled_by_nobody_else(fixture: &Fixture) -> Result<()> {
    let (retrieval, org, ada, bob) = (fixture.plain().await?, org(), user(), user());
    let memory = retrieval.memory();
    memory
        .remember(org, ada, remember("likes tea"), at(0))
        .await?;
    memory
        .remember(org, bob, remember("likes coffee, not tea"), at(0))
        .await?;
    retrieval
        .ingest(org, note("menu", "tea and cake"), at(0))
        .await?;
    let recalled = memory
        .recall(org, ada, ("what tea", Privacy::Open), 5)
        .await?
        .memories;
    ensure!(
        recalled.len() == 1 && recalled[0].item.text == "likes tea",
        "{recalled:?}"
    );
    ensure!(titles(&retrieval, shared(org), "tea").await? == ["menu"]);
    let id = recalled[0].item.id;
    ensure!(memory.forget(org, bob, id).await?.count == 0);
    ensure!(memory.forget_all(org, bob).await?.count == 1);
    ensure!(
        memory
            .recall(org, ada, ("tea", Privacy::Open), 5)
            .await?
            .memories
            .len()
            == 1
    );
    Ok(())
}

pub(crate) async fn it_is_listed_and_forgotten(fixture: &Fixture) -> Result<()> {
    let (memory, org, ada) = (fixture.plain().await?.memory(), org(), user());
    let mut ids = Vec::new();
    for number in 0..5 {
        let text = format!("fact {number} about tea");
        ids.push(
            memory
                .remember(org, ada, remember(&text), at(number))
                .await?
                .id,
        );
    }
    let newest = memory
        .list(
            org,
            ada,
            Page {
                behind: None,
                limit: Some(2),
            },
        )
        .await?;
    let listed: Vec<_> = newest.iter().map(|item| item.id).collect();
    ensure!(listed == [ids[4], ids[3]], "{listed:?}");
    let last = newest.last().context("an item")?;
    let behind = Some((last.created_at, last.id.0));
    ensure!(
        memory
            .list(
                org,
                ada,
                Page {
                    behind,
                    limit: None
                }
            )
            .await?
            .len()
            == 3
    );
    ensure!(memory.forget(org, ada, ids[0]).await?.count == 1);
    ensure!(memory.forget(org, ada, ids[0]).await?.count == 0);
    let recalled = memory.recall(org, ada, ("fact 0", Privacy::Open), 9);
    ensure!(recalled.await?.memories.len() == 4);
    ensure!(memory.forget_all(org, ada).await?.count == 4);
    let recalled = memory.recall(org, ada, ("tea", Privacy::Open), 9);
    ensure!(recalled.await?.memories.is_empty());
    ensure!(
        !memory
            .remember(org, ada, remember("fact 0 about tea"), at(9))
            .await?
            .merged
    );
    Ok(())
}

pub(crate) async fn a_deleted_conversation_leaves_what_was_learnt(fixture: &Fixture) -> Result<()> {
    let (memory, org, ada) = (fixture.plain().await?.memory(), org(), user());
    let conversation = ConversationId(Uuid::now_v7());
    let from = Remember {
        run: Some(RunId(Uuid::now_v7())),
        conversation: Some(conversation),
        ..remember("likes tea")
    };
    memory.remember(org, ada, from.clone(), at(0)).await?;
    let items = memory.list(org, ada, Page::default()).await?;
    ensure!(items[0].conversation == Some(conversation) && items[0].run == from.run);
    ensure!(
        memory
            .conversation_deleted(org, ConversationId(Uuid::now_v7()))
            .await?
            == 0
    );
    ensure!(memory.conversation_deleted(org, conversation).await? == 1);
    let recalled = memory
        .recall(org, ada, ("tea", Privacy::Open), 5)
        .await?
        .memories;
    let item = &recalled.first().context("a memory")?.item;
    ensure!(
        item.conversation.is_none() && item.run.is_none(),
        "{item:?}"
    );
    Ok(())
}

pub(crate) async fn too_much_is_refused(fixture: &Fixture) -> Result<()> {
    let limits = Limits {
        memory_bytes: 20,
        memories_per_user: 2,
        ..Limits::default()
    };
    let memory = fixture.open(limits, None, None).await?.memory();
    let (org, ada) = (org(), user());
    let refused = async |text: &str| {
        let refused = memory.remember(org, ada, remember(text), at(0)).await;
        refused
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    };
    ensure!(refused(" ").await.contains("the memory holds no text"));
    ensure!(
        refused(&"x".repeat(21))
            .await
            .contains("remember the gist of it")
    );
    ensure!(refused("one").await.is_empty() && refused("two").await.is_empty());
    ensure!(refused("three").await.contains("forget some"));
    ensure!(refused("One.").await.is_empty(), "it is there already");
    ensure!(memory.list(org, ada, Page::default()).await?.len() == 2);
    Ok(())
}
