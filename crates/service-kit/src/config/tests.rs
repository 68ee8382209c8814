use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use nexus_bus::BusUrl;
use serde::Deserialize;

use super::{ConfigError, ConfigSource, NodeConfig, Origin, duration, yaml};

const DEFAULTS: &str = "
permits: 64
step_limit: 16
name: nobody
tags: [a]
wait: 30s
limits: { soft: 1, hard: 2 }
";

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    permits: usize,
    step_limit: u32,
    name: String,
    tags: Vec<String>,
    #[serde(with = "duration")]
    wait: Duration,
    limits: BTreeMap<String, u32>,
}

fn source(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> ConfigSource {
    let own = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect()
    };
    ConfigSource::of_layers(Some(("nexus.yaml", file)), own(env), &own(flags)).unwrap()
}

fn read(source: &ConfigSource) -> Result<Section, ConfigError> {
    source.section("my-service", DEFAULTS)
}

#[test]
fn later_layers_win_key_by_key() {
    let file = "my-service:\n  permits: 1\n  step_limit: 2\n  limits: { hard: 9 }\n";
    let env = [
        ("NEXUS__MY_SERVICE__STEP_LIMIT", "3"),
        ("NEXUS__MY_SERVICE__NAME", "env"),
    ];
    let section = read(&source(file, &env, &[("my-service.name", "flag")])).unwrap();
    assert_eq!(section.permits, 1, "the file goes over the defaults");
    assert_eq!(section.step_limit, 3, "the environment goes over the file");
    assert_eq!(
        section.name, "flag",
        "the command line goes over the environment"
    );
    let limits = BTreeMap::from([("soft".to_owned(), 1), ("hard".to_owned(), 9)]);
    assert_eq!(section.limits, limits, "sections are merged key by key");
    assert_eq!(section.wait, Duration::from_secs(30));
}

#[test]
fn a_section_left_empty_keeps_its_defaults() {
    for file in ["", "# nothing\n", "my-service:\n", "my-service: {}\n"] {
        assert_eq!(
            read(&source(file, &[], &[])).unwrap().permits,
            64,
            "{file:?}"
        );
    }
}

#[test]
fn text_stays_text_and_the_rest_is_read_as_yaml() {
    for text in ["123", "true", "no", "a: b", "redis://:p#d@h", "null", ""] {
        let section = read(&source("", &[("NEXUS__MY_SERVICE__NAME", text)], &[])).unwrap();
        assert_eq!(section.name, text);
    }
    let section = read(&source("", &[("NEXUS__MY_SERVICE__TAGS", "[x, y]")], &[])).unwrap();
    assert_eq!(section.tags, ["x", "y"]);
    let section = read(&source(
        "",
        &[("NEXUS__MY_SERVICE__LIMITS__HARD", "7")],
        &[],
    ))
    .unwrap();
    assert_eq!(section.limits.get("hard"), Some(&7));
}

#[test]
fn errors_say_where_and_what_to_write() {
    let cases: [(&str, &str); 7] = [
        (
            "\nmy-service:\n  permitz: 3\n",
            "nexus.yaml:3: unknown key `my-service.permitz`; did you mean `permits`?",
        ),
        (
            "my-service:\n  zzzzzz: 3\n",
            "known keys are permits, step_limit, name",
        ),
        (
            "my-service:\n  name: x\n  permits: many\n",
            "nexus.yaml:3: `my-service.permits`: invalid type: string \"many\", expected usize",
        ),
        (
            "my-service:\n  wait: soon\n",
            "nexus.yaml:2: `my-service.wait`: `soon` is not a duration",
        ),
        (
            "my-service:\n  tags:\n    - a\n    - [b]\n",
            "nexus.yaml:4: `my-service.tags[1]`",
        ),
        (
            "my-service: 3\n",
            "nexus.yaml:1: `my-service`: expected a section with keys such as",
        ),
        (
            "my-service:\n  permits: -1\n",
            "nexus.yaml:2: `my-service.permits`: invalid value",
        ),
    ];
    for (file, expected) in cases {
        let error = read(&source(file, &[], &[])).unwrap_err().to_string();
        assert!(error.contains(expected), "{file:?} gave {error}");
    }
}

#[test]
fn errors_name_the_variable_and_the_flag() {
    let error = read(&source("", &[("NEXUS__MY_SERVICE__PERMITS", "lots")], &[])).unwrap_err();
    let expected = "environment variable NEXUS__MY_SERVICE__PERMITS: `my-service.permits`";
    assert!(error.to_string().starts_with(expected), "{error}");
    let error = read(&source("", &[], &[("my-service.permitts", "1")])).unwrap_err();
    let expected = "command line `my-service.permitts=1`: unknown key `my-service.permitts`; \
                    did you mean `permits`?";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn broken_yaml_names_line_and_column() {
    for (text, line) in [
        ("a:\n  b: [1,\n", 2),
        ("a: 1\n b: 2\n", 2),
        ("a: 1\na: 2\n", 2),
    ] {
        let error = ConfigSource::of_layers(Some(("n.yaml", text)), [], &[]).unwrap_err();
        assert!(
            matches!(error, ConfigError::Syntax { line: l, .. } if l == line),
            "{error}"
        );
        assert!(
            error.to_string().starts_with(&format!("n.yaml:{line}:")),
            "{error}"
        );
        assert!(!error.to_string().contains('\n'), "{error}");
    }
    let error = ConfigSource::of_layers(Some(("n.yaml", "just text")), [], &[]).unwrap_err();
    assert!(error.to_string().contains("needs sections"), "{error}");
}

#[test]
fn unknown_sections_are_refused_wherever_they_are_written() {
    let good = source(
        "bus: {}\nrecorder: {}\nmine: {}\n",
        &[("NEXUS__ENTRY_API__X", "1")],
        &[],
    );
    good.check_sections(&["mine"]).unwrap();
    let error = good.check_sections(&[]).unwrap_err().to_string();
    assert!(
        error.starts_with("nexus.yaml:3: unknown key `mine`"),
        "{error}"
    );
    let error = source("buss: {}\n", &[], &[])
        .check_sections(&[])
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "nexus.yaml:1: unknown key `buss`; did you mean `bus`?"
    );
    let error = source("", &[("NEXUS__STOR__URL", "x")], &[])
        .check_sections(&[])
        .unwrap_err();
    assert!(error.to_string().contains("NEXUS__STOR__URL"), "{error}");
    let error = source("", &[], &[("htp.listen", "x")])
        .check_sections(&[])
        .unwrap_err();
    assert!(
        error.to_string().contains("did you mean `http`?"),
        "{error}"
    );
}

#[test]
fn every_value_can_say_where_it_comes_from() {
    let env = [("NEXUS__BUS__PREFIX", "x")];
    let source = source(
        "bus:\n  url: nats://h:1\n",
        &env,
        &[("http.listen", "127.0.0.1:1")],
    );
    let file = Origin::File {
        file: "nexus.yaml".to_owned(),
        line: 2,
    };
    assert_eq!(source.origin("bus.url"), file);
    assert_eq!(
        source.origin("bus.prefix"),
        Origin::Environment("NEXUS__BUS__PREFIX".to_owned())
    );
    assert_eq!(
        source.origin("http.listen"),
        Origin::Override("http.listen=127.0.0.1:1".to_owned())
    );
    assert_eq!(source.origin("store.url"), Origin::Default);
}

#[test]
fn the_node_reads_its_sections() {
    let config = NodeConfig::from_source(&ConfigSource::default()).unwrap();
    assert!(matches!(&config.bus.url, BusUrl::Embedded { path, .. } if path.ends_with("bus.db")));
    assert_eq!(config.http.listen, SocketAddr::from(([127, 0, 0, 1], 8080)));
    assert_eq!(
        config.admin.listen,
        SocketAddr::from(([127, 0, 0, 1], 9090))
    );
    assert_eq!(config.grace, Duration::from_secs(10));
    assert_eq!(config.store, "sqlite:data");

    let file = "retention:\n  channels:\n    inference.request: 1d\nshutdown: { grace: 1m30s }\n";
    let config = NodeConfig::from_source(&source(file, &[], &[])).unwrap();
    assert_eq!(
        config.retention.of("inference.request"),
        Duration::from_secs(86_400)
    );
    assert_eq!(
        config.retention.of("receipts"),
        Duration::from_secs(7 * 86_400)
    );
    assert_eq!(config.grace, Duration::from_secs(90));
}

#[test]
fn the_node_refuses_what_cannot_work() {
    let cases: [(&str, &str); 8] = [
        (
            "bus:\n  url: kafka://h\n",
            "nexus.yaml:2: `bus.url`: bus configuration",
        ),
        (
            "store:\n  url: mysql://h\n",
            "nexus.yaml:2: `store.url`: store address",
        ),
        (
            "http:\n  listen: 0.0.0.0:8080\n",
            "there is no authentication yet",
        ),
        (
            "http:\n  listen: 0.0.0.0:8080\n  allow_public: true\n",
            "there is no authentication yet",
        ),
        (
            "admin:\n  listen: 10.0.0.1:9090\n",
            "admin.allow_public: true",
        ),
        (
            "http:\n  listen: 127.0.0.1:9090\n",
            "is the address of `admin.listen` too",
        ),
        (
            "http:\n  listen: localhost\n",
            "nexus.yaml:2: `http.listen`: invalid socket address",
        ),
        (
            "retention:\n  every: 0s\n",
            "nexus.yaml:2: `retention.every`",
        ),
    ];
    for (file, expected) in cases {
        let error = NodeConfig::from_source(&source(file, &[], &[]))
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{file:?} gave {error}");
    }
    let file = "admin:\n  listen: 0.0.0.0:9090\n  allow_public: true\n";
    NodeConfig::from_source(&source(file, &[], &[])).unwrap();
}

#[test]
fn the_shipped_file_is_what_the_defaults_say() {
    let text = include_str!("../../../../config/nexus.yaml");
    let shipped = ConfigSource::of_layers(Some(("config/nexus.yaml", text)), [], &[]).unwrap();
    shipped.check_sections(&[]).unwrap();
    let config = NodeConfig::from_source(&shipped).unwrap();
    let defaults = NodeConfig::from_source(&ConfigSource::default()).unwrap();
    assert_eq!(format!("{config:?}"), format!("{defaults:?}"));
    type Principals = BTreeMap<String, nexus_contracts::principal::Principal>;
    let principals: Principals = shipped.section("principals", "{}").unwrap();
    let local = principals.get("client:local").unwrap();
    assert_eq!(local.roles, ["owner"]);
    assert!(
        principals
            .values()
            .all(|principal| principal.org_id == local.org_id)
    );
}

#[test]
fn a_file_of_its_own_is_read_with_lines_too() {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Providers {
        #[expect(dead_code, reason = "only its errors are looked at")]
        providers: BTreeMap<String, Provider>,
    }
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Provider {
        #[expect(dead_code, reason = "only its errors are looked at")]
        url: String,
    }
    let text = "providers:\n  one:\n    url: x\n  two:\n    ulr: y\n";
    let error = yaml::parse::<Providers>(text, "providers.yaml")
        .unwrap_err()
        .to_string();
    let expected = "providers.yaml:5: unknown key `providers.two.ulr`; did you mean `url`?";
    assert_eq!(error, expected);
    let error = yaml::parse::<Providers>("providers:\n  one: {}\n", "p.yaml").unwrap_err();
    assert_eq!(
        error.to_string(),
        "p.yaml:2: `providers.one`: missing field `url`"
    );
    let error = yaml::parse::<Providers>("", "p.yaml")
        .unwrap_err()
        .to_string();
    assert_eq!(error, "p.yaml:1: the file: missing field `providers`");

    let document = yaml::Document::parse(text, "p.yaml").unwrap();
    assert_eq!(document.line("providers.two.ulr"), Some(5));
    assert_eq!(
        document.line("providers.two.models[3].name"),
        Some(4),
        "the nearest key above"
    );
}

#[test]
fn durations_read_and_write_alike() {
    let cases = [
        ("250ms", 250),
        ("30s", 30_000),
        ("5m", 300_000),
        ("1h30m", 5_400_000),
        ("0s", 0),
    ];
    for (text, millis) in cases {
        assert_eq!(
            duration::parse(text),
            Ok(Duration::from_millis(millis)),
            "{text}"
        );
    }
    for text in [
        "",
        "30",
        "s",
        "3 weeks",
        "-1s",
        "1.5s",
        "99999999999999999999s",
    ] {
        let error = duration::parse(text).unwrap_err();
        assert!(
            error.contains("is not a duration; write it like"),
            "{error}"
        );
    }
    #[derive(serde::Serialize)]
    struct Holder(#[serde(with = "duration")] Duration);
    for (text, written) in [("90s", "\"90s\""), ("120s", "\"2m\""), ("0s", "\"0ms\"")] {
        let holder = Holder(duration::parse(text).unwrap());
        assert_eq!(serde_json::to_string(&holder).unwrap(), written);
    }
}
