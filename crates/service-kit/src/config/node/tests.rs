use nexus_bus::{BusUrl, Durability};

use super::NodeConfig;
use crate::config::ConfigSource;

const ROLES: &str = "
durability: os
store:
  url: postgres://app:secret@host/nexus
  owner_url: postgres://owner:secret@host/nexus
";

fn source(file: &str, flags: &[(&str, &str)]) -> ConfigSource {
    let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let flags: Vec<_> = flags.iter().map(own).collect();
    ConfigSource::of_layers(Some(("nexus.yaml", file)), [], &flags).unwrap()
}

#[test]
fn one_word_says_how_durable_databases_and_bus_are() {
    let cases = [
        (
            "always",
            Durability::Always,
            nexus_store::Durability::Always,
        ),
        ("group", Durability::Group, nexus_store::Durability::Group),
        ("os", Durability::Os, nexus_store::Durability::Os),
    ];
    for (word, bus, store) in cases {
        let flags = [("durability", word)];
        let config = NodeConfig::from_source(&source("", &flags)).unwrap();
        assert_eq!(config.bus.durability, bus);
        assert_eq!(config.store_config().unwrap().durability, store);
    }
    let config = NodeConfig::from_source(&source("", &[])).unwrap();
    assert_eq!(config.durability, Durability::Group);
    let variable = [("NEXUS__DURABILITY".to_owned(), "always".to_owned())];
    let variable = ConfigSource::of_layers(None, variable, &[]).unwrap();
    variable.check_sections(&[]).unwrap();
    let config = NodeConfig::from_source(&variable).unwrap();
    assert_eq!(config.durability, Durability::Always);
}

#[test]
fn a_word_that_is_none_is_refused_where_it_stands() {
    let error = NodeConfig::from_source(&source("\ndurability: never\n", &[])).unwrap_err();
    let error = error.to_string();
    assert!(
        error.starts_with("nexus.yaml:2:") && error.contains("`group`"),
        "{error}"
    );
    // Its former place.
    let error = NodeConfig::from_source(&source("bus:\n  durability: os\n", &[])).unwrap_err();
    assert!(
        error.to_string().contains("unknown key `bus.durability`"),
        "{error}"
    );
}

#[test]
fn the_owner_of_the_tables_is_another_role_of_the_same_server() {
    let config = NodeConfig::from_source(&source(ROLES, &[])).unwrap();
    let store = config.store_config().unwrap();
    assert_eq!(store.url.to_string(), "postgres://app:***@host/nexus");
    assert_eq!(
        store.owner.unwrap().to_string(),
        "postgres://owner:***@host/nexus"
    );
    for (key, value) in [
        ("store.owner_url", "sqlite:data"),
        ("store.url", "sqlite:data"),
    ] {
        let error = NodeConfig::from_source(&source(ROLES, &[(key, value)])).unwrap_err();
        assert!(error.to_string().contains("store.owner_url"), "{error}");
    }
    let bus = nexus_bus::BusConfig::new(
        BusUrl::Embedded {
            path: "bus.db".into(),
            read_only: false,
        },
        "blobs",
    );
    assert!(
        NodeConfig::local(bus, "sqlite::memory:")
            .store_owner
            .is_none()
    );
}
