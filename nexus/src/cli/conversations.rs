//! `nexus conversations`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::{Preferences, Where, patience};

/// `nexus conversations`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nexus conversations list
  nexus conversations show 0197a5f0-…
  nexus conversations export 0197a5f0-… > talk.json
  nexus conversations import talk.json
  nexus conversations branch 0197a5f0-… 2 \"And in Tokyo?\"")]
pub struct ConversationsArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: ConversationsAction,
}

/// What to do with conversations.
#[derive(Debug, Subcommand)]
pub enum ConversationsAction {
    /// Lists conversations, the most recent first
    List(ListArgs),
    /// Shows what was said, with the numbers that `branch` takes
    Show(ShowArgs),
    /// Finds what was said
    Search(SearchArgs),
    /// Writes a conversation as JSON, to be imported here or elsewhere
    Export(ExportArgs),
    /// Opens a conversation with what `export` wrote
    Import(ImportArgs),
    /// Gives a conversation another title
    Rename(RenameArgs),
    /// Says something else instead of an earlier message, in a new conversation
    Branch(BranchArgs),
    /// Erases a conversation, everywhere
    Delete(DeleteArgs),
}

/// `nexus conversations list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Most conversations
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub limit: usize,
    /// One JSON list
    #[arg(long)]
    pub json: bool,
    /// Whom to ask.
    #[command(flatten)]
    pub node: Where,
}

/// `nexus conversations show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The conversation
    #[arg(value_name = "CONVERSATION_ID")]
    pub id: String,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
    /// Whom to ask.
    #[command(flatten)]
    pub node: Where,
}

/// `nexus conversations search`.
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// Words that were said
    #[arg(value_name = "WORDS", required = true)]
    pub words: Vec<String>,
    /// Most findings
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub limit: u32,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
    /// Whom to ask.
    #[command(flatten)]
    pub node: Where,
}

/// `nexus conversations export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The conversation
    #[arg(value_name = "CONVERSATION_ID")]
    pub id: String,
    /// Whom to ask.
    #[command(flatten)]
    pub node: Where,
}

/// `nexus conversations import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The file; `-` reads standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Whom to tell.
    #[command(flatten)]
    pub node: Where,
}

/// `nexus conversations rename`.
#[derive(Debug, Args)]
pub struct RenameArgs {
    /// The conversation
    #[arg(value_name = "CONVERSATION_ID")]
    pub id: String,
    /// Its title; 1 to 200 characters
    pub title: String,
    /// Whom to tell.
    #[command(flatten)]
    pub node: Where,
}

/// `nexus conversations branch`.
#[derive(Debug, Args)]
pub struct BranchArgs {
    /// The conversation to leave
    #[arg(value_name = "CONVERSATION_ID")]
    pub id: String,
    /// The message to replace: its number, as `show` counts, or its run
    pub message: String,
    /// What is said instead
    pub text: String,
    /// Prints one JSON object instead of the answer's text
    #[arg(long)]
    pub json: bool,
    /// How long to wait for the answer
    #[arg(long, default_value = "120s", value_parser = patience, value_name = "TIME")]
    pub timeout: Duration,
    /// What to choose.
    #[command(flatten)]
    pub choices: Preferences,
    /// Whom to ask.
    #[command(flatten)]
    pub node: Where,
}

/// `nexus conversations delete`.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// The conversation
    #[arg(value_name = "CONVERSATION_ID")]
    pub id: String,
    /// Without asking again
    #[arg(long)]
    pub yes: bool,
    /// Whom to tell.
    #[command(flatten)]
    pub node: Where,
}
