use std::sync::Arc;

use nexus_contracts::Extra;
use nexus_contracts::chat::{ChatMessage, FinishReason, Role, ToolCall, Usage};
use nexus_contracts::events::InferenceCompleted;
use serde_json::json;

use super::{Kept, Kind, Unfit};
use crate::plan::{Candidate, Plan};
use crate::registry::Registry;
use crate::registry::file::ProvidersFile;
use crate::registry::route::{OnInterruption, Strategy};

const FILE: &str = "
default: a
providers:
  a: {type: openai, base_url: 'http://127.0.0.1:1/v1', model: m}
  b: {type: demo}
  c: {type: human}
";

fn plan_of(names: &[&str]) -> Plan {
    let file = ProvidersFile::parse(FILE, "test").unwrap();
    let registry = Registry::build(&file, &|_| None).unwrap();
    let candidate = |name: &&str| Candidate {
        configured: Arc::clone(registry.find(Some(name)).unwrap()),
        model: "m".into(),
    };
    Plan {
        route: None,
        strategy: Strategy::Order,
        candidates: names.iter().map(candidate).collect(),
        skipped: Vec::new(),
        delegated: None,
        hedge_after: None,
        on_interruption: OnInterruption::Fail,
    }
}

fn answer() -> InferenceCompleted {
    InferenceCompleted {
        message: ChatMessage::text(Role::Assistant, "Because."),
        finish_reason: FinishReason::Stop,
        usage: Usage::of(10, 3),
        provider: "a".to_owned(),
        model: "m-2025-01-01".to_owned(),
        duration_ms: 900,
        metadata: [("citations".to_owned(), json!(["x"]))].into(),
        extra: Extra::new(),
    }
}

type Change<'a> = &'a dyn Fn(&mut InferenceCompleted);

fn kept(change: impl FnOnce(&mut InferenceCompleted)) -> Result<Kept, Unfit> {
    let mut answer = answer();
    change(&mut answer);
    Kept::of(&answer, "m", &plan_of(&["a", "b"]))
}

#[test]
fn a_whole_answer_is_kept_and_comes_back_for_nothing() {
    let kept = kept(|_| {}).unwrap();
    let again = Kept::decode(&kept.encode().unwrap()).unwrap();
    assert_eq!(again, kept);
    let found = again.clone().again(Kind::Exact, 61_500);
    assert_eq!(found.message, answer().message);
    assert_eq!(
        (found.provider.as_str(), found.model.as_str()),
        ("a", "m-2025-01-01")
    );
    assert_eq!(found.usage.tokens(), 0);
    assert_eq!(found.usage.cost_microusd, Some(0));
    assert_eq!(found.metadata["citations"], json!(["x"]));
    assert_eq!(
        found.metadata["cache"],
        json!({"kind": "exact", "age_seconds": 61})
    );
    let near = again.again(Kind::Semantic(0.912_345), -5);
    let note = json!({"kind": "semantic", "age_seconds": 0, "similarity": 0.912});
    assert_eq!(near.metadata["cache"], note);
    assert_eq!(Kept::decode(b"{}"), None);
}

#[test]
fn what_will_not_do_again_is_not_kept() {
    let call = ToolCall {
        id: "1".to_owned(),
        name: "clock".to_owned(),
        arguments: "{}".to_owned(),
    };
    let changes: [(Unfit, Change<'_>); 10] = [
        (Unfit::NoText, &|answer| {
            answer.message.tool_calls.push(call.clone());
        }),
        (Unfit::NoText, &|answer| {
            answer.message.content = "\n".to_owned();
        }),
        (Unfit::Cut, &|answer| {
            answer.finish_reason = FinishReason::Length;
        }),
        (Unfit::Cut, &|answer| {
            answer.finish_reason = FinishReason::ContentFilter;
        }),
        (Unfit::Seams, &|answer| {
            answer.metadata.insert("seams".to_owned(), json!([]));
        }),
        (Unfit::Unread, &|answer| {
            let note = json!({"refusals": [{"code": "cut_off"}]});
            answer.metadata.insert("text_calls".to_owned(), note);
        }),
        (Unfit::Found, &|answer| {
            answer.metadata.insert("cache".to_owned(), json!({}));
        }),
        (Unfit::Refusal, &|answer| {
            answer
                .message
                .extra
                .insert("refusal".to_owned(), json!("no"));
        }),
        (Unfit::StandIn, &|answer| answer.provider = "b".to_owned()),
        (Unfit::Large, &|answer| {
            answer.message.content = "x".repeat(9 << 20);
        }),
    ];
    for (why, change) in changes {
        let whole = kept(change).and_then(|kept| kept.encode());
        assert_eq!(whole.err(), Some(why));
    }
    let no_refusal = kept(|answer| {
        answer
            .message
            .extra
            .insert("refusal".to_owned(), json!(null));
    });
    assert!(no_refusal.is_ok());
    let other_model = Kept::of(&answer(), "n", &plan_of(&["a"]));
    assert_eq!(other_model, Err(Unfit::StandIn));
    let mut by_a_person = answer();
    by_a_person.provider = "c".to_owned();
    let kept = Kept::of(&by_a_person, "m", &plan_of(&["c"]));
    assert_eq!(kept, Err(Unfit::Person));
}
