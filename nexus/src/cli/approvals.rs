//! `nexus approvals`.

use clap::{Args, Subcommand};

use super::Where;

/// `nexus approvals`; without more words, `list`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  nexus approvals
  nexus approvals approve 0197a5f0-…
  nexus approvals deny 0197a5f0-… --comment \"not on a Friday\""
)]
pub struct ApprovalsArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: Option<ApprovalsAction>,
    /// How to list.
    #[command(flatten)]
    pub list: ListArgs,
}

/// What to do with approvals.
#[derive(Debug, Subcommand)]
pub enum ApprovalsAction {
    /// Lists the tool calls that wait, the oldest first
    List(ListArgs),
    /// Lets a tool call be made, with exactly the arguments that are shown
    Approve(DecideArgs),
    /// Forbids a tool call
    Deny(DecideArgs),
}

/// `nexus approvals list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// One JSON list
    #[arg(long)]
    pub json: bool,
    /// Whom to ask.
    #[command(flatten)]
    pub node: Where,
}

/// `nexus approvals approve` and `deny`.
#[derive(Debug, Args)]
pub struct DecideArgs {
    /// The approval, as `nexus approvals` shows it
    #[arg(value_name = "APPROVAL_ID")]
    pub id: String,
    /// Why; of a denied call, the model is told
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
    /// Whom to tell.
    #[command(flatten)]
    pub node: Where,
}
