//! What a conversation keeps is found in those that are no more open, and goes no further.

use anyhow::{Context, Result};
use nexus_bus::ReadFrom;
use nexus_contracts::events::{EmbeddingRequested, Event, ToolRequested};
use nexus_contracts::settings::Privacy;
use nexus_contracts::{Envelope, MessageId, UserId, channels};
use nexus_service_kit::{Clock, envelope_of};
use nexus_testkit::wait_for;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixtures::{PATIENCE, World, completed, kill, on_every_database};

/// Without vectors: nobody in these tests makes any, and they would be waited for.
const BY_WORDS: &[(&str, &str)] = &[("knowledge.embeddings.enabled", "false")];

const ADA: UserId = UserId(Uuid::from_u128(7));

/// A call in one of Ada's conversations, which is this private.
fn call(world: &World, (privacy, tool): (Privacy, &str), arguments: &Value) -> Result<Envelope> {
    let id = Clock::system().new_id().to_string();
    let command = world.command(&id, tool, &arguments.to_string())?;
    let mut request: ToolRequested = command.decode()?;
    request.privacy = privacy;
    let mut metadata = command.metadata;
    metadata.user_id = Some(ADA);
    let envelope = Envelope::new(MessageId::new(&id)?, command.timestamp, &request)?;
    Ok(envelope.with_metadata(metadata))
}

async fn ask(world: &World, what: (Privacy, &str), arguments: Value) -> Result<Value> {
    let answer = world.ask(&call(world, what, &arguments)?).await?;
    Ok(completed(&answer)?.result)
}

fn count(found: &Value, list: &str) -> Result<usize> {
    Ok(found[list].as_array().context("a list")?.len())
}

/// Those that a conversation of this privacy sees, of one kept in each.
const SEEN: [(Privacy, usize); 3] = [
    (Privacy::Open, 1),
    (Privacy::Sensitive, 2),
    (Privacy::LocalOnly, 3),
];

on_every_database! {
    async fn what_a_conversation_keeps_a_more_open_one_does_not_find(world: World) -> Result<()> {
        let worker = world.worker(BY_WORDS).await?;
        for (privacy, _) in SEEN {
            let text = format!("The fox is {}.", privacy.as_str());
            let fact = ask(&world, (privacy, "remember"), json!({ "text": text })).await?;
            assert_eq!(fact["known"], false);
            let document = json!({ "title": privacy.as_str(), "text": text });
            ask(&world, (privacy, "add_document"), document).await?;
        }
        for (privacy, seen) in SEEN {
            let query = json!({ "query": "fox" });
            let recalled = ask(&world, (privacy, "recall"), query.clone()).await?;
            let found = ask(&world, (privacy, "search_documents"), query).await?;
            assert_eq!(count(&recalled, "memories")?, seen, "{recalled}");
            assert_eq!(count(&found, "parts")?, seen, "{found}");
            for answer in [&recalled, &found] {
                // That some are kept back, and nothing of what they say.
                assert_eq!(answer["withheld"].is_string(), seen < 3, "{answer}");
                let text = answer.to_string();
                let shown = SEEN.iter().filter(|(one, _)| {
                    text.contains(&format!("The fox is {}.", one.as_str()))
                });
                assert_eq!(shown.count(), seen, "{answer}");
            }
        }
        // Whoever guesses it is not told that it was known.
        let guess = json!({ "text": "The fox is local_only." });
        let guessed = ask(&world, (Privacy::Open, "remember"), guess).await?;
        assert_eq!(guessed["known"], false);
        // Nor does it open what is withheld, which would tell as much.
        let query = json!({ "query": "local_only" });
        let recalled = ask(&world, (Privacy::LocalOnly, "recall"), query).await?;
        let memories = recalled["memories"].as_array().context("a list")?;
        let text = |one: &&Value| one["text"] == "The fox is local_only.";
        assert_eq!(memories.iter().filter(text).count(), 2, "{recalled}");
        kill(worker).await;
        Ok(())
    }
}

on_every_database! {
    async fn a_note_is_replaced_only_by_a_conversation_as_private(world: World) -> Result<()> {
        let worker = world.worker(BY_WORDS).await?;
        let keep = async |privacy: Privacy, text: &str| -> Result<Value> {
            let note = json!({ "title": "Meeting notes", "text": text });
            ask(&world, (privacy, "add_document"), note).await
        };
        let found = async |privacy: Privacy| -> Result<Vec<String>> {
            let query = json!({ "query": "fox", "collection": "notes" });
            let found = ask(&world, (privacy, "search_documents"), query).await?;
            let parts = found["parts"].as_array().context("a list")?;
            let text = |part: &Value| part["text"].as_str().unwrap_or_default().to_owned();
            let mut texts: Vec<String> = parts.iter().map(text).collect();
            texts.sort_unstable();
            Ok(texts)
        };
        let (open, strict) = (Privacy::Open, Privacy::LocalOnly);
        let first = keep(strict, "A fox at home.").await?;
        let second = keep(open, "A fox outside.").await?;
        assert_ne!(first["document"], second["document"]);
        assert_eq!(found(open).await?, ["A fox outside."]);
        assert_eq!(found(strict).await?, ["A fox at home.", "A fox outside."]);
        keep(strict, "A fox at rest.").await?;
        assert_eq!(found(open).await?, ["A fox outside."]);
        assert_eq!(found(strict).await?, ["A fox at rest.", "A fox outside."]);
        kill(worker).await;
        Ok(())
    }
}

/// The first request for vectors of this text.
async fn requested(world: &World, text: &str) -> Result<EmbeddingRequested> {
    wait_for(PATIENCE, "a request for vectors", async || {
        let channel = channels::INFERENCE_REQUEST;
        for entry in world.bus.read(channel, ReadFrom::Start, 1000).await? {
            let envelope = envelope_of(&entry, channel)?;
            if envelope.event_type == EmbeddingRequested::TYPE {
                let request: EmbeddingRequested = envelope.decode()?;
                if request.input.iter().any(|input| input.contains(text)) {
                    return Ok(Some(request));
                }
            }
        }
        Ok(None)
    })
    .await
}

#[tokio::test]
async fn a_text_is_embedded_no_further_away_than_its_conversation_lets_it() -> Result<()> {
    let world = World::new().await?;
    let worker = world.worker(&[]).await?;
    for (privacy, _) in SEEN {
        let word = privacy.as_str();
        let kept = json!({ "title": format!("kept {word}"), "text": "A text." });
        world
            .send(&call(&world, (privacy, "add_document"), &kept)?)
            .await?;
        let fact = json!({ "text": format!("remembered {word}") });
        world
            .send(&call(&world, (privacy, "remember"), &fact)?)
            .await?;
        for kind in ["kept", "remembered"] {
            let request = requested(&world, &format!("{kind} {word}")).await?;
            assert_eq!(request.privacy, privacy, "{request:?}");
        }
    }
    kill(worker).await;
    Ok(())
}
