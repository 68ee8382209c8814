//! One call: a process becomes ready, gets its order, answers or not, and is gone.

use std::{os::unix::process::ExitStatusExt as _, pin::pin, process::ExitStatus, time::Duration};

use tokio::{
    io::AsyncWriteExt,
    net::UnixStream,
    time::{Instant, sleep_until, timeout},
};

use crate::{
    Limits, SandboxError,
    capture::{Capture, Exceeded},
    job::{Done, ErrorKind, Failure, Times},
    pool::{Pool, Worker},
    protocol::{
        Hello, MAX_NAME, Order, Outcome, Reply, check_name,
        frame::{self, FrameError},
    },
    text::{harmless, harmless_within},
};

/// How long a process may take until it is locked down; CPython on a loaded machine needs the most.
const READY: Duration = Duration::from_secs(20);
/// What the interpreter is given beyond its own limit to report that it was exceeded.
const GRACE: Duration = Duration::from_millis(250);
/// How long the kernel may take to end a killed process and close its pipes.
const BURIAL: Duration = Duration::from_secs(10);
/// How long an ended conversation may precede the end of its process.
const ENDING: Duration = Duration::from_millis(500);
/// Bytes of a message or traceback that are passed on.
const MAX_TEXT: usize = 16 << 10;
/// Processes that may end before they were ready until the call gives up.
const TRIES: usize = 3;

/// A process that has said it is locked down.
pub(crate) async fn ready(pool: &Pool) -> Result<(Worker, Hello), SandboxError> {
    let mut why = String::new();
    for _ in 0..TRIES {
        let mut worker = pool.take().await?;
        let hello = frame::receive::<Hello, _>(&mut worker.channel, 4096);
        match timeout(READY, hello).await {
            Ok(Ok(hello)) => return Ok((worker, hello)),
            Ok(Err(error)) => why = last_words(worker, &error.to_string()).await,
            Err(_) => why = last_words(worker, "it said nothing in time").await,
        }
        tracing::warn!(%why, "a sandbox process did not become ready");
    }
    Err(SandboxError::NotReady(why))
}

/// What a process that failed to become ready wrote on its standard error.
async fn last_words(mut worker: Worker, error: &str) -> String {
    let mut words = Capture::new(worker.stderr.take(), 2048);
    drop(timeout(ENDING, words.fill()).await);
    worker.process.kill();
    drop(timeout(BURIAL, words.drain()).await);
    format!("{error}; it wrote: {}", harmless(words.bytes()).trim())
}

/// What ended the conversation.
enum End {
    Reply(Box<Reply>),
    Broken(FrameError),
    TooMuchOutput,
    TooLate,
}

/// Gives the order and waits for the end of the process. Dropping this future kills it.
pub(crate) async fn call(mut worker: Worker, order: &Order, limits: &Limits) -> Done {
    let cap = usize::try_from(limits.output).unwrap_or(usize::MAX);
    let mut stdout = Capture::new(worker.stdout.take(), cap);
    let mut stderr = Capture::new(worker.stderr.take(), cap);
    let began = Instant::now();
    let end = {
        let mut streams = pin!(async { tokio::try_join!(stdout.fill(), stderr.fill()).map(drop) });
        let mut talk = pin!(talk(&mut worker.channel, order, limits));
        let mut open = true;
        loop {
            tokio::select! {
                biased;
                end = &mut talk => break end,
                filled = &mut streams, if open => match filled {
                    Ok(()) => open = false,
                    Err(Exceeded) => break End::TooMuchOutput,
                },
                () = sleep_until(began + limits.time() + GRACE) => break End::TooLate,
            }
        }
    };
    let ran = began.elapsed();
    let status = bury(worker, &end, &mut stdout, &mut stderr).await;
    let (result, reply) = judge(end, status, limits);
    let mut done = Done {
        result,
        stdout: stdout.into_stream(),
        stderr: stderr.into_stream(),
        files: Vec::new(),
        files_left_out: false,
        times: Times {
            ran,
            ..Times::default()
        },
    };
    if let Some(reply) = reply {
        take_files(&mut done, reply, limits);
    }
    done
}

async fn talk(channel: &mut UnixStream, order: &Order, limits: &Limits) -> End {
    let spoken = async {
        channel.write_all(&frame::encode(order)?).await?;
        frame::receive::<Reply, _>(channel, reply_cap(limits)).await
    };
    match spoken.await {
        Ok(reply) => End::Reply(Box::new(reply)),
        Err(error) => End::Broken(error),
    }
}

/// The largest answer that keeps to the limits: files are base64, and names and texts come on top.
fn reply_cap(limits: &Limits) -> usize {
    let files =
        limits.file_bytes.div_ceil(3) * 4 + u64::from(limits.files) * (MAX_NAME as u64 * 6 + 64);
    usize::try_from(limits.value + files + (256 << 10)).unwrap_or(usize::MAX)
}

/// Ends the process and everything it started, and waits until the pipes say that nothing is left.
async fn bury<A, B>(
    mut worker: Worker,
    end: &End,
    stdout: &mut Capture<A>,
    stderr: &mut Capture<B>,
) -> Option<ExitStatus>
where
    A: tokio::io::AsyncRead + Unpin,
    B: tokio::io::AsyncRead + Unpin,
{
    let mut status = None;
    if matches!(end, End::Broken(_)) {
        // How it ended says why, if it ended by itself.
        status = timeout(ENDING, worker.process.wait())
            .await
            .ok()
            .and_then(Result::ok);
    }
    worker.process.kill();
    let gone = async {
        let _ended = worker.process.wait().await;
        tokio::join!(stdout.drain(), stderr.drain());
    };
    if timeout(BURIAL, gone).await.is_err() {
        tracing::error!("a killed sandbox process, or one that it started, has not ended");
    }
    status
}

type Judged = (Result<serde_json::Value, Failure>, Option<Reply>);

fn judge(end: End, status: Option<ExitStatus>, limits: &Limits) -> Judged {
    let failed = |kind, message: String| (Err(Failure::new(kind, message)), None);
    match end {
        End::Reply(mut reply) => {
            let outcome =
                std::mem::replace(&mut reply.outcome, Outcome::Value(serde_json::Value::Null));
            (judge_outcome(outcome, limits), Some(*reply))
        }
        End::TooLate => failed(
            ErrorKind::TimeLimit,
            format!("it ran longer than {} ms and was ended", limits.time_ms),
        ),
        End::TooMuchOutput => failed(
            ErrorKind::OutputLimit,
            format!("it printed more than {} bytes", limits.output),
        ),
        End::Broken(error) => {
            let (kind, message) = epitaph(&error, status);
            failed(kind, message)
        }
    }
}

fn judge_outcome(outcome: Outcome, limits: &Limits) -> Result<serde_json::Value, Failure> {
    match outcome {
        Outcome::Value(value) => {
            let size = serde_json::to_vec(&value).map_or(usize::MAX, |bytes| bytes.len());
            if size as u64 > limits.value {
                let message = format!(
                    "its result has {size} bytes as JSON; at most {} are taken",
                    limits.value
                );
                return Err(Failure::new(ErrorKind::OutputLimit, message));
            }
            Ok(value)
        }
        Outcome::Error {
            kind,
            message,
            traceback,
        } => Err(Failure {
            kind,
            message: harmless_within(message.as_bytes(), MAX_TEXT).0,
            traceback: harmless_within(traceback.as_bytes(), MAX_TEXT).0,
        }),
    }
}

/// Why a process broke off, from how it ended.
fn epitaph(error: &FrameError, status: Option<ExitStatus>) -> (ErrorKind, String) {
    // bubblewrap reports the signal of its child as shells do.
    let signal = status.and_then(|s| {
        s.signal()
            .or_else(|| s.code().map(|c| c - 128).filter(|n| *n > 0))
    });
    match (status.and_then(|s| s.code()), signal) {
        (Some(OUT_OF_MEMORY), _) => (
            ErrorKind::MemoryLimit,
            "it wanted more memory than it may have and was ended".to_owned(),
        ),
        (_, Some(31)) => (
            ErrorKind::Crashed,
            "its process made a forbidden system call and was ended by the kernel".to_owned(),
        ),
        (_, Some(signal)) => (
            ErrorKind::Crashed,
            format!("its process was ended by signal {signal}"),
        ),
        (Some(code), _) => (
            ErrorKind::Crashed,
            format!("its process ended with code {code} and without an answer"),
        ),
        (None, None) => (
            ErrorKind::Crashed,
            format!("its process did not answer properly: {error}"),
        ),
    }
}

/// `monty_types::OOM_EXIT_CODE`: how the allocator ends the process at its hard limit.
const OUT_OF_MEMORY: i32 = 65;

fn take_files(done: &mut Done, reply: Reply, limits: &Limits) {
    done.times.cpu = Duration::from_micros(reply.cpu_us);
    done.files_left_out = reply.files_left_out;
    let mut room = limits.file_bytes;
    for file in reply.files {
        let size = file.data.len() as u64;
        let known = done.files.iter().any(|f| f.name == file.name);
        if known
            || check_name(&file.name).is_err()
            || size > room
            || done.files.len() >= limits.files as usize
        {
            done.files_left_out = true;
            continue;
        }
        room -= size;
        done.files.push(file.into());
    }
}
