//! What a confined server can reach: nothing but what its configuration lets in.

use std::path::Path;

use nexus_mcp::{Confinement, Fleet, Sandbox, Server};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::support::{FAKE, TOKEN, comes, failed, fake, fleet_of, ready, said};

const CANARY: &str = "canary-in-a-file-4412";

/// Three folders: outside, readable, changeable; each with a file `canary`.
struct Folders {
    _all: TempDir,
    outside: String,
    read: String,
    write: String,
}

fn folders() -> Folders {
    let all = tempfile::tempdir().unwrap();
    let folder = |name: &str| {
        let path = all.path().join(name);
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("canary"), CANARY).unwrap();
        path.display().to_string()
    };
    let (outside, read, write) = (folder("outside"), folder("read"), folder("write"));
    Folders {
        _all: all,
        outside,
        read,
        write,
    }
}

fn confined(sandbox: Sandbox) -> Server {
    let mut server = fake("good");
    let mut sandbox = sandbox;
    sandbox.read.push(FAKE.into());
    server.sandbox = Confinement::On(sandbox);
    server
}

async fn look(fleet: &Fleet, path: &str) -> String {
    said(fleet, "look", json!({"path": path})).await
}

#[tokio::test]
async fn files_outside_cannot_be_read_and_those_let_in_are_as_they_were_let_in() {
    let folders = folders();
    let fleet = fleet_of(confined(Sandbox {
        read: vec![folders.read.clone().into()],
        write: vec![folders.write.clone().into()],
        ..Sandbox::default()
    }))
    .await;
    ready(&fleet).await;
    let out = &folders.outside;
    for path in [
        format!("{out}/canary"),
        format!("{}/../outside/canary", folders.read),
        format!("/proc/1/root{out}/canary"),
        "/proc/self/cwd/../outside/canary".to_owned(),
        "/etc/shadow".to_owned(),
        "/etc/passwd".to_owned(),
        "/root/.bashrc".to_owned(),
        concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml").to_owned(),
    ] {
        let found = look(&fleet, &path).await;
        assert!(
            found.contains("FileNotFoundError") || found.contains("PermissionError"),
            "{path}: {found}"
        );
    }
    std::os::unix::fs::symlink(
        format!("{out}/canary"),
        Path::new(&folders.write).join("link"),
    )
    .unwrap();
    assert!(
        look(&fleet, &format!("{}/link", folders.write))
            .await
            .contains("FileNotFoundError")
    );
    assert_eq!(
        look(&fleet, &format!("{}/canary", folders.read)).await,
        CANARY
    );

    let put = async |path: String| said(&fleet, "put", json!({"path": path, "size": 10})).await;
    for path in [
        format!("{}/new", folders.read),
        "/usr/new".into(),
        "/new".into(),
        "/dev/new".into(),
    ] {
        let refused = put(path.clone()).await;
        assert!(refused.contains("Error"), "{path}: {refused}");
    }
    assert_eq!(put(format!("{}/new", folders.write)).await, "written");
    assert!(Path::new(&folders.write).join("new").exists());
    fleet.shutdown().await;
}

#[tokio::test]
async fn the_environment_is_what_the_configuration_names_and_no_process_is_in_sight() {
    let mut server = confined(Sandbox::default());
    server.env = vec!["TOKEN".to_owned()];
    let fleet = fleet_of(server).await;
    ready(&fleet).await;
    let seen = said(&fleet, "environment", json!({})).await;
    assert!(seen.contains(TOKEN), "{seen}");
    // Cargo and its test runner set this for every test, so ours has it.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    for ours in ["CARGO", "NEXTEST", "RUST", env!("CARGO_MANIFEST_DIR")] {
        assert!(
            !seen.contains(&format!("{ours}_")) && !seen.contains(&format!("={ours}")),
            "{ours}: {seen}"
        );
    }
    let names = seen
        .lines()
        .take_while(|line| !line.starts_with(|c: char| c.is_ascii_digit()));
    let mut names: Vec<&str> = names.filter_map(|line| line.split('=').next()).collect();
    names.sort_unstable();
    assert_eq!(names, ["HOME", "LANG", "PATH", "PWD", "TMPDIR", "TOKEN"]);
    // The sandbox's own first process and the server.
    assert!(
        seen.lines().filter(|line| line.contains(": ")).count() <= 2,
        "{seen}"
    );
    fleet.shutdown().await;
}

#[tokio::test]
async fn there_are_no_capabilities_and_no_new_user_namespaces() {
    let fleet = fleet_of(confined(Sandbox::default())).await;
    ready(&fleet).await;
    let status = said(&fleet, "status", json!({})).await;
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(
            status.contains(&format!("{set}:\t0000000000000000")),
            "{status}"
        );
    }
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    assert!(status.contains("another user namespace: -1"), "{status}");
    let ours = std::fs::read_link("/proc/self/ns/user").unwrap();
    assert!(
        !status.contains(&ours.display().to_string()),
        "our own user namespace: {status}"
    );
    fleet.shutdown().await;
}

#[tokio::test]
async fn the_network_is_there_only_when_allowed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for (network, wanted) in [(false, "Error"), (true, "connected")] {
        let fleet = fleet_of(confined(Sandbox {
            network,
            ..Sandbox::default()
        }))
        .await;
        ready(&fleet).await;
        let seen = said(&fleet, "connect", json!({"port": port})).await;
        assert!(seen.contains(wanted), "network {network}: {seen}");
        fleet.shutdown().await;
    }
}

#[tokio::test]
async fn its_own_tmp_is_bounded_and_not_ours() {
    let ours = tempfile::NamedTempFile::new_in("/tmp").unwrap();
    let fleet = fleet_of(confined(Sandbox {
        tmp_bytes: 1 << 20,
        ..Sandbox::default()
    }))
    .await;
    ready(&fleet).await;
    let path = ours.path().display().to_string();
    assert!(look(&fleet, &path).await.contains("FileNotFoundError"));
    let put = async |size: u32| said(&fleet, "put", json!({"path": "/tmp/a", "size": size})).await;
    assert_eq!(put(500_000).await, "written");
    assert!(put(5_000_000).await.contains("No space left"));
    fleet.shutdown().await;
}

#[tokio::test]
async fn stopping_leaves_no_process_of_the_sandbox() {
    let mut server = confined(Sandbox::default());
    // A word that no other process on this machine has in its command line.
    let mark = format!("mark-{}", std::process::id());
    server.command.push(mark.clone());
    let fleet = fleet_of(server).await;
    ready(&fleet).await;
    said(&fleet, "pid", json!({})).await;
    let marked = || {
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        let lines = all.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
        lines
            .filter(|line| String::from_utf8_lossy(line).contains(&mark))
            .count()
    };
    assert!(marked() >= 2);
    fleet.shutdown().await;
    comes("ended", || marked() == 0).await;
}

#[tokio::test]
async fn a_program_that_cannot_be_confined_does_not_start() {
    let mut server = confined(Sandbox::default());
    server.command = vec!["/home/nowhere/server".to_owned()];
    let fleet = fleet_of(server).await;
    let reason = failed(&fleet).await;
    assert!(
        reason.contains("cannot start /home/nowhere/server within the sandbox"),
        "{reason}"
    );
    fleet.shutdown().await;
}
