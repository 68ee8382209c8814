//! Finding the small programs that do what must not happen in this process.

use std::path::{Path, PathBuf};

/// The program of this name: the one that is configured, or the one beside this program, or the one in
/// the search path.
///
/// # Errors
/// In words, when it is nowhere.
pub fn find(name: &str, configured: &Path, key: &str) -> Result<PathBuf, String> {
    if !configured.as_os_str().is_empty() {
        return Ok(configured.to_owned());
    }
    let mut candidates = Vec::new();
    let own = std::env::current_exe();
    if let Some(folder) = own.ok().as_deref().and_then(Path::parent) {
        candidates.push(folder.join(name));
        // Test programs are one folder below.
        candidates.extend(folder.parent().map(|above| above.join(name)));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    candidates.extend(std::env::split_paths(&path).map(|folder| folder.join(name)));
    let found = candidates.into_iter().find(|path| path.is_file());
    found.ok_or_else(|| {
        format!(
            "the program `{name}` is neither beside this one nor in the search path; build it with \
             `cargo build --release`, or name it in `{key}`"
        )
    })
}
