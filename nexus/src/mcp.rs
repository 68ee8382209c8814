//! `nexus mcp`: servers of the Model Context Protocol, and approving what they offer.

use std::io::Write;

use nexus_tool_executor::api::mcp_reading::{Given, ToFill};
use nexus_tool_executor::api::mcp_view::{ServerView, ToApprove};

use crate::cli::mcp::{
    ApproveArgs, McpAction, McpArgs, OfServerArgs, PromptArgs, ReadArgs, ServersArgs,
};
use crate::exit::Failure;
use crate::locate::locate;
use crate::settings::Settings;
use crate::style::{Tone, column, cut, json_line, plain, toned};

/// Longest description in a list, in characters.
const ABOUT: usize = 80;

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
        Some(McpAction::Resources(args)) => resources(args, settings, out).await,
        Some(McpAction::Read(args)) => resource(args, settings, out).await,
        Some(McpAction::Prompts(args)) => prompts(args, settings, out).await,
        Some(McpAction::Prompt(args)) => prompt(args, settings, out).await,
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
        let nothing = "no MCP server is configured: `tool-executor.mcp.servers`, or `mcp.file`";
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

async fn resources(
    args: &OfServerArgs,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let found = locate(settings, &args.node).await?;
    let listed = found.client.mcp_resources(&args.server).await;
    found.leave().await?;
    let listed = listed?;
    if args.print.json {
        return json_line(&listed, out);
    }
    for one in &listed.resources {
        let about = one.description.as_deref().unwrap_or(&one.name);
        let line = [
            column(Tone::Name, &one.uri, 40),
            column(Tone::Faint, one.mime.as_deref().unwrap_or(""), 20),
            cut(about, ABOUT),
        ];
        writeln!(out, "{}", line.join("  ").trim_end())?;
    }
    Ok(())
}

async fn resource(
    args: &ReadArgs,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let found = locate(settings, &args.node).await?;
    let given = found.client.mcp_resource(&args.server, &args.uri).await;
    found.leave().await?;
    written(&given?, out)
}

async fn prompts(
    args: &OfServerArgs,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let found = locate(settings, &args.node).await?;
    let listed = found.client.mcp_prompts(&args.server).await;
    found.leave().await?;
    let listed = listed?;
    if args.print.json {
        return json_line(&listed, out);
    }
    for one in &listed.prompts {
        let optional = one.optional.iter().map(|name| format!("[{name}]"));
        let arguments: Vec<String> = one.required.iter().cloned().chain(optional).collect();
        let line = [
            column(Tone::Name, &one.name, 32),
            column(Tone::Strong, &arguments.join(" "), 32),
            cut(one.description.as_deref().unwrap_or(""), ABOUT),
        ];
        writeln!(out, "{}", line.join("  ").trim_end())?;
    }
    Ok(())
}

async fn prompt(
    args: &PromptArgs,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let arguments = serde_json::from_str(&args.arguments).map_err(|error| {
        Failure::usage(format!("the arguments are no JSON object: {error}"))
            .todo("Write them as '{\"name\":\"value\"}'")
    })?;
    let found = locate(settings, &args.node).await?;
    let with = ToFill { arguments };
    let filled = found.client.mcp_prompt(&args.server, &args.prompt, &with);
    let filled = filled.await;
    found.leave().await?;
    for message in &filled?.messages {
        writeln!(out, "{}", toned(Tone::Strong, &message.role))?;
        written(&message.given, out)?;
    }
    Ok(())
}

fn written(given: &Given, out: &mut impl Write) -> Result<(), Failure> {
    writeln!(out, "{}", plain(given.text.trim_end()))?;
    for note in &given.notes {
        anstream::eprintln!("{}", toned(Tone::Faint, plain(&format!("→ {note}"))));
    }
    Ok(())
}
