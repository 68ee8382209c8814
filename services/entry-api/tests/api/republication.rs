//! What was accepted reaches the orchestrator, in order, whatever happens on the way.

use anyhow::Result;
use serde_json::json;

use crate::node::{Setup, accepted};

pub(crate) async fn a_message_nobody_answers_is_published_again(setup: Setup) -> Result<()> {
    let asked = setup.say("deaf").await?;
    let view = setup.ended(&asked.correlation_id).await?;
    assert_eq!(view.text.as_deref(), Some("deaf"));
    assert_eq!(
        setup.seen.texts(),
        ["deaf", "deaf"],
        "heard the second time, then no more"
    );
    setup.stop().await?;
    Ok(())
}

pub(crate) async fn messages_of_a_conversation_keep_their_order(setup: Setup) -> Result<()> {
    let first = setup.say("deaf 0").await?;
    for number in 1..5 {
        let body = json!({
            "text": format!("deaf {number}"),
            "conversation_id": first.conversation_id,
        });
        accepted(setup.post(&body).await?).await?;
    }
    setup.seen.until(|seen| seen.texts().len() >= 10).await?;
    let mut order = setup.seen.texts();
    order.dedup();
    assert_eq!(order, ["deaf 0", "deaf 1", "deaf 2", "deaf 3", "deaf 4"]);
    setup.stop().await?;
    Ok(())
}

pub(crate) async fn what_was_unanswered_when_the_process_ended_is_published_after_it_starts(
    setup: Setup,
) -> Result<()> {
    let asked = setup.say("never").await?;
    setup.seen.until(|seen| !seen.texts().is_empty()).await?;
    let place = setup.stop().await?;
    let before = place.seen.texts().len();
    let setup = place.start().await?;
    setup.seen.until(|seen| seen.texts().len() > before).await?;
    let path = format!("/v1/messages/{}", asked.correlation_id);
    let view: serde_json::Value = setup.get(&path).await?.json().await?;
    assert_eq!(view["status"], "queued");
    setup.stop().await?;
    Ok(())
}

pub(crate) async fn a_bus_that_lost_everything_loses_no_message(setup: Setup) -> Result<()> {
    let asked = setup.say("never").await?;
    setup.seen.until(|seen| !seen.texts().is_empty()).await?;
    let place = setup.stop().await?;
    for entry in std::fs::read_dir(place.folder.path())? {
        let path = entry?.path();
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        if name.is_some_and(|name| name.starts_with("bus.db")) {
            std::fs::remove_file(path)?;
        }
    }
    let before = place.seen.texts().len();
    let setup = place.start().await?;
    setup.seen.until(|seen| seen.texts().len() > before).await?;
    assert_eq!(
        setup.delete(&asked.correlation_id).await?.status().as_u16(),
        202
    );
    setup.stop().await?;
    Ok(())
}
