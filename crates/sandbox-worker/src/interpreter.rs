use std::time::Duration;

use monty::{MontyRun, RunProgress};
use monty_types::{
    CompileOptions, ExcType, ExtFunctionResult, MontyException, MontyObject, NameLookupResult,
    PrintWriter, ResourceLimits, ResourceTracker,
};
use nexus_sandbox::{
    ErrorKind, Limits,
    protocol::{Outcome, Reply, Request},
};
use rustix::time::{ClockId, clock_gettime};

use crate::{
    files::Files,
    guards::{Guard, Guards},
    output::Output,
    value,
};

const SCRIPT: &str = "code.py";

/// Touches everything the interpreter sets up lazily, before system calls for it are gone.
pub(crate) fn warm_up() {
    let code = "import re, json, math\nf'{[n ** 2 for n in range(3)]}' + json.dumps({'a': 1.5})";
    if let Ok(run) = MontyRun::new(
        code.to_owned(),
        SCRIPT,
        Vec::new(),
        CompileOptions::default(),
    ) {
        drop(run.run(
            Vec::new(),
            ResourceTracker::default(),
            PrintWriter::Disabled,
        ));
    }
}

/// Runs one request.
pub(crate) fn run(request: Request, guards: &impl Guards) -> Reply {
    let limits = request.limits;
    let mut files = Files::new(request.files, &limits, request.now_ms);
    let mut output = Output::new(limits.output);
    let memory = usize::try_from(limits.memory).unwrap_or(usize::MAX);
    let armed = guards.on(Guard::MemoryLimit).then_some(memory);
    let outcome = match (limits.check(), monty_alloc::set_limit(armed, false)) {
        (Err(reason), _) => error(ErrorKind::Refused, reason),
        (_, Err(reason)) => error(ErrorKind::Refused, reason.to_owned()),
        (Ok(()), Ok(())) => execute(request.code, &limits, armed, &mut files, &mut output),
    };
    output.flush();
    let outcome = if output.exceeded {
        error(
            ErrorKind::OutputLimit,
            format!("it printed more than {} bytes", limits.output),
        )
    } else {
        outcome
    };
    // The answer is built from what is there already; it shall not fail for want of memory.
    let _ = monty_alloc::set_limit(None, false);
    let (files, files_left_out) = files.into_changed(&limits);
    Reply {
        outcome,
        files,
        files_left_out,
        cpu_us: processor_time(),
    }
}

fn execute(
    code: String,
    limits: &Limits,
    memory: Option<usize>,
    files: &mut Files,
    output: &mut Output,
) -> Outcome {
    let compiled = MontyRun::new(code, SCRIPT, Vec::new(), CompileOptions::default());
    let program = match compiled {
        Ok(program) => program,
        Err(e) => return failed(&e, ErrorKind::Syntax),
    };
    let tracker = ResourceTracker::new(ResourceLimits {
        max_duration: Some(Duration::from_millis(limits.time_ms)),
        max_memory: memory,
        gc_interval: None,
        max_recursion_depth: limits.recursion as usize,
        max_suspensions: limits.host_calls as usize,
    });
    let mut progress = program.start(Vec::new(), tracker, PrintWriter::Callback(output));
    let mut calls = 0_u32;
    loop {
        let step = match progress {
            Ok(RunProgress::Complete(result)) => return finished(&result, limits),
            Ok(step) => step,
            Err(e) => return failed(&e, ErrorKind::Exception),
        };
        calls += 1;
        let print = PrintWriter::Callback(output);
        progress = if calls > limits.host_calls {
            abort(step, limits, print)
        } else {
            answer(step, files, print)
        };
    }
}

type Step = Result<RunProgress, MontyException>;

/// Answers a question of the interpreter: files from the map, everything else with "there is none".
fn answer(step: RunProgress, files: &mut Files, print: PrintWriter<'_>) -> Step {
    match step {
        RunProgress::OsCall(call) => call.resume_with(print, |call| files.answer(call)),
        RunProgress::NameLookup(lookup) => lookup.resume(NameLookupResult::Undefined, print),
        RunProgress::FunctionCall(call) => {
            let name = call.function_name.clone();
            call.resume(ExtFunctionResult::NotFound(name), print)
        }
        RunProgress::ResolveFutures(_) => Err(exception(
            ExcType::RuntimeError,
            "it waits for something that nobody will answer",
        )),
        done @ RunProgress::Complete(_) => Ok(done),
    }
}

/// Ends the code with an exception that it cannot catch.
fn abort(step: RunProgress, limits: &Limits, print: PrintWriter<'_>) -> Step {
    let text = format!(
        "it made more than {} calls out of the interpreter",
        limits.host_calls
    );
    let exc = exception(ExcType::RuntimeError, &text);
    match step {
        RunProgress::OsCall(call) => call.abort(exc, print),
        RunProgress::NameLookup(lookup) => lookup.abort(exc, print),
        RunProgress::FunctionCall(call) => call.abort(exc, print),
        RunProgress::ResolveFutures(_) | RunProgress::Complete(_) => Err(exc),
    }
}

pub(crate) fn exception(kind: ExcType, message: &str) -> MontyException {
    MontyException::new(kind, Some(message.to_owned()))
}

fn finished(result: &MontyObject, limits: &Limits) -> Outcome {
    value::encode(result, limits.value).map_or_else(
        || {
            error(
                ErrorKind::OutputLimit,
                format!("its result is larger than {} bytes as JSON", limits.value),
            )
        },
        Outcome::Value,
    )
}

fn failed(e: &MontyException, otherwise: ErrorKind) -> Outcome {
    let message = e.message().unwrap_or_default();
    let kind = match e.exc_type() {
        ExcType::MemoryError => ErrorKind::MemoryLimit,
        ExcType::TimeoutError if message.starts_with("time limit exceeded") => ErrorKind::TimeLimit,
        _ => otherwise,
    };
    let traceback = if kind == ErrorKind::Exception {
        e.to_string()
    } else {
        String::new()
    };
    Outcome::Error {
        kind,
        message: clip(e.summary()),
        traceback: clip(traceback),
    }
}

/// At most 8 KiB of a text, whole characters.
fn clip(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(8 << 10));
    text
}

const fn error(kind: ErrorKind, message: String) -> Outcome {
    Outcome::Error {
        kind,
        message,
        traceback: String::new(),
    }
}

fn processor_time() -> u64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    u64::try_from(used.tv_sec * 1_000_000 + used.tv_nsec / 1000).unwrap_or(0)
}
