//! Tool calls that wait for a person, shown and asked about in a terminal.

use std::io::Write;

use nexus_contracts::events::{ApprovalRequested, Decision};
use nexus_entry_api::view::ApprovalView;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};

use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::style::{Tone, cut, toned};

/// Lines a person types.
pub type Typed = Lines<BufReader<Stdin>>;

/// Longest arguments that are shown, in characters: what is approved must be seen.
const ARGUMENTS: usize = 4_000;

/// A tool call that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Names it.
    pub approval_id: String,
    /// The tool.
    pub tool: String,
    /// The arguments, as the model wrote them.
    pub arguments: String,
    /// Why a person is asked.
    pub reason: String,
    /// Until when.
    pub expires_at: String,
}

impl From<&ApprovalView> for Call {
    fn from(view: &ApprovalView) -> Self {
        Self {
            approval_id: view.approval_id.clone(),
            tool: view.tool.clone(),
            arguments: view.arguments.clone(),
            reason: view.reason.clone(),
            expires_at: view.expires_at.clone(),
        }
    }
}

impl Call {
    /// Reads the request of a live event.
    #[must_use]
    pub fn read(request: &Value) -> Option<Self> {
        let request: ApprovalRequested = serde_json::from_value(request.clone()).ok()?;
        Some(Self {
            approval_id: request.approval_id.to_string(),
            tool: request.tool,
            arguments: request.arguments,
            reason: request.reason,
            expires_at: request.expires_at.to_string(),
        })
    }

    /// The call, and why a person is asked.
    #[must_use]
    pub fn lines(&self) -> String {
        format!(
            "{} {} {}\n  {}",
            toned(Tone::Strong, "?"),
            toned(Tone::Name, cut(&self.tool, 80)),
            cut(&self.arguments, ARGUMENTS),
            toned(
                Tone::Faint,
                format!(
                    "{} · open until {}",
                    cut(&self.reason, 200),
                    self.expires_at
                )
            ),
        )
    }

    /// What to run where nobody can be asked.
    #[must_use]
    pub fn todo(&self, node: &str) -> String {
        let id = &self.approval_id;
        let (yes, no) = (
            format!("nexus approvals approve {id} --url {node}"),
            format!("nexus approvals deny {id} --url {node}"),
        );
        toned(Tone::Faint, format!("  {yes}\n  {no}"))
    }
}

/// Asks until there is a yes or a no; `None` when nobody types any more.
///
/// # Errors
/// When the terminal breaks.
pub async fn ask(typed: &mut Typed, out: &mut impl Write) -> Result<Option<Decision>, Failure> {
    loop {
        write!(out, "{} ", toned(Tone::Strong, "call it? [y/n]"))?;
        out.flush()?;
        let Some(line) = typed.next_line().await? else {
            return Ok(None);
        };
        match line.trim().to_lowercase().as_str() {
            "y" | "yes" => return Ok(Some(Decision::Approve)),
            "n" | "no" => return Ok(Some(Decision::Deny)),
            _ => {}
        }
    }
}

/// Tells the node; says how that went. One that is decided already is no reason to stop.
///
/// # Errors
/// When the node cannot be reached.
pub async fn tell(client: &Client, call: &Call, decision: Decision) -> Result<String, Failure> {
    match client.decide(&call.approval_id, decision, None).await {
        Ok(_) => Ok(toned(Tone::Faint, format!("  {}", done(decision)))),
        Err(failure) if failure.exit == Exit::Unreachable => Err(failure),
        Err(failure) => Ok(toned(Tone::Bad, format!("  {failure}"))),
    }
}

/// The word for a decision that was made.
#[must_use]
pub const fn done(decision: Decision) -> &'static str {
    match decision {
        Decision::Approve => "approved",
        Decision::Deny => "denied",
    }
}

/// Standard input, line by line.
pub fn typed() -> Typed {
    BufReader::new(tokio::io::stdin()).lines()
}
