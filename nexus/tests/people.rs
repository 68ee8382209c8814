//! What a person does with conversations and approvals, beside a whole node in this process.

use std::path::Path;

use anyhow::{Context, Result};
use clap::Parser;
use nexus::cli::{Cli, Command};
use nexus::exit::{Exit, Failure};
use nexus::settings::Settings;
use nexus::{approvals, ask, compose, conversations};
use nexus_service_kit::{Node, RunningNode};
use nexus_testkit::wait_for;
use serde_json::{Value, json};

/// Longest wait for anything.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// A node in a folder of its own.
struct Up {
    node: RunningNode,
    url: String,
    _folder: tempfile::TempDir,
}

impl Up {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let node = up(folder.path()).await?;
        let url = format!("http://{}", node.http_address());
        Ok(Self {
            node,
            url,
            _folder: folder,
        })
    }

    /// Runs one command line; what it printed.
    async fn run(&self, line: &[&str]) -> Result<String, Failure> {
        let line = [&["nexus"], line, &["--url", &self.url]].concat();
        let cli = Cli::try_parse_from(line).map_err(Failure::usage)?;
        let settings = Settings::load(&cli.global)?;
        let mut out = Vec::new();
        match cli.command {
            Command::Ask(args) => ask::ask(&args, &settings, &mut out).await?,
            Command::Conversations(args) => {
                conversations::conversations(&args, &settings, &mut out).await?;
            }
            Command::Approvals(args) => approvals::approvals(&args, &settings, &mut out).await?,
            other => return Err(Failure::usage(format!("{other:?}"))),
        }
        Ok(String::from_utf8_lossy(&out).trim().to_owned())
    }

    async fn json(&self, line: &[&str]) -> Result<Value> {
        let printed = self.run(line).await?;
        serde_json::from_str(&printed).with_context(|| printed)
    }

    /// The conversation, once the recorder has read that many messages of it.
    async fn show(&self, id: &str, messages: usize) -> Result<Value> {
        wait_for(PATIENCE, "the recorder", async || {
            let shown = self.json(&["conversations", "show", "--json", id]).await?;
            let said = shown.get("messages").and_then(Value::as_array);
            let count = said.map(Vec::len);
            Ok((count == Some(messages)).then_some(shown))
        })
        .await
    }

    async fn stop(self) -> Result<()> {
        self.node.shutdown();
        Ok(self.node.stopped().await?)
    }
}

async fn up(folder: &Path) -> Result<RunningNode> {
    let folder = folder.to_str().context("a folder with an odd name")?;
    let listen = [
        "--set",
        "http.listen=127.0.0.1:0",
        "--set",
        "admin.listen=127.0.0.1:0",
    ];
    let line = [&["nexus", "--data", folder][..], &listen, &["up"]].concat();
    let settings = Settings::load(&Cli::try_parse_from(line)?.global)?;
    Ok(Node::start(settings.node.clone(), compose::all(&settings.source)?).await?)
}

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str> {
    value
        .get(field)
        .and_then(Value::as_str)
        .with_context(|| format!("{field} is missing: {value}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_listed_renamed_found_moved_and_erased() -> Result<()> {
    let up = Up::start().await?;
    let asked = up.json(&["ask", "--json", "What is 37 * 43?"]).await?;
    let id = text(&asked, "conversation_id")?;
    up.show(id, 2).await?;
    assert_eq!(
        up.run(&["conversations", "rename", id, "Sums"]).await?,
        format!("renamed {id}")
    );
    wait_for(PATIENCE, "the title", async || {
        let list = up.json(&["conversations", "list", "--json"]).await?;
        Ok((list[0]["title"] == "Sums").then_some(()))
    })
    .await?;
    assert!(up.run(&["conversations", "list"]).await?.contains("Sums"));
    assert!(
        up.run(&["conversations", "search", "1591"])
            .await?
            .contains(id)
    );

    let document = up.run(&["conversations", "export", id]).await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("talk.json");
    std::fs::write(&file, &document)?;
    let file = file.to_str().context("an odd name")?;
    let copy = up.run(&["conversations", "import", file]).await?;
    assert_ne!(copy, id);
    let shown = up.show(&copy, 2).await?;
    assert_eq!(shown["title"], "Sums");
    let failure = up
        .run(&["conversations", "branch", &copy, "1", "x"])
        .await
        .unwrap_err();
    assert!(failure.what.contains("was imported"), "{failure}");

    let failure = up.run(&["conversations", "delete", id]).await.unwrap_err();
    assert!(
        failure.to_string().contains("--yes"),
        "nobody can be asked: {failure}"
    );
    up.run(&["conversations", "delete", "--yes", id]).await?;
    wait_for(PATIENCE, "it to be gone", async || {
        Ok(up.run(&["conversations", "show", id]).await.err())
    })
    .await?;
    let failure = up
        .run(&["conversations", "delete", "--yes", id])
        .await
        .unwrap_err();
    assert_eq!(failure.exit, Exit::Usage, "{failure}");
    up.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_goes_on_from_an_earlier_message() -> Result<()> {
    let up = Up::start().await?;
    let asked = up.json(&["ask", "--json", "What is 37 * 43?"]).await?;
    let id = text(&asked, "conversation_id")?;
    up.run(&["ask", "--conversation", id, "What is 6 * 7?"])
        .await?;
    up.show(id, 4).await?;
    let line = [
        "conversations",
        "branch",
        "--json",
        id,
        "2",
        "What is 8 * 9?",
    ];
    let branch = up.json(&line).await?;
    assert!(text(&branch, "text")?.contains("72"), "{branch}");
    assert_ne!(text(&branch, "conversation_id")?, id);
    let failure = up
        .run(&["conversations", "branch", id, "3", "x"])
        .await
        .unwrap_err();
    assert!(
        failure.what.contains("there is no message 3; there are 2"),
        "{failure}"
    );
    up.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_call_waits_for_a_person() -> Result<()> {
    let up = Up::start().await?;
    let asked = up.json(&["ask", "--json", "hello"]).await?;
    let id = text(&asked, "conversation_id")?;
    let settings = json!({ "settings": { "tool_policy": { "*": "ask" } } });
    let url = format!("{}/v1/conversations/{id}", up.url);
    let http = reqwest::Client::builder().no_proxy().build()?;
    http.patch(url)
        .json(&settings)
        .send()
        .await?
        .error_for_status()?;
    for (word, says) in [("approve", "1591"), ("deny", "")] {
        let line = ["ask", "--json", "--conversation", id, "What is 37 * 43?"];
        let asking = up.json(&line);
        let deciding = async {
            let waiting = wait_for(PATIENCE, "the approval", async || {
                let list = up.json(&["approvals", "--json"]).await?;
                Ok(list.get(0).cloned())
            })
            .await?;
            assert_eq!(waiting["tool"], "math_solver", "{waiting}");
            let id = text(&waiting, "approval_id")?;
            assert!(up.run(&["approvals"]).await?.contains("math_solver"));
            up.run(&["approvals", word, id]).await?;
            let failure = up.run(&["approvals", word, id]).await.unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "decided already: {failure}");
            anyhow::Ok(())
        };
        let (said, decided) = tokio::join!(asking, deciding);
        decided?;
        assert!(text(&said?, "text")?.contains(says));
    }
    assert!(up.run(&["approvals"]).await?.contains("nothing waits"));
    up.stop().await
}
