//! Two recorders on one `PostgreSQL`, each with half of the messages, at the same time.

use anyhow::{Result, ensure};
use nexus_contracts::events::{ConversationBranched, Event};
use nexus_recorder::write::write;
use tokio::task::JoinSet;

use crate::picture::picture;
use crate::world::{World, open};

/// How often; a race is not lost every time.
const ROUNDS: i64 = 20;

/// A parent that is deleted while its branch lives, and a conversation deleted for good.
fn history(round: i64) -> Result<World> {
    let mut world = World::new();
    world.now = round * 100_000;
    let parent = world.turn(None, "alpha", "beta")?;
    let replaced = world.turn(Some(parent.conversation), "gamma", "delta")?;
    world.branch(parent.conversation, replaced.run, ("omega", "beta"))?;
    let other = world.turn(None, "alpha", "gamma")?;
    world.delete(other.conversation)?;
    world.delete(parent.conversation)?;
    Ok(world)
}

#[tokio::test]
async fn two_recorders_write_what_one_would() -> Result<()> {
    let server = nexus_testkit::postgres().await?;
    let url = server.fresh_database().await?;
    let (one, other) = (open(&url).await?, open(&url).await?);
    let alone = open("sqlite::memory:").await?;
    for round in 0..ROUNDS {
        let world = history(round)?;
        write(&alone, &world.messages).await?;
        let (first, rest): (Vec<_>, Vec<_>) = world
            .messages
            .into_iter()
            .partition(|message| message.envelope.event_type == ConversationBranched::TYPE);
        write(&one, &first).await?;
        let mut tasks = JoinSet::new();
        for (message, store) in rest.into_iter().zip([&one, &other].into_iter().cycle()) {
            let store = store.clone();
            tasks.spawn(async move { write(&store, &[message]).await });
        }
        while let Some(written) = tasks.join_next().await {
            written??;
        }
    }
    let reader = World::new().reader;
    // What a trace says of messages depends on when they came.
    let models = |text: String| {
        text.lines()
            .filter(|line| !line.contains("\"runs\""))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (expected, found) = (
        models(picture(&alone, reader).await?),
        models(picture(&one, reader).await?),
    );
    ensure!(found == expected, "{found:#?}\n{expected:#?}");
    for table in ["archive", "said", "run", "conversation"] {
        let count = async |store: &nexus_store::Store| -> Result<i64> {
            let tx = store.read(reader.org).await?;
            let sql = format!("SELECT COUNT(*) AS count FROM {table} WHERE org_id = $1");
            let rows = tx.query(&sql, vec![reader.org.to_string().into()]).await?;
            Ok(rows
                .first()
                .map(|row| row.get("count"))
                .transpose()?
                .unwrap_or_default())
        };
        let (expected, found) = (count(&alone).await?, count(&other).await?);
        ensure!(
            found == expected,
            "{table}: {found} rows and not {expected}"
        );
    }
    Ok(())
}
