//! The command line: what can be asked of `nexus`, and how it is written.

pub mod approvals;
pub mod conversations;
pub mod documents;
pub mod inbox;
pub mod mcp;
pub mod providers;
pub mod route;
pub mod tools;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use approvals::ApprovalsArgs;
use conversations::ConversationsArgs;
use documents::{DocumentsArgs, MemoriesArgs};
use inbox::InboxArgs;
use mcp::McpArgs;
use providers::ProvidersArgs;
use route::RouteArgs;
use tools::ToolsArgs;

/// Exit codes, for scripts.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the answer failed, or `doctor` found something
  2  wrong usage or configuration
  3  no node or bus could be reached, or a file or port is in use
  4  no answer in time
  130  interrupted";

/// Nexus: agents on an event bus. Every step is a message you can see.
#[derive(Debug, Parser)]
#[command(name = "nexus", version, about, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What holds for every command.
#[derive(Clone, Debug, Default, Args)]
pub struct Global {
    /// Configuration file [default: config/nexus.yaml, if there is one]
    #[arg(long, global = true, value_name = "PATH", env = "NEXUS_CONFIG")]
    pub config: Option<PathBuf>,
    /// Overrides one key, as in `--set http.listen=127.0.0.1:9000`; repeatable
    #[arg(long = "set", global = true, value_name = "SECTION.KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// The bus: embedded:FILE, redis://HOST:PORT or nats://HOST:PORT
    #[arg(long, global = true, value_name = "URL")]
    pub bus: Option<String>,
    /// Folder for everything Nexus keeps [default: data]
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// No colour, even on a terminal
    #[arg(long, global = true)]
    pub no_color: bool,
}

/// Where a running node is.
#[derive(Clone, Debug, Default, Args)]
pub struct Where {
    /// A running node [default: the address in the configuration]
    #[arg(long, value_name = "URL", env = "NEXUS_URL")]
    pub url: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Starts everything in one process: bus, store and all services
    #[command(after_help = "Examples:
  nexus up
  nexus up --bus redis://127.0.0.1:6379
  nexus up --data /tmp/nexus --set http.listen=127.0.0.1:0")]
    Up,
    /// Starts some services in this process; the others run elsewhere on the same bus
    #[command(after_help = "Examples:
  nexus run orchestrator --bus redis://127.0.0.1:6379
  nexus run provider-router tool-executor --bus nats://127.0.0.1:4222
  nexus run inference-worker --set inference-worker.models.small.path=/models/qwen3-0.6b")]
    Run(RunArgs),
    /// Asks one question; the answer goes to standard output, all else to standard error
    #[command(after_help = "Examples:
  nexus ask \"What is 37 * 43?\"
  nexus ask --json \"What time is it?\" | jq -r .text
  nexus ask --conversation 0197a5f0-… \"And in Tokyo?\"
  nexus ask --samples 3 --max-cost 0.05 \"Is 2027 prime?\"")]
    Ask(AskArgs),
    /// Talks in the terminal, with answers as they are written and every tool call
    #[command(
        after_help = "In the chat: /new starts over, /help lists what there is, /quit ends. Where a tool call needs a
person, the chat asks; where nobody can be asked, it says what to run.

Examples:
  nexus chat
  nexus chat --provider demo"
    )]
    Chat(ChatArgs),
    /// Lists, shows, searches and changes conversations
    Conversations(ConversationsArgs),
    /// Lists tool calls that wait for a person, and decides about them
    Approvals(ApprovalsArgs),
    /// Lists questions that wait for a person's answer, and answers or declines them
    Inbox(InboxArgs),
    /// Shows messages as they pass, on all channels
    #[command(after_help = "Reads beside whoever works; takes nothing away.

Examples:
  nexus tail
  nexus tail --since 10m --type inference
  nexus tail --corr 0197a5f0-… --json")]
    Tail(TailArgs),
    /// Shows everything one message caused, hop by hop
    #[command(after_help = "Examples:
  nexus trace 0197a5f0-0000-7000-8000-000000000001
  nexus ask --json \"Hello\" | jq -r .correlation_id | xargs nexus trace")]
    Trace(TraceArgs),
    /// Lists the workers that are alive on the bus
    Workers(JsonArgs),
    /// Lists the providers of models, and tests one
    Providers(ProvidersArgs),
    /// Keeps, lists, finds and deletes documents that agents search
    Documents(DocumentsArgs),
    /// Lists what agents remember of you, and forgets it
    Memories(MemoriesArgs),
    /// Lists MCP servers, and approves the tools they offer
    Mcp(McpArgs),
    /// Lists the tools, calls or tests one, and switches them off and on
    Tools(ToolsArgs),
    /// Lists the models of all providers
    Models(JsonArgs),
    /// Shows whom a question would be put to, and why
    Route(RouteArgs),
    /// Checks configuration, bus, store, providers and ports; each line is ok or what to do
    Doctor(JsonArgs),
    /// Prints the contracts.
    #[command(
        about = "Prints the contracts: JSON Schema of an event or of providers.yaml, AsyncAPI, OpenAPI"
    )]
    #[command(after_help = "Examples:
  nexus schema --list
  nexus schema message.submitted
  nexus schema --asyncapi > asyncapi.json
  nexus schema --openapi > openapi.json
  nexus schema --providers > providers.schema.json")]
    Schema(SchemaArgs),
}

/// `nexus run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The services; `nexus run help` lists them
    #[arg(required = true, value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// What a question may choose.
#[derive(Clone, Debug, Default, Args)]
pub struct Choices {
    /// The conversation to go on with
    #[arg(long, value_name = "ID")]
    pub conversation: Option<String>,
    /// How it is answered.
    #[command(flatten)]
    pub preferences: Preferences,
}

/// How a question is to be answered.
#[derive(Clone, Debug, Default, Args)]
pub struct Preferences {
    /// The provider, by its name in providers.yaml
    #[arg(long, value_name = "NAME")]
    pub provider: Option<String>,
    /// The model, as the provider names it
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Draws this many answers and votes on one, 1 to 9
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=9))]
    pub samples: Option<u8>,
    /// While the conversation answers another message: queue, interrupt or reject
    #[arg(long, value_name = "WHAT", value_parser = ["queue", "interrupt", "reject"])]
    pub on_busy: Option<String>,
    /// Where it may go: only what is open may leave your own machines
    #[arg(long, value_name = "WHERE", value_parser = ["open", "sensitive", "local_only"])]
    pub privacy: Option<String>,
    /// Whether an earlier answer of the organisation will do: off, exact or semantic
    #[arg(long, value_name = "WHICH", value_parser = ["off", "exact", "semantic"])]
    pub cache: Option<String>,
    /// Most model calls, one after another
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_steps: Option<u32>,
    /// Most cost, in US dollars, such as 0.05
    #[arg(long, value_name = "USD", value_parser = micro_usd)]
    pub max_cost: Option<u64>,
}

/// `nexus ask`.
#[derive(Debug, Args)]
pub struct AskArgs {
    /// The question; `-` reads it from standard input
    pub text: String,
    /// Prints one JSON object instead of the answer's text
    #[arg(long)]
    pub json: bool,
    /// How long to wait for the answer
    #[arg(long, default_value = "120s", value_parser = patience, value_name = "TIME")]
    pub timeout: Duration,
    /// What to choose.
    #[command(flatten)]
    pub choices: Choices,
    /// Whom to ask.
    #[command(flatten)]
    pub node: Where,
}

/// `nexus chat`.
#[derive(Debug, Args)]
pub struct ChatArgs {
    /// What to choose.
    #[command(flatten)]
    pub choices: Choices,
    /// Whom to talk to.
    #[command(flatten)]
    pub node: Where,
}

/// `nexus tail`.
#[derive(Debug, Args)]
pub struct TailArgs {
    /// Only this correlation id (or how it begins)
    #[arg(long, value_name = "ID")]
    pub corr: Option<String>,
    /// Begins this long ago instead of now: 30s, 10m, 2h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub since: Option<Duration>,
    /// Only types that begin with this, such as `tool` or `message.failed`
    #[arg(long = "type", value_name = "TYPE")]
    pub event_type: Option<String>,
    /// One JSON object per line
    #[arg(long)]
    pub json: bool,
    /// Ends once everything there is has been shown
    #[arg(long)]
    pub no_follow: bool,
}

/// `nexus trace`.
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// The correlation id, as `ask --json` prints it
    #[arg(value_name = "CORRELATION_ID")]
    pub corr: String,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
    /// The node whose recorder is asked for what the bus no longer keeps.
    #[command(flatten)]
    pub node: Where,
}

/// Commands with nothing but `--json`.
#[derive(Debug, Args)]
pub struct JsonArgs {
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// `nexus schema`.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own for whoever types"
)]
pub struct SchemaArgs {
    /// An event type such as `message.submitted`; also `metadata` and `live`
    #[arg(conflicts_with_all = ["asyncapi", "openapi", "providers", "list"])]
    pub name: Option<String>,
    /// The whole bus.
    #[arg(long, help = "The whole bus as AsyncAPI 3", conflicts_with_all = ["openapi", "providers"])]
    pub asyncapi: bool,
    /// The HTTP interface.
    #[arg(
        long,
        help = "The HTTP interface as OpenAPI 3.1",
        conflicts_with = "providers"
    )]
    pub openapi: bool,
    /// What providers.yaml may say, as JSON Schema for editors
    #[arg(long)]
    pub providers: bool,
    /// The names there are
    #[arg(long, conflicts_with_all = ["asyncapi", "openapi", "providers"])]
    pub list: bool,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if key.split('.').all(|part| !part.is_empty()) && key.contains('.') => {
            Ok((key.to_owned(), value.to_owned()))
        }
        _ => Err("write it as section.key=value, such as http.listen=127.0.0.1:9000".to_owned()),
    }
}

/// A duration longer than nothing.
fn patience(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("nothing can be answered in no time; write it as 30s or 10m".into()),
        patience => Ok(patience),
    }
}

/// Dollars as millionths of one.
///
/// # Errors
/// In words, for what is no amount.
pub fn micro_usd(text: &str) -> Result<u64, String> {
    let bad = || "write it in dollars, such as 0.05 or 2; at least 0.000001".to_owned();
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > 6 || !is_digits(whole) || !is_digits(part) {
        return Err(bad());
    }
    let micros = format!("{whole}{part:0<6}").parse::<u64>();
    micros.ok().filter(|micros| *micros > 0).ok_or_else(bad)
}

/// `500ms`, `30s`, `10m`, `2h`, `1d`; a bare number is seconds.
///
/// # Errors
/// In words, for anything else.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let millis: Option<u64> = match unit {
        "ms" => Some(1),
        "" | "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    let total = digits.parse::<u64>().ok().zip(millis);
    let total = total.and_then(|(number, millis)| number.checked_mul(millis));
    total
        .map(Duration::from_millis)
        .ok_or_else(|| "write it as 500ms, 30s, 10m, 2h or 1d".into())
}
