//! Figures of Nexus, as ratios measured in one run. See README.md.

mod client;
mod comparison;
mod database;
mod deployment;
mod floor;
mod growth;
mod measure;
mod peer;
mod router;
mod server;
mod statements;
mod table;
mod tools;
mod turns;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// As the `nexus` binary has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(version, about = "Figures of Nexus, as ratios measured in one run")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Whole turns: a message in, an answer out, through every worker.
    Turns(turns::Options),
    /// What a turn costs as its conversation grows.
    Growth(growth::Options),
    /// What the provider router adds to a call.
    Router(router::Options),
    /// What a call of a tool takes, code in the sandbox among them.
    Tools(tools::Options),
    /// The model that `router` asks, as a process of its own.
    #[command(hide = true)]
    RouterUpstream(router::upstream::Options),
    /// Many streams for `router`, in a process of their own.
    #[command(hide = true)]
    RouterStreams(router::streams::Options),
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_installed| anyhow::anyhow!("a TLS provider is installed already"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    match arguments.what {
        What::Turns(options) => runtime.block_on(turns::run(options)),
        What::Growth(options) => runtime.block_on(growth::run(options)),
        What::Router(options) => runtime.block_on(router::run(options)),
        What::Tools(options) => runtime.block_on(tools::run(options)),
        What::RouterUpstream(options) => router::upstream::serve(&options),
        What::RouterStreams(options) => runtime.block_on(router::streams::run(options)),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Arguments;

    #[test]
    fn the_command_line_is_one() {
        Arguments::command().debug_assert();
    }
}
