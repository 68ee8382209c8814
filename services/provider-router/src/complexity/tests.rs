//! Questions as people ask them, and what a sensible person would say of each.

use nexus_contracts::chat::{ChatMessage, Role, ToolSpec};
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

use super::{Complexity, Estimator, Heuristic, Level, Question};

fn of(text: &str) -> Complexity {
    let messages = [ChatMessage::text(Role::User, text)];
    let question = Question {
        messages: &messages,
        tools: &[],
    };
    Heuristic.estimate(&question)
}

#[test]
fn questions_come_out_as_a_person_would_sort_them() {
    let code = "Here it is:\n```rust\nfn main() {\n    let x = 1;\n}\n```";
    let list = "Plan a week in Lisbon for two. We must spend at most 900 euros, without a car, and \
                compare two districts to stay in. Then draft the bookings we should make first.";
    for (text, level) in [
        ("Hi", Level::Low),
        ("thanks, great!", Level::Low),
        ("What is the capital of Peru?", Level::Low),
        ("What time is it in Tokyo?", Level::Low),
        ("37 * 43 = ?", Level::Low),
        ("Translate \"good night\" into Spanish", Level::Low),
        ("Wie hoch ist der Mont Blanc?", Level::Low),
        ("¿Quién escribió Rayuela?", Level::Low),
        ("Write a short birthday wish for my aunt", Level::Low),
        ("Why is the sky blue?", Level::Medium),
        ("Compare Redis Streams with Kafka", Level::Medium),
        ("Should I rent or buy a flat?", Level::Medium),
        ("Warum ist der Himmel blau?", Level::Medium),
        (
            "Explain how a hash map works, and when a tree is better than that.",
            Level::Medium,
        ),
        ("Prove that there are infinitely many primes", Level::Medium),
        (&format!("Why does this not compile? {code}"), Level::High),
        (
            &format!("Refactor this and explain the trade-offs. {code}"),
            Level::High,
        ),
        (list, Level::High),
        (
            "Design a rate limiter shared by several replicas. It must survive a restart, add at most \
             one round trip, and never let more than the limit through. Compare two approaches and \
             prove that the one you choose is correct.",
            Level::High,
        ),
        (
            "Debug this race condition step by step: two threads take the same mutex in another order, \
             and why does it deadlock only under load?",
            Level::High,
        ),
    ] {
        let complexity = of(text);
        assert_eq!(complexity.level(), level, "{text}: {complexity:?}");
    }
}

#[test]
fn go_on_is_as_hard_as_what_it_goes_on_with() {
    let hard = "Design a scheduler and prove that it is fair. Compare it with two others.";
    let go_on = |text: &str| {
        let messages = [
            ChatMessage::text(Role::User, hard),
            ChatMessage::text(Role::Assistant, "First part."),
            ChatMessage::text(Role::User, text),
        ];
        Heuristic.estimate(&Question {
            messages: &messages,
            tools: &[],
        })
    };
    let alone = of(hard);
    let carried = go_on("go on please");
    assert!(carried.score >= alone.score - 1e-9, "{carried:?} {alone:?}");
    assert!(of("go on please").level() == Level::Low);
    let with_code = go_on("yes\n```\nlet x = 1;\n```");
    assert!(with_code.score >= carried.score, "{with_code:?}");
}

#[test]
fn tools_pictures_and_context_add_a_little() {
    let mut shown = ChatMessage::text(Role::User, "What is this?");
    shown.images.push(nexus_contracts::chat::Image {
        url: "https://example.org/a.png".to_owned(),
        detail: None,
    });
    let tool = ToolSpec {
        name: "t".to_owned(),
        description: String::new(),
        parameters: serde_json::json!({}),
        extra: [].into(),
    };
    let before = ChatMessage::text(Role::Assistant, "x".repeat(8_000));
    let question = Question {
        messages: &[before, shown],
        tools: &[tool.clone(), tool],
    };
    let complexity = Heuristic.estimate(&question);
    let added = |name: &str| {
        let feature = complexity.features.iter().find(|one| one.name == name);
        feature.map(|one| (one.adds * 100.0).round())
    };
    assert_eq!(
        [added("images"), added("tools"), added("context")],
        [Some(20.0), Some(6.0), Some(4.0)]
    );
}

#[test]
fn what_was_pasted_into_the_middle_has_no_say() {
    let filler = "lorem ".repeat(2_000);
    let text = format!("Shorten this. {filler} prove design debug {filler} That was all.");
    let names: Vec<&str> = of(&text).features.iter().map(|one| one.name).collect();
    assert!(!names.contains(&"working_out"), "{names:?}");
}

#[test]
fn no_question_is_a_plain_zero() {
    let nothing = Question {
        messages: &[],
        tools: &[],
    };
    assert!(Heuristic.estimate(&nothing).score.is_sign_positive());
}

#[test]
fn words_beside_code_and_pipelines_are_heard() {
    for text in [
        "Mend this: ```\nfn a() {}\n```\nThen prove that it is correct.",
        "```print(1)```\nWhy is this slow? Prove it.",
        "Prove that `a | b | c | d` ends",
        "Design one of a,b,c,d and prove it right",
    ] {
        let complexity = of(text);
        let heard = complexity
            .features
            .iter()
            .any(|one| one.name == "working_out");
        assert!(heard, "{text}: {complexity:?}");
    }
}

proptest! {
    #[test]
    fn a_score_is_what_its_features_add_up_to(text in ".{0,400}") {
        let complexity = of(&text);
        let sum: f64 = complexity.features.iter().map(|one| one.adds).sum();
        prop_assert!((0.0..=1.0).contains(&complexity.score));
        prop_assert!((complexity.score - sum.clamp(0.0, 1.0)).abs() < 1e-9);
        prop_assert_eq!(of(&text), complexity);
    }

    #[test]
    fn code_makes_nothing_simpler(
        text in r#"(hello|why|yes|[a-z]{1,6}|\? |\. |\n|```|~~~|"a":1|- |[0-9]|é|中。| ){0,40}"#,
    ) {
        let with = of(&format!("{text}\n```rust\nlet x = 1;\n```"));
        prop_assert!(with.score + 1e-9 >= of(&text).score, "{with:?}");
    }
}
