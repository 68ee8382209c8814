//! How a case is written down, and what it means to survive one.

use nexus_sandbox::{Done, ErrorKind, Job, Limits, protocol::Probe};
use serde_json::Value;

use crate::world::{LIMITS, SHORT, World};

/// One row of the abuse suite.
pub struct Case {
    pub number: u8,
    pub name: &'static str,
    pub monty: On,
    pub python: On,
}

/// What a case is for a backend.
pub enum On {
    /// It cannot exist there, for this reason.
    Never(&'static str),
    /// It is tried.
    Tried(Attack),
}

pub struct Attack {
    pub code: String,
    pub limits: Limits,
    pub expect: Expect,
    /// What a locked process itself must not be able to do, should the interpreter fail.
    pub probes: &'static [Probe],
    /// What must be true of the waiting processes, seen from outside.
    pub outside: Option<fn(u32) -> Result<(), String>>,
    /// Whether a second run must end like the first.
    pub twice: bool,
}

pub enum Expect {
    Kind(ErrorKind),
    /// Either, where it depends on the machine which limit is reached first.
    Either(ErrorKind, ErrorKind),
    Gives(Value),
    Holds(fn(&Done) -> bool),
}

impl On {
    pub fn new(code: impl Into<String>, expect: Expect) -> Self {
        let clock = ErrorKind::TimeLimit;
        let waits = match expect {
            Expect::Kind(kind) => kind == clock,
            Expect::Either(one, other) => one == clock || other == clock,
            Expect::Gives(_) | Expect::Holds(_) => false,
        };
        let limits = if waits { SHORT } else { LIMITS };
        let (code, probes, outside, twice) = (code.into(), &[], None, false);
        Self::Tried(Attack {
            code,
            limits,
            expect,
            probes,
            outside,
            twice,
        })
    }

    fn change(mut self, change: impl FnOnce(&mut Attack)) -> Self {
        if let Self::Tried(attack) = &mut self {
            change(attack);
        }
        self
    }

    pub fn probes(self, probes: &'static [Probe]) -> Self {
        self.change(|attack| attack.probes = probes)
    }

    pub fn outside(self, look: fn(u32) -> Result<(), String>) -> Self {
        self.change(|attack| attack.outside = Some(look))
    }

    pub fn twice(self) -> Self {
        self.change(|attack| attack.twice = true)
    }
}

/// Runs a case: the outcome is the expected one, a sibling at the same time and a call afterwards are well,
/// and nothing is left running.
pub async fn survive(world: &World, case: &Case) -> Result<(), String> {
    let attack = match if world.python {
        &case.python
    } else {
        &case.monty
    } {
        On::Tried(attack) => attack,
        On::Never(reason) => {
            println!("{} {} cannot exist here: {reason}", case.number, case.name);
            return Ok(());
        }
    };
    world.settled().await?;
    if let Some(look) = attack.outside {
        world.comes_to(look).await?;
    }
    for _ in 0..if attack.twice { 2 } else { 1 } {
        let job = Job::new(attack.code.as_str()).limits(attack.limits);
        let (done, sibling) = tokio::join!(world.sandbox.run(job), world.sibling());
        let done = done.map_err(|e| e.to_string())?;
        if !attack.expect.met(&done) {
            return Err(format!("ended as {:.600}", format!("{done:?}")));
        }
        sibling?;
    }
    for probe in attack.probes {
        let done = world
            .sandbox
            .probe(*probe)
            .await
            .map_err(|e| e.to_string())?;
        let ended = done
            .result
            .as_ref()
            .is_err_and(|f| f.message.contains("forbidden system call"));
        if !ended {
            return Err(format!("the probe {probe:?} ended as {:?}", done.result));
        }
    }
    world.sibling().await?;
    world.settled().await.map(drop)
}

impl Expect {
    fn met(&self, done: &Done) -> bool {
        match self {
            Self::Kind(kind) => done.kind() == Some(*kind),
            Self::Either(one, other) => done
                .kind()
                .is_some_and(|kind| kind == *one || kind == *other),
            Self::Gives(value) => done.result.as_ref().ok() == Some(value),
            Self::Holds(what) => what(done),
        }
    }
}
