//! The configuration as one command sees it: file, environment, flags.

use std::path::{Path, PathBuf};

use nexus_bus::{BusConfig, BusUrl};
use nexus_service_kit::{ConfigError, ConfigSource, NodeConfig, config};

use crate::cli::Global;
use crate::exit::Failure;

/// Everything that was configured.
#[derive(Clone, Debug)]
pub struct Settings {
    /// All layers.
    pub source: ConfigSource,
    /// The node's part of them.
    pub node: NodeConfig,
    /// The file they were read from, if there is one.
    pub file: Option<PathBuf>,
    /// What the command line said above it.
    pub overrides: Vec<(String, String)>,
}

impl Settings {
    /// Reads and checks the configuration.
    ///
    /// # Errors
    /// What is wrong, where it is written, and what to write instead.
    pub fn load(global: &Global) -> Result<Self, Failure> {
        let file = global.config.clone().or_else(config::config_file);
        let mut overrides = global.set.clone();
        if let Some(url) = &global.bus {
            overrides.push(("bus.url".to_owned(), url.clone()));
        }
        let mut settings = Self::read(file.as_deref(), &overrides).map_err(Failure::usage)?;
        if let Some(folder) = &global.data {
            overrides.extend(in_folder(folder, &settings.node));
            settings = Self::read(file.as_deref(), &overrides).map_err(Failure::usage)?;
        }
        Ok(settings)
    }

    fn read(file: Option<&Path>, overrides: &[(String, String)]) -> Result<Self, ConfigError> {
        let source = ConfigSource::load(file, overrides)?;
        source.check_sections(&[])?;
        let node = NodeConfig::from_source(&source)?;
        Ok(Self {
            source,
            node,
            file: file.map(Path::to_path_buf),
            overrides: overrides.to_vec(),
        })
    }

    /// Where a node of this configuration answers.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.node.http.listen)
    }

    /// The bus, to be read beside whoever owns it.
    #[must_use]
    pub fn bus_to_read(&self) -> BusConfig {
        let mut bus = self.node.bus.clone();
        if let BusUrl::Embedded { read_only, .. } = &mut bus.url {
            *read_only = true;
        }
        bus
    }
}

/// What `--data` overrides: only what is kept in a folder anyway.
#[must_use]
pub fn in_folder(folder: &Path, node: &NodeConfig) -> Vec<(String, String)> {
    let inside = |name: &str| folder.join(name).display().to_string();
    let mut overrides = vec![("bus.blobs".to_owned(), inside("blobs"))];
    if matches!(node.bus.url, BusUrl::Embedded { .. }) {
        overrides.push((
            "bus.url".to_owned(),
            format!("embedded:{}", inside("bus.db")),
        ));
    }
    if node.store.starts_with("sqlite:") && node.store != "sqlite::memory:" {
        overrides.push((
            "store.url".to_owned(),
            format!("sqlite:{}", folder.display()),
        ));
    }
    overrides
}
