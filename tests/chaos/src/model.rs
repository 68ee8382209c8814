//! The model: answers with a hash of what it was sent, and writes every call down before it answers.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use nexus_testkit::openai::{FakeOpenAi, Gate, Script, ToolCall};
use serde_json::Value;
use tokio::time::Instant;

use crate::heard::heard;
use crate::history::{Call, Millis};
use crate::prompt::{Task, answer};

/// Which calls are held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Those that ask for tools, or answer without.
    First,
    /// Those that answer with what tools returned.
    Final,
}

/// The model's server.
pub struct Model {
    server: FakeOpenAi,
    shared: Arc<Shared>,
}

struct Shared {
    began: Instant,
    ledger: Mutex<Ledger>,
    held: Mutex<Held>,
}

/// Every call, in memory and in a file that is synced before the call is answered.
struct Ledger {
    file: File,
    calls: Vec<Call>,
}

#[derive(Default)]
struct Held {
    step: Option<Step>,
    gates: Vec<Gate>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Model {
    /// Starts it; `began` is when the run began, `file` is where its ledger goes.
    ///
    /// # Errors
    /// When no port can be bound or the ledger cannot be made.
    pub async fn start(began: Instant, file: &Path) -> Result<Self> {
        let ledger = Ledger {
            file: File::create(file).with_context(|| file.display().to_string())?,
            calls: Vec::new(),
        };
        let shared = Arc::new(Shared {
            began,
            ledger: Mutex::new(ledger),
            held: Mutex::default(),
        });
        let answering = Arc::clone(&shared);
        let server = FakeOpenAi::forgetting(move |body| answering.answer(body)).await?;
        Ok(Self { server, shared })
    }

    /// Where it is.
    #[must_use]
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// Every call so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.shared.ledger).calls.clone()
    }

    /// Takes calls of this step from now on, and answers none of them.
    pub fn hold(&self, step: Step) {
        lock(&self.shared.held).step = Some(step);
    }

    /// How many calls are held back.
    #[must_use]
    pub fn held(&self) -> usize {
        lock(&self.shared.held).gates.len()
    }

    /// Answers what was held back, and everything from now on.
    pub fn release(&self) {
        let mut held = lock(&self.shared.held);
        held.step = None;
        for gate in held.gates.drain(..) {
            gate.open_all();
        }
    }
}

impl Shared {
    fn answer(&self, body: &Value) -> Script {
        let heard = heard(body);
        let (results, digest) = (heard.call.results, heard.call.digest.clone());
        // Waiting for the disk must not keep other calls from being taken.
        let written = tokio::task::block_in_place(|| self.write(heard.call));
        let number = match written {
            Ok(number) => number,
            Err(error) => return Script::error(500, &format!("the ledger: {error:#}")),
        };
        let Some(prompt) = heard.prompt else {
            return Script::text(&format!("nothing of ours, call {number}"));
        };
        let asked = prompt.task.tools();
        let script = if prompt.task == Task::Silence {
            return Script::hang();
        } else if results < asked.len() {
            let calls = asked.iter().enumerate().map(|(at, asked)| {
                ToolCall::new(&format!("call-{number}-{at}"), asked.tool, &asked.arguments)
            });
            Script::tool_calls(&calls.collect::<Vec<_>>(), 16)
        } else {
            Script::text(&answer(&digest, number))
        };
        self.pass(script, results)
    }

    fn pass(&self, script: Script, results: usize) -> Script {
        let step = if results == 0 {
            Step::First
        } else {
            Step::Final
        };
        let mut held = lock(&self.held);
        if held.step != Some(step) {
            return script;
        }
        let (script, gate) = script.gated();
        held.gates.push(gate);
        script
    }

    fn write(&self, mut call: Call) -> Result<u64> {
        let mut ledger = lock(&self.ledger);
        call.number = ledger.calls.len() as u64 + 1;
        call.at = millis_since(self.began);
        let mut line = serde_json::to_string(&call)?;
        line.push('\n');
        ledger.file.write_all(line.as_bytes())?;
        ledger.file.sync_data()?;
        let number = call.number;
        ledger.calls.push(call);
        Ok(number)
    }
}

/// Milliseconds since the run began.
#[must_use]
pub fn millis_since(began: Instant) -> Millis {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}
