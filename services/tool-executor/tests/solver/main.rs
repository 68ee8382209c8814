//! What `math_solver` answers about equations, statistics and integers.

mod equations;
mod hostile;
mod integers;
mod statistics;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use nexus_contracts::{MessageId, OrgId, Timestamp, derive_id};
use nexus_tool_executor::tools::MathSolver;
use nexus_tool_executor::{AnyTool, Tool, ToolContext, ToolError};
use proptest::test_runner::TestCaseError;
use serde_json::Value;

/// Asks as the executor does: with the tool's own time limit, whose end is an error here.
async fn ask(arguments: &Value) -> Result<Result<Value, ToolError>> {
    let org = OrgId(derive_id([b"org".as_slice()]));
    let now = Timestamp::from_millis(0);
    let context = ToolContext::new(org, MessageId::new("call")?, now);
    let tool = MathSolver::new();
    let limit = MathSolver::TIMEOUT.context("the tool has a limit")?;
    let text = arguments.to_string();
    let answer = tokio::time::timeout(limit, tool.invoke(&text, &context));
    let answer = answer
        .await
        .with_context(|| format!("no answer in time: {}", shortened(arguments)))?;
    Ok(answer.map(|returned| returned.value))
}

fn shortened(arguments: &Value) -> String {
    arguments.to_string().chars().take(300).collect()
}

async fn answer(arguments: &Value) -> Result<Value> {
    let answer = ask(arguments).await?;
    answer.with_context(|| shortened(arguments))
}

/// The `result` as text.
async fn result(arguments: &Value) -> Result<String> {
    let answer = answer(arguments).await?;
    let text = answer.get("result").and_then(Value::as_str);
    let text = text.map(str::to_owned);
    text.with_context(|| format!("the result is text: {answer}"))
}

async fn refused(arguments: &Value) -> Result<ToolError> {
    match ask(arguments).await? {
        Err(error) => Ok(error),
        Ok(answer) => bail!("{} was not refused: {answer}", shortened(arguments)),
    }
}

/// Runs a future within a property test.
fn run<T>(future: impl Future<Output = Result<T>>) -> Result<T, TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime
        .block_on(future)
        .map_err(|error| TestCaseError::fail(format!("{error:#}")))
}

/// Room for what is close in time to the limit in an unoptimised build.
const SOON: Duration = Duration::from_secs(1);
