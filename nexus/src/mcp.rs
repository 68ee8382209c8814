//! `nexus mcp`: servers of the Model Context Protocol, and approving what they offer.

use std::io::Write;

use nexus_tool_executor::api::mcp_view::{ServerView, ToApprove};

use crate::cli::mcp::{ApproveArgs, McpAction, McpArgs, ServersArgs};
use crate::exit::Failure;
use crate::locate::locate;
use crate::settings::Settings;
use crate::style::{Tone, column, json_line, toned};

/// Lists servers, shows what waits, approves it.
///
/// # Errors
/// When no node can be found, or what it says against it.
pub async fn mcp(args: &McpArgs, settings: &Settings, out: &mut impl Write) -> Result<(), Failure> {
    match &args.action {
        None => list(&args.list, settings, out).await,
        Some(McpAction::List(args)) => list(args, settings, out).await,
        Some(McpAction::Pending(args)) => pending(args, settings, out).await,
        Some(McpAction::Approve(args)) => approve(args, settings, out).await,
    }
}

async fn list(
    args: &ServersArgs,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let found = locate(settings, &args.node).await?;
    let servers = found.client.mcp_servers().await;
    found.leave().await?;
    let servers = servers?;
    if args.print.json {
        return json_line(&servers, out);
    }
    if servers.servers.is_empty() {
        let nothing = "no MCP server is configured: `tool-executor.mcp.servers`";
        writeln!(out, "{}", toned(Tone::Faint, nothing))?;
    }
    for server in &servers.servers {
        writeln!(out, "{}", server_line(server))?;
        let notes = server.reason.iter().chain(&server.set_aside);
        for note in notes {
            writeln!(out, "  → {note}")?;
        }
    }
    Ok(())
}

fn server_line(server: &ServerView) -> String {
    let tone = if server.state == "ready" {
        Tone::Good
    } else {
        Tone::Bad
    };
    let waiting = match server.pending {
        0 => String::new(),
        many => format!(", {many} waiting: see `nexus mcp pending`"),
    };
    let line = [
        column(tone, &server.state, 10),
        column(Tone::Name, &server.server, 24),
        format!("{} tools{waiting}", server.approved),
    ];
    line.join("  ")
}

async fn pending(
    args: &ServersArgs,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let found = locate(settings, &args.node).await?;
    let pending = found.client.mcp_pending().await;
    found.leave().await?;
    let pending = pending?;
    if args.print.json {
        return json_line(&pending, out);
    }
    if pending.pending.is_empty() {
        writeln!(out, "{}", toned(Tone::Faint, "nothing waits for approval"))?;
    }
    for one in &pending.pending {
        writeln!(out, "{}", one.change.trim_end())?;
        writeln!(
            out,
            "  → nexus mcp approve {} {} {}",
            one.server, one.tool, one.pin
        )?;
    }
    Ok(())
}

async fn approve(
    args: &ApproveArgs,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let what = ToApprove {
        server: args.server.clone(),
        tool: args.tool.clone(),
        pin: args.pin.clone(),
    };
    let found = locate(settings, &args.node).await?;
    let approved = found.client.mcp_approve(&what).await;
    found.leave().await?;
    approved?;
    Ok(writeln!(
        out,
        "{} of {} may be used",
        args.tool, args.server
    )?)
}
