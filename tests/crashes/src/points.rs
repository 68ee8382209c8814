//! The list of points.

/// What can go wrong at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The process ends on the spot.
    Abort,
    /// It fails as it would if the database or the bus were away.
    Error,
    /// It takes longer than a lease.
    Delay,
    /// It is done twice.
    Twice,
}

impl Fault {
    /// Once, in the words of the crate `fail`.
    #[must_use]
    pub const fn once(self) -> &'static str {
        match self {
            Self::Abort => "1*return(abort)",
            Self::Error => "1*return(error)",
            Self::Delay => "1*return(delay:1500)",
            Self::Twice => "1*return(twice)",
        }
    }

    /// As the node counts it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Abort => "abort",
            Self::Error => "error",
            Self::Delay => "delay",
            Self::Twice => "twice",
        }
    }
}

/// What a question needs besides being asked, so that it passes a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Nothing: every question passes it.
    Plain,
    /// A tool that takes so long that its command is sent again.
    SlowTool,
    /// The deletion of its conversation, once it is answered.
    Deletion,
}

/// A point of the code.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Its name.
    pub name: &'static str,
    /// What can go wrong there.
    pub faults: &'static [Fault],
    /// How it is reached.
    pub way: Way,
}

const fn point(name: &'static str, faults: &'static [Fault]) -> Point {
    Point {
        name,
        faults,
        way: Way::Plain,
    }
}

const fn swept(name: &'static str, faults: &'static [Fault]) -> Point {
    Point {
        name,
        faults,
        way: Way::SlowTool,
    }
}

const PASS: &[Fault] = &[Fault::Abort, Fault::Delay];
const FAIL: &[Fault] = &[Fault::Abort, Fault::Delay, Fault::Error];
const PUBLISH: &[Fault] = &[Fault::Abort, Fault::Delay, Fault::Error, Fault::Twice];

/// Every `crash_point!` of the services.
pub const POINTS: &[Point] = &[
    point("entry-api.before_store", FAIL),
    point("entry-api.stored", FAIL),
    point("entry-api.before_publish", PUBLISH),
    point("entry-api.published", FAIL),
    point("entry-api.before_record", FAIL),
    point("entry-api.recorded", FAIL),
    point("orchestrator.before_load", FAIL),
    point("orchestrator.before_commit", FAIL),
    point("orchestrator.committed", FAIL),
    point("orchestrator.before_publish", PUBLISH),
    point("orchestrator.published", FAIL),
    swept("orchestrator.swept", FAIL),
    swept("orchestrator.before_resend", PUBLISH),
    point("provider-router.claimed", PASS),
    point("provider-router.before_call", PASS),
    point("provider-router.delta", PASS),
    point("provider-router.before_store", FAIL),
    point("provider-router.stored", FAIL),
    point("tool-executor.claimed", PASS),
    point("tool-executor.before_effect", PASS),
    point("tool-executor.before_store", FAIL),
    point("tool-executor.stored", FAIL),
    point("recorder.before_commit", FAIL),
    point("recorder.committed", FAIL),
];

/// The points of every consume loop, behind `consume:<group>:<channel>:`.
pub const LOOP: &[Point] = &[
    point("before_handle", FAIL),
    point("handle", &[Fault::Twice]),
    point("before_ack", PUBLISH),
    point("after_ack", FAIL),
];

/// Channels a question over HTTP does not pass: those of clients on the bus. Their loops are the
/// same code as those of `requests.incoming.api` and `requests.processed.api`.
pub const ELSEWHERE: &[&str] = &["requests.incoming", "requests.processed"];
