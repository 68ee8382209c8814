//! What the tool executor counts. Never labelled by tenant; only by tools that exist.

use std::time::Duration;

use metrics::{counter, histogram};

/// A tool ran and ended: `completed`, or the code of its failure.
pub(crate) fn ran(tool: &str, outcome: &'static str, took: Duration) {
    let tool = tool.to_owned();
    counter!("nexus_tool_calls_total", "tool" => tool.clone(), "outcome" => outcome).increment(1);
    histogram!("nexus_tool_duration_seconds", "tool" => tool).record(took.as_secs_f64());
}

/// A command was answered without running a tool: refused, or from the ledger.
pub(crate) fn answered(reason: &'static str) {
    counter!("nexus_tool_answered_total", "reason" => reason).increment(1);
}
