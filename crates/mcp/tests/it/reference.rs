//! The protocol's reference servers, confined. `scripts/test` installs them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nexus_mcp::{Confinement, Fleet, Meta, Part, Sandbox, Server};
use serde_json::{Map, Value, json};

use crate::support::{call, fleet_of, ready, said};

fn installed() -> PathBuf {
    nexus_testkit::installed("nexus-mcp-servers").unwrap()
}

fn confined(command: &[&str], write: &[&Path]) -> Server {
    let folder = installed();
    Server {
        command: command
            .iter()
            .map(|word| word.replace("{}", &folder.display().to_string()))
            .collect(),
        sandbox: Confinement::On(Sandbox {
            read: vec![folder],
            write: write.iter().map(|path| path.to_path_buf()).collect(),
            ..Sandbox::default()
        }),
        timeout: Duration::from_secs(40),
        ..Server::default()
    }
}

const NODE: &str = "{}/node_modules/@modelcontextprotocol";

fn node(server: &str) -> String {
    format!("{NODE}/server-{server}/dist/index.js")
}

async fn everything_works(fleet: &Fleet) {
    ready(fleet).await;
    assert!(
        said(fleet, "echo", json!({"message": "hello"}))
            .await
            .contains("hello")
    );
    assert!(
        said(fleet, "get-sum", json!({"a": 2, "b": 40}))
            .await
            .contains("42")
    );
    let bad = call(fleet, "get-sum", json!({"a": "two"}))
        .await
        .unwrap_err();
    assert!(bad.to_string().contains("do not fit"), "{bad}");
    let image = call(fleet, "get-tiny-image", json!({})).await.unwrap();
    let is_png = |part: &Part| matches!(part, Part::Image { mime, data } if mime == "image/png" && data.starts_with(b"\x89PNG"));
    assert!(image.parts.iter().any(is_png), "{:?}", image.notes);
    let structured = call(
        fleet,
        "get-structured-content",
        json!({"location": "Chicago"}),
    )
    .await
    .unwrap();
    assert!(
        structured
            .structured
            .is_some_and(|it| it["temperature"].is_number())
    );

    let resources = fleet.resources("fake").await.unwrap();
    let read = fleet
        .read_resource("fake", &resources[0].uri)
        .await
        .unwrap();
    assert!(!read.parts.is_empty());
    let prompts = fleet.prompts("fake").await.unwrap();
    assert!(
        prompts.iter().any(|prompt| prompt.name == "simple-prompt"),
        "{prompts:?}"
    );
    let filled = fleet
        .prompt("fake", "simple-prompt", Map::new())
        .await
        .unwrap();
    assert!(!filled[0].content.text().is_empty());
    assert!(
        fleet
            .prompt("fake", "no such prompt", Map::new())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn everything_over_pipes() {
    let fleet = fleet_of(confined(&["node", &node("everything"), "stdio"], &[])).await;
    everything_works(&fleet).await;
    let (sender, mut told) = tokio::sync::mpsc::unbounded_channel();
    let meta = Meta {
        progress: Some(std::sync::Arc::new(move |progress| {
            let _ = sender.send(progress);
        })),
        ..Meta::default()
    };
    let long = fleet.call(
        "fake__trigger-long-running-operation",
        json!({"duration": 1, "steps": 4}),
        meta,
    );
    assert!(long.await.unwrap().text().contains("completed"));
    assert!(
        told.recv()
            .await
            .is_some_and(|progress| progress.total == Some(4.0))
    );
    fleet.shutdown().await;
}

#[tokio::test]
async fn everything_over_http() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // A port that is free now; the server takes no 0.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let program = node("everything").replace("{}", &installed().display().to_string());
    let mut child = tokio::process::Command::new("node")
        .args([&program, "streamableHttp"])
        .env("PORT", port.to_string())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    // Until it listens, the fleet tries again: that is tested along.
    let mut server = Server {
        url: Some(format!("http://127.0.0.1:{port}/mcp")),
        ..Server::default()
    };
    server.restart.first = Duration::from_millis(200);
    let fleet = fleet_of(server).await;
    everything_works(&fleet).await;
    fleet.shutdown().await;
    child.kill().await.unwrap();
}

#[tokio::test]
async fn files_are_served_from_the_folder_let_in_and_from_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("note.txt"), "inside").unwrap();
    std::fs::write(other.path().join("note.txt"), "outside").unwrap();
    let path = |folder: &tempfile::TempDir| folder.path().join("note.txt").display().to_string();
    // The server is told that it may serve all there is: the sandbox says otherwise.
    let fleet = fleet_of(confined(
        &["node", &node("filesystem"), "/"],
        &[folder.path()],
    ))
    .await;
    ready(&fleet).await;
    assert_eq!(
        said(&fleet, "read_text_file", json!({"path": path(&folder)})).await,
        "inside"
    );
    let refused = call(&fleet, "read_text_file", json!({"path": path(&other)}))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("ENOENT"), "{refused}");
    let shadow = call(&fleet, "read_text_file", json!({"path": "/etc/shadow"}))
        .await
        .unwrap_err();
    assert!(shadow.to_string().contains("ENOENT"), "{shadow}");
    fleet.shutdown().await;
}

#[tokio::test]
async fn what_is_remembered_is_kept_where_it_may_write() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = confined(&["node", &node("memory")], &[folder.path()]);
    server.env = vec!["MEMORY_FILE_PATH".to_owned()];
    let file = folder.path().join("memory.jsonl");
    let value = file.display().to_string();
    let fleet = Fleet::new(nexus_mcp::Parts {
        launcher: std::sync::Arc::new(crate::support::bubblewrap()),
        pins: std::sync::Arc::new(nexus_mcp::MemoryPins::default()),
        environment: std::sync::Arc::new(move |name| {
            (name == "MEMORY_FILE_PATH").then(|| value.clone())
        }),
        sampler: None,
    });
    fleet.apply(&crate::support::config(server)).await.unwrap();
    ready(&fleet).await;
    let entity = json!({"name": "Ada", "entityType": "person", "observations": ["likes engines"]});
    said(&fleet, "create_entities", json!({"entities": [entity]})).await;
    assert!(
        said(&fleet, "read_graph", json!({}))
            .await
            .contains("likes engines")
    );
    assert!(std::fs::read_to_string(file).unwrap().contains("Ada"));
    fleet.shutdown().await;
}

#[tokio::test]
async fn a_server_in_python_tells_the_time() {
    let mut server = confined(
        &["{}/py/bin/mcp-server-time", "--local-timezone", "UTC"],
        &[],
    );
    // A virtual environment's interpreter lies where it was made from.
    if let Confinement::On(sandbox) = &mut server.sandbox {
        let link = std::fs::canonicalize(installed().join("py/bin/python3")).unwrap();
        let home = link.ancestors().nth(2).unwrap();
        if !home.starts_with("/usr") {
            sandbox.read.push(home.to_path_buf());
        }
    }
    let fleet = fleet_of(server).await;
    ready(&fleet).await;
    let time = said(
        &fleet,
        "get_current_time",
        json!({"timezone": "Europe/Oslo"}),
    )
    .await;
    let time: Value = serde_json::from_str(&time).unwrap();
    assert_eq!(time["timezone"], "Europe/Oslo");
    fleet.shutdown().await;
}
