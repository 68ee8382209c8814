//! `nexus providers`.

use clap::{Args, Subcommand};

use super::JsonArgs;

/// `nexus providers`; without more words, `list`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  nexus providers
  nexus providers test claude"
)]
pub struct ProvidersArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: Option<ProvidersAction>,
    /// How to list.
    #[command(flatten)]
    pub list: JsonArgs,
}

/// What to do with providers.
#[derive(Debug, Subcommand)]
pub enum ProvidersAction {
    /// Lists the providers that the running routers know, and why one cannot be used
    List(JsonArgs),
    /// Asks a provider of the configuration the smallest question there is; costs a few tokens
    Test(TestArgs),
}

/// `nexus providers test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Its name in providers.yaml
    pub name: String,
    /// How to print.
    #[command(flatten)]
    pub print: JsonArgs,
}
