use std::sync::{Arc, LazyLock};

use nexus_contracts::OrgId;
use nexus_contracts::chat::{ChatMessage, Image, Role, ToolCall, ToolSpec};
use nexus_contracts::events::{InferenceRequested, ModelParameters, Purpose};
use nexus_contracts::settings::{Caching, Privacy};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Keys, Scope};
use crate::complexity::Complexity;
use crate::plan::{self, Need, Nothing, Plan, Size};
use crate::registry::Registry;
use crate::registry::file::ProvidersFile;

const ORG: OrgId = OrgId(Uuid::from_u128(1));

const FILE: &str = "
default: r
providers:
  a: {type: openai, base_url: 'http://127.0.0.1:1/v1', model: m, models: [{name: m, price: {input: 1}}]}
  b: {type: openai, base_url: 'http://127.0.0.1:2/v1', model: m}
routes:
  r: {targets: [{provider: a}, {provider: b}]}
";

fn asked() -> InferenceRequested {
    let mut call = ChatMessage::text(Role::Assistant, "");
    call.tool_calls = vec![
        ToolCall {
            id: "call-1".to_owned(),
            name: "look".to_owned(),
            arguments: "{}".to_owned(),
        },
        ToolCall {
            id: "call-2".to_owned(),
            name: "look".to_owned(),
            arguments: "{\"at\": 1}".to_owned(),
        },
    ];
    let mut seen = ChatMessage::text(Role::User, "And this?");
    seen.images = vec![Image {
        url: "https://example.com/a.png".to_owned(),
        detail: None,
    }];
    let tool = ToolSpec {
        name: "look".to_owned(),
        description: "Looks.".to_owned(),
        parameters: json!({"type": "object", "properties": {"at": {"type": "number"}}}),
        extra: [("effect".to_owned(), json!("read_only"))].into(),
    };
    InferenceRequested {
        messages: vec![
            ChatMessage::text(Role::System, "Be brief."),
            ChatMessage::text(Role::User, "What is there?"),
            call,
            ChatMessage::tool_result("call-1", "a"),
            ChatMessage::tool_result("call-2", "b"),
            seen,
            ChatMessage::text(Role::User, "Say it."),
        ],
        tools: vec![tool],
        provider: None,
        model: None,
        parameters: ModelParameters {
            temperature: Some(0.5),
            max_tokens: None,
            extra: [("seed".to_owned(), json!(1))].into(),
        },
        quiet: false,
        purpose: Purpose::Answer,
        privacy: Privacy::Open,
        cache: Caching::Exact,
        extra: [].into(),
    }
}

/// Built once: what speaks HTTP takes a while to be made.
static USUAL: LazyLock<Registry> = LazyLock::new(|| registry(FILE));

fn registry(file: &str) -> Registry {
    let file = ProvidersFile::parse(file, "test").unwrap();
    Registry::build(&file, &|_| None).unwrap()
}

fn plan_by(registry: &Registry, asked: &InferenceRequested, seed: &str) -> Plan {
    let sized = Size::of(asked, &asked.messages);
    let need = Need::of(asked, &asked.messages, &sized, (ORG, seed));
    plan::plan(registry, &need, &Complexity::of(Vec::new()), &Nothing).unwrap()
}

fn keys(asked: &InferenceRequested) -> Keys {
    Keys::of(ORG, asked, &plan_by(&USUAL, asked, "s"))
}

fn keys_by(file: &str) -> Keys {
    Keys::of(ORG, &asked(), &plan_by(&registry(file), &asked(), "s"))
}

type Change = (&'static str, fn(&mut InferenceRequested, &str));

/// Every one of them shapes an answer; `new` is a text that stands nowhere in the question.
const CHANGES: &[Change] = &[
    ("role", |asked, _| asked.messages[0].role = Role::User),
    ("content", |asked, new| {
        asked.messages[1].content = new.to_owned();
    }),
    ("last content", |asked, new| {
        asked.messages[6].content = new.to_owned();
    }),
    ("moved text", |asked, _| {
        asked.messages[0].content = "Be brief.What".to_owned();
        asked.messages[1].content = " is there?".to_owned();
    }),
    ("one message less", |asked, _| {
        drop(asked.messages.remove(1));
    }),
    ("order of messages", |asked, _| asked.messages.swap(0, 1)),
    ("image", |asked, new| {
        asked.messages[5].images[0].url = new.to_owned();
    }),
    ("detail", |asked, new| {
        asked.messages[5].images[0].detail = Some(new.to_owned());
    }),
    ("image elsewhere", |asked, _| {
        let image = asked.messages[5].images.remove(0);
        asked.messages[1].images.push(image);
    }),
    ("called tool", |asked, new| {
        asked.messages[2].tool_calls[0].name = new.to_owned();
    }),
    ("arguments", |asked, new| {
        asked.messages[2].tool_calls[0].arguments = new.to_owned();
    }),
    ("order of calls", |asked, _| {
        asked.messages[2].tool_calls.swap(0, 1);
    }),
    ("result of another call", |asked, _| {
        asked.messages[3].tool_call_id = Some("call-2".to_owned());
        asked.messages[4].tool_call_id = Some("call-1".to_owned());
    }),
    ("result of no call", |asked, new| {
        asked.messages[3].tool_call_id = Some(new.to_owned());
    }),
    ("field of a message", |asked, new| {
        asked.messages[1].extra.insert(new.to_owned(), json!(true));
    }),
    ("name of a tool", |asked, new| {
        asked.tools[0].name = new.to_owned();
    }),
    ("description", |asked, new| {
        asked.tools[0].description = new.to_owned();
    }),
    ("schema", |asked, new| {
        asked.tools[0].parameters["properties"] = json!({new: {}});
    }),
    ("field of a tool", |asked, new| {
        asked.tools[0].extra.insert("effect".to_owned(), json!(new));
    }),
    ("another tool", |asked, _| {
        asked.tools.push(asked.tools[0].clone());
    }),
    ("no tools", |asked, _| asked.tools.clear()),
    ("provider", |asked, _| asked.provider = Some("r".to_owned())),
    ("other provider", |asked, _| {
        asked.provider = Some("b".to_owned());
    }),
    ("model", |asked, _| asked.model = Some("m".to_owned())),
    ("temperature", |asked, _| {
        asked.parameters.temperature = Some(0.6);
    }),
    ("no temperature", |asked, _| {
        asked.parameters.temperature = None;
    }),
    ("max_tokens", |asked, _| {
        asked.parameters.max_tokens = Some(10);
    }),
    ("seed", |asked, _| {
        asked.parameters.extra.insert("seed".to_owned(), json!(2));
    }),
    ("seed as text", |asked, _| {
        asked.parameters.extra.insert("seed".to_owned(), json!("1"));
    }),
    ("response_format", |asked, new| {
        let format = json!({"type": "json_schema", "json_schema": {"name": new}});
        asked
            .parameters
            .extra
            .insert("response_format".to_owned(), format);
    }),
    ("purpose", |asked, _| asked.purpose = Purpose::Summary),
    ("privacy", |asked, _| asked.privacy = Privacy::Sensitive),
    ("stricter privacy", |asked, _| {
        asked.privacy = Privacy::LocalOnly;
    }),
    ("extra", |asked, new| {
        asked.extra.insert(new.to_owned(), Value::Null);
    }),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn every_part_of_a_question_makes_another_key(new in "[A-Z]{3,12}") {
        let mut all = vec![("as it is", keys(&asked()))];
        for (what, change) in CHANGES {
            let mut asked = asked();
            change(&mut asked, &new);
            let keys = keys(&asked);
            let same = all.iter().find(|(_, other)| other.exact == keys.exact);
            prop_assert!(same.is_none(), "{what} is as {}", same.map_or("", |(what, _)| what));
            all.push((what, keys));
        }
        let scope = |what: &str| all.iter().find(|(one, _)| *one == what).map(|(_, keys)| keys.scope);
        for (what, keys) in &all {
            let same = keys.scope == scope("as it is").flatten();
            prop_assert_eq!(same, matches!(*what, "as it is" | "last content"), "{}", what);
        }
    }

    #[test]
    fn no_two_lists_of_texts_are_the_same_question(
        one in proptest::collection::vec("[a-b]{0,3}", 0..4),
        other in proptest::collection::vec("[a-b]{0,3}", 0..4),
    ) {
        let question = |texts: &[String]| {
            let texts = texts.iter().map(|text| ChatMessage::text(Role::User, text));
            keys(&InferenceRequested { messages: texts.collect(), ..asked() }).exact
        };
        prop_assert_eq!(one == other, question(&one) == question(&other));
    }
}

#[test]
fn another_organisation_finds_nothing() {
    let (asked, plan) = (asked(), plan_by(&USUAL, &asked(), "s"));
    let [one, other] = [1, 2].map(|org| Keys::of(OrgId(Uuid::from_u128(org)), &asked, &plan));
    assert_ne!((one.exact, one.scope), (other.exact, other.scope));
    assert_ne!(one.exact, other.exact);
    assert_ne!(one.scope, other.scope);
}

#[test]
fn what_leaves_an_answer_what_it_is_leaves_the_key() {
    let mut other = asked();
    other.quiet = true;
    other.cache = Caching::Semantic;
    for message in &mut other.messages {
        for call in &mut message.tool_calls {
            call.id = format!("another-{}", call.id);
        }
        let id = message.tool_call_id.as_mut();
        if let Some(id) = id {
            *id = format!("another-{id}");
        }
    }
    assert_eq!(keys(&other), keys(&asked()));
}

#[test]
fn the_order_in_which_fields_are_written_is_none() {
    let mut asked = asked();
    let schema = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    asked.tools[0].parameters = schema(r#"{"a": {"x": 1, "y": [1, 2]}, "b": 2}"#);
    let one = keys(&asked);
    asked.tools[0].parameters = schema(r#"{"b": 2, "a": {"y": [1, 2], "x": 1}}"#);
    assert_eq!(one, keys(&asked));
    asked.tools[0].parameters = schema(r#"{"b": 2, "a": {"y": [2, 1], "x": 1}}"#);
    assert_ne!(one.exact, keys(&asked).exact, "a list has an order");
}

#[test]
fn who_answers_is_part_of_it_and_what_it_costs_is_not() {
    let usual = keys_by(FILE);
    for (from, to) in [
        ("price: {input: 1}", "price: {input: 2}"),
        (
            "models: [{name: m, price: {input: 1}}]",
            "limits: {requests_per_minute: 9}",
        ),
        ("{name: m,", "{name: m, vision: true, tools: native,"),
        ("model: m}", "model: m, timeouts: {idle: 3s}}"),
        // Who stands in for others is not kept.
        ("127.0.0.1:2/v1", "127.0.0.1:3/v1"),
        ("[{provider: a}, {provider: b}]", "[{provider: a}]"),
    ] {
        assert!(FILE.contains(from));
        assert_eq!(usual, keys_by(&FILE.replacen(from, to, 1)), "{to}");
    }
    let by_cost = FILE.replace("r: {targets", "r: {strategy: cost, targets");
    let others = [
        FILE.replace("127.0.0.1:1/v1", "127.0.0.1:3/v1"),
        FILE.replace("model: m,", "model: n,"),
        // In text the same question is another prompt.
        FILE.replace("{name: m,", "{name: m, tools: text,"),
        FILE.replace(
            "[{provider: a}, {provider: b}]",
            "[{provider: b}, {provider: a}]",
        ),
        FILE.replace("[{provider: a}, ", "[{provider: a, model: x}, "),
        by_cost.replace("127.0.0.1:2/v1", "127.0.0.1:3/v1"),
        by_cost.clone(),
    ];
    let mut all = vec![usual];
    for other in others {
        let keys = keys_by(&other);
        let known = |one: &Keys| one.exact == keys.exact || one.scope == keys.scope;
        assert!(!all.iter().any(known), "{other}");
        all.push(keys);
    }
    let dearer = by_cost.replace("price: {input: 1}", "price: {input: 9}");
    assert_eq!(all.last(), Some(&keys_by(&dearer)), "in whichever order");
}

#[test]
fn conversations_for_which_another_model_was_drawn_have_answers_of_their_own() {
    let drawn = FILE.replace(
        "[{provider: a}, {provider: b}]",
        "[{provider: a, weight: 1}, {provider: b, weight: 1}]",
    );
    let drawn = registry(&drawn);
    let seeds = ["s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8"];
    let by_first = seeds.map(|seed| {
        let plan = plan_by(&drawn, &asked(), seed);
        let first = Arc::clone(&plan.candidates[0].configured.name);
        (first, Keys::of(ORG, &asked(), &plan).exact)
    });
    assert!(by_first.iter().any(|(first, _)| **first == *"b"));
    for (one, key) in &by_first {
        for (other, another) in &by_first {
            assert_eq!(one == other, key == another);
        }
    }
}

#[test]
fn only_a_last_text_of_a_person_can_be_said_otherwise() {
    let scope = |last: ChatMessage| -> Option<Scope> {
        let messages = vec![ChatMessage::text(Role::User, "a"), last];
        keys(&InferenceRequested {
            messages,
            ..asked()
        })
        .scope
    };
    assert!(scope(ChatMessage::text(Role::User, "b")).is_some());
    assert!(scope(ChatMessage::text(Role::User, " ")).is_none());
    assert!(scope(ChatMessage::text(Role::Assistant, "b")).is_none());
    assert!(scope(ChatMessage::tool_result("c", "b")).is_none());
    let mut seen = ChatMessage::text(Role::User, "b");
    seen.images = vec![Image {
        url: "https://example.com".to_owned(),
        detail: None,
    }];
    assert!(scope(seen).is_none());
    let none = InferenceRequested {
        messages: Vec::new(),
        ..asked()
    };
    assert!(keys(&none).scope.is_none());
}

#[test]
fn a_key_is_an_id_and_vectors_of_different_models_have_different_rooms() {
    let keys = keys(&asked());
    let id = keys.exact.id().unwrap();
    assert_eq!(id.as_str(), format!("cache:{}", keys.exact));
    assert_eq!(id.as_str().len(), 6 + 64);
    let scope = keys.scope.unwrap();
    assert_ne!(scope.room("a", "bc"), scope.room("ab", "c"));
}
