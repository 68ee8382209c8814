//! Effects on the world outside, on disk before the tool returns: a line in a file, and a file of its
//! own for each call.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use nexus_service_kit::crash_point;
use nexus_store::EffectClass;
use nexus_tool_executor::{Tool, ToolContext, ToolError};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::fs::OpenOptions;
use tokio::io::AsyncWriteExt;

/// The point at which the tool can be made slow. Not one of the executor: a question calls another
/// tool beside this one, which would be delayed instead when it comes first, and has a limit of 2 s.
pub const SLOW: &str = "append.slow";

/// The point after the effect of either tool.
pub const DONE: &str = "effect.done";

/// In the folder the node runs in.
const FILE: &str = "effects";
const REGISTER: &str = "register";

/// Writes a line.
pub struct Append;

/// What to write.
#[derive(Deserialize, JsonSchema)]
pub struct Line {
    /// The line.
    pub text: String,
}

impl Tool for Append {
    const NAME: &'static str = "append";
    const DESCRIPTION: &'static str = "Writes a line into a file.";
    const EFFECT: EffectClass = EffectClass::AtMostOnce;
    type Args = Line;
    type Output = Value;

    async fn call(&self, line: Line, _: &ToolContext) -> Result<Value, ToolError> {
        crash_point!(SLOW);
        let append = async {
            let mut file = OpenOptions::new()
                .create(true)
                .append(true)
                .open(FILE)
                .await?;
            file.write_all(format!("{}\n", line.text).as_bytes())
                .await?;
            file.sync_data().await
        };
        let appended: std::io::Result<()> = append.await;
        appended.map_err(|error| ToolError::Failed(error.to_string()))?;
        crash_point!(DONE);
        Ok(json!({ "appended": line.text }))
    }
}

/// Makes a file, named by the call: however often it runs, there is one.
pub struct Register;

impl Tool for Register {
    const NAME: &'static str = "register";
    const DESCRIPTION: &'static str = "Registers a line.";
    const EFFECT: EffectClass = EffectClass::Idempotent;
    type Args = Line;
    type Output = Value;

    async fn call(&self, line: Line, ctx: &ToolContext) -> Result<Value, ToolError> {
        let made = async {
            tokio::fs::create_dir_all(REGISTER).await?;
            let name = format!("{REGISTER}/{}", ctx.key);
            let opened = OpenOptions::new()
                .create_new(true)
                .write(true)
                .open(name)
                .await;
            match opened {
                Ok(mut file) => {
                    file.write_all(line.text.as_bytes()).await?;
                    file.sync_data().await.map(|()| true)
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
                Err(error) => Err(error),
            }
        };
        let made: std::io::Result<bool> = made.await;
        let now = made.map_err(|error| ToolError::Failed(error.to_string()))?;
        crash_point!(DONE);
        Ok(json!({ "registered": line.text, "before": !now }))
    }
}

/// What was registered, one entry for each effect.
///
/// # Errors
/// When a file cannot be read.
pub fn registered(folder: &Path) -> Result<Vec<String>> {
    let files = match std::fs::read_dir(folder.join(REGISTER)) {
        Ok(files) => files,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    files
        .map(|file| Ok(std::fs::read_to_string(file?.path())?))
        .collect()
}

/// How often each line was written.
///
/// # Errors
/// When the file cannot be read.
pub fn effects(folder: &Path) -> Result<BTreeMap<String, usize>> {
    let text = match std::fs::read_to_string(folder.join(FILE)) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error.into()),
    };
    let mut lines = BTreeMap::new();
    for line in text.lines() {
        *lines.entry(line.to_owned()).or_default() += 1;
    }
    Ok(lines)
}
