//! What a person does not see, no model reads.

use nexus_mcp::{Approval, Fleet, Tool};
use serde_json::json;

use crate::support::{fake, fleet_of, ready, until};

fn unseen(text: &str) -> bool {
    text.chars().any(|c| {
        matches!(
            c,
            '\u{e0000}'..='\u{e0fff}' | '\u{200b}' | '\u{202e}' | '\u{2066}'
        )
    })
}

fn tool(fleet: &Fleet, name: &str) -> Option<Tool> {
    fleet.tools().into_iter().find(|tool| tool.own_name == name)
}

#[tokio::test]
async fn words_are_cleaned_and_names_and_values_with_what_nobody_sees_are_not_offered() {
    let fleet = fleet_of(fake("hides")).await;
    let status = ready(&fleet).await;
    let prose = tool(&fleet, "prose").unwrap();
    assert_eq!(prose.description, "Says it.");
    assert_eq!(
        prose.input["properties"]["description"],
        json!({"type": "string", "title": "City", "description": "Which city."})
    );
    assert_eq!(
        prose.output.unwrap()["properties"]["n"]["description"],
        "How many"
    );
    for tool in fleet.tools() {
        let given = serde_json::to_string(&tool).unwrap();
        assert!(!unseen(&given), "{given}");
    }
    for name in ["name", "value", "default", "returns", "own"] {
        let why = |it: &&String| it.starts_with(&format!("{name}: "));
        let why = status.set_aside.iter().find(why).unwrap();
        assert!(why.contains("nobody sees") && !unseen(why), "{why}");
        assert!(tool(&fleet, name).is_none());
    }
    fleet.shutdown().await;
}

#[tokio::test]
async fn a_person_is_shown_what_a_model_is_given_and_that_something_was_left_out() {
    let mut server = fake("hides");
    server.approve = Approval::Always;
    let fleet = fleet_of(server).await;
    until(&fleet, "listed", |status| status.pending > 0).await;
    let waiting = fleet.pending().into_iter();
    let prose = waiting
        .into_iter()
        .find(|it| it.new.name == "prose")
        .unwrap();
    let shown = prose.text();
    assert!(!unseen(&shown), "{shown}");
    assert!(shown.contains("characters that nobody sees"), "{shown}");
    fleet.approve("fake", "prose", &prose.pin).await.unwrap();
    let given = tool(&fleet, "prose").unwrap();
    let lines = serde_json::to_string_pretty(&given.input).unwrap();
    for line in lines.lines().chain([given.description.as_str()]) {
        assert!(shown.contains(&format!("+ {line}\n")), "{line}: {shown}");
    }
    fleet.shutdown().await;
}
