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
        let is_test = folder.file_name().is_some_and(|last| last == "deps");
        let above = folder.parent().filter(|_| is_test);
        candidates.extend(above.map(|above| above.join(name)));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    // A relative folder would be whoever's folder this is started in.
    let folders = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
    candidates.extend(folders.map(|folder| folder.join(name)));
    let found = candidates.into_iter().find(|path| path.is_file());
    found.ok_or_else(|| {
        format!(
            "the program `{name}` is neither beside this one nor in the search path; build it with \
             `cargo build --release`, or name it in `{key}`"
        )
    })
}
