//! `growth`: what a turn costs as its conversation grows, and what it leaves in the database.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use nexus_contracts::{ConversationId, channels};

use crate::client::Client;
use crate::database::{self, Storage};
use crate::deployment::{Deployment, Wanted};
use crate::measure::{Latency, at_most, load, own_cpu};
use crate::server::Backend;
use crate::table::{Table, say};

/// How to measure.
#[derive(Args)]
pub(crate) struct Options {
    /// The bus.
    #[arg(long, value_enum, default_value = "embedded")]
    bus: Backend,
    /// Where state is kept.
    #[arg(long, value_enum, default_value = "sqlite")]
    store: Storage,
    /// How long the conversations become.
    #[arg(long, default_value_t = 10_000)]
    turns: usize,
    /// Leave out the recorder, which reads every message.
    #[arg(long)]
    no_recorder: bool,
    /// Settings of the PostgreSQL server, as in `--postgres fsync=off`; repeatable.
    #[arg(long, value_name = "NAME=VALUE")]
    postgres: Vec<String>,
    /// Overrides one key of the configuration; repeatable.
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
}

/// Turns of a conversation that nobody measures, in a fresh one.
const SHORT: usize = 5;
/// Turns of a fresh conversation that are measured: those around its tenth.
const AROUND_TENTH: usize = 10;
/// Turns that warm up everything, in conversations of their own.
const WARM_UP: usize = 500;

/// Measures, and prints tables.
pub(crate) async fn run(options: Options) -> Result<()> {
    let postgres = match options.store {
        Storage::Postgres => Some(database::postgres(&options.postgres).await?),
        Storage::Sqlite | Storage::Memory => None,
    };
    let deployment = Deployment::start(&Wanted {
        bus: options.bus,
        storage: options.store,
        postgres: postgres.as_ref(),
        counted: false,
        recorder: !options.no_recorder,
        set: &options.set,
    })
    .await?;
    let mut client = deployment.client().await?;
    client.ask("hello", WARM_UP, 1).await?;
    let asked = deployment
        .messages(Some(channels::INFERENCE_REQUEST))
        .await?;
    let mut talk = Talk::new(&mut client);
    let mut windows = Vec::new();
    for middle in middles(options.turns) {
        windows.push(Window::measure(middle, options.turns, &mut talk, &deployment).await?);
    }
    let turns = talk.turns;
    let calls = deployment
        .messages(Some(channels::INFERENCE_REQUEST))
        .await?
        - asked;
    let summaries = calls - turns as f64;
    report(&windows)?;
    say(&format!(
        "{turns} turns, {summaries} summaries; bus {}, store {}",
        options.bus.name(),
        options.store.name()
    ))?;
    grown(&windows)?;
    deployment.stop().await?;
    Ok(())
}

/// 10, 100, 1,000 and so on.
fn middles(turns: usize) -> Vec<usize> {
    let powers = std::iter::successors(Some(10_usize), |power| power.checked_mul(10));
    powers.take_while(|power| *power <= turns).collect()
}

/// Two conversations that go on in turn, and fresh ones beside them.
struct Talk<'a> {
    client: &'a mut Client,
    long: [Option<ConversationId>; 2],
    /// Turns each of the two has had.
    had: usize,
    fresh: (Option<ConversationId>, usize),
    /// Turns of all conversations.
    turns: usize,
}

impl<'a> Talk<'a> {
    const fn new(client: &'a mut Client) -> Self {
        Self {
            client,
            long: [None; 2],
            had: 0,
            fresh: (None, 0),
            turns: 0,
        }
    }

    /// One more turn in each of the two.
    async fn go_on(&mut self, costs: Option<&mut Costs>) -> Result<()> {
        self.had += 1;
        let text = said(self.had);
        let mut measured = Vec::new();
        for conversation in &mut self.long {
            let before = own_cpu()?;
            let said = self.client.say(*conversation, &text).await?;
            *conversation = Some(said.conversation);
            measured.push((said.time, own_cpu()?.saturating_sub(before)));
        }
        self.turns += measured.len();
        if let Some(costs) = costs {
            measured.into_iter().for_each(|one| costs.add(one));
        }
        Ok(())
    }

    /// One more turn in a conversation that is about as young as one at its tenth turn.
    async fn begin_anew(&mut self, costs: &mut Costs) -> Result<()> {
        loop {
            let (conversation, had) = self.fresh;
            let before = own_cpu()?;
            let said = self.client.say(conversation, &said(had + 1)).await?;
            let cpu = own_cpu()?.saturating_sub(before);
            self.turns += 1;
            let is_over = had + 1 == SHORT + AROUND_TENTH;
            self.fresh = if is_over {
                (None, 0)
            } else {
                (Some(said.conversation), had + 1)
            };
            if had >= SHORT {
                costs.add((said.time, cpu));
                return Ok(());
            }
        }
    }
}

/// Something new, as long as everything else that is said.
fn said(turn: usize) -> String {
    format!("This is what I have to say in turn {turn:06}; what do you make of it?")
}

/// What turns cost.
#[derive(Default)]
struct Costs {
    times: Vec<Duration>,
    cpu: Duration,
}

impl Costs {
    fn add(&mut self, (time, cpu): (Duration, Duration)) {
        self.times.push(time);
        self.cpu += cpu;
    }

    fn cpu_ms(&self) -> f64 {
        self.cpu.as_secs_f64() * 1000.0 / self.times.len().max(1) as f64
    }
}

/// The turns around one.
struct Window {
    middle: usize,
    count: usize,
    old: (Latency, f64),
    fresh: (Latency, f64),
    load: String,
    /// Turns of all conversations up to here, and bytes of each table.
    turns: usize,
    bytes: BTreeMap<String, u64>,
}

impl Window {
    async fn measure(
        middle: usize,
        last: usize,
        talk: &mut Talk<'_>,
        deployment: &Deployment,
    ) -> Result<Self> {
        // Around the tenth: 6 to 15. Later windows are wider, and end with the last turn.
        let half = (middle / 2).clamp(AROUND_TENTH / 2, 100);
        let end = (middle + half).min(last.max(AROUND_TENTH + SHORT));
        while talk.had + 2 * half < end {
            talk.go_on(None).await?;
        }
        let (mut old, mut fresh) = (Costs::default(), Costs::default());
        while talk.had < end {
            talk.go_on(Some(&mut old)).await?;
            talk.begin_anew(&mut fresh).await?;
            talk.begin_anew(&mut fresh).await?;
        }
        let costs = |mut costs: Costs| {
            let cpu = costs.cpu_ms();
            (Latency::of(&mut costs.times), cpu)
        };
        Ok(Self {
            middle,
            count: old.times.len(),
            old: costs(old),
            fresh: costs(fresh),
            load: load()?,
            turns: talk.turns,
            bytes: deployment.database.tables().await?,
        })
    }
}

fn report(windows: &[Window]) -> Result<()> {
    let mut table = Table::new([
        "around turn",
        "measured",
        "p50 ms",
        "p99 ms",
        "CPU ms",
        "fresh beside it p50 ms",
        "fresh CPU ms",
        "p50 / fresh",
        "p50 / turn 10",
        "CPU / fresh",
        "load",
    ]);
    let Some(tenth) = windows.first() else {
        return say("a conversation of fewer than ten turns has no tenth");
    };
    for window in windows {
        let ((old, old_cpu), (fresh, fresh_cpu)) = (&window.old, &window.fresh);
        table.row(&[
            window.middle.to_string(),
            window.count.to_string(),
            format!("{:.2}", old.p50_ms),
            format!("{:.2}", old.p99_ms),
            format!("{old_cpu:.2}"),
            format!("{:.2}", fresh.p50_ms),
            format!("{fresh_cpu:.2}"),
            at_most(old.p50_ms / fresh.p50_ms, 2),
            at_most(old.p50_ms / tenth.old.0.p50_ms, 2),
            at_most(old_cpu / fresh_cpu, 2),
            window.load.clone(),
        ]);
    }
    table.print()
}

/// What the turns between two windows left in the database.
fn grown(windows: &[Window]) -> Result<()> {
    let mut table = Table::new(["table", "turns", "bytes a turn"]);
    for pair in windows.windows(2) {
        let [earlier, later] = pair else { continue };
        let turns = (later.turns - earlier.turns).max(1);
        let between = format!("{}–{}", earlier.middle, later.middle);
        let mut all = 0;
        for (name, bytes) in &later.bytes {
            let more = bytes.saturating_sub(earlier.bytes.get(name).copied().unwrap_or(0));
            all += more;
            let each = more / turns as u64;
            if each > 0 {
                table.row(&[name.clone(), between.clone(), each.to_string()]);
            }
        }
        let each = all / turns as u64;
        table.row(&["all".to_owned(), between, each.to_string()]);
    }
    table.print()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_stand_at_powers_of_ten() {
        assert_eq!(middles(10_000), [10, 100, 1000, 10_000]);
        assert_eq!(middles(99), [10]);
    }
}
