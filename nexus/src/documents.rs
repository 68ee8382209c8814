//! `nexus documents` and `nexus memories`: what an organisation and its agents know.

use std::io::Write;
use std::path::Path;

use nexus_contracts::settings::Privacy;
use nexus_tool_executor::api::documents_view::{DocumentView, MemoryView, PartView};
use serde_json::json;

use crate::cli::documents::{
    AddArgs, DocumentsAction, DocumentsArgs, ForgetArgs, IdArgs, ListArgs, MemoriesAction,
    MemoriesArgs, MemoriesListArgs, SearchArgs,
};
use crate::client::documents::NewDocument;
use crate::exit::Failure;
use crate::locate::locate;
use crate::settings::Settings;
use crate::style::{Tone, column, cut, json_line, toned};

/// Most characters of a found part that are shown.
const SHOWN: usize = 300;

/// Keeps, lists, finds or deletes documents.
///
/// # Errors
/// When no node can be found, or what it says against it.
pub async fn documents(
    args: &DocumentsArgs,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), Failure> {
    match &args.action {
        DocumentsAction::Add(args) => add(args, settings, out).await,
        DocumentsAction::List(args) => list(args, settings, out).await,
        DocumentsAction::Search(args) => search(args, settings, out).await,
        DocumentsAction::Delete(args) => delete(args, settings, out).await,
    }
}

/// Lists or forgets memories.
///
/// # Errors
/// As [`documents`].
pub async fn memories(
    args: &MemoriesArgs,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), Failure> {
    match &args.action {
        None => remembered(&args.list, settings, out).await,
        Some(MemoriesAction::List(args)) => remembered(args, settings, out).await,
        Some(MemoriesAction::Forget(args)) => forget(args, settings, out).await,
    }
}

async fn add(args: &AddArgs, settings: &Settings, out: &mut impl Write) -> Result<(), Failure> {
    let name = args.file.display();
    let body = tokio::fs::read(&args.file).await;
    let body = body.map_err(|error| Failure::usage(format!("{name} cannot be read: {error}")))?;
    let document = NewDocument {
        content_type: media_type(&args.file)?,
        about: about(args),
        body,
    };
    let found = locate(settings, &args.node).await?;
    let added = found.client.add_document(document).await;
    found.leave().await?;
    let added = added?;
    if args.print.json {
        return json_line(&added, out);
    }
    let id = toned(Tone::Name, &added.id);
    let (outcome, parts, privacy) = (&added.outcome, added.parts, added.privacy.as_str());
    writeln!(out, "{outcome} {name}: {parts} parts, {privacy}, {id}")?;
    if let Some(why) = &added.not_embedded {
        writeln!(out, "  → found by words alone: {why}")?;
    }
    Ok(())
}

/// What is sent beside a file: only what was said of it, so that what was not stays as it is.
#[must_use]
pub fn about(args: &AddArgs) -> Vec<(&'static str, String)> {
    let file = args.file.file_name().unwrap_or_default();
    let mut about = vec![
        ("source", file.to_string_lossy().into_owned()),
        ("collection", args.collection.clone()),
        ("shared", args.shared.to_string()),
    ];
    let untrusted = args.untrusted.map(|untrusted| untrusted.to_string());
    let privacy = args.privacy.map(|place| Privacy::from(place).as_str());
    about.extend(untrusted.map(|untrusted| ("untrusted", untrusted)));
    about.extend(privacy.map(|privacy| ("privacy", privacy.to_owned())));
    about.extend(args.title.clone().map(|title| ("title", title)));
    about
}

/// What a file is, by its name.
fn media_type(file: &Path) -> Result<&'static str, Failure> {
    let ending = file.extension().unwrap_or_default().to_string_lossy();
    match ending.to_ascii_lowercase().as_str() {
        "md" | "markdown" => Ok("text/markdown"),
        "txt" | "text" | "" => Ok("text/plain"),
        "csv" => Ok("text/csv"),
        "html" | "htm" => Ok("text/html"),
        "pdf" => Ok("application/pdf"),
        other => Err(
            Failure::usage(format!("files that end in .{other} are not read"))
                .todo("Give a .md, .txt, .csv, .html or .pdf file"),
        ),
    }
}

async fn list(args: &ListArgs, settings: &Settings, out: &mut impl Write) -> Result<(), Failure> {
    let found = locate(settings, &args.node).await?;
    let listed = found.client.documents(args.collection.as_deref()).await;
    found.leave().await?;
    let listed = listed?;
    if args.print.json {
        return json_line(&json!({ "documents": listed }), out);
    }
    if listed.is_empty() {
        writeln!(
            out,
            "{}",
            toned(
                Tone::Faint,
                "no documents; `nexus documents add FILE` keeps one"
            )
        )?;
    }
    for document in &listed {
        writeln!(out, "{}", document_line(document))?;
    }
    Ok(())
}

fn document_line(document: &DocumentView) -> String {
    let whose = if document.shared { "shared" } else { "yours" };
    let line = [
        toned(Tone::Name, &document.id),
        column(Tone::Faint, whose, 6),
        column(Tone::Faint, document.privacy.as_str(), 10),
        column(Tone::Faint, &document.collection, 12),
        column(Tone::Strong, &document.title, 40),
        format!("{} parts", document.parts),
    ];
    line.join("  ")
}

async fn search(
    args: &SearchArgs,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let found = locate(settings, &args.node).await?;
    let collection = args.collection.as_deref();
    let parts = found
        .client
        .find_documents((&args.query, args.privacy.into()), collection, args.limit)
        .await;
    found.leave().await?;
    let parts = parts?;
    if args.print.json {
        return json_line(&parts, out);
    }
    if let Some(why) = &parts.reason {
        writeln!(
            out,
            "{}",
            toned(Tone::Faint, format!("by words alone: {why}"))
        )?;
    }
    if parts.parts.is_empty() {
        writeln!(out, "{}", toned(Tone::Faint, "nothing was found"))?;
    }
    for part in &parts.parts {
        writeln!(out, "{}", part_lines(part))?;
    }
    if parts.withheld > 0 {
        let withheld = format!(
            "{} more private documents were not searched; --privacy local_only searches all",
            parts.withheld
        );
        writeln!(out, "{}", toned(Tone::Faint, withheld))?;
    }
    Ok(())
}

fn part_lines(part: &PartView) -> String {
    let place = format!("{} {}–{}", part.source, part.start, part.end);
    format!(
        "{}  {}\n  {}",
        toned(Tone::Strong, &part.title),
        toned(Tone::Faint, place),
        cut(&part.text, SHOWN)
    )
}

async fn delete(args: &IdArgs, settings: &Settings, out: &mut impl Write) -> Result<(), Failure> {
    let found = locate(settings, &args.node).await?;
    let deleted = found.client.delete_document(&args.id).await;
    found.leave().await?;
    deleted?;
    Ok(writeln!(out, "deleted {}", args.id)?)
}

async fn remembered(
    args: &MemoriesListArgs,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let found = locate(settings, &args.node).await?;
    let listed = found.client.memories().await;
    found.leave().await?;
    let listed = listed?;
    if args.print.json {
        return json_line(&json!({ "memories": listed }), out);
    }
    if listed.is_empty() {
        writeln!(
            out,
            "{}",
            toned(Tone::Faint, "nothing is remembered of you")
        )?;
    }
    for memory in &listed {
        writeln!(out, "{}", memory_line(memory))?;
    }
    Ok(())
}

fn memory_line(memory: &MemoryView) -> String {
    let note = if memory.untrusted {
        "  (after a stranger's words were read)"
    } else {
        ""
    };
    format!(
        "{}  {}  {}{note}",
        toned(Tone::Name, &memory.id),
        column(Tone::Faint, memory.privacy.as_str(), 10),
        cut(&memory.text, SHOWN)
    )
}

async fn forget(
    args: &ForgetArgs,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let found = locate(settings, &args.node).await?;
    let forgotten = found.client.forget(args.id.as_deref()).await;
    found.leave().await?;
    let count = forgotten?.deleted;
    Ok(writeln!(out, "forgot {count}")?)
}
