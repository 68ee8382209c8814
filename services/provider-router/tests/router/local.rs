//! Models that run here: commands to inference workers over the bus, their answers, and what is done when
//! a worker is away, dies or says something else.

mod vectors;

use std::collections::VecDeque;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use nexus_contracts::chat::{ChatMessage, FinishReason, Role, Usage};
use nexus_contracts::events::{
    EmbeddingRequested, InferenceCompleted, InferenceFailed, InferenceRequested,
};
use nexus_contracts::live::{Cancelled, LiveEvent};
use nexus_contracts::{Envelope, Event, Extra, Metadata, RunId, channels, tables};
use nexus_service_kit::{
    Clock, ConsumerSpec, Deps, Failure, Handler, Message, Outcome, TableView, WorkerInfo,
    consume_each, outgoing, put_table, report,
};
use nexus_testkit::{wait_for, wait_until};
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::Notify;

use crate::world::{PATIENCE, World, asking, world};

/// What a worker does with a command, in turn.
#[derive(Clone)]
enum Act {
    Say(&'static str),
    /// As one that begins anew.
    Begin(&'static str),
    Answer(&'static str),
    /// This vector for each of these many texts.
    Embed(usize, &'static [f32]),
    Fail(&'static str),
    /// Until it is cancelled.
    Hang,
    /// Until the test has heard what was said.
    Wait,
}

/// A worker that does as it is told.
struct Scripted {
    deps: Deps,
    scripts: Mutex<VecDeque<Vec<Act>>>,
    asked: Mutex<Vec<Envelope>>,
    cancelled: TableView<Cancelled>,
    heard: Notify,
}

impl Scripted {
    async fn start(world: &World, scripts: &[&[Act]]) -> Result<Arc<Self>> {
        let deps = world.deps.clone();
        let scripted = Arc::new(Self {
            scripts: Mutex::new(scripts.iter().map(|acts| acts.to_vec()).collect()),
            asked: Mutex::default(),
            cancelled: TableView::watch(&deps, tables::RUNS_CANCELLED).await,
            deps: deps.clone(),
            heard: Notify::new(),
        });
        let spec = ConsumerSpec::new(channels::INFERENCE_LOCAL, "inference-worker");
        consume_each(&deps, spec, Arc::clone(&scripted));
        announce(&deps, State::Ready).await?;
        Ok(scripted)
    }

    async fn is_cancelled(&self, run: RunId) {
        let mut changes = self.cancelled.changed();
        while !self.cancelled.contains(&run.to_string()) {
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    fn asked(&self) -> Vec<Envelope> {
        self.asked.lock().clone()
    }
}

/// What a worker says of itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    Loading,
}

async fn announce(deps: &Deps, state: State) -> Result<()> {
    let info = WorkerInfo {
        worker: "w1".to_owned(),
        version: "0".to_owned(),
        services: vec!["inference-worker".to_owned()],
        consumes: vec![channels::INFERENCE_LOCAL.to_owned()],
        permits: 1,
        ready: state == State::Ready,
        health: Vec::new(),
        host: "here".to_owned(),
        pid: 1,
        started_at: deps.clock.now(),
        seen_at: deps.clock.now(),
        http: ([127, 0, 0, 1], 1).into(),
        admin: ([127, 0, 0, 1], 1).into(),
    };
    Ok(put_table(&deps.bus, tables::WORKERS, "w1", &info).await?)
}

#[async_trait]
impl Handler for Scripted {
    async fn handle(&self, message: Message) -> Outcome {
        let command = &message.envelope;
        self.asked.lock().push(command.clone());
        let org = command.metadata.org_id;
        let org = org.ok_or_else(|| Failure::reject("no organisation"))?;
        let run = RunId::of(org, channels::INFERENCE_LOCAL, &command.id);
        let acts = self.scripts.lock().pop_front().unwrap_or_default();
        for act in acts {
            let text = |text: &str| text.to_owned();
            match act {
                Act::Say(said) => {
                    let event = LiveEvent::Delta {
                        step: 1,
                        text: text(said),
                    };
                    report(&self.deps.bus, run, &event).await;
                }
                Act::Begin(said) => {
                    let event = LiveEvent::Snapshot {
                        step: 1,
                        text: text(said),
                    };
                    report(&self.deps.bus, run, &event).await;
                }
                Act::Answer(whole) => return result(command, &completed(whole)),
                Act::Embed(count, vector) => {
                    return result(command, &vectors::embedded(vec![vector.to_vec(); count]));
                }
                Act::Fail(code) => return fail(command, code),
                Act::Hang => {
                    self.is_cancelled(run).await;
                    return fail(command, "cancelled");
                }
                Act::Wait => self.heard.notified().await,
            }
        }
        Err(Failure::reject("nothing is left to do"))
    }
}

fn result(command: &Envelope, event: &impl Event) -> Outcome {
    let metadata = Metadata {
        causation_id: Some(command.id.clone()),
        ..command.metadata.clone()
    };
    let envelope = Envelope::new(command.id.result("it"), Clock::system().now(), event);
    let envelope = envelope.map_err(|error| Failure::reject(error.to_string()))?;
    let envelope = envelope.with_metadata(metadata);
    Ok(vec![outgoing(channels::INFERENCE_LOCAL_RESULTS, &envelope)])
}

fn fail(command: &Envelope, code: &str) -> Outcome {
    if command.event_type == EmbeddingRequested::TYPE {
        result(command, &vectors::failed(code))
    } else {
        result(command, &failed(code))
    }
}

fn completed(text: &str) -> InferenceCompleted {
    InferenceCompleted {
        message: ChatMessage::text(Role::Assistant, text),
        finish_reason: FinishReason::Stop,
        usage: Usage::of(3, 2),
        provider: "local".to_owned(),
        model: "tiny".to_owned(),
        duration_ms: 1,
        metadata: Extra::from([("gpu_seconds".to_owned(), json!(0.5))]),
        extra: Extra::new(),
    }
}

fn failed(code: &str) -> InferenceFailed {
    InferenceFailed {
        code: code.to_owned(),
        detail: format!("it is {code}"),
        retryable: code == "provider_failed",
        provider: None,
        extra: Extra::new(),
    }
}

/// A router with `local`, which is short of patience, and `chain`, which falls over to the fake one.
async fn with_local() -> Result<World> {
    let world = world(&[("reload_every", "5ms")]).await?;
    let base_url = world.fake.base_url();
    let text = format!(
        "default: local\nproviders:\n  local:\n    type: local\n    timeouts: {{idle: 300ms}}\n  \
         it: {{type: openai, base_url: \"{base_url}\", model: m, models: [m, {{name: v, embeds: true}}]}}\nroutes:\n  \
         chain: {{targets: [{{provider: local}}, {{provider: it}}]}}\n"
    );
    world.edit(&text)?;
    wait_until(PATIENCE, "the providers", async || {
        let rows = world.deps.bus.table_list(tables::PROVIDERS).await?;
        Ok(rows.iter().any(|row| row.key == "chain") && rows.len() == 3)
    })
    .await?;
    Ok(world)
}

#[tokio::test]
async fn a_worker_answers_and_is_heard_meanwhile() -> Result<()> {
    let world = with_local().await?;
    let acts = [
        Act::Begin(""),
        Act::Say("Once "),
        Act::Say("upon"),
        Act::Answer("Once upon"),
    ];
    let worker = Scripted::start(&world, &[&acts]).await?;
    let (question, run) = asking("c1", "Tell.", Some("local"), |_| {})?;
    let answer = world.ask(&question).await?.completed()?;
    ensure!(answer.message.content == "Once upon" && answer.provider == "local");
    ensure!(answer.model == "tiny" && answer.metadata.get("gpu_seconds") == Some(&json!(0.5)));
    ensure!(answer.usage.output_tokens == 2, "{:?}", answer.usage);
    world.heard(run, "Once upon").await?;

    let asked = worker.asked();
    let [command] = asked.as_slice() else {
        anyhow::bail!("{} commands", asked.len());
    };
    ensure!(command.id != question.id, "an attempt has an id of its own");
    let (of, to) = (&question.metadata, &command.metadata);
    ensure!(to.causation_id.as_ref() == Some(&question.id));
    ensure!((to.org_id, to.run_id) == (of.org_id, of.run_id));
    ensure!(to.deadline.is_some() && command.correlation_id == question.correlation_id);
    let asked: InferenceRequested = command.decode()?;
    ensure!(
        asked.model.is_none(),
        "the worker chooses: {:?}",
        asked.model
    );
    Ok(())
}

#[tokio::test]
async fn where_no_worker_is_ready_the_next_answers_at_once() -> Result<()> {
    let world = with_local().await?;
    for (id, place) in [("c1", 1), ("c2", 2)] {
        world
            .fake
            .push(nexus_testkit::openai::Script::text("from afar"));
        let (question, _) = asking(id, "Tell.", Some("chain"), |_| {})?;
        world.publish(&question).await?;
        let answer = world.answer(place).await?.1.completed()?;
        ensure!(answer.provider == "it", "{answer:?}");
        let attempts = answer.extra.get("attempts").context("who failed")?;
        let (code, why) = (&attempts[0]["code"], attempts[0]["detail"].as_str());
        let why = why.unwrap_or_default();
        if place == 1 {
            ensure!(code == "provider_unreachable", "{attempts}");
            ensure!(why.contains("nexus run inference-worker"), "{why}");
        } else {
            ensure!(
                code == "provider_failed" && why.contains("not ready"),
                "{attempts}"
            );
        }
        // The next time one is there, but still loads its models.
        announce(&world.deps, State::Loading).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_worker_that_falls_silent_is_left_and_told_to_stop() -> Result<()> {
    let world = with_local().await?;
    let worker = Scripted::start(&world, &[&[Act::Say("Once "), Act::Hang]]).await?;
    world
        .fake
        .push(nexus_testkit::openai::Script::text("upon a time"));
    let (question, run) = asking("c1", "Tell.", Some("chain"), |_| {})?;
    let answer = world.ask(&question).await?.completed()?;
    ensure!(answer.message.content == "Once upon a time", "{answer:?}");
    ensure!(
        answer.metadata.contains_key("seams"),
        "both are named: {answer:?}"
    );
    world.heard(run, "Once upon a time").await?;
    let asked = worker.asked();
    let command = asked.first().context("a command")?;
    let org = command.metadata.org_id.context("an organisation")?;
    let call = RunId::of(org, channels::INFERENCE_LOCAL, &command.id).to_string();
    let told = async || {
        Ok(world
            .deps
            .bus
            .table_get(tables::RUNS_CANCELLED, &call)
            .await?)
    };
    let entry = wait_for(PATIENCE, "the cancellation", told).await?;
    let cancelled: Cancelled = serde_json::from_slice(&entry.value)?;
    ensure!(
        Some(cancelled.until) > command.metadata.deadline,
        "{cancelled:?}"
    );
    Ok(())
}

#[tokio::test]
async fn what_another_worker_says_anew_goes_on_only_where_it_is_the_same() -> Result<()> {
    let world = with_local().await?;
    let same = [
        Act::Say("Once "),
        Act::Begin(""),
        Act::Say("Once upon"),
        Act::Answer("Once upon"),
    ];
    let other = [
        Act::Say("Once "),
        Act::Wait,
        Act::Begin("Twi"),
        Act::Answer("Twice"),
    ];
    let worker = Scripted::start(&world, &[&same, &other]).await?;
    let (question, run) = asking("c1", "Tell.", Some("local"), |_| {})?;
    let answer = world.ask(&question).await?.completed()?;
    ensure!(answer.message.content == "Once upon", "{answer:?}");
    world.heard(run, "Once upon").await?;
    world.fake.push(nexus_testkit::openai::Script::text("upon"));
    let (question, run) = asking("c2", "Tell.", Some("chain"), |_| {})?;
    world.publish(&question).await?;
    world.heard(run, "Once ").await?;
    worker.heard.notify_one();
    let answer = world.answer(2).await?.1.completed()?;
    ensure!(
        answer.message.content == "Once upon",
        "nobody unsays a word: {answer:?}"
    );
    ensure!(answer.metadata.contains_key("seams"), "{answer:?}");
    Ok(())
}

#[tokio::test]
async fn failures_of_a_worker_mean_what_they_say() -> Result<()> {
    let world = with_local().await?;
    let busy = [Act::Fail("provider_failed")];
    let later = [Act::Answer("There.")];
    let words = ["unknown_model", "unsupported", "bad_request", "poisoned"];
    let scripts = words.map(|word| [Act::Fail(word)]);
    let mut all: Vec<&[Act]> = vec![&busy, &later];
    all.extend(scripts.iter().map(<[Act; 1]>::as_slice));
    let worker = Scripted::start(&world, &all).await?;
    let (question, _) = asking("again", "Tell.", Some("local"), |_| {})?;
    let answer = world.ask(&question).await?.completed()?;
    ensure!(answer.message.content == "There.", "{answer:?}");
    let ids = worker.asked();
    ensure!(
        ids.len() == 2 && ids[0].id != ids[1].id,
        "each attempt is a command"
    );
    for (place, word) in (2..).zip(words) {
        let (question, _) = asking(word, "Tell.", Some("local"), |_| {})?;
        world.publish(&question).await?;
        let failed = world.answer(place).await?.1.failed()?;
        let code = if word == "poisoned" {
            "provider_failed"
        } else {
            word
        };
        ensure!(failed.code == code, "{word}: {failed:?}");
        ensure!(
            failed.detail.contains(&format!("it is {word}")),
            "{failed:?}"
        );
    }
    Ok(())
}
