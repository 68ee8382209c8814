//! What a caller sees: values, files, limits, the end of calls and of the sandbox.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

use std::{path::PathBuf, time::Duration};

use nexus_sandbox::{
    Backend, ErrorKind, File, Job, Limits, PythonFull, Sandbox, SandboxError, Settings,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

async fn start(backend: Backend) -> (TempDir, Sandbox) {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    // Where the user that CPython runs as can reach it.
    let (built, worker) = (
        PathBuf::from(env!("CARGO_BIN_EXE_nexus-sandbox")),
        folder.path().join("nexus-sandbox"),
    );
    if std::fs::hard_link(&built, &worker).is_err() {
        std::fs::copy(&built, &worker).unwrap();
    }
    let sandbox = Sandbox::start(Settings::new(worker, backend)).await;
    let health = sandbox.health();
    assert!(health.ready, "{}", health.report.failures());
    (folder, sandbox)
}

fn both() -> [Backend; 2] {
    [Backend::Monty, Backend::PythonFull(PythonFull::default())]
}

fn children() -> usize {
    let task = format!("/proc/{0}/task", std::process::id());
    let tasks = std::fs::read_dir(task).unwrap().flatten();
    let lists = tasks.filter_map(|t| std::fs::read_to_string(t.path().join("children")).ok());
    lists
        .map(|list| list.split_whitespace().filter(|id| runs(id)).count())
        .sum()
}

fn runs(id: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|s| !s.contains(") Z "))
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let waited = timeout(Duration::from_secs(20), async {
        while !condition() {
            sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what} did not happen");
}

const COPY: &str = "
from pathlib import Path
text = open('in.txt').read()
Path('out.txt').write_text(text.upper())
with open('log', 'w') as log:
    log.write('one ')
    log.write('two')
print('read', len(text))
[text, Path('in.txt').exists(), Path('none').exists()]";

#[tokio::test]
async fn files_go_in_and_come_out() {
    for backend in both() {
        let (_folder, sandbox) = start(backend).await;
        let done = sandbox
            .run(Job::new(COPY).file("in.txt", "hällo"))
            .await
            .unwrap();
        assert_eq!(done.result, Ok(json!(["hällo", true, false])));
        assert_eq!(done.stdout.text, "read 5\n");
        let mut files = done.files;
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let expected = [("log", "one two"), ("out.txt", "HÄLLO")];
        let expected = expected.map(|(name, text)| File {
            name: name.into(),
            data: text.into(),
        });
        assert_eq!(files, expected, "{}", sandbox.health().report.backend);
        assert!(!done.files_left_out);
    }
}

#[tokio::test]
async fn failures_are_told_with_what_was_printed() {
    for backend in both() {
        let (_folder, sandbox) = start(backend).await;
        let done = sandbox
            .run(Job::new("print('before')\ndef f():\n    return 1 / 0\nf()"))
            .await
            .unwrap();
        let failure = done.result.unwrap_err();
        assert_eq!(failure.kind, ErrorKind::Exception);
        assert!(
            failure.message.starts_with("ZeroDivisionError"),
            "{failure:?}"
        );
        assert!(
            failure.traceback.contains("in f") && failure.traceback.contains("line 3"),
            "{failure:?}"
        );
        assert_eq!(done.stdout.text, "before\n");
        let done = sandbox.run(Job::new("x = = 1")).await.unwrap();
        assert_eq!(done.kind(), Some(ErrorKind::Syntax));
        let limits = Limits {
            time_ms: 300,
            ..Limits::default()
        };
        let done = sandbox
            .run(Job::new("print('kept')\nwhile True: pass").limits(limits))
            .await
            .unwrap();
        assert_eq!(
            (done.kind(), done.stdout.text.as_str()),
            (Some(ErrorKind::TimeLimit), "kept\n")
        );
        let limits = Limits {
            value: 256,
            ..Limits::default()
        };
        let done = sandbox
            .run(Job::new("'x' * 1000").limits(limits))
            .await
            .unwrap();
        assert_eq!(done.kind(), Some(ErrorKind::OutputLimit));
    }
}

#[tokio::test]
async fn a_job_beyond_the_limits_is_refused_before_it_runs() {
    let (_folder, sandbox) = start(Backend::Monty).await;
    let limits = |limits| Job::new("1").limits(limits);
    for job in [
        Job::new("1").file("../x", ""),
        Job::new("1").file("a/b", ""),
        Job::new("1").file("a\0", ""),
        Job::new("1").file("", ""),
        Job::new("1").file("a", "1").file("a", "2"),
        Job::new("1").file("a", vec![0; 9 << 20]),
        Job::new(" ".repeat(2 << 20)),
        limits(Limits {
            time_ms: 0,
            ..Limits::default()
        }),
        limits(Limits {
            memory: 2 << 30,
            ..Limits::default()
        }),
    ] {
        let refused = sandbox.run(job).await;
        assert!(
            matches!(refused, Err(SandboxError::Refused(_))),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn time_is_what_the_job_says_it_is() {
    let (_folder, sandbox) = start(Backend::Monty).await;
    let code = "from datetime import datetime\nstr(datetime.now())";
    let job = Job {
        now_ms: Some(86_400_000 + 500),
        ..Job::new(code)
    };
    assert_eq!(
        sandbox.run(job).await.unwrap().result,
        Ok(json!("1970-01-02 00:00:00.500000"))
    );
    assert_eq!(
        sandbox.run(Job::new(code)).await.unwrap().kind(),
        Some(ErrorKind::Exception)
    );
}

#[tokio::test]
async fn a_dropped_call_ends_its_process() {
    for backend in both() {
        let (_folder, sandbox) = start(backend).await;
        until("the pool being full", || children() == 2).await;
        let endless = sandbox.run(Job::new("while True: pass"));
        assert!(timeout(Duration::from_millis(300), endless).await.is_err());
        assert_eq!(sandbox.health().running, 0);
        until("the end of the dropped call", || children() == 2).await;
        sandbox.shutdown();
        until("the end of the waiting processes", || children() == 0).await;
        assert!(!sandbox.health().ready);
        assert!(matches!(
            sandbox.run(Job::new("1")).await,
            Err(SandboxError::Closed)
        ));
    }
}

/// `cargo nextest run -p nexus-sandbox-worker latency --no-capture` shows the figures.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn latency_is_measured() {
    for backend in both() {
        let (_folder, sandbox) = start(backend).await;
        let mut alone = Vec::new();
        for _ in 0..100 {
            alone.push(one_and_one(&sandbox).await);
        }
        let mut crowd = Vec::new();
        for _ in 0..25 {
            let calls: [_; 8] = std::array::from_fn(|_| one_and_one(&sandbox));
            let [a, b, c, d, e, f, g, h] = calls;
            let all = tokio::join!(a, b, c, d, e, f, g, h);
            crowd.extend([all.0, all.1, all.2, all.3, all.4, all.5, all.6, all.7]);
        }
        let (p50, p99) = (quantile(&mut alone, 50), quantile(&mut crowd, 99));
        let name = sandbox.health().report.backend;
        println!(
            "{name}: one at a time p50 {p50:.1?}, p99 {:.1?}",
            quantile(&mut alone, 99)
        );
        println!(
            "{name}: eight at once p50 {:.1?}, p99 {p99:.1?}",
            quantile(&mut crowd, 50)
        );
        // No goal, which a loaded machine would miss: a bound that only a mistake crosses.
        assert!(p50 < Duration::from_secs(1) && p99 < Duration::from_secs(8));
    }
}

async fn one_and_one(sandbox: &Sandbox) -> Duration {
    let began = Instant::now();
    assert_eq!(
        sandbox.run(Job::new("1 + 1")).await.unwrap().result,
        Ok(json!(2))
    );
    began.elapsed()
}

fn quantile(all: &mut [Duration], percent: usize) -> Duration {
    all.sort_unstable();
    all[(all.len() - 1) * percent / 100]
}
