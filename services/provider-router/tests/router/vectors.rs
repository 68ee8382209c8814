//! `embedding.requested`: carried out as questions are.

use anyhow::{Context, Result, ensure};
use nexus_bus::{Entry, ReadFrom};
use nexus_contracts::events::{
    EmbeddingCompleted, EmbeddingFailed, EmbeddingRequested, Event, UsageRecorded,
};
use nexus_contracts::settings::Privacy;
use nexus_contracts::{Envelope, Extra, MessageId, channels, tables};
use nexus_service_kit::{Clock, RequestTiming, envelope_of, request};
use nexus_testkit::openai::{FakeOpenAi, Script};
use nexus_testkit::{wait_for, wait_until};
use serde_json::{Value, json};

use crate::cancel::cancel;
use crate::keeper::{deleted, receipts};
use crate::world::{Database, PATIENCE, World, asking, on_every_database, world, world_on};

/// These texts to somebody.
pub(crate) fn texts(id: &str, input: &[&str], provider: Option<&str>) -> Result<Envelope> {
    let asked = EmbeddingRequested {
        input: input.iter().map(|text| (*text).to_owned()).collect(),
        provider: provider.map(str::to_owned),
        model: None,
        dimensions: None,
        privacy: Privacy::Open,
        extra: Extra::new(),
    };
    put(asking(id, "", None, |_| {})?.0, &asked)
}

/// The same command, asking this.
fn put(of: Envelope, asked: &EmbeddingRequested) -> Result<Envelope> {
    let id: MessageId = of.id.clone();
    let new = Envelope::new(id, Clock::system().now(), asked)?;
    Ok(new.correlated(of.correlation_id).with_metadata(of.metadata))
}

fn changed(command: Envelope, change: impl FnOnce(&mut EmbeddingRequested)) -> Result<Envelope> {
    let mut asked: EmbeddingRequested = command.decode()?;
    change(&mut asked);
    put(command, &asked)
}

pub(crate) async fn answers(world: &World, count: usize) -> Result<Vec<Entry>> {
    wait_for(PATIENCE, "vectors", async || {
        let bus = &world.deps.bus;
        let read = bus.read(channels::EMBEDDING_RESPONSE, ReadFrom::Start, 100);
        let entries = read.await?;
        Ok((entries.len() >= count).then_some(entries))
    })
    .await
}

/// Asks, and waits for as many answers as there are then; gives the last one.
pub(crate) async fn ask(world: &World, command: &Envelope, count: usize) -> Result<Envelope> {
    world.publish(command).await?;
    let entry = answers(world, count).await?.pop().context("an answer")?;
    let answer = envelope_of(&entry, channels::EMBEDDING_RESPONSE)?;
    ensure!(answer.id == command.id.result("embedding"));
    ensure!(answer.metadata.causation_id.as_ref() == Some(&command.id));
    Ok(answer)
}

pub(crate) fn made(answer: &Envelope) -> Result<EmbeddingCompleted> {
    ensure!(
        answer.event_type == EmbeddingCompleted::TYPE,
        "{}",
        answer.payload_json()?
    );
    Ok(answer.decode()?)
}

pub(crate) fn refused(answer: &Envelope) -> Result<EmbeddingFailed> {
    ensure!(answer.event_type == EmbeddingFailed::TYPE);
    Ok(answer.decode()?)
}

/// `first` and `second` behind the route `chain`, and Anthropic, which makes none.
async fn chain() -> Result<(World, FakeOpenAi)> {
    let world = world(&[("reload_every", "5ms")]).await?;
    let second = FakeOpenAi::start().await?;
    let (one, other) = (world.fake.base_url(), second.base_url());
    let text = format!(
        "default: chain\nproviders:\n  first: {{type: openai, base_url: {one}, model: m1, \
         models: [m1, {{name: text-embedding-3-small, embeds: true}}]}}\n  \
         second:\n    type: openai\n    base_url: {other}\n    locality: remote\n    model: m2\n    \
         models: [m2, {{name: v2, embeds: true, price: {{input: 2}}}}]\n  \
         blind: {{type: anthropic, base_url: {one}}}\n  \
         never: {{type: openai, base_url: {one}, models: [{{name: m3, embeds: false}}]}}\n\
         routes:\n  chain: {{targets: [{{provider: first, model: m1}}, {{provider: first, model: other}}, \
         {{provider: second}}]}}\n  nowhere: {{targets: [{{provider: blind}}]}}\n"
    );
    world.edit(&text)?;
    wait_until(PATIENCE, "the chain", async || {
        let rows = world.deps.bus.table_list(tables::PROVIDERS).await?;
        Ok(rows.iter().any(|row| row.key == "chain") && rows.len() == 6)
    })
    .await?;
    Ok((world, second))
}

pub(crate) async fn usages(world: &World, count: usize) -> Result<Vec<(String, UsageRecorded)>> {
    let entries = wait_for(PATIENCE, "usages", async || {
        let read = world.deps.bus.read(channels::USAGE, ReadFrom::Start, 100);
        let entries = read.await?;
        Ok((entries.len() >= count).then_some(entries))
    })
    .await?;
    let usages = entries.iter().map(|entry| {
        let envelope = envelope_of(entry, channels::USAGE)?;
        Ok((envelope.id.as_str().to_owned(), envelope.decode()?))
    });
    usages.collect()
}

#[tokio::test]
async fn the_demo_makes_vectors_and_needs_no_network() -> Result<()> {
    let world = world(&[]).await?;
    let command = texts("c1", &["Hello!", "hello", "Who?"], None)?;
    let made = made(&ask(&world, &command, 1).await?)?;
    ensure!((made.provider.as_str(), made.model.as_str()) == ("demo", "demo-embed-1"));
    ensure!(made.embeddings.iter().map(Vec::len).eq([256; 3]));
    let [one, other, third] = made.embeddings.as_slice() else {
        anyhow::bail!("three vectors");
    };
    ensure!(one == other && one != third);
    ensure!(made.usage.input_tokens > 0);
    let short = changed(texts("c2", &["Hello!"], None)?, |asked| {
        asked.dimensions = Some(8);
    })?;
    let made = self::made(&ask(&world, &short, 2).await?)?;
    ensure!(made.embeddings.iter().map(Vec::len).eq([8]));
    Ok(())
}

#[tokio::test]
async fn what_cannot_become_a_vector_is_refused_in_words() -> Result<()> {
    let (world, _second) = chain().await?;
    let many = vec!["text"; 2049];
    let cases: [(&[&str], Option<&str>, &str, &str); 6] = [
        (&[], None, "bad_request", "at least one"),
        (&["a", " "], None, "bad_request", "`input[1]` is empty"),
        (&many, None, "bad_request", "at most 2048"),
        (
            &["a"],
            Some("nobody"),
            "unknown_provider",
            "there is no provider `nobody`",
        ),
        (
            &["a"],
            Some("blind"),
            "unsupported",
            "cannot turn texts into vectors",
        ),
        (
            &["a"],
            Some("nowhere"),
            "unsupported",
            "cannot turn texts into vectors",
        ),
    ];
    for (count, (input, provider, code, says)) in (1..).zip(cases) {
        let command = texts(&format!("c{count}"), input, provider)?;
        let failed = refused(&ask(&world, &command, count).await?)?;
        ensure!(failed.code == code && !failed.retryable, "{failed:?}");
        ensure!(failed.detail.contains(says), "{failed:?}");
    }
    let no_such = changed(texts("c9", &["a"], Some("never"))?, |asked| {
        asked.model = Some("m3".to_owned());
    })?;
    let failed = refused(&ask(&world, &no_such, 7).await?)?;
    ensure!(failed.code == "unsupported", "{failed:?}");
    ensure!(world.fake.received().is_empty(), "nobody was asked");
    Ok(())
}

#[tokio::test]
async fn a_command_nobody_can_read_is_answered_as_what_it_is() -> Result<()> {
    let world = world(&[]).await?;
    let mut command = texts("c1", &["a"], None)?;
    command.metadata.org_id = None;
    let failed = refused(&ask(&world, &command, 1).await?)?;
    ensure!(failed.code == "bad_request", "{failed:?}");
    ensure!(failed.detail.contains("org_id"), "{failed:?}");
    Ok(())
}

#[tokio::test]
async fn the_next_provider_makes_them_when_the_first_cannot() -> Result<()> {
    let (world, second) = chain().await?;
    world.fake.push(Script::error(401, "who are you"));
    let made = made(&ask(&world, &texts("c1", &["a", "bcd"], None)?, 1).await?)?;
    ensure!(
        (made.provider.as_str(), made.model.as_str()) == ("second", "v2"),
        "{made:?}"
    );
    ensure!(made.embeddings == [[1.0, 1.0], [3.0, 1.0]], "{made:?}");
    ensure!(made.extra.get("route") == Some(&json!("chain")));
    let attempts = made.extra.get("attempts").and_then(Value::as_array);
    let attempts = attempts.context("who failed")?;
    ensure!(
        attempts.len() == 1
            && attempts
                .iter()
                .all(|one| one["model"] == "text-embedding-3-small"),
        "two targets for answers share one model for vectors: {attempts:?}"
    );
    ensure!(
        second
            .received()
            .iter()
            .all(|one| one.body["model"] == "v2")
    );
    let usages = usages(&world, 2).await?;
    let [(_, failed), (_, paid)] = usages.as_slice() else {
        anyhow::bail!("two attempts");
    };
    ensure!((failed.outcome.as_str(), paid.outcome.as_str()) == ("unauthorized", "completed"));
    ensure!(
        paid.extra.get("operation") == Some(&json!("embeddings")),
        "{paid:?}"
    );
    // Four bytes are four tokens of the fake one, at 2 dollars a million.
    ensure!(
        paid.usage.input_tokens == 4 && paid.usage.cost_microusd == Some(8),
        "{paid:?}"
    );
    ensure!(made.usage == paid.usage);
    Ok(())
}

#[tokio::test]
async fn what_passes_is_tried_again_in_rounds() -> Result<()> {
    let world = world(&[]).await?;
    world.fake.push(Script::error(500, "broken"));
    world.fake.push(Script::rate_limited(0));
    let made = made(&ask(&world, &texts("c1", &["a"], Some("it"))?, 1).await?)?;
    ensure!(made.provider == "it", "{made:?}");
    ensure!(world.fake.received().len() == 3);
    Ok(())
}

#[tokio::test]
async fn texts_that_may_not_leave_go_to_those_who_are_here() -> Result<()> {
    let (world, second) = chain().await?;
    let private = |id: &str, provider| {
        let command = texts(id, &["My diagnosis"], provider)?;
        changed(command, |asked| asked.privacy = Privacy::Sensitive)
    };
    let failed = refused(&ask(&world, &private("c1", Some("second"))?, 1).await?)?;
    ensure!(
        failed.code == "privacy_refused" && !failed.retryable,
        "{failed:?}"
    );
    let made = made(&ask(&world, &private("c2", None)?, 2).await?)?;
    ensure!(made.provider == "first", "{made:?}");
    world.fake.push(Script::error(401, "who are you"));
    let failed = refused(&ask(&world, &private("c3", None)?, 3).await?)?;
    ensure!(failed.code == "unauthorized", "{failed:?}");
    ensure!(second.received().is_empty(), "nothing has left");
    Ok(())
}

#[tokio::test]
async fn a_cancelled_run_and_a_deadline_end_them() -> Result<()> {
    let world = world(&[]).await?;
    world.fake.push(Script::hang());
    let mut command = texts("c1", &["a"], Some("it"))?;
    world.publish(&command).await?;
    world.fake.wait_received(PATIENCE, 1).await?;
    cancel(&world, command.metadata.run_id.context("a run")?).await?;
    let answer = answers(&world, 1).await?.pop().context("an answer")?;
    let failed = refused(&envelope_of(&answer, channels::EMBEDDING_RESPONSE)?)?;
    ensure!(failed.code == "cancelled", "{failed:?}");
    wait_until(PATIENCE, "the connection to be closed", async || {
        Ok(world.fake.hung_up() == 1)
    })
    .await?;
    let usages = usages(&world, 1).await?;
    let (_, aborted) = usages.first().context("what it took")?;
    ensure!(
        aborted.outcome == "aborted" && aborted.estimated,
        "{aborted:?}"
    );

    world.fake.push(Script::hang());
    let now = world.deps.clock.now();
    for (place, (id, patience)) in (2..).zip([("c2", 300), ("c3", -1)]) {
        command = texts(id, &["a"], Some("it"))?;
        command.metadata.deadline = Some(now.plus_millis(patience));
        let failed = refused(&ask(&world, &command, place).await?)?;
        ensure!(failed.code == "deadline_exceeded", "{failed:?}");
    }
    ensure!(world.fake.received().len() == 2, "nobody is asked too late");
    Ok(())
}

#[tokio::test]
async fn who_fails_again_and_again_is_left_alone_for_vectors_too() -> Result<()> {
    let world = world(&[("reload_every", "5ms")]).await?;
    let url = world.fake.base_url();
    let text = format!(
        "default: it\nproviders:\n  it: {{type: openai, base_url: \"{url}\", model: v, \
         models: [{{name: v, embeds: true}}], breaker: {{failures: 1, cooldown: 1h, max_cooldown: 1h}}}}\n  demo: {{type: demo}}\nroutes:\n  \
         chain: {{targets: [{{provider: it}}, {{provider: demo}}]}}\n"
    );
    world.edit(&text)?;
    wait_until(PATIENCE, "the chain", async || {
        let rows = world.deps.bus.table_list(tables::PROVIDERS).await?;
        Ok(rows.iter().any(|row| row.key == "chain") && rows.len() == 3)
    })
    .await?;
    world.fake.push(Script::error(500, "broken"));
    for place in [1, 2] {
        let command = texts(&format!("c{place}"), &["a"], Some("chain"))?;
        let made = made(&ask(&world, &command, place).await?)?;
        ensure!(made.provider == "demo", "{made:?}");
    }
    ensure!(world.fake.received().len() == 1, "asked though left alone");
    Ok(())
}

#[tokio::test]
async fn who_asks_live_is_answered_live() -> Result<()> {
    let world = world(&[]).await?;
    let command = texts("c1", &["Hello!"], None)?;
    let (bus, clock) = (&world.deps.bus, &world.deps.clock);
    let timing = RequestTiming::default();
    let reply = request(bus, clock, channels::INFERENCE_REQUEST, command, timing).await?;
    ensure!(made(&reply)?.embeddings.len() == 1);
    Ok(())
}

on_every_database! {
    async fn a_repeated_command_has_the_same_vectors_and_is_paid_for_once(
        database: Database
    ) -> Result<()> {
        let world = world_on(database, &[]).await?;
        let command = texts("c1", &["one", "three"], Some("it"))?;
        made(&ask(&world, &command, 1).await?)?;
        made(&ask(&world, &command, 2).await?)?;
        let answers = answers(&world, 2).await?;
        let records: Vec<_> = answers.iter().map(|entry| &entry.record).collect();
        ensure!(records.first() == records.get(1), "the same, under the same id");
        ensure!(world.fake.received().len() == 1);
        let usages = usages(&world, 2).await?;
        ensure!(usages.first() == usages.get(1), "{usages:?}");
        Ok(())
    }

    async fn vectors_of_a_deleted_conversation_are_erased(database: Database) -> Result<()> {
        let world = world_on(database, &[]).await?;
        let command = texts("c1", &["a secret"], Some("it"))?;
        made(&ask(&world, &command, 1).await?)?;
        world.tell(&[deleted("d1", &command.metadata)?]).await?;
        receipts(&world, 1).await?;
        world.publish(&command).await?;
        // Whatever comes after it is answered; it is not.
        let next = texts("c2", &["b"], Some("it"))?;
        made(&ask(&world, &next, 2).await?)?;
        ensure!(answers(&world, 2).await?.len() == 2);
        ensure!(world.fake.received().len() == 2);
        Ok(())
    }
}
