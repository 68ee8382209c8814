//! The rules on this repository.

use std::path::Path;

use anyhow::{Result, ensure};
use nexus_architecture_tests::{RULES, Tree};

#[test]
fn the_workspace_keeps_every_rule() -> Result<()> {
    let tree = Tree::read(Path::new("../.."))?;
    ensure!(
        tree.packages.len() > 10 && tree.services().count() >= 5,
        "this is not the workspace"
    );
    let broken: Vec<String> = RULES
        .iter()
        .flat_map(|(name, rule)| {
            rule(&tree)
                .into_iter()
                .map(move |line| format!("{name}: {line}"))
        })
        .collect();
    ensure!(broken.is_empty(), "broken rules:\n{}", broken.join("\n"));
    Ok(())
}
