//! `nexus tools`.

use clap::{Args, Subcommand};

use super::{JsonArgs, Where};

/// `nexus tools`; without more words, `list`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  nexus tools
  nexus tools show math_solver
  nexus tools call math_solver '{\"expression\": \"37 * 43\"}'
  nexus tools test
  nexus tools disable web_search --conversation 0197a5f0-…"
)]
pub struct ToolsArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: Option<ToolsAction>,
    /// How to list.
    #[command(flatten)]
    pub list: ListArgs,
}

/// What to do with tools.
#[derive(Debug, Subcommand)]
pub enum ToolsAction {
    /// Lists the tools, how they fare, and why one cannot be used
    List(ListArgs),
    /// Shows what a tool takes, gives and may do
    Show(NameArgs),
    /// Calls a tool as a model would, and prints its result
    Call(CallArgs),
    /// Calls each tool that has a harmless example; exit code 1 when one does not work
    Test(TestArgs),
    /// Switches a tool off for the organisation, or for one conversation
    Disable(SwitchArgs),
    /// Switches a tool on again
    Enable(SwitchArgs),
}

/// `nexus tools list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// How to print.
    #[command(flatten)]
    pub print: JsonArgs,
    /// Where the node is.
    #[command(flatten)]
    pub node: Where,
}

/// `nexus tools show`.
#[derive(Debug, Args)]
pub struct NameArgs {
    /// Its name
    pub name: String,
    /// How to print.
    #[command(flatten)]
    pub print: JsonArgs,
    /// Where the node is.
    #[command(flatten)]
    pub node: Where,
}

/// `nexus tools call`.
#[derive(Debug, Args)]
pub struct CallArgs {
    /// Its name
    pub name: String,
    /// Its arguments, as a JSON object; `-` reads them from standard input
    #[arg(default_value = "{}")]
    pub arguments: String,
    /// How to print.
    #[command(flatten)]
    pub print: JsonArgs,
    /// Where the node is.
    #[command(flatten)]
    pub node: Where,
}

/// `nexus tools test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Only these; all that have an example when left out
    pub names: Vec<String>,
    /// How to print.
    #[command(flatten)]
    pub print: JsonArgs,
    /// Where the node is.
    #[command(flatten)]
    pub node: Where,
}

/// `nexus tools enable` and `disable`.
#[derive(Debug, Args)]
pub struct SwitchArgs {
    /// Its name
    pub name: String,
    /// In this conversation alone
    #[arg(long, value_name = "ID")]
    pub conversation: Option<String>,
    /// Where the node is.
    #[command(flatten)]
    pub node: Where,
}
