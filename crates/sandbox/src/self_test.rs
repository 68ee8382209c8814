use std::path::Path;

use serde_json::{Value, json};

use crate::{
    Backend, Done, ErrorKind, Limits, SandboxError,
    protocol::{Hello, Order, Probe, Request},
    sandbox::{Core, Settings},
};

/// One guarantee and whether it was seen to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The guarantee, such as `the time limit ends a loop`.
    pub name: String,
    /// `None` if it holds, else what was seen instead.
    pub failure: Option<String>,
}

/// What the self-test found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The backend that was tested.
    pub backend: &'static str,
    /// What of Landlock the kernel enforces in a worker: `full`, `partial`, `none`; `unused` in bubblewrap.
    pub landlock: String,
    /// Every check that was made.
    pub checks: Vec<Check>,
}

impl Report {
    /// Whether every check was made and held.
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.checks.is_empty() && self.checks.iter().all(|check| check.failure.is_none())
    }

    /// The failed checks, each with what was seen, and what usually helps; empty when all held.
    #[must_use]
    pub fn failures(&self) -> String {
        let failed: Vec<_> = self
            .checks
            .iter()
            .filter_map(|check| Some(format!("`{}`: {}", check.name, check.failure.as_ref()?)))
            .collect();
        match (failed.is_empty(), self.backend) {
            (true, _) => String::new(),
            (false, "monty") => format!(
                "{} (the kernel must allow seccomp filters, and `nexus-sandbox` be of this build)",
                failed.join("; ")
            ),
            (false, _) => format!(
                "{} (install bubblewrap and python3, allow unprivileged user namespaces, or use the backend \
                 `monty`)",
                failed.join("; ")
            ),
        }
    }

    pub(crate) fn broken(backend: &'static str, error: &SandboxError) -> Self {
        let check = Check {
            name: "it starts".to_owned(),
            failure: Some(error.to_string()),
        };
        Self {
            backend,
            landlock: "none".to_owned(),
            checks: vec![check],
        }
    }

    pub(crate) fn refusal(&self) -> SandboxError {
        SandboxError::SelfTest {
            backend: self.backend,
            failed: self.failures(),
        }
    }

    fn check(&mut self, name: &str, failure: Option<String>) {
        self.checks.push(Check {
            name: name.to_owned(),
            failure,
        });
    }
}

/// Tests every guarantee of a backend on this machine, in well under two seconds; leaves nothing behind.
pub async fn self_test(worker: &Path, backend: &Backend) -> Report {
    match Core::new(Settings::new(worker, backend.clone())) {
        Ok(core) => examine(&core).await,
        Err(error) => Report::broken(backend.name(), &error),
    }
}

/// Limits that a test reaches at once.
const SMALL: Limits = Limits {
    time_ms: 100,
    memory: 16 << 20,
    output: 1 << 10,
    value: 4 << 10,
    files: 4,
    file_bytes: 64 << 10,
    recursion: 200,
    host_calls: 100,
};

/// Time enough on a busy machine, where time is not what is tested.
const PATIENT: Limits = Limits {
    time_ms: 20_000,
    ..SMALL
};

pub(crate) async fn examine(core: &Core) -> Report {
    let mut report = Report {
        backend: core.backend.name(),
        landlock: "none".to_owned(),
        checks: Vec::new(),
    };
    match run(core, "6 * 7", PATIENT).await {
        Ok((done, hello)) => {
            report.check(
                "a process reports that it is locked down",
                distrust(&hello, core.backend.name()),
            );
            report.check("it answers", differs(&done, &json!(42)));
            report.landlock = hello.landlock;
        }
        Err(error) => {
            report.check("it answers", Some(error.to_string()));
            return report;
        }
    }
    for (name, code, limits, kind) in [
        (
            "the time limit ends a loop",
            "while True: pass",
            SMALL,
            ErrorKind::TimeLimit,
        ),
        (
            "the memory limit holds",
            HUNGRY,
            PATIENT,
            ErrorKind::MemoryLimit,
        ),
        (
            "the output limit holds",
            "while True: print('x' * 100)",
            PATIENT,
            ErrorKind::OutputLimit,
        ),
    ] {
        let failure = match run(core, code, limits).await {
            Ok((done, _)) if done.kind() == Some(kind) => None,
            Ok((done, _)) => Some(format!("expected {}, got {}", kind.as_str(), shown(&done))),
            Err(error) => Some(error.to_string()),
        };
        report.check(name, failure);
    }
    match core.backend {
        Backend::Monty => probe(core, &mut report).await,
        Backend::PythonFull(_) => look_out(core, &mut report).await,
    }
    report
}

const HUNGRY: &str = "held = []\nwhile True: held.append('x' * 100000 + str(len(held)))";

async fn run(core: &Core, code: &str, limits: Limits) -> Result<(Done, Hello), SandboxError> {
    let request = Request {
        code: code.to_owned(),
        limits,
        files: Vec::new(),
        now_ms: None,
    };
    core.order(&Order::Run(request), &limits).await
}

/// Tries, in a locked process itself, what the interpreter never does: its filter must end it each time.
async fn probe(core: &Core, report: &mut Report) {
    for what in Probe::ALL {
        let failure = match core.order(&Order::Probe { what }, &PATIENT).await {
            Ok((done, _)) if forbidden(&done) => None,
            Ok((done, _)) => Some(format!("it was not ended for trying; {}", shown(&done))),
            Err(error) => Some(error.to_string()),
        };
        report.check(&format!("a locked process cannot do {what:?}"), failure);
    }
}

fn forbidden(done: &Done) -> bool {
    done.result
        .as_ref()
        .is_err_and(|f| f.kind == ErrorKind::Crashed && f.message.contains("forbidden"))
}

/// Tries from within CPython what must be impossible.
async fn look_out(core: &Core, report: &mut Report) {
    let seen = match run(core, include_str!("look_out.py"), PATIENT).await {
        Ok((
            Done {
                result: Ok(Value::Object(seen)),
                ..
            },
            _,
        )) => seen,
        Ok((done, _)) => return report.check("code can look around", Some(shown(&done))),
        Err(error) => return report.check("code can look around", Some(error.to_string())),
    };
    for name in LOOKED_AT {
        let failure = match seen.get(name) {
            Some(Value::Null) => None,
            Some(found) => Some(format!("it was possible: {found}")),
            None => Some("it was not tried".to_owned()),
        };
        report.check(name, failure);
    }
}

/// What `look_out.py` answers, each with null where the guarantee holds.
const LOOKED_AT: [&str; 10] = [
    "no inherited variable",
    "no file of the machine",
    "nothing can be written but the folder",
    "the folder is bounded in bytes",
    "the folder is bounded in files",
    "no network",
    "no process can be started",
    "threads are bounded",
    "no inherited descriptor",
    "no privilege",
];

fn distrust(hello: &Hello, backend: &str) -> Option<String> {
    let wrong = [
        (hello.backend != backend, "it is another backend"),
        (hello.environment != 0, "it inherited environment variables"),
        (hello.descriptors != 0, "it inherited descriptors"),
        (!hello.seccomp, "the system call filter is off"),
    ];
    let said: Vec<_> = wrong
        .into_iter()
        .filter_map(|(is, what)| is.then_some(what))
        .collect();
    (!said.is_empty()).then(|| said.join(", "))
}

fn differs(done: &Done, expected: &Value) -> Option<String> {
    (done.result.as_ref().ok() != Some(expected)).then(|| shown(done))
}

fn shown(done: &Done) -> String {
    let mut words = done.stderr.text.clone();
    words.truncate(words.floor_char_boundary(300));
    match &done.result {
        Ok(value) => format!("value {value}, {words}"),
        Err(failure) => format!("{}: {} {words}", failure.kind.as_str(), failure.message),
    }
}
