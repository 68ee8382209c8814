//! An effect on the world outside: a line in a file, on disk before the tool returns.

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

/// In the folder the node runs in.
const FILE: &str = "effects";

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
        Ok(json!({ "appended": line.text }))
    }
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
