//! What `scripts/test` installs for tests to talk to.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

/// The folder of this name in the user's cache folder, `$XDG_CACHE_HOME` or `~/.cache`.
///
/// # Errors
/// When it is not there: `scripts/test` makes it.
pub fn installed(name: &str) -> Result<PathBuf> {
    let given = |variable| std::env::var_os(variable).filter(|value| !value.is_empty());
    let home = || Some(PathBuf::from(given("HOME")?).join(".cache"));
    let cache = given("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    let folder = cache.context("neither XDG_CACHE_HOME nor HOME is set")?;
    let folder = folder.join(name);
    ensure!(
        folder.is_dir(),
        "{} is needed by this test; scripts/test installs it",
        folder.display()
    );
    Ok(folder)
}
