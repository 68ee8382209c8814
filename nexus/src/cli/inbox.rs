//! `nexus inbox`.

use clap::{Args, Subcommand};

use super::Where;

/// `nexus inbox`; without more words, `list`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Questions get here through a provider of the type `human` in providers.yaml.

Examples:
  nexus inbox
  nexus inbox show 0197a5f0-…
  nexus inbox answer 0197a5f0-… \"Yes, until Friday.\" --by Ann
  nexus inbox answer 0197a5f0-… - < answer.md
  nexus inbox decline 0197a5f0-… \"ask the lawyers\""
)]
pub struct InboxArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: Option<InboxAction>,
    /// How to list.
    #[command(flatten)]
    pub list: ListArgs,
}

/// What to do with questions.
#[derive(Debug, Subcommand)]
pub enum InboxAction {
    /// Lists the questions that wait for a person, the oldest first
    List(ListArgs),
    /// Shows a question with the end of its conversation
    Show(ShowArgs),
    /// Answers a question; whoever asked gets the text as the answer
    Answer(AnswerArgs),
    /// Declines to answer; whoever asked is told why, or the next provider of the route is asked
    Decline(DeclineArgs),
}

/// `nexus inbox list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// One JSON list
    #[arg(long)]
    pub json: bool,
    /// Whom to ask.
    #[command(flatten)]
    pub node: Where,
}

/// `nexus inbox show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The question, as `nexus inbox` shows it
    #[arg(value_name = "QUESTION_ID")]
    pub id: String,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
    /// Whom to ask.
    #[command(flatten)]
    pub node: Where,
}

/// `nexus inbox answer`.
#[derive(Debug, Args)]
pub struct AnswerArgs {
    /// The question, as `nexus inbox` shows it
    #[arg(value_name = "QUESTION_ID")]
    pub id: String,
    /// The answer; `-` reads it from standard input
    pub text: String,
    /// Who answers; shown with the answer
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// Whom to tell.
    #[command(flatten)]
    pub node: Where,
}

/// `nexus inbox decline`.
#[derive(Debug, Args)]
pub struct DeclineArgs {
    /// The question, as `nexus inbox` shows it
    #[arg(value_name = "QUESTION_ID")]
    pub id: String,
    /// Why; `-` reads it from standard input
    pub reason: String,
    /// Whom to tell.
    #[command(flatten)]
    pub node: Where,
}
