//! What each kind of command is answered.

use anyhow::Result;
use futures::StreamExt;
use nexus_bus::LiveItem;
use nexus_contracts::channels;
use nexus_contracts::live::LiveEvent;
use nexus_service_kit::{Clock, outgoing};
use nexus_testkit::wait_until;
use std::sync::atomic::Ordering;

use crate::fixtures::{PATIENCE, World, completed, failed, kill};

#[tokio::test]
async fn a_result_belongs_to_its_command() -> Result<()> {
    let world = World::new().await?;
    let worker = world.worker(&[]).await?;
    let command = world.command("1", "math_solver", r#"{"expression":"37 * 43"}"#)?;
    let result = world.ask(&command).await?;
    let event = completed(&result)?;
    assert_eq!(event.result["result"], "1591");
    assert_eq!(
        (event.call_id.as_str(), event.name.as_str()),
        ("call-1", "math_solver")
    );
    assert_eq!(result.id, command.id.result("tool"));
    assert_eq!(result.correlation_id, command.correlation_id);
    assert_eq!(result.metadata.causation_id, Some(command.id));
    assert_eq!(result.metadata.run_id, command.metadata.run_id);
    assert_eq!(result.metadata.org_id, Some(world.org));
    assert_eq!(result.metadata.step, Some(2));
    kill(worker).await;
    Ok(())
}

#[tokio::test]
async fn refusals_say_what_to_do() -> Result<()> {
    let world = World::new().await?;
    let worker = world.worker(&[("disabled", "[current_time]")]).await?;
    let mut late = world.command("late", "math_solver", r#"{"expression":"1"}"#)?;
    late.metadata.deadline = Some(Clock::system().now().plus_millis(-1));
    for (command, code, word) in [
        (
            world.command("unknown", "no_such", "{}")?,
            "unknown_tool",
            "math_solver",
        ),
        (
            world.command("off", "current_time", "{}")?,
            "unknown_tool",
            "math_solver",
        ),
        (late, "deadline_exceeded", "deadline"),
        (
            world.command("args", "math_solver", r#"{"expression":1}"#)?,
            "bad_arguments",
            "expression",
        ),
        (
            world.command("fails", "math_solver", r#"{"expression":"1/0"}"#)?,
            "failed",
            "zero",
        ),
        (world.command("panics", "panics", "{}")?, "broken", "defect"),
    ] {
        let event = failed(&world.ask(&command).await?)?;
        assert_eq!(event.code, code, "{event:?}");
        assert!(event.detail.contains(word), "{event:?}");
        assert_eq!(event.call_id, format!("call-{}", command.id));
    }
    // The panic ended nothing but its call.
    let command = world.command("after", "math_solver", r#"{"expression":"1 + 1"}"#)?;
    completed(&world.ask(&command).await?)?;
    kill(worker).await;
    Ok(())
}

#[tokio::test]
async fn a_tool_that_does_not_return_is_stopped() -> Result<()> {
    let world = World::new().await?;
    let worker = world.worker(&[("default_timeout", "50ms")]).await?;
    let event = failed(&world.ask(&world.command("1", "gated", "{}")?).await?)?;
    assert_eq!(event.code, "timeout", "{event:?}");
    let event = failed(&world.ask(&world.command("2", "once", "{}")?).await?)?;
    assert!(
        event.code == "timeout" && event.detail.contains("may or may not"),
        "{event:?}"
    );
    let mut soon = world.command("3", "math_solver", r#"{"expression":"10^10^10"}"#)?;
    soon.metadata.deadline = Some(Clock::system().now().plus_millis(300));
    assert_eq!(failed(&world.ask(&soon).await?)?.code, "deadline_exceeded");
    wait_until(PATIENCE, "both calls to be dropped", async || {
        Ok(world.stage.dropped.load(Ordering::SeqCst) == 2)
    })
    .await?;
    kill(worker).await;
    Ok(())
}

#[tokio::test]
async fn a_cancelled_run_stops_its_calls_and_starts_none() -> Result<()> {
    let world = World::new().await?;
    let worker = world.worker(&[]).await?;
    let running = world.command("1", "gated", "{}")?;
    world.send(&running).await?;
    world.effects(1).await?;
    world.cancel(&running).await?;
    let results = world.results(1).await?;
    assert_eq!(failed(&results[0])?.code, "cancelled");
    wait_until(PATIENCE, "the tool to be stopped", async || {
        Ok(world.stage.dropped.load(Ordering::SeqCst) == 1)
    })
    .await?;
    let mut next = world.command("2", "gated", "{}")?;
    next.metadata.run_id = running.metadata.run_id;
    assert_eq!(failed(&world.ask(&next).await?)?.code, "cancelled");
    assert_eq!(world.stage.effects(), 1);
    kill(worker).await;
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_read_is_parked_and_answered() -> Result<()> {
    let world = World::new().await?;
    let worker = world.worker(&[]).await?;
    let mut broken = world.command("1", "gated", "{}")?;
    broken.payload = b"\xc1 not a payload".as_slice().into();
    let mut nobodys = world.command("2", "gated", "{}")?;
    nobodys.metadata.org_id = None;
    let commands = [&broken, &nobodys];
    for command in commands {
        world
            .bus
            .publish(vec![outgoing(channels::TOOLS_EXECUTE, command)])
            .await?;
    }
    let results = world.results(2).await?;
    for command in commands {
        let result = results
            .iter()
            .find(|result| result.id == command.id.result("tool"));
        let event = failed(result.expect("it is answered"))?;
        assert_eq!(event.code, "poisoned", "{event:?}");
    }
    assert_eq!(world.entries("tools.execute.dead").await?.len(), 2);
    assert_eq!(world.stage.effects(), 0);
    kill(worker).await;
    Ok(())
}

#[tokio::test]
async fn a_run_hears_of_its_calls_while_they_go_on() -> Result<()> {
    let world = World::new().await?;
    let worker = world.worker(&[]).await?;
    let good = world.command("1", "math_solver", r#"{"expression":"6 * 7"}"#)?;
    let run = good.metadata.run_id.expect("the command has a run");
    let mut bad = world.command("2", "math_solver", "not json")?;
    bad.metadata.run_id = Some(run);
    world.ask(&good).await?;
    world.ask(&bad).await?;
    let reports = world
        .bus
        .live_subscribe(&run.live_topic(), 0)
        .await?
        .take(4)
        .collect::<Vec<_>>();
    let reports = tokio::time::timeout(PATIENCE, reports).await?;
    let mut told = Vec::new();
    for report in reports {
        let LiveItem::Entry { data, .. } = report else {
            anyhow::bail!("nothing was lost")
        };
        let LiveEvent::Tool {
            step,
            call_id,
            name,
            status,
            detail,
        } = serde_json::from_slice(&data)?
        else {
            anyhow::bail!("only tools report here")
        };
        assert_eq!((step, name.as_str()), (2, "math_solver"));
        told.push((call_id, status, detail));
    }
    let [started, ended, wrong, refused] = told.as_slice() else {
        anyhow::bail!("{told:?}")
    };
    assert_eq!(
        (started.0.as_str(), started.1.as_str()),
        ("call-1", "started")
    );
    assert_eq!(started.2["expression"], "6 * 7");
    assert_eq!(
        (ended.1.as_str(), &ended.2["result"]),
        ("completed", &"42".into())
    );
    assert_eq!(
        (wrong.1.as_str(), &wrong.2),
        ("started", &"not json".into())
    );
    assert_eq!(
        (refused.1.as_str(), &refused.2["code"]),
        ("failed", &"bad_arguments".into())
    );
    kill(worker).await;
    Ok(())
}
