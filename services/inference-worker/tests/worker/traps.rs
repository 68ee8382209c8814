//! What is known to go wrong in the engine beneath, and does not go wrong here. The numbers are
//! those of the list in the README.

use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::FutureExt;
use nexus_contracts::chat::{ChatMessage, FinishReason, Role};
use nexus_inference_worker::config::ModelConfig;
use nexus_inference_worker::engine::{Engine, Refusal};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::world::{Shelf, answer, answers, ask, ask_with, heard, load, soon, weather};

#[tokio::test(flavor = "multi_thread")]
async fn trap_1_eight_at_once_are_each_as_alone() -> Result<()> {
    let shelf = Shelf::new()?;
    let engine = load(&shelf.random()?).await?;
    let question = |n: usize| ask_with(&format!("question {n} {}", "x".repeat(n)), json!({}), 24);
    let questions: Vec<_> = (0..8).map(question).collect::<Result<_>>()?;
    let mut alone = Vec::new();
    for question in &questions {
        alone.push(answer(&engine, question).await?.message);
    }
    let together = answers(&engine, &questions).await?;
    let together: Vec<_> = together.into_iter().map(|answer| answer.message).collect();
    assert_eq!(together, alone);
    Ok(())
}

// The last token of an answer is chosen, but never put through the model, and the cache of prefixes
// counts it among what it knows: a question that goes on from that token is answered past a hole.
#[tokio::test(flavor = "multi_thread")]
async fn trap_2_what_was_asked_before_changes_nothing() -> Result<()> {
    let shelf = Shelf::new()?;
    // Plain letters, so that the answer is the same tokens again in the next question.
    let letters = json!({"response_format": {"type": "json_schema", "json_schema":
        {"name": "letters", "schema": {"type": "string", "pattern": "^[a-z]{40}$"}}}});
    for config in [shelf.random()?, shelf.gguf()?] {
        for length in [0, 15] {
            let used = load(&config).await?;
            let mut question = ask_with(&"x ".repeat(length), letters.clone(), 8)?;
            let cut = answer(&used, &question).await?;
            assert_eq!(cut.finish_reason, FinishReason::Length);
            question.messages.push(cut.message);
            let more = ChatMessage::text(Role::User, "and more");
            question.messages.push(more);
            question.parameters = ask_with("", json!({}), 24)?.parameters;
            let after = answer(&used, &question).await?.message;
            let alone = answer(&load(&config).await?, &question).await?.message;
            assert_eq!(after, alone, "{length}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_3_a_client_that_goes_away_breaks_nobody() -> Result<()> {
    let shelf = Shelf::new()?;
    let engine = load(&shelf.scripted()?).await?;
    // Before a word, and in the middle of it.
    for words in [0, 3] {
        let slot = engine.admit().await?;
        let (texts, mut said) = mpsc::unbounded_channel();
        let question = ask_with("LOOP", json!({}), 2000)?;
        let asked = engine.generate(slot, &question, texts);
        let hearing = async {
            for _ in 0..words {
                said.recv().await;
            }
        };
        tokio::select! {
            biased;
            _ = asked => anyhow::bail!("it never ends"),
            () = hearing => {}
        }
        // The place is free again once the engine has let go, long before two thousand tokens.
        let (next, _) = heard(&engine, &ask("Hi")).await??;
        assert_eq!(next.message.content, "Hello from the scripted model.");
    }
    // The engine says nothing of a call before it is whole, and so does not notice at once that
    // nobody listens. The tokens are counted when it has let go, which is when the place is free.
    let engine = load(&shelf.random()?).await?;
    let mut held = ask_with("Weather?", json!({"tool_choice": "required"}), 200)?;
    held.tools = vec![weather()];
    let before = engine.generated();
    let slot = engine.admit().await?;
    let (texts, _said) = mpsc::unbounded_channel();
    let _none = Box::pin(engine.generate(slot, &held, texts)).now_or_never();
    drop(soon("the place", engine.admit()).await??);
    assert!(engine.generated() > before, "the engine is still at it");
    let vectors = load(&shelf.embedding()?).await?;
    let many = vec!["a text".to_owned(); 50];
    let slot = vectors.admit().await?;
    // Polled once, so that it has begun; then dropped.
    let _none = Box::pin(vectors.embed(slot, many)).now_or_never();
    let slot = soon("a place", vectors.admit()).await??;
    let one = soon("a vector", vectors.embed(slot, vec!["a text".to_owned()])).await??;
    assert_eq!(one.vectors.len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_4_an_end_inside_a_character_keeps_reason_and_count() -> Result<()> {
    let shelf = Shelf::new()?;
    let engine = load(&shelf.scripted()?).await?;
    let (whole, said) = heard(&engine, &ask_with("CAFE", json!({}), 9)?).await??;
    assert_eq!(
        (whole.message.content.as_str(), said.as_str()),
        ("caf\u{e9}", "caf\u{e9}")
    );
    assert_eq!(whole.finish_reason, FinishReason::Stop);
    let (cut, _) = heard(&engine, &ask_with("CAFE", json!({}), 2)?).await??;
    assert_eq!(cut.message.content, "caf");
    assert_eq!(cut.finish_reason, FinishReason::Length);
    assert_eq!(cut.usage.output_tokens, 2);
    assert_eq!(cut.usage.input_tokens, whole.usage.input_tokens);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_5_an_answer_nobody_wants_ends_even_where_nothing_is_said() -> Result<()> {
    let shelf = Shelf::new()?;
    let engine = load(&ModelConfig {
        max_tokens: serde_json::from_value(json!(4000))?,
        ..shelf.scripted()?
    })
    .await?;
    // The engine says nothing of what may become a tool call, so it does not notice that nobody
    // listens: two thousand tokens, were it not told.
    let mut buffered = ask_with("BUFFER", json!({}), 2000)?;
    buffered.tools = vec![weather()];
    for question in [buffered, ask_with("LOOP", json!({}), 2000)?] {
        let before = engine.generated();
        let slot = engine.admit().await?;
        let (texts, _said) = mpsc::unbounded_channel();
        // Begun, and dropped.
        let _none = Box::pin(engine.generate(slot, &question, texts)).now_or_never();
        soon("the place", engine.admit()).await??;
        let generated = engine.generated() - before;
        assert!(generated < 50, "{generated} tokens for nobody");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_6_a_named_tool_is_called_by_any_model() -> Result<()> {
    let shelf = Shelf::new()?;
    let engine = load(&shelf.random()?).await?;
    for choice in [
        json!({"type": "function", "function": {"name": "get_weather"}}),
        json!("required"),
    ] {
        let mut question = ask_with("Weather?", json!({"tool_choice": choice}), 200)?;
        question.tools = vec![weather()];
        let (answer, said) = heard(&engine, &question).await??;
        assert_eq!(answer.finish_reason, FinishReason::ToolCalls);
        assert_eq!((said.as_str(), answer.message.content.as_str()), ("", ""));
        let call = answer.message.tool_calls.first().context("a call")?;
        assert_eq!(call.name, "get_weather");
        let arguments: Value = serde_json::from_str(&call.arguments)?;
        assert!(["C", "F"].contains(&arguments["unit"].as_str().context("a unit")?));
        assert!(!arguments["place"].as_str().context("a place")?.is_empty());
    }
    Ok(())
}

// One thread only: what blocks it stops everything else, and what may not block on it panics, as
// the engine's own way to end a model does. That loading needs several threads cannot be shown:
// on one, mistral.rs 0.8.1 just leaves out its first try of the model.
#[tokio::test]
async fn trap_7_loading_and_unloading_work_on_one_thread() -> Result<()> {
    let shelf = Shelf::new()?;
    let config = shelf.scripted()?;
    let began = Instant::now();
    let (engine, pause) = longest_pause(load(&config)).await;
    let (engine, took) = (engine?, began.elapsed());
    assert!(
        pause < took / 2,
        "nothing else ran for {pause:?} of {took:?}"
    );
    let (answer, _) = heard(&engine, &ask("Hi")).await??;
    assert_eq!(answer.message.content, "Hello from the scripted model.");
    soon("the engine to end", engine.unload()).await
}

/// The longest time for which nothing else could run on this thread, too.
async fn longest_pause<T>(it: impl Future<Output = T>) -> (T, Duration) {
    let mut it = pin!(it);
    let mut longest = Duration::ZERO;
    loop {
        let before = Instant::now();
        let done = tokio::select! {
            biased;
            done = &mut it => Some(done),
            () = tokio::time::sleep(Duration::from_millis(1)) => None,
        };
        longest = longest.max(before.elapsed());
        if let Some(done) = done {
            return (done, longest);
        }
    }
}

#[test]
fn trap_8_what_is_not_there_is_not_looked_for_elsewhere() -> Result<()> {
    let shelf = Shelf::new()?;
    let refused = |config: &ModelConfig| Engine::check("it", config).unwrap_err().to_string();
    let at = |name: &str| ModelConfig {
        path: Some(shelf.path(name)),
        ..ModelConfig::default()
    };
    assert!(refused(&at("absent")).contains("No such file"));
    assert!(refused(&at("absent.gguf")).contains("No such file"));
    let whole = shelf.random()?;
    Engine::check("it", &whole)?;
    let gguf = ModelConfig {
        file: Some("absent.gguf".to_owned()),
        ..whole.clone()
    };
    assert!(refused(&gguf).contains("there is no absent.gguf"));
    let untold = ModelConfig {
        chat_template: Some(shelf.path("absent.jinja")),
        ..whole.clone()
    };
    assert!(refused(&untold).contains("`chat_template`: there is no file"));
    for file in ["model.safetensors", "tokenizer.json", "config.json"] {
        std::fs::remove_file(shelf.path("random").join(file))?;
        let wanted = file.replace("model.", "*.");
        assert!(
            refused(&whole).contains(&format!("there is no {wanted}")),
            "{file}"
        );
    }
    let both = ModelConfig {
        hub: Some("some/model".to_owned()),
        ..whole
    };
    assert!(refused(&both).contains("exactly one"));
    assert!(refused(&ModelConfig::default()).contains("exactly one"));
    Ok(())
}

// That attention is not paged on a CPU has no test: a build without a GPU cannot even ask for it.
#[tokio::test(flavor = "multi_thread")]
async fn trap_9_a_question_too_long_is_refused_and_the_next_one_answered() -> Result<()> {
    let shelf = Shelf::new()?;
    let engine = load(&shelf.random()?).await?;
    let long = "word ".repeat(1000);
    let refused = heard(&engine, &ask_with(&long, json!({}), 4)?).await?;
    assert!(
        matches!(refused, Err(Refusal::BadRequest(_))),
        "{refused:?}"
    );
    let next = answer(&engine, &ask_with("Hi", json!({}), 4)?).await?;
    assert!(next.usage.output_tokens > 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_10_a_text_of_one_token_kills_no_engine() -> Result<()> {
    let shelf = Shelf::new()?;
    let engine = load(&shelf.embedding()?).await?;
    for short in ["", "x"] {
        let slot = engine.admit().await?;
        let refused = soon("no vector", engine.embed(slot, vec![short.to_owned()])).await?;
        assert!(
            matches!(refused, Err(Refusal::BadRequest(_))),
            "{refused:?}"
        );
    }
    let slot = engine.admit().await?;
    soon("a vector", engine.embed(slot, vec!["xy".to_owned()])).await??;
    Ok(())
}
