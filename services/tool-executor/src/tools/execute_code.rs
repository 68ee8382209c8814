//! `execute_code`: Python, where it can reach nothing.

mod start;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nexus_sandbox::{Done, Failure, Job, Limits, SandboxError};
use nexus_store::EffectClass;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::artefacts::Artefacts;
use crate::parts::Parts;
use crate::tool::{Tool, ToolContext, ToolError};

use start::Started;
pub use start::{Code, CodeBackend};

/// Told when files were not kept.
const LEFT_OUT: &str = "\n[it made more files than one call may leave]";

/// Runs code.
pub struct ExecuteCode {
    sandbox: Arc<Started>,
    artefacts: Artefacts,
    limits: Limits,
}

impl ExecuteCode {
    /// Starts the sandbox beside the service: until its self-test has passed the tool is stopped.
    #[must_use]
    pub fn new(parts: &Parts) -> Self {
        Self {
            sandbox: Started::begin(parts),
            artefacts: parts.artefacts.clone(),
            limits: parts.config.code.limits(),
        }
    }
}

/// The arguments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// Python source. The value of its last expression is the result; what it prints is kept too.
    /// It has no network and no other files than those given here. Classes cannot inherit, there is
    /// no `yield`, and of the standard library only a part (math, re, json, datetime, and the like).
    pub code: String,
    /// Files it can read with `open(name)`.
    #[serde(default)]
    pub files: Vec<Given>,
}

/// A file for the code.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// Its name, without folders.
    pub name: String,
    /// Its text. Give this or `reference`.
    #[serde(default)]
    pub text: Option<String>,
    /// The reference of a file or of a long result that an earlier call of this conversation left.
    #[serde(default)]
    pub reference: Option<String>,
}

/// What the code did.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Ran {
    /// The value of the last expression. What JSON cannot say is an object with `$type`.
    #[serde(skip_serializing_if = "Value::is_null")]
    result: Value,
    /// What it printed.
    #[serde(skip_serializing_if = "String::is_empty")]
    stdout: String,
    /// What it wrote to standard error.
    #[serde(skip_serializing_if = "String::is_empty")]
    stderr: String,
    /// Whether it wrote more than that.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    output_cut: bool,
    /// Files it made or changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<Made>,
}

/// A file that the code made.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Made {
    /// Its name.
    name: String,
    /// Its size.
    bytes: u64,
    /// What `read_result`, and `files` of another call, take.
    reference: String,
}

impl Tool for ExecuteCode {
    const NAME: &'static str = "execute_code";
    const DESCRIPTION: &'static str = "Runs Python in a sandbox without network. Use it for \
        calculations with many steps, for data, text and files, and to check what you claim. The \
        value of the last expression is the result. Nothing stays between calls but the files it \
        made, which another call can be given.";
    const EFFECT: EffectClass = EffectClass::ReadOnly;
    // The code's own limit is 30 s unless configured otherwise, and it may wait for a free process.
    const TIMEOUT: Option<Duration> = Some(Duration::from_secs(45));
    const EXAMPLE: Option<&'static str> = Some(r#"{"code": "sum(range(10))"}"#);
    type Args = Args;
    type Output = Ran;

    fn stopped(&self) -> Option<String> {
        self.sandbox.stopped()
    }

    // What it says comes from its arguments, which are in the conversation already: it brings nothing.
    async fn call(&self, args: Args, ctx: &ToolContext) -> Result<Ran, ToolError> {
        let sandbox = self.sandbox.ready().map_err(ToolError::Unavailable)?;
        let mut job = Job::new(args.code).limits(self.limits);
        job.now_ms = Some(ctx.now.as_millis());
        let (most, room) = (self.limits.files, self.limits.file_bytes);
        if args.files.len() > usize::try_from(most).unwrap_or(usize::MAX) {
            let text = format!("at most {most} files may be given");
            return Err(ToolError::BadArguments(text));
        }
        let mut bytes = 0_u64;
        for file in args.files {
            let (name, data) = self.read(file, ctx).await?;
            bytes = bytes.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
            if bytes > room {
                let text = format!("the files have more than {room} bytes together");
                return Err(ToolError::BadArguments(text));
            }
            job = job.file(name, data);
        }
        let done = sandbox.run(job).await.map_err(refused)?;
        match done.result {
            Ok(_) => self.told(done, ctx).await,
            Err(failure) => Err(failed(&failure, &done.stdout.text)),
        }
    }
}

impl ExecuteCode {
    async fn read(&self, file: Given, ctx: &ToolContext) -> Result<(String, Vec<u8>), ToolError> {
        let Given {
            name,
            text,
            reference,
        } = file;
        let reference = match (text, reference) {
            (Some(text), None) => return Ok((name, text.into_bytes())),
            (None, Some(reference)) => reference,
            _ => {
                return Err(ToolError::BadArguments(format!(
                    "the file `{name}` must have either `text` or `reference`"
                )));
            }
        };
        let found = self.artefacts.find(ctx.whose(), &reference, ctx.now).await;
        let found = found.map_err(|error| ToolError::Unavailable(error.to_string()))?;
        let bytes = found.ok_or_else(|| {
            ToolError::BadArguments(format!(
                "no file is kept under the reference `{reference}` in this conversation"
            ))
        })?;
        Ok((name, bytes.to_vec()))
    }

    async fn told(&self, done: Done, ctx: &ToolContext) -> Result<Ran, ToolError> {
        let mut files = Vec::with_capacity(done.files.len());
        for file in done.files {
            let reference = format!("{}/{}", ctx.key, file.name);
            let bytes = u64::try_from(file.data.len()).unwrap_or(u64::MAX);
            let kept = self
                .artefacts
                .keep(ctx.whose(), &reference, Bytes::from(file.data));
            kept.await.map_err(|error| {
                ToolError::Failed(format!(
                    "the code ran, and its file `{}` could not be kept: {error}",
                    file.name
                ))
            })?;
            files.push(Made {
                name: file.name,
                bytes,
                reference,
            });
        }
        let left_out = done.files_left_out.then_some(LEFT_OUT);
        Ok(Ran {
            result: done.result.unwrap_or_default(),
            stdout: done.stdout.text,
            stderr: done.stderr.text + left_out.unwrap_or_default(),
            output_cut: done.stdout.truncated || done.stderr.truncated,
            files,
        })
    }
}

fn refused(error: SandboxError) -> ToolError {
    match error {
        SandboxError::Refused(why) => ToolError::BadArguments(why),
        other => ToolError::Unavailable(other.to_string()),
    }
}

/// How code failed, in words its author can act on, with the end of what it printed.
fn failed(failure: &Failure, stdout: &str) -> ToolError {
    let mut text = failure.message.clone();
    if !failure.traceback.is_empty() {
        text = format!("{text}\n{}", failure.traceback);
    }
    if !stdout.is_empty() {
        const SHOWN: usize = 2000;
        let from = stdout.ceil_char_boundary(stdout.len().saturating_sub(SHOWN));
        let end = stdout.get(from..).unwrap_or_default();
        text = format!("{text}\nIt had printed:\n{end}");
    }
    ToolError::Failed(text)
}
