//! A fleet with the fake server, and waiting for what it comes to.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nexus_mcp::{
    Bubblewrap, CallError, CallResult, Config, Confinement, Fleet, Health, Launcher, MemoryPins,
    Meta, Parts, Pins, Plain, Server, Status,
};
use serde_json::Value;

/// What the fake server is.
pub(crate) const FAKE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fake.py");
/// The secret that the variable `TOKEN` holds.
pub(crate) const TOKEN: &str = "canary-token-7391";

/// A program of `examples`, which cargo builds with the tests of a package.
pub(crate) fn example(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let built = own.parent().and_then(std::path::Path::parent).unwrap();
    let path = built.join("examples").join(name);
    assert!(path.is_file(), "{} was not built", path.display());
    path
}

/// What confines in tests.
pub(crate) fn bubblewrap() -> Bubblewrap {
    Bubblewrap::of_system(Ok(example("mcp_confiner")))
}

/// The fake server in a mode, unconfined and quickly restarted.
pub(crate) fn fake(mode: &str) -> Server {
    let mut server = Server {
        command: ["/usr/bin/python3", "-u", FAKE, mode]
            .map(String::from)
            .to_vec(),
        sandbox: Confinement::Off,
        ..Server::default()
    };
    server.restart.first = Duration::from_millis(100);
    server.restart.most = Duration::from_millis(400);
    server
}

/// A fleet of one server, called `fake`.
pub(crate) async fn fleet_of(server: Server) -> Fleet {
    fleet_with(server, Arc::new(MemoryPins::default())).await
}

/// The same, with these approvals.
pub(crate) async fn fleet_with(server: Server, pins: Arc<dyn Pins>) -> Fleet {
    let launcher: Arc<dyn Launcher> = match server.sandbox {
        Confinement::Off => Arc::new(Plain),
        Confinement::On(_) => Arc::new(bubblewrap()),
    };
    let fleet = Fleet::new(Parts {
        launcher,
        pins,
        environment: Arc::new(|name| (name == "TOKEN").then(|| TOKEN.to_owned())),
        sampler: None,
    });
    fleet.apply(&config(server)).await.unwrap();
    fleet
}

/// A configuration of one server, called `fake`.
pub(crate) fn config(server: Server) -> Config {
    Config {
        servers: BTreeMap::from([("fake".to_owned(), server)]),
    }
}

/// Until the status of `fake` satisfies `wanted`.
pub(crate) async fn until(fleet: &Fleet, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
    let mut news = fleet.news();
    let found = async {
        loop {
            news.borrow_and_update();
            let status = fleet
                .statuses()
                .into_iter()
                .find(|status| status.server == "fake");
            if let Some(status) = status.filter(|status| wanted(status)) {
                return status;
            }
            news.changed().await.unwrap();
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(40), found).await;
    found.unwrap_or_else(|_| panic!("never {what}: {:#?}", fleet.statuses()))
}

/// Until it can be called.
pub(crate) async fn ready(fleet: &Fleet) -> Status {
    until(fleet, "ready", |status| status.health == Health::Ready).await
}

/// Until it failed; the reason.
pub(crate) async fn failed(fleet: &Fleet) -> String {
    let failed = |status: &Status| matches!(status.health, Health::Failed { .. });
    match until(fleet, "failed", failed).await.health {
        Health::Failed { reason, .. } => reason,
        other => panic!("{other}"),
    }
}

/// Calls a tool of `fake`.
pub(crate) async fn call(
    fleet: &Fleet,
    tool: &str,
    arguments: Value,
) -> Result<CallResult, CallError> {
    fleet
        .call(&format!("fake__{tool}"), arguments, Meta::default())
        .await
}

/// The text of a call that works.
pub(crate) async fn said(fleet: &Fleet, tool: &str, arguments: Value) -> String {
    let result = call(fleet, tool, arguments).await;
    result
        .unwrap_or_else(|error| panic!("{tool}: {error}"))
        .text()
}

/// Until `done`: what the system does after it was told, nobody announces.
pub(crate) async fn comes(what: &str, done: impl Fn() -> bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(10));
    let come = async {
        while !done() {
            looks.tick().await;
        }
    };
    let come = tokio::time::timeout(Duration::from_secs(20), come).await;
    assert!(come.is_ok(), "never {what}");
}
