//! Lists, titles, summaries, pages.

use anyhow::{Context, Result, ensure};
use nexus_recorder::read::{self, Before};
use nexus_recorder::write::write;
use nexus_store::Store;

use crate::on_both;
use crate::picture::{found, list, texts, transcript};
use crate::world::World;

on_both! {
    async fn pages_follow_each_other_without_gap_or_overlap(store: &Store) -> Result<()> {
        let mut world = World::new();
        for number in 1..=7 {
            world.turn(None, &format!("question {number}"), "answer")?;
        }
        write(store, &world.messages).await?;
        let titles: Vec<String> = list(store, world.reader).await?
            .into_iter().map(|one| one.title).collect();
        let expected: Vec<String> = (1..=7).rev().map(|at| format!("question {at}")).collect();
        ensure!(titles == expected, "{titles:?}");
        Ok(())
    }

    async fn a_long_conversation_is_read_from_its_end(store: &Store) -> Result<()> {
        let mut world = World::new();
        let first = world.turn(None, "q0", "a0")?;
        for number in 1..5 {
            world.turn(Some(first.conversation), &format!("q{number}"), &format!("a{number}"))?;
        }
        write(store, &world.messages).await?;
        let id = first.conversation.to_string();
        let page = read::conversation(store, world.reader, &id, (&Before::first(), 3)).await?;
        let page = page.context("it is there")?;
        let shown: Vec<&str> = page.messages.iter().map(|said| said.text.as_str()).collect();
        ensure!(shown == ["a3", "q4", "a4"] && page.next.is_some(), "{shown:?}");
        let all = texts(store, world.reader, &id).await?;
        ensure!(all == ["q0", "a0", "q1", "a1", "q2", "a2", "q3", "a3", "q4", "a4"], "{all:?}");
        let said = transcript(store, world.reader, &id).await?;
        let by: Vec<_> = said.iter().take(2).map(|said| said.model.as_deref()).collect();
        ensure!(by == [None, Some("demo-1")], "{by:?}");
        Ok(())
    }

    async fn only_what_was_accepted_is_part_of_a_conversation(store: &Store) -> Result<()> {
        let mut world = World::new();
        world.ask(None, "alpha: nobody took this yet")?;
        write(store, &world.messages).await?;
        ensure!(list(store, world.reader).await?.is_empty());
        let trace = read::trace(store, world.reader, "all").await?.context("a trace")?;
        ensure!(trace.runs.iter().all(|run| run.status == "queued"), "{:?}", trace.runs);

        let taken = world.turn(None, "taken", "answered")?;
        let busy = world.ask(Some(taken.conversation), "alpha: refused")?;
        world.refuse(&busy, "conversation_busy")?;
        write(store, &world.messages).await?;
        let id = taken.conversation.to_string();
        let shown = texts(store, world.reader, &id).await?;
        ensure!(shown == ["taken", "answered"], "{shown:?}");
        ensure!(found(store, world.reader, "alpha").await?.is_empty());
        Ok(())
    }

    async fn a_persons_title_is_never_replaced_by_an_automatic_one(store: &Store) -> Result<()> {
        let mut world = World::new();
        let id = world.turn(None, "how it began\nand went on", "answer")?.conversation;
        write(store, &world.messages).await?;
        let title = async || Ok::<_, anyhow::Error>(
            list(store, world.reader).await?.first().context("one")?.title.clone(),
        );
        ensure!(title().await? == "how it began");
        let mut later = World::new();
        later.now = world.now;
        later.entitle(id, "found")?;
        write(store, &later.messages).await?;
        ensure!(title().await? == "found");
        later.rename(id, "given")?;
        later.entitle(id, "found again")?;
        write(store, &later.messages).await?;
        ensure!(title().await? == "given");
        later.rename(id, "given\0 later")?;
        write(store, &later.messages).await?;
        ensure!(title().await? == "given\u{fffd} later");
        Ok(())
    }

    async fn the_last_summary_is_shown_with_all_it_stands_for(store: &Store) -> Result<()> {
        let mut world = World::new();
        let id = world.turn(None, "question", "answer")?.conversation;
        write(store, &world.messages).await?;
        ensure!(!list(store, world.reader).await?.first().context("one")?.summarized);
        world.summarize(id, "short")?;
        world.summarize(id, "shorter")?;
        for _twice in 0..2 {
            write(store, &world.messages).await?;
        }
        let id = id.to_string();
        let page = read::conversation(store, world.reader, &id, (&Before::first(), 9)).await?;
        let page = page.context("it is there")?;
        let summary = page.summary.context("a summary")?;
        ensure!(page.head.summarized && summary.text == "shorter", "{summary:?}");
        ensure!(summary.messages == 8 && page.messages.len() == 2, "{summary:?}");
        Ok(())
    }
}

#[test]
fn a_page_begins_only_where_one_has_ended() {
    let good = Before::parse("17_0190-a/title");
    assert_eq!(good.map(|before| before.at), Some(17));
    for bad in ["", "17", "x_1", "17_%", "17_'; --", "17_ü"] {
        assert_eq!(Before::parse(bad), None, "{bad}");
    }
}
