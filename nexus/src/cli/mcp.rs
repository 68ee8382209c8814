//! `nexus mcp`.

use clap::{Args, Subcommand};

use super::{JsonArgs, Where};

/// `nexus mcp`; without more words, `list`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  nexus mcp
  nexus mcp pending
  nexus mcp approve files read_file 3f5c…
  nexus mcp resources notes
  nexus mcp read notes note://today
  nexus mcp prompt notes summarise '{\"tone\":\"dry\"}'"
)]
pub struct McpArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: Option<McpAction>,
    /// How to list.
    #[command(flatten)]
    pub list: ServersArgs,
}

/// What to do with MCP servers.
#[derive(Debug, Subcommand)]
pub enum McpAction {
    /// Lists the MCP servers, and how they are
    List(ServersArgs),
    /// Shows tools that wait for approval: new ones, and those whose definition changed
    Pending(ServersArgs),
    /// Approves a tool as it was shown
    Approve(ApproveArgs),
    /// Lists the resources of a server
    Resources(OfServerArgs),
    /// Prints a resource
    Read(ReadArgs),
    /// Lists the prompts of a server
    Prompts(OfServerArgs),
    /// Prints a prompt, filled in
    Prompt(PromptArgs),
}

/// `nexus mcp resources` and `prompts`.
#[derive(Debug, Args)]
pub struct OfServerArgs {
    /// The server
    pub server: String,
    /// How to print.
    #[command(flatten)]
    pub print: JsonArgs,
    /// Where the node is.
    #[command(flatten)]
    pub node: Where,
}

/// `nexus mcp read`.
#[derive(Debug, Args)]
pub struct ReadArgs {
    /// The server
    pub server: String,
    /// The resource's name, as `resources` lists it
    pub uri: String,
    /// Where the node is.
    #[command(flatten)]
    pub node: Where,
}

/// `nexus mcp prompt`.
#[derive(Debug, Args)]
pub struct PromptArgs {
    /// The server
    pub server: String,
    /// The prompt's name, as `prompts` lists it
    pub prompt: String,
    /// Its arguments: a JSON object
    #[arg(default_value = "{}")]
    pub arguments: String,
    /// Where the node is.
    #[command(flatten)]
    pub node: Where,
}

/// `nexus mcp list` and `pending`.
#[derive(Debug, Args)]
pub struct ServersArgs {
    /// How to print.
    #[command(flatten)]
    pub print: JsonArgs,
    /// Where the node is.
    #[command(flatten)]
    pub node: Where,
}

/// `nexus mcp approve`.
#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// The server
    pub server: String,
    /// The server's own name for the tool
    pub tool: String,
    /// The hash that `pending` showed
    pub pin: String,
    /// Where the node is.
    #[command(flatten)]
    pub node: Where,
}
