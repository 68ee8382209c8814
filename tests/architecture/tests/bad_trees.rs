//! Every rule sees what breaks it, and nothing else.

use std::fs;

use anyhow::{Result, ensure};
use nexus_architecture_tests::{RULES, Tree};
use tempfile::TempDir;

const FACE: &[&str] = &["lib", "config", "error", "service", "handler", "metrics"];
const README: &str = "# S\n## Consumes\n## Emits\n## Configuration\n## Failures\n";

/// A workspace that keeps every rule.
struct Good(TempDir);

impl Good {
    fn new() -> Result<Self> {
        let tree = Self(tempfile::tempdir()?);
        let members =
            "[workspace]\nresolver = \"3\"\nmembers = [\"bus\", \"services/*\", \"nexus\"]\n";
        tree.write("Cargo.toml", members)?;
        tree.package("bus", "nexus-bus", "redis = \"1\"")?;
        tree.write("bus/src/lib.rs", "//! The door.\n")?;
        for service in ["orchestrator", "recorder"] {
            tree.package(
                &format!("services/{service}"),
                &format!("nexus-{service}"),
                "",
            )?;
            tree.write(&format!("services/{service}/README.md"), README)?;
            tree.write(&format!("services/{service}/config.default.yaml"), "{}\n")?;
            tree.write(&format!("services/{service}/src/main.rs"), "fn main() {}\n")?;
            for file in FACE {
                tree.write(
                    &format!("services/{service}/src/{file}.rs"),
                    "//! A part.\n",
                )?;
            }
        }
        tree.write(
            "services/orchestrator/src/core.rs",
            "//! No `tokio` here.\n",
        )?;
        tree.write(
            "services/recorder/src/fact.rs",
            "use std::time::Duration; // no tokio\n",
        )?;
        let above = "nexus-orchestrator = { path = \"../services/orchestrator\" }";
        tree.package("nexus", "nexus", above)?;
        tree.write("nexus/src/lib.rs", "//! All of it.\n")?;
        Ok(tree)
    }

    fn package(&self, folder: &str, name: &str, dependencies: &str) -> Result<()> {
        let text = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
             [lints]\nworkspace = true\n\n[dependencies]\n{dependencies}\n"
        );
        // Lints must exist to be inherited.
        let root = self.0.path().join("Cargo.toml");
        let workspace = fs::read_to_string(&root)?;
        if !workspace.contains("[workspace.lints") {
            fs::write(root, format!("{workspace}[workspace.lints.rust]\n"))?;
        }
        self.write(&format!("{folder}/Cargo.toml"), &text)
    }

    fn write(&self, path: &str, text: &str) -> Result<()> {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap_or(&path))?;
        Ok(fs::write(path, text)?)
    }

    fn remove(&self, path: &str) -> Result<()> {
        Ok(fs::remove_file(self.0.path().join(path))?)
    }

    fn keeps_every_rule(&self) -> Result<()> {
        let tree = Tree::read(self.0.path())?;
        for (name, rule) in RULES {
            ensure!(rule(&tree).is_empty(), "{name}: {:?}", rule(&tree));
        }
        Ok(())
    }

    /// Checks that exactly this rule is broken, and that it names the place.
    fn breaks(&self, rule: &str, place: &str) -> Result<()> {
        let tree = Tree::read(self.0.path())?;
        for (name, check) in RULES {
            let broken = check(&tree);
            if *name == rule {
                ensure!(
                    broken.iter().any(|line| line.contains(place)),
                    "{rule}: {broken:?}"
                );
            } else {
                ensure!(broken.is_empty(), "{name}, and not only {rule}: {broken:?}");
            }
        }
        ensure!(
            RULES.iter().any(|(name, _)| *name == rule),
            "there is no rule {rule}"
        );
        Ok(())
    }
}

#[test]
fn a_good_tree_keeps_every_rule() -> Result<()> {
    Good::new()?.keeps_every_rule()
}

#[test]
fn a_service_that_depends_on_another() -> Result<()> {
    for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let tree = Good::new()?;
        let needed = "nexus-recorder = { path = \"../recorder\" }";
        let table = format!("\n[{kind}]\n{needed}").replace("\n[dependencies]", "");
        tree.package("services/orchestrator", "nexus-orchestrator", &table)?;
        tree.breaks("services_stand_alone", "services/orchestrator")?;
    }
    Ok(())
}

#[test]
fn a_crate_below_that_depends_on_a_service() -> Result<()> {
    let tree = Good::new()?;
    let needed = "nexus-recorder = { path = \"../services/recorder\" }";
    tree.package("bus", "nexus-bus", needed)?;
    tree.breaks("services_stand_alone", "bus")
}

#[test]
fn a_second_door_to_a_backend() -> Result<()> {
    for library in [
        "redis",
        "async-nats",
        "rusqlite",
        "tokio-postgres",
        "deadpool-postgres",
    ] {
        let tree = Good::new()?;
        tree.package(
            "services/recorder",
            "nexus-recorder",
            &format!("{library} = \"1\""),
        )?;
        tree.breaks("one_door_to_each_backend", "services/recorder")?;
    }
    let tree = Good::new()?;
    let renamed = "cache = { package = \"redis\", version = \"1\" }";
    tree.package("services/recorder", "nexus-recorder", renamed)?;
    tree.breaks("one_door_to_each_backend", "services/recorder")
}

#[test]
fn a_file_of_401_lines() -> Result<()> {
    let tree = Good::new()?;
    tree.write("bus/src/deep/long.rs", &"//\n".repeat(400))?;
    tree.keeps_every_rule()?;
    tree.write("bus/src/deep/long.rs", &"//\n".repeat(401))?;
    tree.breaks("files_are_short", "bus/src/deep/long.rs")?;
    tree.remove("bus/src/deep/long.rs")?;
    tree.write("bus/tests/long.rs", &"//\n".repeat(401))?;
    tree.breaks("files_are_short", "bus/tests/long.rs")
}

#[test]
fn a_service_without_a_part_of_its_face() -> Result<()> {
    for file in [
        "README.md",
        "config.default.yaml",
        "src/handler.rs",
        "src/metrics.rs",
    ] {
        let tree = Good::new()?;
        tree.remove(&format!("services/recorder/{file}"))?;
        tree.breaks(
            "services_have_one_face",
            &format!("services/recorder/{file}"),
        )?;
    }
    for heading in ["Consumes", "Emits", "Configuration", "Failures"] {
        let tree = Good::new()?;
        let readme = README.replace(&format!("## {heading}\n"), heading);
        tree.write("services/recorder/README.md", &readme)?;
        tree.breaks("services_have_one_face", heading)?;
    }
    Ok(())
}

#[test]
fn a_main_that_does_more_than_start() -> Result<()> {
    let tree = Good::new()?;
    let main = format!("fn main() {{}}\n{}", "//\n".repeat(40));
    tree.write("services/recorder/src/main.rs", &main)?;
    tree.breaks("main_only_starts", "services/recorder/src/main.rs")
}

#[test]
fn a_pure_room_that_does_something() -> Result<()> {
    for line in [
        "use tokio::time;",
        "let bus: nexus_bus::Bus;",
        "SystemTime::now()",
    ] {
        let tree = Good::new()?;
        tree.write(
            "services/orchestrator/src/core/step.rs",
            &format!("//! Pure.\n{line}\n"),
        )?;
        tree.breaks(
            "pure_rooms_do_nothing",
            "services/orchestrator/src/core/step.rs:2",
        )?;
    }
    let tree = Good::new()?;
    tree.remove("services/orchestrator/src/core.rs")?;
    tree.breaks("pure_rooms_do_nothing", "services/orchestrator/src/core")
}

#[test]
fn a_module_without_a_subject() -> Result<()> {
    for path in [
        "bus/src/utils.rs",
        "bus/src/common/retry.rs",
        "bus/tests/common/lib.rs",
    ] {
        let tree = Good::new()?;
        tree.write(path, "//! Things.\n")?;
        tree.breaks("modules_have_a_subject", path)?;
    }
    let tree = Good::new()?;
    tree.write("bus/src/lib.rs", "pub mod utils {\n}\n")?;
    tree.breaks("modules_have_a_subject", "bus/src/lib.rs")
}

#[test]
fn a_crate_with_lints_of_its_own() -> Result<()> {
    let tree = Good::new()?;
    let manifest = "[package]\nname = \"nexus-bus\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
                    [lints.rust]\nunused = \"allow\"\n";
    tree.write("bus/Cargo.toml", manifest)?;
    tree.breaks("lints_are_shared", "bus/Cargo.toml")
}
