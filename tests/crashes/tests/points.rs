//! The list of points is the list of the lines in the code.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use nexus_crash_tests::points::{Fault, LOOP, POINTS, Point};

type Faults = BTreeMap<String, Vec<Fault>>;

fn listed(points: &[Point]) -> Faults {
    let sorted = |point: &Point| {
        let mut faults = point.faults.to_vec();
        faults.sort();
        (point.name.to_owned(), faults)
    };
    points.iter().map(sorted).collect()
}

/// Every `crash_point!` below these folders: its name and what can go wrong there.
fn in_code(folders: &[&str]) -> Result<Faults> {
    let root = Path::new("../..");
    let mut found = Faults::new();
    for folder in folders {
        for file in sources(&root.join(folder))? {
            let text = std::fs::read_to_string(&file)?;
            for after in text.split("crash_point!(").skip(1) {
                let line = arguments(after).with_context(|| format!("{}", file.display()))?;
                let name = line.split('"').nth(1).context("a point without a name")?;
                let mut faults = vec![Fault::Abort];
                if line.contains("fail =>") {
                    faults.push(Fault::Error);
                }
                faults.push(Fault::Delay);
                if line.contains("twice =>") {
                    faults.push(Fault::Twice);
                }
                let before = found.insert(name.to_owned(), faults.clone());
                ensure!(
                    before.is_none_or(|before| before == faults),
                    "{name} stands twice, and not alike"
                );
            }
        }
    }
    Ok(found)
}

/// What stands between the parentheses of a macro.
fn arguments(after: &str) -> Option<&str> {
    let mut open = 1_usize;
    let end = after.char_indices().find(|(_, letter)| {
        open += usize::from(*letter == '(');
        open -= usize::from(*letter == ')');
        open == 0
    });
    after.get(..end?.0)
}

fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(sources(&path)?);
        } else if path.extension().is_some_and(|name| name == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

#[test]
fn every_point_of_a_service_is_listed_with_what_it_knows() -> Result<()> {
    let services = [
        "services/entry-api/src",
        "services/orchestrator/src",
        "services/provider-router/src",
        "services/recorder/src",
        "services/tool-executor/src",
    ];
    assert_eq!(in_code(&services)?, listed(POINTS));
    Ok(())
}

#[test]
fn every_point_of_the_consume_loop_is_listed() -> Result<()> {
    let mut listed = listed(LOOP);
    // A handler that is called twice may die and dawdle there too, and does beside it.
    let handle = listed.get_mut("handle").context("handle")?;
    *handle = vec![Fault::Abort, Fault::Delay, Fault::Twice];
    assert_eq!(in_code(&["crates/service-kit/src/consume"])?, listed);
    Ok(())
}
