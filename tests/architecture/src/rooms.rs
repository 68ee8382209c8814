//! What decides has no I/O.

use crate::{Package, Source, Tree};

/// The rooms that only decide. A room is a file and the folder of the same name beside it.
const PURE: &[&str] = &[
    "bus-contracts/src",
    "crates/store/src/ledger/decide",
    "services/orchestrator/src/core",
    "services/provider-router/src/assembler",
    "services/provider-router/src/demo",
    "services/provider-router/src/retry",
    "services/provider-router/src/sse",
    "services/recorder/src/fact",
];

/// What a pure room has no use for: a runtime, the bus, the store, a clock, chance.
const IMPURE: &[&str] = &[
    "tokio",
    "nexus_bus",
    "nexus_store",
    "SystemTime",
    "Instant",
    "thread_rng",
    "rand",
    "now_v7",
];

/// Pure rooms import neither runtime nor bus; time and chance are passed in.
pub(crate) fn pure_rooms_do_nothing(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for room in PURE {
        // A room of a crate this tree does not have is no room of this tree.
        let has_crate = tree
            .packages
            .iter()
            .any(|package| belongs_to(room, package));
        let files: Vec<&Source> = tree
            .sources
            .iter()
            .filter(|file| is_in(room, file))
            .collect();
        if has_crate && files.is_empty() {
            broken.push(format!(
                "{room}: a pure room that is gone; name its new place here"
            ));
        }
        for file in files {
            broken.extend(impurities(file).map(|(line, word)| {
                format!(
                    "{}:{line}: `{word}` in a pure room; pass in what it needs",
                    file.path
                )
            }));
        }
    }
    broken
}

fn belongs_to(room: &str, package: &Package) -> bool {
    room.strip_prefix(&package.folder)
        .is_some_and(|rest| rest.starts_with('/'))
}

fn is_in(room: &str, file: &Source) -> bool {
    let rest = file.path.strip_prefix(room);
    rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

fn impurities(file: &Source) -> impl Iterator<Item = (usize, &'static str)> {
    (1..).zip(file.text.lines()).filter_map(|(number, line)| {
        let code = line.split("//").next().unwrap_or_default();
        let mut words = code.split(|c: char| !c.is_alphanumeric() && c != '_');
        let word = words.find_map(|word| IMPURE.iter().find(|impure| **impure == word))?;
        Some((number, *word))
    })
}
