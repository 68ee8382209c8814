//! Streams that fail after their 200.

use anyhow::{Result, ensure};
use nexus_provider_router::provider::FailureClass;
use serde_json::json;

use crate::dialect::{KINDS, Kind};
use crate::routed::{outcomes, reply_to, take_up};
use crate::support::{Gate, Reply, Upstream, ask_of, question, registry};
use crate::world::{World, asking, quiet, world};

/// One provider of every kind, by its name, and the demo model.
async fn world_of(providers: &[(Kind, Upstream)], settings: &[(&str, &str)]) -> Result<World> {
    let mut all = vec![("reload_every", "5ms")];
    all.extend(settings);
    let world = world(&all).await?;
    let mut file = "default: demo\nproviders:\n  demo: {type: demo}\n".to_owned();
    for (kind, upstream) in providers {
        let (name, base_url) = (kind.name(), upstream.base_url());
        file += &format!("  {name}: {{type: {name}, base_url: \"{base_url}\", model: m}}\n");
    }
    take_up(&world, &file, &["anthropic", "demo", "gemini", "openai"]).await?;
    Ok(world)
}

/// litellm #26015: a 429 in the middle of a stream, with nobody to fall back to, kept a processor
/// busy for ever, and the gateway answered nobody any more.
#[tokio::test]
async fn a_limit_in_the_middle_of_a_stream_ends_the_call_at_once() -> Result<()> {
    let gate = Gate::closed();
    let mut providers = Vec::new();
    for kind in KINDS {
        let reply = Reply::events(kind.begun() + &kind.said("one "));
        // The connection stays: it is the error that ends the call.
        let reply = reply.wait_for(&gate, kind.limited()).left_open();
        providers.push((kind, Upstream::always(reply).await?));
    }
    let world = world_of(&providers, &[]).await?;
    for (kind, upstream) in &providers {
        let name = kind.name();
        let (command, run) = asking(name, "Hi", Some(name), |_| {})?;
        world.publish(&command).await?;
        world.heard(run, "one ").await?;
        gate.open();
        let failed = reply_to(&world, &command).await?.failed()?;
        ensure!(failed.code == "rate_limited", "{failed:?}");
        ensure!(failed.detail.contains("slow down"), "{failed:?}");
        upstream.is_left_by(1).await?;
        ensure!(upstream.asked() == 1, "{name} was asked again");
    }
    let (command, _) = asking("after", "Hello!", None, |_| {})?;
    world.publish(&command).await?;
    reply_to(&world, &command).await?.completed()?;
    Ok(())
}

/// litellm #26015, where nobody has heard a word and asking again is free: it has an end all the
/// same.
#[tokio::test]
async fn a_limit_in_the_middle_of_a_stream_is_not_run_into_for_ever() -> Result<()> {
    let mut providers = Vec::new();
    for kind in KINDS {
        let events = kind.begun() + &kind.said("one ") + &kind.limited();
        let reply = Reply::events(events).left_open();
        providers.push((kind, Upstream::always(reply).await?));
    }
    let world = world_of(&providers, &[("retries.tries", "2")]).await?;
    let mut commands = Vec::new();
    for kind in KINDS {
        let (command, _) = asking(kind.name(), "Hi", Some(kind.name()), |_| {})?;
        let command = quiet(command)?;
        world.publish(&command).await?;
        commands.push(command);
    }
    for (command, (kind, upstream)) in commands.iter().zip(&providers) {
        let failed = reply_to(&world, command).await?.failed()?;
        ensure!(failed.code == "rate_limited", "{kind:?}: {failed:?}");
        ensure!(failed.detail.contains("slow down"), "{kind:?}: {failed:?}");
        upstream.is_left_by(2).await?;
        let asked = upstream.asked();
        ensure!(asked == 2, "{kind:?} was asked {asked} times");
    }
    Ok(())
}

/// litellm #26015, for a refusal that asks for no wait: a key that may be used again at once is no
/// reason to do so without an end.
#[tokio::test]
async fn a_limit_without_a_wait_is_not_run_into_for_ever() -> Result<()> {
    // Variables that are set everywhere; what is in them goes no further than this process.
    for (keys, most) in [("PATH", 2), ("[PATH, HOME]", 4)] {
        let refused = Reply::json(429, "{\"error\":{\"message\":\"slow down\"}}");
        let upstream = Upstream::always(refused.header("retry-after", "0")).await?;
        let world = world(&[("reload_every", "5ms"), ("retries.tries", "2")]).await?;
        let base_url = upstream.base_url();
        let settings = format!("type: openai, base_url: \"{base_url}\", model: m");
        let file = format!("providers: {{it: {{{settings}, api_key_env: {keys}}}}}");
        take_up(&world, &file, &["it"]).await?;
        let soon = world.deps.clock.now().plus_millis(3_000);
        let (command, _) = asking("c1", "Hi", Some("it"), |metadata| {
            metadata.deadline = Some(soon);
        })?;
        world.publish(&command).await?;
        let failed = reply_to(&world, &command).await?.failed()?;
        let asked = upstream.asked();
        ensure!(
            failed.code == "rate_limited" && asked <= most,
            "{keys}: {asked} requests, and then: {failed:?}"
        );
    }
    Ok(())
}

/// litellm #26015, for an error that is not wrapped as usual: its name says what it is.
#[tokio::test]
async fn an_error_event_ends_the_call_whatever_its_shape() -> Result<()> {
    let bare = json!({ "message": "slow down", "type": "rate_limit_error", "code": 429 });
    let typed = json!({ "type": "error", "message": "slow down", "code": 429 });
    for (kind, error) in [
        (Kind::Anthropic, &typed),
        (Kind::OpenAi, &typed),
        (Kind::OpenAi, &bare),
    ] {
        let events =
            kind.begun() + &kind.said("one ") + &format!("event: error\ndata: {error}\n\n");
        let upstream = Upstream::always(Reply::events(events).left_open()).await?;
        let registry = registry(kind.name(), &upstream, ", timeouts: {idle: 1s}")?;
        let failure = ask_of(&registry, &question()).await?.failure()?;
        ensure!(
            failure.class == FailureClass::RateLimited,
            "{kind:?}: {:?}: {failure}",
            failure.class
        );
        ensure!(failure.detail.contains("slow down"), "{kind:?}: {failure}");
    }
    Ok(())
}

/// What becomes of the answer to the request of this number.
fn fate(kind: Kind, number: usize, gate: &Gate) -> Reply {
    let begun = Reply::events(kind.begun() + &kind.said("one "));
    match number {
        0 => begun.wait_for(gate, kind.overloaded()).left_open(),
        1 => begun.wait_for(gate, "").broken_off(),
        // As if it were whole, but nobody said that it is.
        2 => begun.wait_for(gate, ""),
        3 => Reply::events(kind.begun() + &kind.overloaded()).left_open(),
        _ => Reply::events(kind.answer("two ")),
    }
}

/// litellm #24004: an error in a stream of Anthropic's was passed on as it came, nobody else was
/// asked, and the request was logged as a success.
#[tokio::test]
async fn a_stream_that_breaks_after_its_200_is_no_success() -> Result<()> {
    let gate = Gate::closed();
    let mut providers = Vec::new();
    for kind in KINDS {
        let gate = gate.clone();
        let upstream = Upstream::start(move |number, _| fate(kind, number, &gate)).await?;
        providers.push((kind, upstream));
    }
    let world = world_of(&providers, &[]).await?;
    for (kind, upstream) in &providers {
        let name = kind.name();
        for number in 0..3 {
            let (command, run) = asking(&format!("{name}-{number}"), "Hi", Some(name), |_| {})?;
            world.publish(&command).await?;
            world.heard(run, "one ").await?;
            gate.open();
            let failed = reply_to(&world, &command).await?.failed()?;
            ensure!(failed.code == "provider_failed", "{number}: {failed:?}");
            ensure!(failed.provider.as_deref() == Some(name), "{failed:?}");
            let ended = outcomes(&world, &command, 1).await?;
            ensure!(ended == ["provider_failed"], "{name}, {number}: {ended:?}");
        }
        ensure!(upstream.asked() == 3, "{name} was asked again");
        // Before the first word it costs nothing to ask again, and only one of two is a success.
        let (command, _) = asking(&format!("{name}-again"), "Hi", Some(name), |_| {})?;
        world.publish(&command).await?;
        let completed = reply_to(&world, &command).await?.completed()?;
        ensure!(completed.message.content == "two ", "{completed:?}");
        let ended = outcomes(&world, &command, 2).await?;
        ensure!(ended == ["provider_failed", "completed"], "{ended:?}");
    }
    Ok(())
}
