//! What a model does here.

use anyhow::{Context, Result};
use nexus_contracts::chat::{ChatMessage, FinishReason};
use nexus_inference_worker::config::ModelConfig;
use nexus_inference_worker::engine::Refusal;
use serde_json::{Value, json};

use crate::world::{Shelf, answer, answers, ask, ask_with, heard, load, soon, weather};

#[tokio::test(flavor = "multi_thread")]
async fn it_streams_its_answer_and_counts_its_tokens() -> Result<()> {
    let shelf = Shelf::new()?;
    let engine = load(&shelf.scripted()?).await?;
    let (answer, said) = heard(&engine, &ask("Hi")).await??;
    assert_eq!(answer.message.content, "Hello from the scripted model.");
    assert_eq!(said, answer.message.content);
    assert_eq!(answer.finish_reason, FinishReason::Stop);
    // The prompt byte by byte, four special tokens among them; the answer with its end.
    assert_eq!(answer.usage.output_tokens, 6);
    assert_eq!(
        answer.usage.input_tokens,
        4 + "user\nHi\nassistant\n".len() as u64
    );
    assert!(answer.first_text.context("a first text")? <= answer.took);
    assert_eq!(engine.device(), "cpu");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_calls_a_tool_and_answers_with_its_result() -> Result<()> {
    let shelf = Shelf::new()?;
    let engine = load(&shelf.scripted()?).await?;
    let mut question = ask("How warm is it?");
    question.tools = vec![weather()];
    let (called, said) = heard(&engine, &question).await??;
    assert_eq!(called.finish_reason, FinishReason::ToolCalls);
    assert_eq!(said, "");
    let call = called.message.tool_calls.first().context("a call")?.clone();
    assert_eq!(call.name, "get_weather");
    let arguments: Value = serde_json::from_str(&call.arguments)?;
    assert_eq!(arguments, json!({"place": "Paris", "unit": "C"}));
    question.messages.push(called.message);
    let before = answer(&engine, &question).await?.usage.input_tokens;
    question
        .messages
        .push(ChatMessage::tool_result(call.id, "25"));
    let answered = answer(&engine, &question).await?;
    assert_eq!(answered.message.content, "It is 25 degrees!");
    // The template shows the call by name and place, so it reached the model.
    let shown = "get_weatherParis".len() as u64;
    assert!(before > called.usage.input_tokens + shown, "{before}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn json_keeps_to_its_schema_whatever_the_model_is() -> Result<()> {
    let shelf = Shelf::new()?;
    let engine = load(&shelf.random()?).await?;
    let schema = json!({"type": "object", "properties": {
        "name": {"type": "string", "maxLength": 8}, "age": {"type": "integer", "minimum": 0, "maximum": 99},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 1, "maxItems": 3}},
        "required": ["name", "age", "tags"], "additionalProperties": false});
    let format = json!({"response_format": {"type": "json_schema",
        "json_schema": {"name": "person", "schema": schema}}});
    let answered = answer(&engine, &ask_with("Who?", format, 200)?).await?;
    assert_eq!(answered.finish_reason, FinishReason::Stop);
    let person: Value = serde_json::from_str(&answered.message.content)?;
    assert!(
        person["age"].as_u64().is_some_and(|age| age < 100),
        "{person}"
    );
    assert!(
        person["tags"]
            .as_array()
            .is_some_and(|tags| !tags.is_empty()),
        "{person}"
    );
    // A schema the engine does not understand harms nobody else.
    let broken = json!({"response_format": {"type": "json_schema",
        "json_schema": {"schema": {"type": "nonsense"}}}});
    let refused = heard(&engine, &ask_with("Who?", broken, 9)?).await?;
    assert!(
        matches!(refused, Err(Refusal::BadRequest(_))),
        "{refused:?}"
    );
    answer(&engine, &ask_with("Still there?", json!({}), 3)?).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_repeats_an_answer() -> Result<()> {
    let shelf = Shelf::new()?;
    let engine = load(&shelf.random()?).await?;
    let seeded = |seed: u64| {
        let mut question = ask_with("Say anything", json!({"seed": seed, "top_p": 0.9}), 24)?;
        question.parameters.temperature = Some(1.0);
        anyhow::Ok(question)
    };
    let first = answer(&engine, &seeded(7)?).await?.message;
    assert_eq!(first, answer(&engine, &seeded(7)?).await?.message);
    assert_ne!(first, answer(&engine, &seeded(8)?).await?.message);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_before_a_stop_text_and_at_its_limit() -> Result<()> {
    let shelf = Shelf::new()?;
    let engine = load(&shelf.scripted()?).await?;
    let (answer, said) = heard(
        &engine,
        &ask_with("LOOP", json!({"stop": ["ck tick"]}), 500)?,
    )
    .await??;
    assert_eq!(answer.message.content, "tick to");
    assert_eq!(said, "tick to");
    assert_eq!(answer.finish_reason, FinishReason::Stop);
    let (answer, _) = heard(&engine, &ask_with("LOOP", json!({}), 5)?).await??;
    assert_eq!(answer.message.content, "tick tock tick tock tick ");
    assert_eq!(answer.finish_reason, FinishReason::Length);
    assert_eq!(answer.usage.output_tokens, 5);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_cannot_do_is_refused_in_words() -> Result<()> {
    let shelf = Shelf::new()?;
    let engine = load(&shelf.scripted()?).await?;
    let mut picture = ask("What is this?");
    picture.messages[0].images = vec![serde_json::from_value(json!({"url": "https://x/y.png"}))?];
    let refused = heard(&engine, &picture).await?;
    assert!(
        matches!(refused, Err(Refusal::Unsupported(_))),
        "{refused:?}"
    );
    let refused = heard(&engine, &ask_with("Hi", json!({"stop": 7}), 9)?).await?;
    assert!(
        matches!(refused, Err(Refusal::BadRequest(_))),
        "{refused:?}"
    );
    let slot = engine.admit().await?;
    let refused = engine.embed(slot, vec!["x".to_owned()]).await;
    assert!(
        matches!(refused, Err(Refusal::Unsupported(_))),
        "{refused:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_become_vectors_in_their_order() -> Result<()> {
    let shelf = Shelf::new()?;
    let engine = load(&shelf.embedding()?).await?;
    let texts = ["a cat", "a dog", "a cat"].map(str::to_owned).to_vec();
    let slot = engine.admit().await?;
    let embedded = soon("vectors", engine.embed(slot, texts)).await??;
    let [cat, dog, again] = &embedded.vectors[..] else {
        panic!("three vectors");
    };
    assert_eq!(cat, again);
    assert_ne!(cat, dog);
    let norm: f32 = cat.iter().map(|number| number * number).sum();
    assert!((norm - 1.0).abs() < 1e-3, "{norm}");
    assert_eq!(embedded.usage.input_tokens, 15);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn gguf_says_what_safetensors_say() -> Result<()> {
    let shelf = Shelf::new()?;
    let plain = load(&shelf.random()?).await?;
    let gguf = load(&shelf.gguf()?).await?;
    let question = ask_with("The same?", json!({}), 8)?;
    let [one, other] = [
        answer(&plain, &question).await?,
        answer(&gguf, &question).await?,
    ];
    assert_eq!(one.message, other.message);
    assert_eq!(one.usage, other.usage);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_quantised_while_it_loads() -> Result<()> {
    let shelf = Shelf::new()?;
    let config = ModelConfig {
        isq: Some("q8_0".to_owned()),
        ..shelf.random()?
    };
    let engine = load(&config).await?;
    let answered = answer(&engine, &ask_with("Hi", json!({}), 4)?).await?;
    assert!(answered.usage.output_tokens > 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn unloading_ends_the_thread_of_the_engine() -> Result<()> {
    let shelf = Shelf::new()?;
    let engine = load(&shelf.scripted()?).await?;
    answer(&engine, &ask("Hi")).await?;
    soon("the engine to end", engine.unload()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn several_models_answer_beside_each_other() -> Result<()> {
    let shelf = Shelf::new()?;
    let (one, other) = (
        load(&shelf.scripted()?).await?,
        load(&shelf.random()?).await?,
    );
    let questions = [ask_with("Hi", json!({}), 9)?];
    let (scripted, random) = tokio::join!(answers(&one, &questions), answers(&other, &questions));
    assert_eq!(
        scripted?[0].message.content,
        "Hello from the scripted model."
    );
    assert_ne!(random?[0].message.content, "Hello from the scripted model.");
    Ok(())
}
