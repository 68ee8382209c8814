//! `nexus documents` and `nexus memories`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::route::Place;
use super::{JsonArgs, Where};

/// `nexus documents`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nexus documents add handbook.md --shared
  nexus documents add report.pdf --collection reports
  nexus documents add diagnosis.pdf --privacy local_only
  nexus documents search \"how many days of holiday\"
  nexus documents list
  nexus documents delete 0197a5f0-…")]
pub struct DocumentsArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: DocumentsAction,
}

/// What to do with documents.
#[derive(Debug, Subcommand)]
pub enum DocumentsAction {
    /// Keeps a text, Markdown, CSV, HTML or PDF file, or a new version of it
    Add(AddArgs),
    /// Lists the documents, the newest first
    List(ListArgs),
    /// Finds parts of documents
    Search(SearchArgs),
    /// Deletes a document for good
    Delete(IdArgs),
}

/// `nexus documents add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// The file
    pub file: PathBuf,
    /// What people call it [default: what it calls itself, or the file's name]
    #[arg(long)]
    pub title: Option<String>,
    /// What it belongs to
    #[arg(long, default_value = "documents")]
    pub collection: String,
    /// All of the organisation may find it
    #[arg(long)]
    pub shared: bool,
    /// Whether strangers wrote it, so that what agents do after reading it is watched [default: HTML and PDF]
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub untrusted: Option<bool>,
    /// Where it may go; a more open conversation does not find it [default: as before, or open if it is new]
    #[arg(long, value_enum)]
    pub privacy: Option<Place>,
    /// How to print.
    #[command(flatten)]
    pub print: JsonArgs,
    /// Where the node is.
    #[command(flatten)]
    pub node: Where,
}

/// `nexus documents list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only this collection
    #[arg(long)]
    pub collection: Option<String>,
    /// How to print.
    #[command(flatten)]
    pub print: JsonArgs,
    /// Where the node is.
    #[command(flatten)]
    pub node: Where,
}

/// `nexus documents search`.
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// What is looked for, in words
    pub query: String,
    /// Only in this collection
    #[arg(long)]
    pub collection: Option<String>,
    /// Most parts
    #[arg(long, default_value_t = 10)]
    pub limit: usize,
    /// How strict the documents may be that are searched; the query goes no further
    #[arg(long, value_enum, default_value_t = Place::Open)]
    pub privacy: Place,
    /// How to print.
    #[command(flatten)]
    pub print: JsonArgs,
    /// Where the node is.
    #[command(flatten)]
    pub node: Where,
}

/// A document or memory.
#[derive(Debug, Args)]
pub struct IdArgs {
    /// Its id
    pub id: String,
    /// Where the node is.
    #[command(flatten)]
    pub node: Where,
}

/// `nexus memories`; without more words, `list`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  nexus memories
  nexus memories forget 0197a5f0-…
  nexus memories forget --all"
)]
pub struct MemoriesArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: Option<MemoriesAction>,
    /// How to list.
    #[command(flatten)]
    pub list: MemoriesListArgs,
}

/// What to do with memories.
#[derive(Debug, Subcommand)]
pub enum MemoriesAction {
    /// Lists what agents remember of you, the newest first
    List(MemoriesListArgs),
    /// Forgets one memory, or all, for good
    Forget(ForgetArgs),
}

/// `nexus memories list`.
#[derive(Debug, Args)]
pub struct MemoriesListArgs {
    /// How to print.
    #[command(flatten)]
    pub print: JsonArgs,
    /// Where the node is.
    #[command(flatten)]
    pub node: Where,
}

/// `nexus memories forget`.
#[derive(Debug, Args)]
pub struct ForgetArgs {
    /// Its id
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub id: Option<String>,
    /// Everything
    #[arg(long)]
    pub all: bool,
    /// Where the node is.
    #[command(flatten)]
    pub node: Where,
}
