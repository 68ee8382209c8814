//! The command line: what reads, what does not, and what is said about it.

use std::time::Duration;

use clap::{CommandFactory, Parser};
use nexus::ask::message;
use nexus::cli::documents::DocumentsAction;
use nexus::cli::{Cli, Command, duration, micro_usd};
use nexus::documents::about;
use nexus::exit::Failure;
use nexus::near::nearest;
use nexus::{compose, schema};
use nexus_service_kit::ConfigSource;

fn read(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split(' '))
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_reads_and_shows_help() {
    for line in [
        "nexus up --bus redis://127.0.0.1:6379 --data /tmp/x",
        "nexus run orchestrator recorder --set http.listen=127.0.0.1:0",
        "nexus ask --json --timeout 5s --provider demo --conversation abc hello",
        "nexus ask --samples 3 --on-busy interrupt --max-steps 2 --max-cost 0.05 hello",
        "nexus chat --model m --url http://127.0.0.1:1",
        "nexus conversations list --limit 5 --json",
        "nexus conversations show abc --url http://127.0.0.1:1",
        "nexus conversations search two words",
        "nexus conversations export abc",
        "nexus conversations import -",
        "nexus conversations rename abc title",
        "nexus conversations branch abc 2 text --samples 3",
        "nexus conversations delete abc --yes",
        "nexus approvals",
        "nexus approvals --json",
        "nexus approvals list --url http://127.0.0.1:1",
        "nexus approvals approve abc",
        "nexus approvals deny abc --comment no",
        "nexus inbox",
        "nexus inbox --json",
        "nexus inbox list --url http://127.0.0.1:1",
        "nexus inbox show abc --json",
        "nexus inbox answer abc yes --by Ann",
        "nexus inbox decline abc -",
        "nexus tail --corr abc --since 10m --type tool --json",
        "nexus trace abc --json",
        "nexus workers --json",
        "nexus doctor",
        "nexus schema message.submitted",
        "nexus schema --asyncapi",
        "nexus schema --providers",
        "nexus schema --list",
    ] {
        assert!(read(line).is_ok(), "{line}: {:?}", read(line).err());
    }
    for command in Cli::command().get_subcommands() {
        assert!(
            command.get_about().is_some(),
            "{} says nothing",
            command.get_name()
        );
    }
}

#[test]
fn options_hold_before_and_after_the_command() {
    for line in ["nexus --data /x ask hi", "nexus ask --data /x hi"] {
        let cli = read(line).unwrap();
        assert_eq!(
            cli.global.data.as_deref(),
            Some(std::path::Path::new("/x")),
            "{line}"
        );
        assert!(matches!(cli.command, Command::Ask(args) if args.text == "hi"));
    }
}

#[test]
fn what_does_not_read_is_refused_with_a_hint() {
    for (line, word) in [
        ("nexus asl hi", "ask"),
        ("nexus ask --set http=1 hi", "section.key=value"),
        ("nexus ask --timeout soon hi", "30s"),
        ("nexus ask --timeout 0s hi", "in no time"),
        ("nexus ask --samples 10 hi", "1..=9"),
        ("nexus ask --max-cost free hi", "in dollars"),
        ("nexus ask --on-busy wait hi", "interrupt"),
        ("nexus ask --cache always hi", "semantic"),
        ("nexus conversations", "list"),
        ("nexus schema x --asyncapi", "cannot be used with"),
        ("nexus schema --openapi --providers", "cannot be used with"),
        ("nexus run", "SERVICE"),
    ] {
        let error = read(line).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line}");
        assert!(error.to_string().contains(word), "{line}: {error}");
    }
}

#[test]
fn durations_read_as_people_write_them() {
    for (text, millis) in [
        ("500ms", 500),
        ("30s", 30_000),
        ("7", 7_000),
        ("2h", 7_200_000),
    ] {
        assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
    }
    for text in ["", "s", "-1s", "1w", "99999999999999999999s"] {
        assert!(duration(text).is_err(), "{text}");
    }
}

#[test]
fn dollars_read_as_people_write_them() {
    for (text, micros) in [("1", 1_000_000), ("0.05", 50_000), ("0.000001", 1)] {
        assert_eq!(micro_usd(text), Ok(micros), "{text}");
    }
    for text in [
        "",
        "0",
        "0.0",
        ".5",
        "-1",
        "1,5",
        "1e3",
        "0.0000001",
        "99999999999999999999",
    ] {
        assert!(micro_usd(text).is_err(), "{text}");
    }
}

#[test]
fn what_is_chosen_is_what_is_sent() {
    let line = "nexus ask --samples 3 --on-busy reject --privacy local_only --cache exact \
        --max-steps 2 --max-cost 0.05 hi";
    let Ok(Command::Ask(args)) = read(line).map(|cli| cli.command) else {
        panic!("{line}");
    };
    assert_eq!(
        message("hi", &args.choices.preferences),
        serde_json::json!({
            "text": "hi", "samples": 3, "on_busy": "reject",
            "privacy": "local_only", "cache": "exact",
            "limits": { "steps": 2, "cost_microusd": 50_000 },
        })
    );
    let Ok(Command::Ask(args)) = read("nexus ask hi").map(|cli| cli.command) else {
        panic!("ask");
    };
    let bare = message("hi", &args.choices.preferences);
    assert_eq!(bare, serde_json::json!({ "text": "hi" }));
}

/// Whatever is sent is asked for: a document would be opened by who only sends it again.
#[test]
fn where_a_document_may_go_is_sent_only_when_said() {
    for (said, sent) in [("", None), (" --privacy open", Some("open"))] {
        let line = format!("nexus documents add a/diagnosis.pdf{said}");
        let Ok(Command::Documents(args)) = read(&line).map(|cli| cli.command) else {
            panic!("{line}");
        };
        let DocumentsAction::Add(args) = args.action else {
            panic!("{line}");
        };
        let about = about(&args);
        let privacy = about.iter().find(|(name, _)| *name == "privacy");
        assert_eq!(privacy.map(|(_, value)| value.as_str()), sent, "{about:?}");
        assert!(about.contains(&("source", "diagnosis.pdf".to_owned())));
    }
}

#[test]
fn an_unknown_service_is_refused_with_the_nearest() -> anyhow::Result<()> {
    let source = ConfigSource::of_layers(None, [], &[])?;
    let failure = compose::chosen(&source, &["orchestrater".to_owned()])
        .err()
        .unwrap();
    assert!(
        failure.to_string().contains("Did you mean `orchestrator`?"),
        "{failure}"
    );
    let chosen = compose::chosen(&source, &["recorder".into(), "recorder".into()])?;
    assert_eq!(
        chosen.iter().map(|one| one.name()).collect::<Vec<_>>(),
        ["recorder"]
    );
    Ok(())
}

#[test]
fn every_service_is_made_from_its_defaults() -> anyhow::Result<()> {
    let source = ConfigSource::of_layers(None, [], &[])?;
    let names: Vec<_> = compose::all(&source)?
        .iter()
        .map(|one| one.name())
        .collect();
    assert_eq!(names, compose::names().collect::<Vec<_>>());
    Ok(())
}

#[test]
fn nothing_alike_is_not_suggested() {
    assert_eq!(nearest("zzz", ["recorder"]), "There are: recorder");
}

fn printed(line: &str) -> Result<String, Failure> {
    let Ok(Cli {
        command: Command::Schema(args),
        ..
    }) = read(line)
    else {
        return Err(Failure::usage(line));
    };
    let mut out = Vec::new();
    schema::schema(&args, &mut out)?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

#[test]
fn the_contracts_are_printed() {
    let list = printed("nexus schema --list").unwrap();
    for name in list.lines() {
        let text = printed(&format!("nexus schema {name}")).unwrap();
        assert!(
            serde_json::from_str::<serde_json::Value>(&text).is_ok(),
            "{name}"
        );
    }
    assert!(
        list.lines().any(|name| name == "message.submitted"),
        "{list}"
    );
    assert!(
        printed("nexus schema --asyncapi")
            .unwrap()
            .contains("requests.incoming")
    );
    assert_eq!(
        printed("nexus schema --providers").unwrap(),
        std::fs::read_to_string("../config/providers.schema.json").unwrap()
    );
    let failure = printed("nexus schema mesage.submitted").unwrap_err();
    assert!(
        failure
            .to_string()
            .contains("Did you mean `message.submitted`?"),
        "{failure}"
    );
}
