//! The README promises tests by name; these names exist.

use std::path::Path;

use anyhow::{Context, Result, ensure};

fn sources(folder: &Path, into: &mut String) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, into)?;
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            into.push_str(&std::fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

#[test]
fn every_test_that_a_pitfall_names_exists() -> Result<()> {
    let root = Path::new(".");
    let mut code = String::new();
    sources(&root.join("src"), &mut code)?;
    sources(&root.join("tests"), &mut code)?;
    let readme = std::fs::read_to_string(root.join("README.md"))?;
    for number in 1..=20 {
        let row = readme
            .lines()
            .find(|line| line.starts_with(&format!("| {number} | ")));
        let row = row.with_context(|| format!("pitfall {number} is missing"))?;
        let names = row
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|name| !name.contains("::"));
        let tests: Vec<&str> = names
            .filter(|name| name.starts_with(char::is_lowercase))
            .collect();
        let types = row.matches("[`").count();
        ensure!(
            !tests.is_empty() || types > 0,
            "pitfall {number} names nothing"
        );
        for test in tests {
            ensure!(
                code.contains(&format!("fn {test}(")),
                "pitfall {number}: no test `{test}`"
            );
        }
    }
    Ok(())
}
