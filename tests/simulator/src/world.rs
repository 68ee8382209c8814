//! One history: everything there is, and the one loop that lets it happen in order of time.

use std::collections::{BTreeMap, BinaryHeap, HashMap};

use nexus_contracts::Timestamp;

use crate::adapter::Adapter;
use crate::asked::Requests;
use crate::bus::{Bus, EntryId};
use crate::case::{Case, What};
use crate::chance::{mix, name, place, within};
use crate::faults::{Fault, Happened};
use crate::flow::{Flow, FlowId};
use crate::invariant::{Invariant, Violation};
use crate::ledger::Ledger;
use crate::mutant::Mutant;
use crate::orchestrator::Replica;
use crate::outside::Outside;
use crate::people::{Door, Proc};
use crate::reached::Reached;
use crate::recorder::Recorder;
use crate::tables::Tables;

/// How long after the last act things may still go wrong.
const TROUBLE_MS: i64 = 20_000;

/// How long after that everything must have come to an end.
const PATIENCE_MS: i64 = 40 * 60 * 1000;

/// When histories begin, on a clock that is right: long after 1970, so that one that is behind still
/// shows a time.
pub(crate) const EPOCH_MS: i64 = 1_700_000_000_000;

/// What happens at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Alarm {
    /// The act at this place of the case.
    Act(usize),
    /// A person decides about a tool call.
    Decide(usize),
    /// Whoever reads this entry's queue gets it, if this is still its turn.
    Deliver(EntryId, u32),
    /// An entry's lease ends.
    Lease(EntryId, u32),
    /// Something a process is at goes on.
    Flow(FlowId),
    /// A replica of the orchestrator, in this life, takes up what it was handed.
    Work(u8, u32),
    /// A replica of the orchestrator, in this life, looks for what is due.
    Sweep(u8, u32),
    /// An adapter, in this life, publishes what is unanswered.
    Ingress(Door, u32),
    /// A process that was down comes back.
    Start(Proc),
    /// Nothing goes wrong any more.
    Heal,
}

struct Scheduled {
    at: i64,
    order: u64,
    alarm: Alarm,
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Scheduled {}

/// A process as the world sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process {
    pub(crate) is_up: bool,
    /// Counts its lives: what an earlier one was at is forgotten.
    pub(crate) life: u32,
    /// By how much its clock is wrong.
    pub(crate) skew: i64,
}

/// Whether what happens is written down, line by line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracing {
    /// No; this is faster.
    Off,
    /// Yes.
    On,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests taken.
    pub requests: u64,
    /// Commits of the orchestrator.
    pub commits: u64,
    /// Writes refused because another replica was first.
    pub conflicts: u64,
    /// Messages the bus took.
    pub messages: u64,
    /// Model calls beyond one a command.
    pub extra_model_calls: u64,
    /// What happened in conversations.
    pub reached: Reached,
    /// Faults, by place in [`Fault::ALL`].
    pub faults: [u64; Fault::ALL.len()],
}

/// One history.
pub(crate) struct World<'a> {
    pub(crate) case: &'a Case,
    /// Simulated time, which all processes' clocks are more or less close to.
    pub(crate) now: i64,
    order: u64,
    alarms: BinaryHeap<Scheduled>,
    pub(crate) processes: BTreeMap<Proc, Process>,
    /// How often something was asked of chance at a place.
    times: HashMap<u64, u64>,
    pub(crate) is_healed: bool,
    /// Acts and decisions still to come.
    pub(crate) ahead: usize,
    pub(crate) bus: Bus,
    pub(crate) tables: Tables,
    pub(crate) replicas: [Replica; 2],
    pub(crate) flows: BTreeMap<FlowId, Flow>,
    pub(crate) next_flow: FlowId,
    pub(crate) model_ledger: Ledger,
    pub(crate) tool_ledger: Ledger,
    pub(crate) outside: Outside,
    pub(crate) adapters: BTreeMap<Door, Adapter>,
    pub(crate) recorder: Recorder,
    pub(crate) requests: Requests,
    pub(crate) settings_version: u8,
    pub(crate) counts: Counts,
    pub(crate) faults: Vec<Happened>,
    pub(crate) violations: Vec<Violation>,
    /// What happened, in words, when somebody wants to read it.
    pub(crate) trace: Option<Vec<String>>,
}

impl<'a> World<'a> {
    pub(crate) fn new(case: &'a Case, tracing: Tracing) -> Self {
        let process = Process {
            is_up: true,
            life: 0,
            skew: 0,
        };
        let doors = [Door::Api, Door::Chat];
        let mut world = Self {
            case,
            now: 0,
            order: 0,
            alarms: BinaryHeap::new(),
            processes: Proc::ALL.map(|proc| (proc, process)).into(),
            times: HashMap::new(),
            is_healed: false,
            ahead: case.acts.len(),
            bus: Bus::default(),
            tables: Tables::default(),
            replicas: [Replica::default(), Replica::default()],
            flows: BTreeMap::new(),
            next_flow: 0,
            model_ledger: Ledger::default(),
            tool_ledger: Ledger::default(),
            outside: Outside::default(),
            adapters: doors.map(|door| (door, Adapter::new(door))).into(),
            recorder: Recorder::default(),
            requests: Requests::default(),
            settings_version: 0,
            counts: Counts::default(),
            faults: Vec::new(),
            violations: Vec::new(),
            trace: (tracing == Tracing::On).then(Vec::new),
        };
        for (at, act) in case.acts.iter().enumerate() {
            world.alarm_at(act.at, Alarm::Act(at));
        }
        let last = case.acts.last().map_or(0, |act| act.at);
        world.alarm_at(last + TROUBLE_MS, Alarm::Heal);
        for replica in [0, 1] {
            world.alarm_at(i64::from(replica) * 500, Alarm::Sweep(replica, 0));
        }
        world
    }

    /// Lets everything happen until nothing is left to do, something is wrong, or patience ends.
    pub(crate) fn run(&mut self) {
        let mut end = i64::MAX;
        while let Some(next) = self.alarms.pop() {
            self.now = next.at;
            if matches!(next.alarm, Alarm::Heal) {
                end = self.now + PATIENCE_MS;
            }
            self.ring(next.alarm);
            let over = self.is_healed && self.is_quiet() || self.now > end;
            if over || !self.violations.is_empty() {
                break;
            }
        }
        if self.violations.is_empty() {
            self.check_end();
        }
    }

    fn ring(&mut self, alarm: Alarm) {
        match alarm {
            Alarm::Act(at) => {
                if let Some(act) = self.case.acts.get(at) {
                    self.act(at, act);
                }
            }
            Alarm::Decide(at) => self.decide(at),
            Alarm::Deliver(entry, turn) => self.deliver(entry, turn),
            Alarm::Lease(entry, turn) => self.lease_ends(entry, turn),
            Alarm::Flow(flow) => self.go_on(flow),
            Alarm::Work(replica, life) => self.work(replica, life),
            Alarm::Sweep(replica, life) => self.sweep(replica, life),
            Alarm::Ingress(door, life) => self.publish_unanswered(door, life),
            Alarm::Start(proc) => self.start(proc),
            Alarm::Heal => self.heal(),
        }
    }

    /// Whether nobody has anything left to do.
    fn is_quiet(&self) -> bool {
        self.ahead == 0
            && self.bus.is_quiet()
            && self.flows.is_empty()
            && self.tables.is_drained()
            && self.adapters.values().all(Adapter::is_idle)
    }

    /// Has something happen a while from now.
    pub(crate) fn alarm(&mut self, after: i64, alarm: Alarm) {
        self.alarm_at(self.now.saturating_add(after.max(0)), alarm);
    }

    fn alarm_at(&mut self, at: i64, alarm: Alarm) {
        self.order += 1;
        let order = self.order;
        self.alarms.push(Scheduled { at, order, alarm });
    }

    /// What chance says about something, anew each time.
    pub(crate) fn chance(&mut self, about: u64) -> u64 {
        let times = self.times.entry(about).or_default();
        *times += 1;
        place(&[self.case.seed, about, *times])
    }

    /// A moment that chance chooses.
    pub(crate) fn between(&mut self, about: &str, from: i64, to: i64) -> i64 {
        within(self.chance(name(about)), from, to)
    }

    /// Whether something goes wrong here and now; then, what chance says about how.
    pub(crate) fn goes_wrong(&mut self, fault: Fault, about: &str) -> Option<u64> {
        let rate = self.case.rates.of(fault);
        if rate == 0 || self.is_healed {
            return None;
        }
        let here = place(&[fault.index() as u64 + 1, name(about)]);
        let draw = self.chance(here);
        let place = place(&[here, draw]);
        if draw % 1000 >= rate || self.case.without.contains(&place) {
            return None;
        }
        self.happened(place, fault, about);
        Some(mix(draw))
    }

    /// Writes down that something went wrong.
    pub(crate) fn happened(&mut self, place: u64, fault: Fault, about: &str) {
        if let Some(count) = self.counts.faults.get_mut(fault.index()) {
            *count += 1;
        }
        let about = about.to_owned();
        self.note(|| format!("!! {fault:?}: {about}"));
        let at = self.now;
        self.faults.push(Happened {
            place,
            at,
            fault,
            about,
        });
    }

    /// Writes down what happened, for readers.
    pub(crate) fn note(&mut self, what: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{now:>7} ms  {}", what()));
        }
    }

    /// Writes down that an invariant does not hold.
    pub(crate) fn violated(&mut self, invariant: Invariant, detail: impl Into<String>) {
        let detail = detail.into();
        self.note(|| format!("VIOLATED {invariant}: {detail}"));
        let at = self.now;
        self.violations.push(Violation {
            invariant,
            at,
            detail,
        });
    }

    /// Whether the loop is broken in this way on purpose.
    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.case.mutant == Some(mutant)
    }

    /// Now, as a process sees it.
    pub(crate) fn clock(&self, proc: Proc) -> Timestamp {
        let skew = self.processes.get(&proc).map_or(0, |process| process.skew);
        Timestamp::from_millis(EPOCH_MS + self.now + skew)
    }

    /// Something the case has happen at a moment of its own, other than what people ask.
    pub(crate) fn trouble(&mut self, place: u64, what: &What) {
        match what {
            What::Ask { .. } => {}
            What::Kill { whom, down_ms } => {
                self.happened(place, Fault::Kill, &format!("{whom:?} for {down_ms} ms"));
                self.kill(*whom, *down_ms);
            }
            What::Flush => {
                self.happened(place, Fault::Flush, "all that the bus had");
                self.flush();
            }
            What::Jump { whom, by_ms } => {
                self.happened(place, Fault::Jump, &format!("{whom:?} by {by_ms} ms"));
                if let Some(process) = self.processes.get_mut(whom) {
                    process.skew += by_ms;
                }
            }
            What::Settings { version } => {
                self.settings_version = *version;
                self.note(|| format!("settings: version {version}"));
            }
        }
    }
}
