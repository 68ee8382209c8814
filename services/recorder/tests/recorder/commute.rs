//! Channels are read side by side: whatever the order and however often messages come, what is read
//! in the end is the same.

use std::collections::HashMap;

use anyhow::{Result, ensure};
use nexus_contracts::conversation::{ConversationDocument, FORMAT, SaidMessage, Speaker};
use nexus_contracts::events::{ConversationBranched, ConversationDeleted, Event};
use nexus_contracts::{ConversationId, Extra};
use nexus_recorder::fact::Recorded;
use nexus_recorder::write::write;
use nexus_store::Store;
use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::prop_oneof;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::picture::{VOCABULARY, picture};
use crate::world::{Asked, World, open};

/// Something a person does; numbers choose among what there is.
#[derive(Clone, Debug)]
enum Deed {
    Turn(Option<usize>),
    Unanswered(usize),
    AcceptedAnew(usize),
    Refused(usize),
    Branch(usize),
    Rename(usize),
    Entitle(usize),
    Summarize(usize),
    Import,
    Delete(usize),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let pick = 0..8_usize;
    let deed = prop_oneof![
        4 => proptest::option::of(pick.clone()).prop_map(Deed::Turn),
        1 => pick.clone().prop_map(Deed::Unanswered),
        1 => pick.clone().prop_map(Deed::AcceptedAnew),
        1 => pick.clone().prop_map(Deed::Refused),
        3 => pick.clone().prop_map(Deed::Branch),
        1 => pick.clone().prop_map(Deed::Rename),
        1 => pick.clone().prop_map(Deed::Entitle),
        1 => pick.clone().prop_map(Deed::Summarize),
        1 => proptest::strategy::Just(Deed::Import),
        2 => pick.prop_map(Deed::Delete),
    ];
    vec(deed, 1..12)
}

/// A history, and how it arrives: a number for each message says when, how often and in how large
/// a batch.
fn cases() -> impl Strategy<Value = (Vec<Deed>, Vec<u32>)> {
    (deeds(), vec(any::<u32>(), 1..60))
}

struct History {
    world: World,
    /// Conversations that are there.
    open: Vec<ConversationId>,
    turns: Vec<Asked>,
}

impl History {
    fn of(deeds: &[Deed]) -> Result<World> {
        let mut history = Self {
            world: World::new(),
            open: Vec::new(),
            turns: Vec::new(),
        };
        let first = history.world.turn(None, "alpha", "beta")?;
        history.began(first);
        for (deed, word) in deeds.iter().zip(VOCABULARY.iter().cycle()) {
            history.act(deed, word)?;
        }
        Ok(history.world)
    }

    fn began(&mut self, asked: Asked) {
        if !self.open.contains(&asked.conversation) {
            self.open.push(asked.conversation);
        }
        self.turns.push(asked);
    }

    fn conversation(&self, pick: usize) -> Option<ConversationId> {
        self.open.get(pick % self.open.len().max(1)).copied()
    }

    fn act(&mut self, deed: &Deed, word: &str) -> Result<()> {
        let there = |history: &Self, pick: usize| history.conversation(pick);
        match *deed {
            Deed::Turn(pick) => {
                let conversation = pick.and_then(|pick| there(self, pick));
                let asked = self
                    .world
                    .turn(conversation, word, &format!("{word} gamma"))?;
                self.began(asked);
            }
            Deed::Unanswered(pick) => {
                let asked = self.world.ask(there(self, pick), word)?;
                self.world.accept(&asked)?;
                self.began(asked);
            }
            Deed::AcceptedAnew(pick) => {
                if let Some(asked) = self.turns.get(pick % self.turns.len().max(1)).cloned() {
                    self.world.accept(&asked)?;
                }
            }
            Deed::Refused(pick) => {
                let asked = self.world.ask(there(self, pick), word)?;
                self.world.refuse(&asked, "conversation_busy")?;
            }
            Deed::Import => {
                let id = self.world.import(&document(word))?;
                self.open.push(id);
            }
            Deed::Branch(pick) => self.branch(pick, word)?,
            Deed::Rename(pick) => {
                if let Some(id) = there(self, pick) {
                    self.world.rename(id, &format!("title {word} {pick}"))?;
                }
            }
            Deed::Entitle(pick) => {
                if let Some(id) = there(self, pick) {
                    self.world.entitle(id, &format!("title {word} {pick}"))?;
                }
            }
            Deed::Summarize(pick) => {
                if let Some(id) = there(self, pick) {
                    self.world.summarize(id, word)?;
                }
            }
            Deed::Delete(pick) => {
                if let Some(id) = there(self, pick) {
                    self.world.delete(id)?;
                    self.open.retain(|open| *open != id);
                }
            }
        }
        Ok(())
    }

    fn branch(&mut self, pick: usize, word: &str) -> Result<()> {
        let turns = self
            .turns
            .iter()
            .filter(|one| self.open.contains(&one.conversation));
        let turns: Vec<Asked> = turns.cloned().collect();
        if let Some(from) = turns.get(pick % turns.len().max(1)) {
            let asked = self
                .world
                .branch(from.conversation, from.run, (word, "delta"))?;
            self.began(asked);
        }
        Ok(())
    }
}

fn document(word: &str) -> ConversationDocument {
    let said = |role| SaidMessage {
        role,
        text: word.to_owned(),
        at: None,
        provider: None,
        model: None,
        extra: Extra::new(),
    };
    ConversationDocument {
        format: FORMAT.to_owned(),
        version: 1,
        title: Some(format!("title {word}")),
        created_at: None,
        messages: vec![said(Speaker::User), said(Speaker::Assistant)],
        extra: Extra::new(),
    }
}

/// The messages in another order, some of them twice, in batches.
fn arrivals(messages: &[Recorded], numbers: &[u32]) -> Result<Vec<Vec<Recorded>>> {
    let mut numbers = numbers.iter().copied().cycle();
    let mut number = || numbers.next().unwrap_or_default();
    let mut order: Vec<(u32, Recorded)> = Vec::new();
    for message in messages {
        order.push((number(), message.clone()));
        let again = number();
        if again % 3 == 0 {
            // Published again: the same message under another entry.
            let entry_id = format!("{}-again", message.entry_id);
            let copy = Recorded {
                entry_id,
                ..message.clone()
            };
            let is_shown = message.channel == nexus_contracts::channels::CONVERSATIONS;
            order.push((number(), if is_shown { message.clone() } else { copy }));
        }
    }
    order.sort_by_key(|(key, _)| *key);
    let mut order: Vec<Recorded> = order.into_iter().map(|(_, message)| message).collect();
    branches_before_deletions(&mut order)?;
    let mut batches = Vec::new();
    while !order.is_empty() {
        let size = (number() as usize % 5 + 1).min(order.len());
        batches.push(order.drain(..size).collect());
    }
    Ok(batches)
}

/// Both are told on one channel, one after the other: a branch of what is deleted already shows
/// what arrives from then on, and no more.
fn branches_before_deletions(order: &mut Vec<Recorded>) -> Result<()> {
    let mut deleted: HashMap<ConversationId, usize> = HashMap::new();
    let mut at = 0;
    while let Some(message) = order.get(at).cloned() {
        match message.envelope.event_type.as_str() {
            ConversationDeleted::TYPE => {
                let event: ConversationDeleted = message.envelope.decode()?;
                deleted.entry(event.conversation_id).or_insert(at);
            }
            ConversationBranched::TYPE => {
                let event: ConversationBranched = message.envelope.decode()?;
                if let Some(before) = deleted.get(&event.parent).copied() {
                    let branched = order.remove(at);
                    order.insert(before, branched);
                    deleted
                        .values_mut()
                        .filter(|place| **place >= before)
                        .for_each(|place| *place += 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

/// Everything that can be read, but for how often a message was published; and what is kept of what
/// was said, whether it can be read or not.
async fn read(store: &Store, world: &World) -> Result<String> {
    let text = picture(store, world.reader).await?;
    let (models, trace) = text.trim_end().rsplit_once('\n').unwrap_or(("", &text));
    let mut trace: serde_json::Value = serde_json::from_str(trace)?;
    if let Some(hops) = trace
        .get_mut("messages")
        .and_then(serde_json::Value::as_array_mut)
    {
        hops.dedup();
    }
    let tx = store.read(world.reader.org).await?;
    let sql = "SELECT place || ' ' || COALESCE(text, '') AS kept FROM said WHERE org_id = $1 \
               ORDER BY place";
    let rows = tx
        .query(sql, vec![world.reader.org.to_string().into()])
        .await?;
    let kept = rows.iter().map(|row| row.get::<String>("kept"));
    let kept = kept.collect::<Result<Vec<_>, _>>()?.join("\n");
    Ok(format!("{models}\n{trace:#}\n{kept}"))
}

async fn commutes(url: (&str, &str), (deeds, numbers): (Vec<Deed>, Vec<u32>)) -> Result<()> {
    let world = History::of(&deeds)?;
    let straight = open(url.0).await?;
    for message in &world.messages {
        write(&straight, std::slice::from_ref(message)).await?;
    }
    let crooked = open(url.1).await?;
    for batch in arrivals(&world.messages, &numbers)? {
        write(&crooked, &batch).await?;
    }
    let (expected, found) = (
        read(&straight, &world).await?,
        read(&crooked, &world).await?,
    );
    straight.close().await;
    crooked.close().await;
    ensure!(
        found == expected,
        "in order:\n{expected}\nas it came:\n{found}"
    );
    Ok(())
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    })
}

#[test]
fn in_any_order_on_sqlite() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let memory = ("sqlite::memory:", "sqlite::memory:");
    let outcome = runner(200).run(&cases(), |case| {
        let outcome = runtime.block_on(commutes(memory, case));
        outcome.map_err(|error| TestCaseError::fail(format!("{error:#}")))
    });
    outcome.map_err(|error| anyhow::anyhow!("{error}"))
}

/// Here the acceptance comes as it was told again, behind the deletion and before the first one.
/// Were it of a later moment, the question would be erased as one that the branch does not show.
#[tokio::test]
async fn an_acceptance_told_again_moves_no_question_out_of_a_branch() -> Result<()> {
    let deeds = vec![
        Deed::Unanswered(0),
        Deed::AcceptedAnew(0),
        Deed::Branch(1),
        Deed::Turn(None),
        Deed::Delete(0),
    ];
    let numbers = vec![
        392_273_032,
        1_524_311_302,
        2_146_338_546,
        2_988_184_490,
        28_278_735,
        435_319,
    ];
    commutes(("sqlite::memory:", "sqlite::memory:"), (deeds, numbers)).await
}

#[test]
fn in_any_order_on_postgres_as_on_sqlite() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let server = runtime.block_on(nexus_testkit::postgres())?;
    let outcome = runner(15).run(&cases(), |case| {
        let outcome = runtime.block_on(async {
            let url = server.fresh_database().await?;
            commutes(("sqlite::memory:", &url), case).await
        });
        outcome.map_err(|error| TestCaseError::fail(format!("{error:#}")))
    });
    drop(server);
    outcome.map_err(|error| anyhow::anyhow!("{error}"))
}
