//! A program that is killed leaves no server behind.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Stdio;

use nexus_mcp::{Confinement, Sandbox};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::support::{FAKE, comes, config, example, fake};

/// A process and when it started: another may get its number later.
type Known = (u32, String);

/// All processes of this machine, with their parents.
fn processes() -> BTreeMap<Known, u32> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let stats = all.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    let read = |stat: String| {
        let id = stat.split(' ').next()?.parse().ok()?;
        // The name, in brackets, may hold anything.
        let (_, rest) = stat.rsplit_once(") ")?;
        let words: Vec<&str> = rest.split(' ').collect();
        let ended = matches!(*words.first()?, "Z" | "X");
        let parent = words.get(1)?.parse().ok()?;
        let began = (*words.get(19)?).to_owned();
        (!ended).then_some(((id, began), parent))
    };
    stats.filter_map(read).collect()
}

fn descendants(of: u32) -> BTreeSet<Known> {
    let all = processes();
    let mut ids = BTreeSet::from([of]);
    let mut found = BTreeSet::new();
    loop {
        let more = all.iter().filter(|(_, parent)| ids.contains(parent));
        let more: BTreeSet<Known> = more.map(|(known, _)| known.clone()).collect();
        if more == found {
            return found;
        }
        ids.extend(more.iter().map(|(id, _)| *id));
        found = more;
    }
}

/// A child, one in a session of its own, and one that nobody waits for.
const FAMILY: &str = r"
import os, subprocess
for session in (False, True):
    subprocess.Popen(['sleep', '600'], start_new_session=session, stdin=subprocess.DEVNULL)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvp('sleep', ['sleep', '600'])
    os._exit(0)
os.wait()
";

/// A program with a confined server, that said `ready`; its lines; and all processes below it.
async fn owner() -> (Child, Lines<BufReader<ChildStdout>>, BTreeSet<Known>) {
    let mut server = fake("runs");
    server.sandbox = Confinement::On(Sandbox {
        read: vec![FAKE.into()],
        ..Sandbox::default()
    });
    let mut owner = Command::new(example("mcp_owner"))
        .arg(example("mcp_confiner"))
        .arg(serde_json::to_string(&config(server)).unwrap())
        .arg(FAMILY)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("ready"));
    let family = descendants(owner.id().unwrap());
    // bubblewrap outside and inside, the server, and its three.
    assert!(family.len() >= 6, "{family:?}");
    (owner, lines, family)
}

async fn gone(family: &BTreeSet<Known>) {
    comes("ended", || {
        let left = processes();
        family.iter().all(|known| !left.contains_key(known))
    })
    .await;
}

#[tokio::test]
async fn a_killed_owner_leaves_no_process_of_its_servers() {
    let (mut owner, _lines, family) = owner().await;
    owner.kill().await.unwrap();
    gone(&family).await;
}

#[tokio::test]
async fn a_stopped_fleet_leaves_no_process_of_its_servers() {
    let (mut owner, mut lines, family) = owner().await;
    drop(owner.stdin.take());
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("stopped"));
    gone(&family).await;
    owner.kill().await.unwrap();
}
