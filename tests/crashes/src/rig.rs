//! A cluster that suffers one case after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nexus_bus::{Bus, BusConfig};
use nexus_e2e::cluster::{Cluster, SERVICES};
use nexus_e2e::http;
use nexus_e2e::questions::expected;
use nexus_testkit::wait_until;
use reqwest::Client;

use crate::cases::Case;
use crate::effects::{SLOW, effects};
use crate::leftovers::{one_answer_each, pending, unsettled};
use crate::model::{DONE, Model, UNKNOWN};
use crate::person::Person;
use crate::points::{Fault, Way};
use crate::switches::Switches;

/// Longest wait for an answer, and for nothing to be left over.
const PATIENCE: Duration = Duration::from_secs(25);

/// Model calls of a question: the one that asks for tools and the one that answers.
const CALLS: usize = 2;

/// Longer than the time after which a command is sent again.
const TOO_LONG: &str = "1*return(delay:5000)";

/// Leases and repetitions short enough for many cases in a minute.
pub const SETTINGS: &[&str] = &[
    "orchestrator.lease=1s",
    "orchestrator.resend_after=2s",
    "provider-router.lease=1s",
    "tool-executor.lease=1s",
    "recorder.lease=1s",
    "entry-api.lease=1s",
];

/// How the services are spread over processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// All in one.
    Together,
    /// Each in its own.
    Apart,
}

/// What a fault may cost.
struct Cost {
    /// A call of the model that is made once more.
    call: bool,
    /// Knowing whether the effect happened.
    effect: bool,
}

/// A running cluster and the model it asks.
pub struct Rig {
    cluster: Cluster,
    bus: Bus,
    spread: Spread,
    model: Arc<Model>,
    client: Client,
    consumers: Vec<String>,
    asked: usize,
}

impl Rig {
    /// Starts one on this bus.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(
        program: &str,
        bus: &str,
        spread: Spread,
        model: &Arc<Model>,
    ) -> Result<Self> {
        let mut cluster = Cluster::new(program, bus)?;
        SETTINGS.iter().for_each(|setting| cluster.set(setting));
        cluster.write("providers.yaml", &model.providers())?;
        match spread {
            Spread::Together => cluster.up().await?,
            Spread::Apart => cluster.separate().await?,
        }
        let url = match bus.strip_prefix("embedded:") {
            Some(file) => format!("embedded:{}?mode=ro", cluster.path().join(file).display()),
            None => bus.to_owned(),
        };
        let bus = Bus::connect(&BusConfig::new(url.parse()?, cluster.path().join("blobs"))).await?;
        let mut rig = Self {
            cluster,
            bus,
            spread,
            model: Arc::clone(model),
            client: http::client(PATIENCE)?,
            consumers: Vec::new(),
            // What `up` and `separate` ask to see that all is ready.
            asked: 1,
        };
        let processes: &[&str] = match spread {
            Spread::Together => &["up"],
            Spread::Apart => &SERVICES,
        };
        for process in processes {
            let switches = Switches::of(&rig.cluster, process, &rig.client).await?;
            rig.consumers.extend(switches.consumers().await?);
        }
        ensure!(rig.consumers.len() > SERVICES.len(), "{:?}", rig.consumers);
        Ok(rig)
    }

    /// The consume loops there are, as `<group>:<channel>`.
    #[must_use]
    pub fn consumers(&self) -> &[String] {
        &self.consumers
    }

    /// Where the HTTP interface is.
    #[must_use]
    pub fn url(&self) -> String {
        self.cluster.url()
    }

    /// The points of the process a service runs in.
    ///
    /// # Errors
    /// When the process does not say where they are.
    pub async fn switches(&self, service: &str) -> Result<Switches> {
        Switches::of(&self.cluster, self.process_of(service), &self.client).await
    }

    /// A number nobody has asked about yet.
    pub fn next_number(&mut self) -> usize {
        static NEXT: AtomicUsize = AtomicUsize::new(1000);
        self.asked += 1;
        NEXT.fetch_add(1, Ordering::Relaxed)
    }

    /// Asks a question while something goes wrong, and checks what came of it.
    ///
    /// # Errors
    /// What is not as it must be, with what the processes wrote.
    pub async fn suffer(&mut self, case: &Case) -> Result<()> {
        let number = self.next_number();
        let suffered = self.go_through(case, number).await;
        suffered.map_err(|error| error.context(format!("{case}\n{}", self.cluster.output())))
    }

    async fn go_through(&mut self, case: &Case, number: usize) -> Result<()> {
        let person = Person::new(self.client.clone(), self.url());
        if case.way == Way::SlowTool {
            let executor = self.switches("tool-executor").await?;
            executor.set(SLOW, TOO_LONG).await?;
        }
        let doomed = match case.way {
            Way::Deletion => Some(person.ask(number).await?),
            Way::Plain | Way::SlowTool => None,
        };
        let switches = self.switches(case.service()).await?;
        let before = switches.happened(&case.point, case.fault).await?;
        switches.set(&case.point, case.fault.once()).await?;
        let act = async {
            match doomed {
                Some(answer) => person.delete(answer).await,
                None => person.ask(number).await,
            }
        };
        let answer = if case.fault == Fault::Abort {
            let process = self.process_of(case.service()).to_owned();
            let (answer, restarted) = tokio::join!(act, restart(&mut self.cluster, &process));
            restarted?;
            answer?
        } else {
            let answer = act.await?;
            // Loops that confirm or record come after the answer.
            switches.wait(&case.point, case.fault, before).await?;
            answer
        };
        if case.way == Way::Deletion {
            let folder = self.cluster.path();
            person.finds_nothing_of(&answer, folder).await?;
        }
        self.check(case, number, &answer.text)
    }

    /// Where a service runs.
    fn process_of<'a>(&self, service: &'a str) -> &'a str {
        match self.spread {
            Spread::Together => "up",
            Spread::Apart => service,
        }
    }

    fn check(&self, case: &Case, number: usize, text: &str) -> Result<()> {
        let sum = expected(number);
        ensure!(text.replace(',', "").contains(&sum), "`{text}` lacks {sum}");
        let cost = self.cost(case);
        let times = self.effects(number)?;
        match times {
            1 if text.contains(DONE) => {}
            0 | 1 if cost.effect && text.contains(UNKNOWN) => {}
            _ => bail!("`{text}`, and the effect happened {times} times"),
        }
        let calls = self.model.calls(number);
        let most = CALLS + usize::from(cost.call);
        ensure!(
            (CALLS..=most).contains(&calls),
            "the model was asked {calls} times"
        );
        Ok(())
    }

    /// How often the effect of a question happened.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn effects(&self, number: usize) -> Result<usize> {
        let all = effects(self.cluster.path())?;
        Ok(all.get(&number.to_string()).copied().unwrap_or_default())
    }

    /// What a death may cost: whatever was under way in the process that died.
    fn cost(&self, case: &Case) -> Cost {
        let died = case.fault == Fault::Abort;
        let in_call = ["provider-router.delta", "provider-router.before_store"];
        match self.spread {
            Spread::Together => Cost {
                call: died,
                effect: died,
            },
            Spread::Apart => Cost {
                call: died && in_call.contains(&case.point.as_str()),
                effect: died && case.service() == "tool-executor",
            },
        }
    }

    /// Checks that nothing is left over.
    ///
    /// # Errors
    /// What is, with what the processes wrote.
    pub async fn finish(self) -> Result<()> {
        let finished = self.drained().await;
        finished.map_err(|error| error.context(self.cluster.output()))
    }

    async fn drained(&self) -> Result<()> {
        wait_until(PATIENCE, "nothing to be left over", async || {
            let pending = pending(&self.bus, &self.consumers).await?;
            ensure!(pending.is_empty(), "pending: {pending:?}");
            let unsettled = unsettled(self.cluster.path())?;
            ensure!(unsettled == 0, "{unsettled} messages are repeated");
            Ok(true)
        })
        .await?;
        let answered = one_answer_each(&self.bus, &self.consumers).await?;
        let asked = self.asked;
        ensure!(answered == asked, "{answered} answers to {asked} questions");
        Ok(())
    }
}

/// Waits until the process has died, and starts it again.
async fn restart(cluster: &mut Cluster, process: &str) -> Result<()> {
    let died = cluster.wait_end(process, PATIENCE).await;
    died.context("it was to die")?;
    match process {
        "up" => cluster.spawn_up(),
        service => cluster.start(service),
    }
}
