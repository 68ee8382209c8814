//! The bus loses everything while conversations stand at a known point, one of ten.
//!
//! The points lie between ingress and receipt. A point is reached by letting only some services run, so that what
//! the others would read piles up, or by a model that holds its answers back.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nexus_bus::{Bus, ReadFrom};
use nexus_contracts::channels;
use nexus_testkit::wait_until;
use tokio::task::JoinSet;

use crate::config::BusKind;
use crate::history::History;
use crate::model::Step;
use crate::nemesis::Nemesis;
use crate::prompt::Task;
use crate::report::Report;
use crate::run::Stage;
use crate::scenario::Scenario;
use crate::talk::{Route, Talker, Topics};

/// Longest way to a point.
const REACHED: Duration = Duration::from_secs(60);

/// Where conversations stand when the bus is wiped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The message is on the bus.
    Published,
    /// The orchestrator has said that it has it.
    Accepted,
    /// The model is to be asked.
    InferenceRequested,
    /// The model is thinking.
    ModelCalled,
    /// The model has asked for a tool.
    InferenceAnswered,
    /// The tool is to be called.
    ToolRequested,
    /// The tool has returned.
    ToolAnswered,
    /// The model is thinking about what it returned.
    FinalInference,
    /// The answer is on the bus.
    Completed,
    /// The adapter has said that it has it.
    Receipt,
}

/// All of them, in order of a message's way.
pub const POINTS: [Point; 10] = [
    Point::Published,
    Point::Accepted,
    Point::InferenceRequested,
    Point::ModelCalled,
    Point::InferenceAnswered,
    Point::ToolRequested,
    Point::ToolAnswered,
    Point::FinalInference,
    Point::Completed,
    Point::Receipt,
];

const API: &str = "entry-api";
const ORCHESTRATOR: &str = "orchestrator";
const ROUTER: &str = "provider-router";
const TOOLS: &str = "tool-executor";

/// What a point is reached by: these services run until this is so.
struct Leg {
    services: &'static [&'static str],
    until: Until,
}

/// What a leg ends with.
enum Until {
    /// Every conversation has a message of this type on this channel.
    On(String, &'static str),
    /// The model holds a call of every conversation.
    Held(Step),
}

fn leg(services: &'static [&'static str], channel: &str, event: &'static str) -> Leg {
    Leg {
        services,
        until: Until::On(channel.to_owned(), event),
    }
}

/// The way to a point.
fn way(point: Point) -> Vec<Leg> {
    let (incoming, processed) = (channels::incoming("api"), channels::processed("api"));
    let published = || leg(&[API], &incoming, "message.submitted");
    let requested = || {
        let services = &[API, ORCHESTRATOR];
        leg(services, channels::INFERENCE_REQUEST, "inference.requested")
    };
    let tool = || {
        let services = &[API, ORCHESTRATOR, ROUTER];
        leg(services, channels::TOOLS_EXECUTE, "tool.requested")
    };
    let completed = || {
        let services = &[ORCHESTRATOR, ROUTER, TOOLS];
        leg(services, &processed, "message.completed")
    };
    let held = |step| Leg {
        services: &[API, ORCHESTRATOR, ROUTER, TOOLS],
        until: Until::Held(step),
    };
    match point {
        Point::Published => vec![published()],
        Point::Accepted => vec![
            published(),
            leg(&[ORCHESTRATOR], &processed, "message.accepted"),
        ],
        Point::InferenceRequested => vec![requested()],
        Point::ModelCalled => vec![held(Step::First)],
        Point::InferenceAnswered => vec![
            requested(),
            leg(
                &[ROUTER],
                channels::INFERENCE_RESPONSE,
                "inference.completed",
            ),
        ],
        Point::ToolRequested => vec![tool()],
        Point::ToolAnswered => vec![
            tool(),
            leg(&[TOOLS], channels::TOOLS_RESULTS, "tool.completed"),
        ],
        Point::FinalInference => vec![held(Step::Final)],
        Point::Completed => vec![published(), completed()],
        Point::Receipt => vec![
            published(),
            completed(),
            leg(&[API], channels::RECEIPTS, "receipt.recorded"),
        ],
    }
}

/// Wipes the bus at these points, with this many conversations at each, and checks what became of
/// them.
///
/// # Errors
/// When a point is not reached or the run cannot be carried out; what it finds is in the report.
pub async fn run(
    scenario: &Scenario,
    program: &Path,
    command: &str,
    (points, each): &(Vec<Point>, usize),
) -> Result<Report> {
    let mut wipes = Wipes {
        embedded: scenario.shape.bus == BusKind::Embedded,
        each: *each,
        stage: Stage::start(scenario, program).await?,
        asking: JoinSet::new(),
        patience: scenario.patience,
    };
    for point in points {
        match wipes.wipe_at(*point).await {
            Ok(true) => {}
            // What is still open then is for the checks to name.
            Ok(false) => break,
            Err(error) => {
                let error = error.context(format!("{point:?}"));
                return Err(wipes.stage.deployment.with_output(error).await);
            }
        }
    }
    let Wipes { stage, .. } = wipes;
    let mut history = History {
        healed_at: stage.log.now(),
        patience: u64::try_from(scenario.patience.as_millis())?,
        run_timeout: u64::try_from(scenario.shape.tuning.run_timeout.as_millis())?,
        calls_per_fault: *each as u64,
        ..History::default()
    };
    history.leftovers = stage.drain(scenario.patience).await;
    let (history, mut aside) = stage.finish(history).await?;
    command.clone_into(&mut aside.command);
    Ok(Report::new(&history, aside))
}

struct Wipes {
    embedded: bool,
    each: usize,
    stage: Stage,
    asking: JoinSet<()>,
    patience: Duration,
}

impl Wipes {
    /// Whether everybody had an outcome in time.
    async fn wipe_at(&mut self, point: Point) -> Result<bool> {
        let seen = self.seen(&way(point)).await?;
        for (at, (leg, before)) in way(point).into_iter().zip(seen).enumerate() {
            if let Until::Held(step) = leg.until {
                self.stage.model.hold(step);
            }
            self.only(leg.services).await?;
            if at == 0 {
                self.ask(point);
            }
            let reached = self.reached(&leg, before).await;
            reached.with_context(|| format!("leg {at}: {:?} alone", leg.services))?;
        }
        let from = self.stage.log.now();
        let nemesis = Nemesis {
            deployment: Arc::clone(&self.stage.deployment),
            log: Arc::clone(&self.stage.log),
            only: None,
        };
        if self.embedded {
            self.stage.deployment.run_whole().await?;
        }
        nemesis.wipe().await?;
        self.stage.model.release();
        self.stage.deployment.heal().await?;
        self.stage
            .log
            .fault("bus-wipe", &format!("{point:?}"), from);
        let everyone = async { while self.asking.join_next().await.is_some() {} };
        if tokio::time::timeout(self.patience, everyone).await.is_err() {
            return Ok(false);
        }
        // What is left of this point must not be taken for the next one's.
        self.stage.drain(REACHED).await;
        Ok(true)
    }

    fn ask(&mut self, point: Point) {
        for number in 0..self.each {
            let talker = Talker {
                route: Route::Http(Arc::clone(&self.stage.http)),
                name: String::new(),
                topics: Topics::default(),
                log: Arc::clone(&self.stage.log),
            };
            let factor = u32::try_from(number).unwrap_or_default() + 100;
            self.asking.spawn(async move {
                let label = format!("{point:?}-{number}");
                talker.ask_once(&label, Task::Product(factor, 43)).await;
            });
        }
    }

    /// Kills everybody but these, and starts these. The recorder runs with whoever runs, and the
    /// one process of an embedded bus is another one with fewer services.
    async fn only(&self, services: &'static [&'static str]) -> Result<()> {
        let deployment = &self.stage.deployment;
        if self.embedded {
            return deployment.run_part(services).await;
        }
        let runs = |service| services.contains(&service) || service == "recorder";
        let workers = || deployment.workers.iter();
        // Nobody who is to be away may see what the others do.
        for worker in workers().filter(|worker| !runs(worker.service)) {
            worker.kill().await?;
        }
        for worker in workers().filter(|worker| runs(worker.service)) {
            worker.start().await?;
        }
        Ok(())
    }

    /// How many messages of each leg there are before it begins.
    async fn seen(&self, legs: &[Leg]) -> Result<Vec<usize>> {
        let mut seen = Vec::with_capacity(legs.len());
        for leg in legs {
            seen.push(match &leg.until {
                Until::Held(_) => 0,
                Until::On(channel, event) => self.count(channel, event).await?,
            });
        }
        Ok(seen)
    }

    async fn count(&self, channel: &str, event: &str) -> Result<usize> {
        let bus = self.stage.deployment.open_bus().await?;
        let counted = count(&bus, channel, event).await;
        bus.close().await;
        counted
    }

    async fn reached(&self, leg: &Leg, before: usize) -> Result<()> {
        let mut there = 0;
        let all = wait_until(REACHED, "everyone to be there", async || {
            there = match &leg.until {
                Until::Held(_) => self.stage.model.held(),
                // A bus that is being made anew has nothing yet.
                Until::On(channel, event) => {
                    self.count(channel, event).await?.saturating_sub(before)
                }
            };
            Ok(there >= self.each)
        });
        let all = all.await;
        all.with_context(|| format!("{there} of {}", self.each))
    }
}

/// How many different messages of a type are on a channel. A receipt counts as often as it names
/// one.
async fn count(bus: &Bus, channel: &str, event: &str) -> Result<usize> {
    let mut ids = std::collections::BTreeSet::new();
    let mut from = ReadFrom::Start;
    loop {
        let entries = bus.read(channel, from, 1000).await?;
        let Some(last) = entries.last() else {
            return Ok(ids.len());
        };
        if ReadFrom::After(last.id) == from {
            bail!("{channel} is read in circles");
        }
        from = ReadFrom::After(last.id);
        for entry in &entries {
            if entry.record.text("type") == Some(event) {
                ids.extend(names(entry)?);
            }
        }
    }
}

/// The messages an entry stands for.
fn names(entry: &nexus_bus::Entry) -> Result<Vec<String>> {
    use nexus_contracts::events::{Event, ReceiptRecorded};
    use nexus_contracts::{Envelope, FieldsContext, MessageId, Timestamp};
    let context = FieldsContext {
        fallback_id: MessageId::new(entry.id.to_string())?,
        stored_at: Timestamp::from_millis(entry.stored_at_ms),
    };
    let envelope = Envelope::from_fields(entry.record.clone().into_fields(), &context)?;
    if envelope.event_type != ReceiptRecorded::TYPE {
        return Ok(vec![envelope.id.to_string()]);
    }
    let receipt: ReceiptRecorded = envelope.decode()?;
    Ok(receipt.ids.iter().map(ToString::to_string).collect())
}
