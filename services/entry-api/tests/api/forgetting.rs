//! What has ended is not kept for ever.

use anyhow::Result;
use nexus_testkit::wait_until;

use crate::node::{PATIENCE, Setup};

/// Everything that has ended is old at once.
const AT_ONCE: [(&str, &str); 2] = [("retention", "0s"), ("prune_every", "100ms")];

async fn until_rows(setup: &Setup, table: &str, rows: i64) -> Result<()> {
    wait_until(PATIENCE, "what has ended to be forgotten", async || {
        Ok(setup.rows(table).await? == rows)
    })
    .await
}

pub(crate) async fn what_has_ended_is_forgotten_after_a_while(setup: Setup) -> Result<()> {
    for text in ["one", "two", "fail"] {
        let asked = setup.say(text).await?;
        setup.ended(&asked.correlation_id).await?;
    }
    let asked = setup.say("approve this").await?;
    setup.open_approvals(1).await?;
    setup
        .delete(&asked.correlation_id)
        .await?
        .error_for_status()?;
    setup.ended(&asked.correlation_id).await?;
    assert_eq!(setup.rows("approval").await?, 1);
    let setup = setup.stop().await?.start_with(&AT_ONCE).await?;
    for table in ["message", "answer", "approval"] {
        until_rows(&setup, table, 0).await?;
    }
    setup.stop().await?;
    Ok(())
}

pub(crate) async fn what_goes_on_is_not_forgotten(setup: Setup) -> Result<()> {
    let waits = setup.say("approve this").await?;
    setup.open_approvals(1).await?;
    let ended = setup.say("one").await?;
    setup.ended(&ended.correlation_id).await?;
    let setup = setup.stop().await?.start_with(&AT_ONCE).await?;
    // The one that ended goes, so those that stay have been looked at.
    until_rows(&setup, "message", 1).await?;
    assert_eq!(setup.open_approvals(1).await?[0].run_id, waits.run_id);
    let path = format!("/v1/messages/{}", waits.correlation_id);
    assert_eq!(setup.get(&path).await?.status().as_u16(), 200);
    setup.stop().await?;
    Ok(())
}
