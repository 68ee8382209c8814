//! What the rules look at: the packages and the sources of a workspace.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::MetadataCommand;

/// A workspace as it lies on disk. Paths are relative to its root, with `/` between their parts.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    /// The members of the workspace.
    pub packages: Vec<Package>,
    /// The `.rs` files of all members.
    pub sources: Vec<Source>,
}

/// A member of the workspace.
#[derive(Debug)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub folder: String,
    /// The names of everything it depends on: to run, to build and to test.
    pub dependencies: Vec<String>,
}

impl Package {
    /// Whether this is a service.
    #[must_use]
    pub fn is_service(&self) -> bool {
        self.folder.starts_with("services/")
    }
}

/// A source file.
#[derive(Debug)]
pub struct Source {
    /// Where it is.
    pub path: String,
    /// What it says.
    pub text: String,
}

impl Tree {
    /// Reads the workspace with its root here.
    ///
    /// # Errors
    /// When cargo refuses the manifests, or a file cannot be read.
    pub fn read(root: &Path) -> Result<Self> {
        let root = root
            .canonicalize()
            .context("find the root of the workspace")?;
        let metadata = MetadataCommand::new()
            .manifest_path(root.join("Cargo.toml"))
            .no_deps()
            .exec()
            .context("ask cargo about the workspace")?;
        let mut tree = Self {
            root,
            packages: Vec::new(),
            sources: Vec::new(),
        };
        for package in metadata.packages {
            let folder = package
                .manifest_path
                .parent()
                .context("a manifest in a folder")?;
            let folder = tree.relative(folder.as_std_path())?;
            let dependencies = package
                .dependencies
                .into_iter()
                .map(|needed| needed.name)
                .collect();
            tree.read_sources(&tree.root.join(&folder))?;
            let name = package.name.to_string();
            tree.packages.push(Package {
                name,
                folder,
                dependencies,
            });
        }
        Ok(tree)
    }

    /// The text of a file; nothing when there is none.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root.join(path)).ok()
    }

    /// The services.
    pub fn services(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.is_service())
    }

    fn read_sources(&mut self, folder: &Path) -> Result<()> {
        let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
        for entry in entries {
            let path = entry.with_context(|| folder.display().to_string())?.path();
            if path.is_dir() && !path.ends_with("target") {
                self.read_sources(&path)?;
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
                self.sources.push(Source {
                    path: self.relative(&path)?,
                    text,
                });
            }
        }
        Ok(())
    }

    fn relative(&self, path: &Path) -> Result<String> {
        let path = path
            .strip_prefix(&self.root)
            .context("a member outside the workspace")?;
        Ok(path.to_string_lossy().replace('\\', "/"))
    }
}
