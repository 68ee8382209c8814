//! Conversations that began within others.

use anyhow::{Context, Result, ensure};
use nexus_recorder::write::write;
use nexus_store::Store;

use crate::on_both;
use crate::picture::{found, list, texts};
use crate::world::World;

on_both! {
    async fn a_branch_shows_what_was_before_it_and_then_its_own(store: &Store) -> Result<()> {
        let mut world = World::new();
        let first = world.turn(None, "q1 alpha", "a1")?;
        let second = world.turn(Some(first.conversation), "q2 beta", "a2")?;
        world.turn(Some(first.conversation), "q3", "a3")?;
        let branch = world.branch(first.conversation, second.run, ("q2 gamma", "b2"))?;
        let third = world.turn(Some(branch.conversation), "q4", "b4")?;
        let twig = world.branch(branch.conversation, third.run, ("q5", "c5"))?;
        write(store, &world.messages).await?;
        let read = async |id: nexus_contracts::ConversationId| {
            texts(store, world.reader, &id.to_string()).await
        };
        let parent = read(first.conversation).await?;
        ensure!(parent == ["q1 alpha", "a1", "q2 beta", "a2", "q3", "a3"], "{parent:?}");
        let shown = read(branch.conversation).await?;
        ensure!(shown == ["q1 alpha", "a1", "q2 gamma", "b2", "q4", "b4"], "{shown:?}");
        let shown = read(twig.conversation).await?;
        ensure!(shown == ["q1 alpha", "a1", "q2 gamma", "b2", "q5", "c5"], "{shown:?}");
        let parents: Vec<_> = list(store, world.reader).await?
            .into_iter().map(|one| one.parent).collect();
        let expected = [Some(branch.conversation.to_string()), Some(first.conversation.to_string()), None];
        ensure!(parents == expected, "{parents:?}");
        let hits = |word| async move { Ok::<_, anyhow::Error>(found(store, world.reader, word).await?.len()) };
        ensure!(hits("alpha").await? == 3, "shown in all three");
        ensure!(hits("beta").await? == 1, "replaced in the branches");
        ensure!(hits("gamma").await? == 2, "not in the parent");
        Ok(())
    }

    async fn a_run_inherited_from_the_parent_can_be_left_too(store: &Store) -> Result<()> {
        let mut world = World::new();
        let first = world.turn(None, "q1", "a1")?;
        let second = world.turn(Some(first.conversation), "q2", "a2")?;
        let third = world.turn(Some(first.conversation), "q3", "a3")?;
        let branch = world.branch(first.conversation, third.run, ("q4", "b4"))?;
        let twig = world.branch(branch.conversation, second.run, ("q5", "c5"))?;
        write(store, &world.messages).await?;
        let shown = texts(store, world.reader, &twig.conversation.to_string()).await?;
        ensure!(shown == ["q1", "a1", "q5", "c5"], "{shown:?}");
        Ok(())
    }

    async fn deleting_a_parent_leaves_a_branch_its_copy_and_nothing_else(store: &Store) -> Result<()> {
        let mut world = World::new();
        let first = world.turn(None, "q1 alpha", "a1")?;
        let second = world.turn(Some(first.conversation), "q2 beta", "a2")?;
        let branch = world.branch(first.conversation, second.run, ("q3", "b3"))?;
        let third = world.turn(Some(branch.conversation), "q4 gamma", "b4")?;
        let twig = world.branch(branch.conversation, third.run, ("q5", "c5"))?;
        world.delete(first.conversation)?;
        write(store, &world.messages).await?;
        let reader = world.reader;
        let read = async |id: nexus_contracts::ConversationId| {
            texts(store, reader, &id.to_string()).await
        };
        ensure!(read(first.conversation).await.is_err(), "it is gone");
        ensure!(read(branch.conversation).await? == ["q1 alpha", "a1", "q3", "b3", "q4 gamma", "b4"]);
        ensure!(said(store, &world, "beta").await? == 0, "nothing shows it");
        ensure!(list(store, world.reader).await?.last().context("two")?.parent.is_none());

        world.delete(branch.conversation)?;
        write(store, &world.messages).await?;
        ensure!(read(twig.conversation).await? == ["q1 alpha", "a1", "q3", "b3", "q5", "c5"]);
        ensure!(said(store, &world, "gamma").await? == 0, "nothing shows it");
        world.delete(twig.conversation)?;
        write(store, &world.messages).await?;
        ensure!(said(store, &world, "alpha").await? == 0, "nothing is left");
        Ok(())
    }

    async fn what_arrives_after_its_conversation_is_gone_still_reaches_a_branch(store: &Store) -> Result<()> {
        let mut world = World::new();
        let first = world.turn(None, "q1", "a1")?;
        let second = world.turn(Some(first.conversation), "q2 beta", "a2")?;
        let branch = world.branch(first.conversation, second.run, ("q3", "b3"))?;
        world.delete(first.conversation)?;
        // The short channel has been read to its end before the long ones are begun.
        let (told, rest): (Vec<_>, Vec<_>) = world.messages.iter().cloned()
            .partition(|one| one.channel == nexus_contracts::channels::CONVERSATIONS);
        for message in told.iter().chain(&rest) {
            write(store, std::slice::from_ref(message)).await?;
        }
        let shown = texts(store, world.reader, &branch.conversation.to_string()).await?;
        ensure!(shown == ["q1", "a1", "q3", "b3"], "{shown:?}");
        ensure!(said(store, &world, "beta").await? == 0, "nothing shows it");
        Ok(())
    }
}

/// How many rows hold a word, shown or not.
async fn said(store: &Store, world: &World, word: &str) -> Result<i64> {
    let tx = store.read(world.reader.org).await?;
    let sql = "SELECT COUNT(*) AS count FROM said WHERE org_id = $1 AND text LIKE $2";
    let values = vec![
        world.reader.org.to_string().into(),
        format!("%{word}%").into(),
    ];
    let rows = tx.query(sql, values).await?;
    Ok(rows.first().context("a count")?.get("count")?)
}
