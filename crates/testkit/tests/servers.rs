//! The servers are real, keep their data over a restart, and are gone afterwards.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nexus_testkit::{Spawn, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SOON: Duration = Duration::from_secs(20);

/// Sends one inline command and gives the first bytes of the answer.
async fn ask_redis(port: u16, command: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream
        .write_all(format!("{command}\r\n").as_bytes())
        .await?;
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(SOON, stream.read(&mut answer)).await??;
    answer.truncate(read);
    Ok(String::from_utf8(answer)?)
}

fn alive(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // A zombie is dead; init will come for it.
    !status.is_empty() && !status.contains(") Z ")
}

#[tokio::test]
async fn redis_keeps_what_it_wrote_over_restart_and_kill() -> Result<()> {
    let mut redis = nexus_testkit::redis().await?;
    let port = redis.port();
    ensure!(ask_redis(port, "SET colour blue").await?.starts_with("+OK"));
    redis.restart().await?;
    ensure!(redis.port() == port);
    ensure!(ask_redis(port, "GET colour").await?.contains("blue"));

    redis.kill().await?;
    ensure!(
        ask_redis(port, "PING").await.is_err(),
        "killed, and still answers"
    );
    redis.start().await?;
    ensure!(ask_redis(port, "GET colour").await?.contains("blue"));
    Ok(())
}

#[tokio::test]
async fn redis_takes_options_and_a_pause_holds_answers_back() -> Result<()> {
    let options = ["--maxmemory", "20mb", "--maxmemory-policy", "noeviction"];
    let redis = nexus_testkit::redis_with(&options).await?;
    let answer = ask_redis(redis.port(), "CONFIG GET maxmemory").await?;
    ensure!(answer.contains("20971520"), "{answer}");

    redis.pause()?;
    let held = tokio::time::timeout(Duration::from_millis(200), ask_redis(redis.port(), "PING"));
    ensure!(held.await.is_err(), "answered while paused");
    redis.resume()?;
    ensure!(ask_redis(redis.port(), "PING").await?.starts_with("+PONG"));
    Ok(())
}

#[tokio::test]
async fn nats_comes_back_on_its_port() -> Result<()> {
    let mut nats = nexus_testkit::nats().await?;
    let port = nats.port();
    nats.restart().await?;
    nats.kill().await?;
    ensure!(
        TcpStream::connect(("127.0.0.1", port)).await.is_err(),
        "killed, and still there"
    );
    nats.start().await?;
    ensure!(nats.url() == format!("nats://127.0.0.1:{port}"));
    TcpStream::connect(("127.0.0.1", port)).await?;
    Ok(())
}

#[tokio::test]
async fn postgres_gives_fresh_databases_and_survives_a_crash() -> Result<()> {
    let mut postgres = nexus_testkit::postgres().await?;
    let (one, two) = (
        postgres.fresh_database().await?,
        postgres.fresh_database().await?,
    );
    ensure!(one != two);
    postgres
        .psql("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")
        .await?;
    postgres.restart().await?;
    ensure!(postgres.psql("SELECT n FROM kept").await? == "7");
    let databases = postgres.psql("SELECT datname FROM pg_database").await?;
    let name = one.rsplit('/').next().context("a database in the URL")?;
    ensure!(databases.lines().any(|line| line == name), "{databases}");
    Ok(())
}

#[tokio::test]
async fn postgres_gives_roles_that_are_no_superusers() -> Result<()> {
    let postgres = nexus_testkit::postgres().await?;
    let roles = postgres.fresh_database_with_roles().await?;
    let alone = postgres.fresh_database().await?;
    for url in [&roles.owner, &roles.app, &alone] {
        let sql = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user";
        ensure!(postgres.psql_at(url, sql).await? == "f", "{url}");
    }
    let make = "CREATE SCHEMA mine";
    ensure!(postgres.psql_at(&roles.app, make).await.is_err());
    postgres.psql_at(&roles.owner, make).await?;
    Ok(())
}

#[tokio::test]
async fn a_dropped_server_leaves_no_process_and_no_folder() -> Result<()> {
    let postgres = nexus_testkit::postgres().await?;
    let pids = postgres.psql("SELECT pid FROM pg_stat_activity").await?;
    let folder = PathBuf::from(postgres.psql("SHOW data_directory").await?);
    let pids: Vec<u32> = pids.lines().map(str::parse).collect::<Result<_, _>>()?;
    ensure!(pids.iter().any(|&pid| alive(pid)) && folder.exists());
    drop(postgres);
    ensure!(!folder.exists());
    wait_until(SOON, "every process of the server to be gone", async || {
        Ok(!pids.iter().any(|&pid| alive(pid)))
    })
    .await
}

/// Not a test of its own: the test below runs this program again, with a variable set, to have a
/// process with a server that it can kill.
#[tokio::test]
async fn holds_a_server_when_asked() -> Result<()> {
    let Some(file) = std::env::var_os("NEXUS_TESTKIT_HOLD") else {
        return Ok(());
    };
    let redis = nexus_testkit::redis().await?;
    let pid = ask_redis(redis.port(), "INFO server").await?;
    let pid = pid
        .split("process_id:")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next());
    std::fs::write(Path::new(&file), pid.context("a process id in INFO")?)?;
    std::future::pending().await
}

#[tokio::test]
async fn a_server_does_not_outlive_a_killed_test() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("pid");
    let mut holder = Spawn::new(std::env::current_exe()?)
        .args(["--exact", "holds_a_server_when_asked"])
        .env("NEXUS_TESTKIT_HOLD", &file)
        // A killed process cannot remove its folders: this test does.
        .env("TMPDIR", folder.path())
        .start()?;
    wait_until(SOON, "the server's process id", async || {
        Ok(std::fs::read_to_string(&file).is_ok_and(|pid| !pid.is_empty()))
    })
    .await?;
    let pid: u32 = std::fs::read_to_string(&file)?.parse()?;
    ensure!(alive(pid));
    holder.kill().await?;
    wait_until(SOON, "the server to end with its test", async || {
        Ok(!alive(pid))
    })
    .await
}

#[tokio::test]
async fn a_child_is_heard_and_signalled() -> Result<()> {
    let script =
        "trap 'echo bye; exit 3' TERM; echo ready; while read line; do echo \"<$line>\"; done";
    let mut child = Spawn::new("sh").args(["-c", script]).with_stdin().start()?;
    child.wait_line(SOON, "ready").await?;
    child.send_line("hello")?;
    ensure!(child.wait_line(SOON, "hello").await? == "<hello>");
    child.signal(nexus_testkit::Signal::Terminate)?;
    // The shell runs its trap once the read it is in returns.
    child.close_stdin();
    ensure!(child.wait_exit(SOON).await?.code() == Some(3));
    ensure!(
        child.stdout().last().is_some_and(|line| line == "bye"),
        "{}",
        child.output()
    );
    ensure!(
        child.signal(nexus_testkit::Signal::Kill).is_err(),
        "signalled a reaped process"
    );
    Ok(())
}

#[tokio::test]
async fn waiting_for_a_line_ends_with_the_child() -> Result<()> {
    let mut child = Spawn::new("sh")
        .args(["-c", "echo broken >&2; exit 1"])
        .start()?;
    let error = child
        .wait_line(SOON, "ready")
        .await
        .unwrap_or_else(|error| format!("{error:#}"));
    ensure!(
        error.contains("broken") && error.contains("ready"),
        "{error}"
    );
    ensure!(Spawn::new("/no/such/program").start().is_err());
    Ok(())
}
