//! Having seen one service is having seen all.

use crate::Tree;

/// The files every service has.
const FILES: &[&str] = &[
    "README.md",
    "config.default.yaml",
    "src/main.rs",
    "src/lib.rs",
    "src/config.rs",
    "src/error.rs",
    "src/service.rs",
    "src/handler.rs",
    "src/metrics.rs",
];
/// What every service's README tells.
const HEADINGS: &[&str] = &["Consumes", "Emits", "Configuration", "Failures"];
/// Most lines of a service's `main.rs`: it starts a Node and nothing else.
const MAIN_LINES: usize = 40;

/// Every service has the same files, and its README the same headings.
pub(crate) fn services_have_one_face(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for service in tree.services() {
        let file = |name: &str| format!("{}/{name}", service.folder);
        let missing = FILES.iter().filter(|name| tree.text(&file(name)).is_none());
        broken.extend(missing.map(|name| format!("{}: is missing", file(name))));
        let readme = tree.text(&file("README.md")).unwrap_or_default();
        let has = |heading: &str| {
            let titles = readme.lines().filter(|line| line.starts_with('#'));
            titles
                .map(|line| line.trim_matches(['#', ' ']))
                .any(|title| title == heading)
        };
        let untold = HEADINGS.iter().filter(|heading| !has(heading));
        let place = file("README.md");
        broken.extend(untold.map(|heading| format!("{place}: has no heading `{heading}`")));
    }
    broken
}

/// A service's `main.rs` only starts a Node.
pub(crate) fn main_only_starts(tree: &Tree) -> Vec<String> {
    let mains = tree
        .services()
        .map(|service| format!("{}/src/main.rs", service.folder));
    mains
        .filter_map(|main| {
            let lines = tree.text(&main)?.lines().count();
            let long = lines > MAIN_LINES;
            long.then(|| {
                format!("{main}: {lines} lines, at most {MAIN_LINES}; move them to lib.rs")
            })
        })
        .collect()
}
