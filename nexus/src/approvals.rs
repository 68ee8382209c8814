//! `nexus approvals`: what waits for a person, and deciding about it.

use std::io::Write;

use nexus_contracts::events::Decision;

use crate::cli::approvals::{ApprovalsAction, ApprovalsArgs, DecideArgs, ListArgs};
use crate::deciding::{self, Call};
use crate::exit::Failure;
use crate::locate::locate;
use crate::settings::Settings;
use crate::style::{Tone, json_line, toned};

/// Lists what waits, or decides about it.
///
/// # Errors
/// When no node can be found, or what it says against it.
pub async fn approvals(
    args: &ApprovalsArgs,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), Failure> {
    match &args.action {
        None => list(&args.list, settings, out).await,
        Some(ApprovalsAction::List(args)) => list(args, settings, out).await,
        Some(ApprovalsAction::Approve(args)) => {
            decide(args, Decision::Approve, settings, out).await
        }
        Some(ApprovalsAction::Deny(args)) => decide(args, Decision::Deny, settings, out).await,
    }
}

async fn list(args: &ListArgs, settings: &Settings, out: &mut impl Write) -> Result<(), Failure> {
    let found = locate(settings, &args.node).await?;
    let waiting = found.client.approvals().await;
    found.leave().await?;
    let waiting = waiting?;
    if args.json {
        return json_line(&waiting, out);
    }
    if waiting.is_empty() {
        let nothing = "nothing waits for a decision";
        return Ok(writeln!(out, "{}", toned(Tone::Faint, nothing))?);
    }
    for view in &waiting {
        writeln!(out, "{}", toned(Tone::Strong, &view.approval_id))?;
        writeln!(out, "{}", Call::from(view).lines())?;
    }
    Ok(())
}

async fn decide(
    args: &DecideArgs,
    decision: Decision,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let found = locate(settings, &args.node).await?;
    let decided = found
        .client
        .decide(&args.id, decision, args.comment.as_deref())
        .await;
    found.leave().await?;
    decided?;
    let done = deciding::done(decision);
    Ok(writeln!(out, "{done} {}", args.id)?)
}
