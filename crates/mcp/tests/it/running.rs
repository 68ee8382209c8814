//! Changing the configuration while running, and leaving nothing behind.

use std::path::Path;

use nexus_mcp::{Config, Confinement, Health, Sandbox};
use serde_json::json;

use crate::support::{call, comes, config, fake, fleet_of, ready, said};

fn runs(pid: &str) -> bool {
    // A process that ended and is not waited for yet has no command line.
    let line = std::fs::read(Path::new("/proc").join(pid).join("cmdline"));
    line.is_ok_and(|line| !line.is_empty())
}

#[tokio::test]
async fn what_stays_the_same_is_left_alone_and_what_changed_is_started_anew() {
    let fleet = fleet_of(fake("good")).await;
    ready(&fleet).await;
    let first = said(&fleet, "pid", json!({})).await;
    let mut both = config(fake("good"));
    both.servers.insert("other".to_owned(), fake("good"));
    fleet.apply(&both).await.unwrap();
    let second = said(&fleet, "pid", json!({})).await;
    assert_eq!(first.split(' ').next(), second.split(' ').next());
    assert_eq!(fleet.statuses().len(), 2);

    let mut bad = both.clone();
    bad.servers.insert("bad__name".to_owned(), fake("good"));
    assert!(fleet.apply(&bad).await.is_err());
    assert_eq!(fleet.statuses().len(), 2);

    let mut narrower = fake("good");
    narrower.tools.deny = vec!["echo".to_owned()];
    fleet.apply(&config(narrower)).await.unwrap();
    ready(&fleet).await;
    let third = said(&fleet, "pid", json!({})).await;
    assert_ne!(first.split(' ').next(), third.split(' ').next());
    assert!(call(&fleet, "echo", json!({"text": ""})).await.is_err());
    fleet.apply(&Config::default()).await.unwrap();
    assert!(fleet.statuses().is_empty() && fleet.tools().is_empty());
    fleet.shutdown().await;
}

#[tokio::test]
async fn stopping_kills_the_program_and_what_it_started() {
    let fleet = fleet_of(fake("good")).await;
    ready(&fleet).await;
    let pids = said(&fleet, "pid", json!({})).await;
    let pids: Vec<&str> = pids.split(' ').collect();
    // Between its execve and its first instruction a process has no command line.
    comes("both run", || pids.iter().all(|pid| runs(pid))).await;
    fleet.shutdown().await;
    comes("ended", || !pids.iter().any(|pid| runs(pid))).await;
    assert!(fleet.statuses().is_empty());
}

#[tokio::test]
async fn a_variable_that_is_not_set_and_a_missing_program_are_said() {
    let mut server = fake("good");
    server.env = vec!["NOT_SET_ANYWHERE".to_owned()];
    let fleet = fleet_of(server).await;
    assert!(
        crate::support::failed(&fleet)
            .await
            .contains("NOT_SET_ANYWHERE")
    );
    let mut missing = fake("good");
    missing.command = vec!["/nowhere/server".to_owned()];
    fleet.apply(&config(missing)).await.unwrap();
    assert!(
        crate::support::failed(&fleet)
            .await
            .contains("/nowhere/server")
    );
    let mut nowhere = fake("good");
    nowhere.sandbox = Confinement::On(Sandbox {
        read: vec!["/nowhere/data".into()],
        ..Sandbox::default()
    });
    let sandboxed = fleet_of(nowhere).await;
    assert!(
        crate::support::failed(&sandboxed)
            .await
            .contains("/nowhere/data")
    );
    fleet.shutdown().await;
    sandboxed.shutdown().await;
    assert!(
        fleet
            .statuses()
            .iter()
            .all(|status| status.health == Health::Stopped)
    );
}
