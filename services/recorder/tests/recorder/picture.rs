//! Everything a person can read, as one text.

use std::fmt::Write;

use anyhow::{Context, Result};
use nexus_recorder::read::{self, Before, Reader};
use nexus_recorder::terms::Terms;
use nexus_recorder::view::{ConversationSummary, Said, SearchHit};
use nexus_store::Store;

/// Words that the tests say, and so search for.
pub(crate) const VOCABULARY: [&str; 6] = ["alpha", "beta", "gamma", "delta", "omega", "title"];

/// All conversations.
pub(crate) async fn list(store: &Store, reader: Reader) -> Result<Vec<ConversationSummary>> {
    let (mut all, mut before) = (Vec::new(), Some(Before::first()));
    while let Some(behind) = before {
        let page = read::conversations(store, reader, &behind, 3).await?;
        before = page.next.and_then(|next| Before::parse(&next));
        all.extend(page.conversations);
    }
    Ok(all)
}

/// Everything said in a conversation, read in small pages.
pub(crate) async fn transcript(store: &Store, reader: Reader, id: &str) -> Result<Vec<Said>> {
    let (mut all, mut before) = (Vec::new(), Some(Before::first()));
    while let Some(behind) = before {
        let page = read::conversation(store, reader, id, (&behind, 2)).await?;
        let page = page.context("it is there")?;
        before = page.next.and_then(|next| Before::parse(&next));
        all.extend(page.messages.into_iter().rev());
    }
    all.reverse();
    Ok(all)
}

/// The texts of a conversation.
pub(crate) async fn texts(store: &Store, reader: Reader, id: &str) -> Result<Vec<String>> {
    let said = transcript(store, reader, id).await?;
    Ok(said.into_iter().map(|said| said.text).collect())
}

/// Everything found, read in small pages.
pub(crate) async fn found(store: &Store, reader: Reader, typed: &str) -> Result<Vec<SearchHit>> {
    let terms = Terms::parse(typed).map_err(anyhow::Error::msg)?;
    let (mut all, mut before) = (Vec::new(), Some(Before::first()));
    while let Some(behind) = before {
        let page = read::search(store, reader, &terms, (&behind, 2)).await?;
        before = page.next.and_then(|next| Before::parse(&next));
        all.extend(page.hits);
    }
    Ok(all)
}

/// Everything this person can read.
pub(crate) async fn picture(store: &Store, reader: Reader) -> Result<String> {
    let mut picture = String::new();
    for summary in list(store, reader).await? {
        let id = &summary.conversation_id;
        writeln!(picture, "{}", serde_json::to_string(&summary)?)?;
        let page = read::conversation(store, reader, id, (&Before::first(), 1)).await?;
        writeln!(picture, "{}", serde_json::to_string(&page)?)?;
        for said in transcript(store, reader, id).await? {
            writeln!(picture, "  {}", serde_json::to_string(&said)?)?;
        }
        let document = read::export(store, reader, id).await?;
        writeln!(picture, "{}", serde_json::to_string(&document)?)?;
    }
    for word in VOCABULARY {
        for hit in found(store, reader, word).await? {
            writeln!(picture, "{word}: {}", serde_json::to_string(&hit)?)?;
        }
    }
    let trace = read::trace(store, reader, "all").await?;
    writeln!(picture, "{}", serde_json::to_string(&trace)?)?;
    Ok(picture)
}
