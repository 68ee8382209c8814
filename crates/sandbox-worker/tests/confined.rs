//! Any program in bubblewrap: what it sees, what it reaches, and that it ends.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use nexus_sandbox::{
    Launcher,
    bubblewrap::{Ceiling, Confined, Streams},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

fn launcher() -> (TempDir, Launcher) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let (built, worker) = (
        PathBuf::from(env!("CARGO_BIN_EXE_nexus-sandbox")),
        folder.path().join("nexus-sandbox"),
    );
    if std::fs::hard_link(&built, &worker).is_err() {
        std::fs::copy(&built, &worker).unwrap();
    }
    let launcher = Launcher::new(&worker).unwrap();
    (folder, launcher)
}

fn python(code: &str) -> Confined {
    Confined::new("/usr/bin/python3")
        .system_files()
        .args(["-I", "-c", code])
}

async fn output(launcher: &Launcher, what: &Confined) -> String {
    let mut process = launcher.confine(what, Streams::piped()).await.unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    let (mut stdout, mut stderr) = (
        process.take_stdout().unwrap(),
        process.take_stderr().unwrap(),
    );
    let reading = async {
        tokio::try_join!(
            stdout.read_to_string(&mut out),
            stderr.read_to_string(&mut err)
        )
    };
    timeout(Duration::from_secs(30), reading)
        .await
        .unwrap()
        .unwrap();
    process.wait().await.unwrap();
    out + &err
}

#[tokio::test]
async fn it_sees_its_variables_and_no_other() {
    let (_folder, launcher) = launcher();
    let code =
        "import os; print({k: v for k, v in os.environ.items() if k not in ('PWD', 'LC_CTYPE')})";
    let server = python(code).variable("API_KEY", "secret");
    assert_eq!(
        output(&launcher, &server).await.trim(),
        "{'API_KEY': 'secret'}"
    );
}

#[tokio::test]
async fn nobody_reads_its_variables_from_a_command_line() {
    let (_folder, launcher) = launcher();
    let server = python("input()").variable("API_KEY", "secret-5d1e");
    let mut process = launcher.confine(&server, Streams::piped()).await.unwrap();
    let id = process.id().unwrap();
    for _ in 0..50 {
        let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap();
        assert!(!String::from_utf8_lossy(&line).contains("secret-5d1e"));
        tokio::task::yield_now().await;
    }
    process.kill();
    process.wait().await.unwrap();
}

#[tokio::test]
async fn the_network_is_there_only_where_it_is_wanted() {
    let (_folder, launcher) = launcher();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let code = format!(
        "import socket\ntry:\n  socket.create_connection(('127.0.0.1', {}), 2); print('reached')\nexcept OSError: print('refused')",
        listener.local_addr().unwrap().port()
    );
    assert_eq!(output(&launcher, &python(&code)).await.trim(), "refused");
    assert_eq!(
        output(&launcher, &python(&code).with_network())
            .await
            .trim(),
        "reached"
    );
    let vsock =
        "import socket\ntry: socket.socket(40); print('made')\nexcept OSError: print('refused')";
    assert_eq!(
        output(&launcher, &python(vsock).with_network())
            .await
            .trim(),
        "refused"
    );
}

#[tokio::test]
async fn files_are_what_is_given_and_memory_is_bounded() {
    let (folder, launcher) = launcher();
    let given = folder.path().join("given");
    std::fs::write(&given, "text").unwrap();
    let code = "
import os
print(open('/given').read(), os.path.exists('/root'), os.path.exists('/etc/passwd'))
def fails(f):
    try: f()
    except OSError as e: return True
print(fails(lambda: open('/given', 'w')), fails(lambda: open('/x', 'w')), fails(lambda: open('/tmp/x', 'wb').write(bytes(1 << 20))))
print(fails(lambda: [open(f'/tmp/{i}', 'w') for i in range(20_000)]), os.listdir('/proc') if os.path.exists('/proc') else None)";
    let server = python(code)
        .read_only_at(&given, "/given")
        .memory("/tmp", 64 << 10);
    let seen = output(&launcher, &server).await;
    assert_eq!(
        seen.lines().collect::<Vec<_>>(),
        ["text False False", "True True True", "True None"],
        "{seen}"
    );
}

#[tokio::test]
async fn it_may_start_processes_up_to_its_ceiling() {
    let (_folder, launcher) = launcher();
    let code = "
import os, time
made = 0
try:
    while made < 200:
        if os.fork() == 0:
            time.sleep(60); os._exit(0)
        made += 1
except OSError: pass
print(made)";
    let ceiling = Ceiling {
        tasks: 20,
        ..Ceiling::default()
    };
    let server = python(code).ceiling(ceiling);
    let mut process = launcher.confine(&server, Streams::piped()).await.unwrap();
    let mut out = process.take_stdout().unwrap();
    let mut line = [0; 8];
    let got = timeout(Duration::from_secs(30), out.read(&mut line))
        .await
        .unwrap()
        .unwrap();
    let made: u32 = String::from_utf8_lossy(&line[..got])
        .trim()
        .parse()
        .unwrap();
    assert!((5..20).contains(&made), "{made} processes");
    process.kill();
    process.wait().await.unwrap();
    // Its children held the pipe: it closes when the last of them is gone.
    assert_eq!(
        timeout(Duration::from_secs(10), out.read(&mut line))
            .await
            .unwrap()
            .unwrap(),
        0
    );
}

#[tokio::test]
async fn a_conversation_over_its_streams_ends_with_it() {
    let (_folder, launcher) = launcher();
    let server =
        python("import sys\nfor line in sys.stdin: print(line.upper(), end='', flush=True)");
    let mut process = launcher.confine(&server, Streams::piped()).await.unwrap();
    let (mut to, mut from) = (
        process.take_stdin().unwrap(),
        process.take_stdout().unwrap(),
    );
    to.write_all(b"hello\n").await.unwrap();
    let mut line = [0; 6];
    timeout(Duration::from_secs(30), from.read_exact(&mut line))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&line, b"HELLO\n");
    drop(process);
    assert_eq!(
        timeout(Duration::from_secs(10), from.read(&mut line))
            .await
            .unwrap()
            .unwrap(),
        0
    );
}

#[tokio::test]
async fn a_missing_bubblewrap_is_said() {
    let (_folder, launcher) = launcher();
    let said = output(
        &launcher,
        &python("1").bubblewrap(Path::new("/nonexistent/bwrap")),
    )
    .await;
    assert!(
        said.contains("/nonexistent/bwrap") && said.contains("install bubblewrap"),
        "{said}"
    );
}

#[tokio::test]
async fn a_machine_that_confines_is_told_from_one_that_does_not() {
    let bubblewrap = Path::new("/usr/bin/bwrap");
    let (_folder, confining) = launcher();
    confining.verify(bubblewrap).await.unwrap();
    let said = confining.verify(Path::new("/nonexistent/bwrap")).await;
    let said = said.unwrap_err().to_string();
    assert!(said.contains("/nonexistent/bwrap"), "{said}");

    let worker = PathBuf::from(env!("CARGO_BIN_EXE_nexus-sandbox"));
    let sabotaged = worker.with_file_name("examples/sabotaged_seccomp");
    let said = Launcher::new(&sabotaged).unwrap().verify(bubblewrap).await;
    let said = said.unwrap_err().to_string();
    assert!(said.contains("filter lets ptrace pass"), "{said}");
    let silent = Launcher::new(Path::new("/bin/false")).unwrap();
    assert!(silent.verify(bubblewrap).await.is_err());
}

/// Processes of ours that have not ended: by their numbers, with their parents'.
fn alive() -> Vec<(u32, u32)> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let stats = processes.filter_map(|one| std::fs::read_to_string(one.path().join("stat")).ok());
    let alive = stats.filter_map(|stat| {
        let number = stat.split(' ').next()?.parse().ok()?;
        let mut rest = stat.rsplit_once(") ")?.1.split(' ');
        let (state, parent) = (rest.next()?, rest.next()?.parse().ok()?);
        (state != "Z").then_some((number, parent))
    });
    alive.collect()
}

/// How many processes this one has started, and those have.
fn descendants() -> (usize, usize) {
    let (own, all) = (std::process::id(), alive());
    let children: Vec<u32> = all
        .iter()
        .filter(|one| one.1 == own)
        .map(|one| one.0)
        .collect();
    let theirs = all.iter().filter(|one| children.contains(&one.1)).count();
    (children.len(), theirs)
}

/// Killed without its monitor, a bubblewrap that is just starting would wait for it for ever.
#[tokio::test]
async fn a_start_that_nobody_waits_for_leaves_nothing() {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    let (_folder, launcher) = launcher();
    let what = python("import time; time.sleep(600)");
    for _ in 0..40 {
        let mut starting = Box::pin(launcher.confine(&what, Streams::piped()));
        // Begun, and not looked at again until bubblewrap has a child.
        let begun = timeout(Duration::ZERO, &mut starting).await;
        let started = async {
            while descendants().1 == 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(20), started).await.unwrap();
        drop((begun, starting));
    }
    let ended = async {
        while descendants().0 > 0 {
            tokio::task::yield_now().await;
        }
    };
    let ended = timeout(Duration::from_secs(20), ended).await;
    assert!(ended.is_ok(), "left: {:?}", descendants());
}
