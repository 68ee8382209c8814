//! Shape and name of files.

use crate::Tree;

/// Most lines of a source file.
const LINES: usize = 400;
/// Names that say nothing about what is inside.
const SUBJECTLESS: &[&str] = &["common", "utils"];

/// No source file is longer than a person reads at once.
pub(crate) fn files_are_short(tree: &Tree) -> Vec<String> {
    let files = tree
        .sources
        .iter()
        .map(|file| (&file.path, file.text.lines().count()));
    files
        .filter(|(_, lines)| *lines > LINES)
        .map(|(path, lines)| format!("{path}: {lines} lines, at most {LINES}; one idea a file"))
        .collect()
}

/// Neither a file, nor a folder, nor a module inside a file is called `common` or `utils`.
pub(crate) fn modules_have_a_subject(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for file in &tree.sources {
        let path = file.path.trim_end_matches(".rs");
        let inside = file.text.lines().filter_map(module_opened);
        let names = path.split('/').chain(inside);
        let named = names.filter(|name| SUBJECTLESS.contains(name));
        broken.extend(
            named.map(|name| format!("{}: `{name}` says nothing; name its idea", file.path)),
        );
    }
    broken
}

/// The module whose body begins on this line.
fn module_opened(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("mod ")?;
    let visible = before.trim().is_empty() || before.trim_start().starts_with("pub");
    let (name, _) = after.split_once('{')?;
    visible.then(|| name.trim())
}

/// Every member takes the lints of the workspace.
pub(crate) fn lints_are_shared(tree: &Tree) -> Vec<String> {
    let manifests = tree
        .packages
        .iter()
        .map(|package| format!("{}/Cargo.toml", package.folder));
    manifests
        .filter(|manifest| {
            let text = tree.text(manifest).unwrap_or_default();
            let mut lines = text
                .lines()
                .map(str::trim)
                .skip_while(|line| *line != "[lints]");
            !(lines.next().is_some() && lines.next() == Some("workspace = true"))
        })
        .map(|manifest| format!("{manifest}: add `[lints]` and below it `workspace = true`"))
        .collect()
}
