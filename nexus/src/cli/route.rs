//! `nexus route`.

use clap::{Args, Subcommand, ValueEnum};
use nexus_contracts::settings::Privacy;
use nexus_contracts::{ConversationId, OrgId};

use super::JsonArgs;

/// `nexus route`.
#[derive(Debug, Args)]
pub struct RouteArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: RouteAction,
}

/// What to do with routes.
#[derive(Debug, Subcommand)]
pub enum RouteAction {
    /// Shows whom a question would be put to, and why; asks nobody
    #[command(
        after_help = "Reads providers.yaml and the keys of this machine; nothing is sent anywhere.

Examples:
  nexus route explain \"What is 37 * 43?\"
  nexus route explain --provider main --privacy sensitive \"My diagnosis is …\"
  nexus route explain --tools --json \"Design a cache, and prove that it is correct\""
    )]
    Explain(ExplainArgs),
}

/// `nexus route explain`.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "flags of a command, each by its own name"
)]
pub struct ExplainArgs {
    /// The question
    pub text: String,
    /// The provider or route, by its name in providers.yaml; the default when absent
    #[arg(long)]
    pub provider: Option<String>,
    /// The model; that of whoever is asked when absent
    #[arg(long)]
    pub model: Option<String>,
    /// Where it may go
    #[arg(long, value_enum, default_value_t = Place::Open)]
    pub privacy: Place,
    /// As if tools were offered
    #[arg(long)]
    pub tools: bool,
    /// As if there were pictures
    #[arg(long)]
    pub images: bool,
    /// As if the answer were held to a JSON Schema
    #[arg(long)]
    pub schema: bool,
    /// As if it were asked in this conversation, which decides what is drawn
    #[arg(long)]
    pub conversation: Option<ConversationId>,
    /// As if this organisation asked
    #[arg(long)]
    pub org: Option<OrgId>,
    /// How to print.
    #[command(flatten)]
    pub print: JsonArgs,
}

/// Where a question or a document may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Place {
    /// To every provider.
    Open,
    /// It must not leave.
    Sensitive,
    /// Nothing of whoever asks leaves.
    LocalOnly,
}

impl From<Place> for Privacy {
    fn from(place: Place) -> Self {
        match place {
            Place::Open => Self::Open,
            Place::Sensitive => Self::Sensitive,
            Place::LocalOnly => Self::LocalOnly,
        }
    }
}
