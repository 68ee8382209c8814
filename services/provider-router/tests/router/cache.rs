//! Answers that will do again: found, and not found, over a real database.

use anyhow::{Context, Result, ensure};
use nexus_bus::{Entry, ReadFrom};
use nexus_contracts::chat::{ChatMessage, Role, ToolSpec};
use nexus_contracts::events::{InferenceCompleted, InferenceRequested, UsageRecorded};
use nexus_contracts::settings::{Caching, Privacy};
use nexus_contracts::{Envelope, Metadata, OrgId, RunId, channels, tables};
use nexus_provider_router::NAME;
use nexus_service_kit::{Clock, envelope_of};
use nexus_store::{Ledger, Migration};
use nexus_testkit::openai::{FakeOpenAi, Script, ToolCall};
use nexus_testkit::wait_until;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::keeper::{deleted, receipts};
use crate::world::{
    Database, PATIENCE, World, asking, on_every_database, text_of, world, world_on,
};

/// Whose questions these are.
const ORG: OrgId = OrgId(Uuid::from_u128(7));

/// Asks the fake one, for an organisation, in a conversation of its own.
struct Asking {
    command: Envelope,
    run: RunId,
}

fn asks(id: &str, text: &str, cache: Caching) -> Result<Asking> {
    let whose = |metadata: &mut Metadata| metadata.org_id = Some(ORG);
    let (command, run) = asking(id, text, Some("it"), whose)?;
    Asking { command, run }.with(|asked| asked.cache = cache)
}

fn exactly(id: &str) -> Result<Asking> {
    asks(id, "How tall is K2?", Caching::Exact)
}

impl Asking {
    fn with(self, change: impl FnOnce(&mut InferenceRequested)) -> Result<Self> {
        let Self { mut command, run } = self;
        let mut asked: InferenceRequested = command.decode()?;
        change(&mut asked);
        let same = Envelope::new(command.id.clone(), Clock::system().now(), &asked)?;
        command.payload = same.payload;
        Ok(Self { command, run })
    }
}

/// The answer to this, the `place`-th of all; the fake one has one to give if it is asked.
async fn ask(world: &World, place: usize, asking: &Asking) -> Result<InferenceCompleted> {
    if world.fake.left() == 0 {
        world.fake.push(Script::text("8,611 m"));
    }
    world.publish(&asking.command).await?;
    let (envelope, answer) = world.answer(place).await?;
    ensure!(envelope.metadata.causation_id.as_ref() == Some(&asking.command.id));
    answer.completed()
}

/// What it says of itself, if it was found.
fn note(answer: &InferenceCompleted) -> Option<&Value> {
    answer.metadata.get("cache")
}

fn kind(answer: &InferenceCompleted) -> Option<&str> {
    note(answer)?.get("kind")?.as_str()
}

/// How often somebody was paid for an answer, and for vectors.
async fn paid(world: &World) -> Result<(usize, usize)> {
    let read = world.deps.bus.read(channels::USAGE, ReadFrom::Start, 100);
    let decoded = |entry: &Entry| Ok(envelope_of(entry, channels::USAGE)?.decode()?);
    let usages: Result<Vec<UsageRecorded>> = read.await?.iter().map(decoded).collect();
    let usages = usages?;
    let vectors = |one: &&UsageRecorded| one.extra.get("operation") == Some(&json!("embeddings"));
    let vectors = usages.iter().filter(vectors).count();
    Ok((usages.len() - vectors, vectors))
}

on_every_database! {
    async fn the_same_question_is_answered_again_for_nothing(database: Database) -> Result<()> {
        let world = world_on(database, &[]).await?;
        let first = ask(&world, 1, &exactly("c1")?).await?;
        ensure!(note(&first).is_none(), "{first:?}");
        let second = exactly("c2")?;
        let again = ask(&world, 2, &second).await?;
        ensure!(again.message == first.message && again.finish_reason == first.finish_reason);
        ensure!((&again.provider, &again.model) == (&first.provider, &first.model));
        ensure!(note(&again) == Some(&json!({"kind": "exact", "age_seconds": 0})), "{again:?}");
        ensure!(again.usage.tokens() == 0 && again.usage.cost_microusd == Some(0), "{again:?}");
        ensure!(world.fake.received().len() == 1);
        ensure!(paid(&world).await? == (1, 0), "nothing more was paid");
        let heard = world.heard(second.run, "8,611 m").await?;
        ensure!(heard.len() == 1 && text_of(&heard) == "8,611 m", "{heard:?}");
        // Repeated, the command has the same result, as any other.
        world.publish(&second.command).await?;
        let results = world.results(3).await?;
        ensure!(results.get(1).map(|one| &one.record) == results.get(2).map(|one| &one.record));
        Ok(())
    }

    async fn it_is_erased_with_its_conversation(database: Database) -> Result<()> {
        let world = world_on(database, &[("cache.embedder", "demo")]).await?;
        world.fake.push(Script::text("one"));
        world.fake.push(Script::text("two"));
        let first = asks("c1", "How tall is K2?", Caching::Semantic)?;
        ask(&world, 1, &first).await?;
        world.tell(&[deleted("d1", &first.command.metadata)?]).await?;
        receipts(&world, 1).await?;
        let near = ask(&world, 2, &asks("c2", "how tall is K2", Caching::Semantic)?).await?;
        ensure!(near.message.content == "two" && note(&near).is_none(), "{near:?}");
        // What another conversation is told from now on is kept again.
        world.fake.push(Script::text("three"));
        let anew = ask(&world, 3, &exactly("c3")?).await?;
        ensure!(anew.message.content == "three", "{anew:?}");
        let found = ask(&world, 4, &exactly("c4")?).await?;
        ensure!(found.message.content == "three" && kind(&found) == Some("exact"), "{found:?}");
        Ok(())
    }
}

#[tokio::test]
async fn whatever_shapes_an_answer_makes_another_question() -> Result<()> {
    let world = world(&[]).await?;
    ask(&world, 1, &exactly("c1")?).await?;
    let tool = ToolSpec {
        name: "look".to_owned(),
        description: "Looks.".to_owned(),
        parameters: json!({"type": "object"}),
        extra: [].into(),
    };
    let mut elsewhere = exactly("c2")?;
    elsewhere.command.metadata.org_id = Some(OrgId(Uuid::from_u128(8)));
    let system = ChatMessage::text(Role::System, "Be brief.");
    let others = [
        elsewhere,
        exactly("c3")?.with(|asked| asked.tools.push(tool))?,
        exactly("c4")?.with(|asked| asked.messages.insert(0, system))?,
        exactly("c5")?.with(|asked| asked.parameters.temperature = Some(0.1))?,
        exactly("c6")?.with(|asked| asked.model = Some("other".to_owned()))?,
        exactly("c7")?.with(|asked| asked.cache = Caching::Off)?,
        exactly("c8")?.with(|asked| asked.privacy = Privacy::Sensitive)?,
        asks("c9", "how tall is K2?", Caching::Exact)?,
    ];
    for (place, other) in (2..).zip(&others) {
        let answer = ask(&world, place, other).await?;
        ensure!(note(&answer).is_none(), "{place}: {answer:?}");
        ensure!(world.fake.received().len() == place);
    }
    let same = ask(&world, 10, &exactly("c10")?).await?;
    ensure!(kind(&same) == Some("exact"), "{same:?}");
    Ok(())
}

#[tokio::test]
async fn an_edit_of_who_answers_makes_another_question_and_one_of_a_price_does_not() -> Result<()> {
    let world = world(&[("reload_every", "5ms")]).await?;
    let base_url = world.fake.base_url();
    let edit = async |more: &str, shows: &str| {
        world.edit(&format!(
            "default: it\nproviders:\n  it: {{type: openai, base_url: {base_url}, model: m{more}}}\n"
        ))?;
        wait_until(PATIENCE, "the edit", async || {
            let rows = world.deps.bus.table_list(tables::PROVIDERS).await?;
            let mut rows = rows.iter().map(|row| String::from_utf8_lossy(&row.value));
            Ok(rows.len() == 1 && rows.any(|row| row.contains(shows)))
        })
        .await
    };
    edit("", "\"model\":\"m\"").await?;
    ask(&world, 1, &exactly("c1")?).await?;
    edit(", models: [{name: m, price: {input: 3}}]", "\"input\":3").await?;
    let found = ask(&world, 2, &exactly("c2")?).await?;
    ensure!(kind(&found) == Some("exact"), "{found:?}");
    edit(", headers: {x-account: other}, models: [n]", "\"n\"").await?;
    let anew = ask(&world, 3, &exactly("c3")?).await?;
    ensure!(note(&anew).is_none(), "{anew:?}");
    ensure!(world.fake.received().len() == 2);
    Ok(())
}

#[tokio::test]
async fn an_answer_that_is_old_or_will_not_do_is_asked_for_anew() -> Result<()> {
    let world = world(&[("cache.ttl", "300ms")]).await?;
    world
        .fake
        .push(Script::tool_calls(&[ToolCall::new("1", "clock", "{}")], 8));
    ask(&world, 1, &exactly("c1")?).await?;
    ask(&world, 2, &exactly("c2")?).await?;
    ensure!(
        world.fake.received().len() == 2,
        "a call of a tool will not do"
    );
    // Found until its time is over.
    let anew = async {
        for place in 3.. {
            let answer = ask(&world, place, &exactly(&format!("c{place}"))?).await?;
            if note(&answer).is_none() {
                break;
            }
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, anew).await??;
    ensure!(world.fake.received().len() == 3);
    Ok(())
}

#[tokio::test]
async fn where_nothing_can_be_kept_or_looked_up_the_model_is_asked() -> Result<()> {
    const BROKEN: &[Migration] = &[Migration {
        version: 1,
        name: "no answers",
        sqlite: "CREATE TRIGGER broken BEFORE INSERT ON effect WHEN NEW.id LIKE 'cache:%' \
                 BEGIN SELECT RAISE(ABORT, 'broken'); END",
        postgres: "",
    }];
    let world = world(&[("cache.embedder", "keyless"), ("cache.patience", "500ms")]).await?;
    let store = world.deps.stores.open(NAME, Ledger::MIGRATIONS).await?;
    store.migrate("broken", BROKEN).await?;
    for (place, id) in (1..).zip(["c1", "c2"]) {
        let answer = ask(
            &world,
            place,
            &asks(id, "How tall is K2?", Caching::Semantic)?,
        )
        .await?;
        ensure!(note(&answer).is_none(), "{answer:?}");
    }
    ensure!(world.fake.received().len() == 2);
    Ok(())
}

#[tokio::test]
async fn a_message_that_means_the_same_is_found_and_one_that_does_not_is_not() -> Result<()> {
    let world = world(&[("cache.similarity", "0.7")]).await?;
    // Whoever is asked makes the vectors too.
    let asks = |id: &str, text: &str| {
        let asking = asks(id, text, Caching::Semantic)?;
        asking.with(|asked| asked.provider = Some("demo".to_owned()))
    };
    let first = ask(&world, 1, &asks("c1", "How do I cook 2 eggs?")?).await?;
    ensure!(paid(&world).await? == (1, 1));
    let near = "Please tell me how do I cook 2 eggs!";
    let found = ask(&world, 2, &asks("c2", near)?).await?;
    ensure!(
        found.message == first.message && found.provider == "demo",
        "{found:?}"
    );
    ensure!(
        kind(&found) == Some("semantic") && found.usage.tokens() == 0,
        "{found:?}"
    );
    ensure!(found.usage.cost_microusd == Some(0), "{found:?}");
    ensure!(
        found.metadata.get("provider.demo") == Some(&json!(true)),
        "{found:?}"
    );
    let similarity = note(&found).and_then(|note| note.get("similarity"));
    let similarity = similarity.and_then(Value::as_f64).context("how near")?;
    ensure!((0.7..=1.0).contains(&similarity), "{similarity}");
    ensure!(
        paid(&world).await? == (1, 2),
        "vectors are paid for, and told as what they are"
    );
    let system = ChatMessage::text(Role::System, "Be brief.");
    let mut elsewhere = asks("c3", near)?;
    elsewhere.command.metadata.org_id = Some(OrgId(Uuid::from_u128(8)));
    let others = [
        elsewhere,
        asks("c4", "How do I cook 3 eggs?")?,
        asks("c5", near)?.with(|asked| asked.cache = Caching::Exact)?,
        asks("c6", near)?.with(|asked| asked.messages.insert(0, system))?,
        asks("c7", near)?.with(|asked| asked.parameters.max_tokens = Some(90))?,
    ];
    for (place, other) in (3..).zip(&others) {
        let answer = ask(&world, place, other).await?;
        ensure!(note(&answer).is_none(), "{place}: {answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_may_not_leave_does_not_leave_to_be_compared() -> Result<()> {
    let world = world(&[("reload_every", "5ms"), ("cache.embedder", "far")]).await?;
    let far = FakeOpenAi::start().await?;
    let (here, there) = (world.fake.base_url(), far.base_url());
    world.edit(&format!(
        "default: it\nproviders:\n  it: {{type: openai, base_url: {here}, model: m}}\n  \
         far: {{type: openai, base_url: {there}, locality: remote, models: [{{name: v, embeds: true}}]}}\n"
    ))?;
    wait_until(PATIENCE, "the edit", async || {
        let rows = world.deps.bus.table_list(tables::PROVIDERS).await?;
        Ok(rows.iter().any(|row| row.key == "far"))
    })
    .await?;
    for (place, id) in (1..).zip(["c1", "c2"]) {
        let text = format!("My diagnosis, {id}?");
        let asking = asks(id, &text, Caching::Semantic)?;
        let asking = asking.with(|asked| asked.privacy = Privacy::LocalOnly)?;
        let answer = ask(&world, place, &asking).await?;
        ensure!(note(&answer).is_none(), "{answer:?}");
    }
    ensure!(far.received().is_empty(), "nothing has left");
    ask(&world, 3, &asks("c3", "The weather?", Caching::Semantic)?).await?;
    ensure!(
        far.received().len() == 1,
        "what is open may be compared there"
    );
    Ok(())
}

#[tokio::test]
async fn looking_up_does_not_use_up_what_the_answer_waits_for() -> Result<()> {
    let world = world(&[("reload_every", "5ms")]).await?;
    let base_url = world.fake.base_url();
    // Enough for the vector at once, and for the answer two seconds later.
    world.edit(&format!(
        "default: it\nproviders:\n  it: {{type: openai, base_url: {base_url}, model: m, \
         models: [m, {{name: v, embeds: true}}], limits: {{requests_per_minute: 10}}}}\n"
    ))?;
    wait_until(PATIENCE, "the edit", async || {
        Ok(world.deps.bus.table_list(tables::PROVIDERS).await?.len() == 1)
    })
    .await?;
    let question = asks("c1", "How tall is K2?", Caching::Semantic)?;
    world.publish(&question.command).await?;
    wait_until(PATIENCE, "the vector", async || {
        Ok(world.fake.received().len() == 1)
    })
    .await?;
    world.fake.push(Script::text("8,611 m"));
    let answer = world.answer(1).await?.1.completed()?;
    ensure!(answer.message.content == "8,611 m", "{answer:?}");
    let asked = world.fake.received();
    let vectors = asked.iter().filter(|one| one.body.get("input").is_some());
    ensure!((vectors.count(), asked.len()) == (1, 2), "{asked:?}");
    ensure!(paid(&world).await? == (1, 1), "both are told, each once");
    Ok(())
}

#[tokio::test]
async fn who_only_failed_to_look_up_did_not_fail_to_answer() -> Result<()> {
    let world = world(&[("cache.embedder", "keyless")]).await?;
    world.fake.push(Script::error(400, "no such parameter"));
    let question = asks("c1", "How tall is K2?", Caching::Semantic)?;
    world.publish(&question.command).await?;
    let failed = world.answer(1).await?.1.failed()?;
    let attempts = failed.extra.get("attempts").and_then(Value::as_array);
    let attempts = attempts.context("who failed")?;
    ensure!(
        attempts.iter().all(|one| one["provider"] == "it"),
        "{attempts:?}"
    );
    Ok(())
}
