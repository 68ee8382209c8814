//! `nexus conversations`: reading, changing and moving conversations.

mod show;

use std::io::{IsTerminal, Read, Write};
use std::path::Path;

use tokio::time::Instant;

use crate::ask::{Form, Waiting, message, print};
use crate::cli::Where;
use crate::cli::conversations::{
    BranchArgs, ConversationsAction, ConversationsArgs, DeleteArgs, ListArgs, SearchArgs, ShowArgs,
};
use crate::client::Client;
use crate::client::conversations::{Conversation, Summary};
use crate::exit::{Exit, Failure};
use crate::locate::locate;
use crate::settings::Settings;
use crate::style::{Tone, json_line, toned};

/// Most conversations of one page.
const PAGE: usize = 200;

/// Does what was asked with conversations.
///
/// # Errors
/// When no node can be found, or what it says against it.
pub async fn conversations(
    args: &ConversationsArgs,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), Failure> {
    use ConversationsAction as Action;
    if let Action::Branch(args) = &args.action {
        return branch(args, settings, out).await;
    }
    let found = locate(settings, node(&args.action)).await?;
    let client = &found.client;
    let done = match &args.action {
        Action::List(args) => list(args, client, out).await,
        Action::Show(args) => show(args, client, out).await,
        Action::Search(args) => search(args, client, out).await,
        Action::Export(args) => match client.export(&args.id).await {
            Ok(document) => out.write_all(&document).map_err(Failure::from),
            Err(failure) => Err(failure),
        },
        Action::Import(args) => import(&args.file, client, out).await,
        Action::Rename(args) => match client.rename(&args.id, &args.title).await {
            Ok(_) => say(out, "renamed", &args.id),
            Err(failure) => Err(failure),
        },
        Action::Delete(args) => delete(args, client, out).await,
        Action::Branch(_) => Ok(()),
    };
    found.leave().await?;
    done
}

const fn node(action: &ConversationsAction) -> &Where {
    use ConversationsAction as Action;
    match action {
        Action::List(args) => &args.node,
        Action::Show(args) => &args.node,
        Action::Search(args) => &args.node,
        Action::Export(args) => &args.node,
        Action::Import(args) => &args.node,
        Action::Rename(args) => &args.node,
        Action::Branch(args) => &args.node,
        Action::Delete(args) => &args.node,
    }
}

async fn list(args: &ListArgs, client: &Client, out: &mut impl Write) -> Result<(), Failure> {
    let mut all: Vec<Summary> = Vec::new();
    let mut before: Option<String> = None;
    loop {
        let limit = args.limit.saturating_sub(all.len()).min(PAGE);
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        if limit == 0 {
            break;
        }
        let page = client.conversations(limit, before.as_deref()).await?;
        all.extend(page.conversations);
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    if args.json {
        return json_line(&all, out);
    }
    for conversation in &all {
        writeln!(out, "{}", show::line(conversation))?;
    }
    if before.is_some() {
        let more = format!("the last {} of more; see --limit", all.len());
        anstream::eprintln!("{}", toned(Tone::Faint, more));
    }
    Ok(())
}

async fn show(args: &ShowArgs, client: &Client, out: &mut impl Write) -> Result<(), Failure> {
    let conversation = client.conversation(&args.id).await?;
    if args.json {
        return json_line(&conversation, out);
    }
    for line in show::lines(&conversation) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

async fn search(args: &SearchArgs, client: &Client, out: &mut impl Write) -> Result<(), Failure> {
    let found = client.search(&args.words.join(" "), args.limit).await?;
    if args.json {
        return json_line(&found, out);
    }
    for hit in &found.hits {
        writeln!(out, "{}", show::hit(hit))?;
    }
    Ok(())
}

async fn import(file: &Path, client: &Client, out: &mut impl Write) -> Result<(), Failure> {
    let mut document = Vec::new();
    let shown = file.display();
    let read = if file == Path::new("-") {
        std::io::stdin().read_to_end(&mut document).map(drop)
    } else {
        std::fs::read(file).map(|bytes| document = bytes)
    };
    read.map_err(|error| Failure::usage(format!("{shown} does not read: {error}")))?;
    let imported = client.import(document).await?;
    // Alone on standard output, for scripts.
    Ok(writeln!(out, "{}", imported.conversation_id)?)
}

async fn delete(args: &DeleteArgs, client: &Client, out: &mut impl Write) -> Result<(), Failure> {
    if !args.yes {
        if !std::io::stdin().is_terminal() {
            let what = "a conversation is erased for good, and nobody is there to be asked";
            return Err(Failure::usage(what).todo("Say --yes to do so without asking"));
        }
        write!(out, "erase {} for good? [y/N] ", args.id)?;
        out.flush()?;
        let mut line = String::new();
        std::io::stdin().read_line(&mut line)?;
        if !matches!(line.trim(), "y" | "Y" | "yes") {
            return Err(Failure::new(Exit::Interrupted, "nothing was erased"));
        }
    }
    client.delete(&args.id).await?;
    say(out, "erased", &args.id)
}

async fn branch(
    args: &BranchArgs,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let wait = Waiting::new("looking for a node", Instant::now() + args.timeout);
    let found = locate(settings, &args.node).await?;
    wait.note_own(&found, settings);
    let client = &found.client;
    let asking = async {
        let run = replaced(args, client).await?;
        let mut message = message(&args.text, &args.choices);
        if let Some(fields) = message.as_object_mut() {
            fields.insert("run_id".to_owned(), run.into());
        }
        let accepted = client.branch(&args.id, &message).await?;
        wait.answer(client, &accepted).await
    };
    let result = tokio::select! {
        result = asking => result,
        _ = tokio::signal::ctrl_c() => Err(Failure::new(Exit::Interrupted, "interrupted")),
    };
    wait.over();
    let form = if args.json { Form::Json } else { Form::Text };
    let printed = result.and_then(|view| print(&view, form, out));
    let left = found.leave().await;
    printed.and(left)
}

/// The run whose message is replaced.
async fn replaced(args: &BranchArgs, client: &Client) -> Result<String, Failure> {
    let Ok(number) = args.message.parse::<usize>() else {
        return Ok(args.message.clone());
    };
    let conversation: Conversation = client.conversation(&args.id).await?;
    show::run_of(&conversation, number)
}

fn say(out: &mut impl Write, done: &str, id: &str) -> Result<(), Failure> {
    Ok(writeln!(out, "{done} {id}")?)
}
