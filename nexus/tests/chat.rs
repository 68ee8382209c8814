//! `nexus chat` as a script uses it.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result};

/// Types into a chat over a folder of its own.
fn chat(folder: &std::path::Path, typed: &str) -> Result<Output> {
    let mut chat = Command::new(env!("CARGO_BIN_EXE_nexus"))
        .arg("--data")
        .arg(folder)
        .args(["--set", "http.listen=127.0.0.1:0", "chat"])
        .current_dir(folder)
        .env_remove("NEXUS_URL")
        .env_remove("NEXUS_CONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = chat.stdin.take().context("no standard input")?;
    stdin.write_all(typed.as_bytes())?;
    drop(stdin);
    Ok(chat.wait_with_output()?)
}

#[test]
fn a_chat_that_failed_says_so_to_a_script() {
    let folder = tempfile::tempdir().unwrap();
    let typed = "What is 37 * 43?\n/title Sums\n/branch 1 What is 6 * 7?\n/quit\n";
    let well = chat(folder.path(), typed).unwrap();
    let said = String::from_utf8_lossy(&well.stdout).into_owned();
    assert!(well.status.success(), "{well:?}");
    for word in ["1591", "renamed", "42"] {
        assert!(said.contains(word), "{word}: {said}");
    }

    let badly = chat(folder.path(), "/title Sums\nhello\n/banana\n/branch 7 x\n").unwrap();
    let said = String::from_utf8_lossy(&badly.stdout).into_owned();
    assert_eq!(badly.status.code(), Some(1), "{badly:?}");
    for word in ["nothing was said yet", "/banana", "none of the 1 messages"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let why = String::from_utf8_lossy(&badly.stderr).into_owned();
    assert!(why.contains("3 of 4 lines failed"), "{why}");
}
