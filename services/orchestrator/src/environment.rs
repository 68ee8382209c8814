//! What decisions depend on besides the conversation: read from tables, named by its hash.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nexus_contracts::settings::Settings;
use nexus_contracts::tool::{ToolList, ToolSwitch};
use nexus_contracts::{OrgId, derive_id};
use nexus_service_kit::TableView;
use tokio::sync::watch;

use crate::core::checkpoint::encode_environment;
use crate::core::{Bounds, Environment};
use crate::error::Error;

/// An environment with its name.
#[derive(Debug)]
pub struct Known {
    /// What decisions depend on.
    pub environment: Environment,
    /// Its name in the journal.
    pub hash: String,
    /// How it is stored.
    pub body: Vec<u8>,
}

/// The environments of all organisations, made anew when a table changes.
pub struct Environments {
    bounds: Bounds,
    /// What the operator wrote, for keys that the table does not have yet.
    written: BTreeMap<String, Settings>,
    tools: (TableView<ToolList>, watch::Receiver<u64>),
    off: (TableView<ToolSwitch>, watch::Receiver<u64>),
    settings: (TableView<Settings>, watch::Receiver<u64>),
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    versions: [u64; 3],
    known: HashMap<OrgId, Arc<Known>>,
    stored: HashSet<(OrgId, String)>,
}

impl Environments {
    /// Reads these tables.
    #[must_use]
    pub fn new(
        bounds: Bounds,
        written: BTreeMap<String, Settings>,
        (tools, off): (&TableView<ToolList>, &TableView<ToolSwitch>),
        settings: &TableView<Settings>,
    ) -> Self {
        Self {
            bounds,
            written,
            tools: (tools.clone(), tools.changed()),
            off: (off.clone(), off.changed()),
            settings: (settings.clone(), settings.changed()),
            cache: Mutex::default(),
        }
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The environment of an organisation as of now.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn of(&self, org: OrgId) -> Result<Arc<Known>, Error> {
        let versions = [&self.tools.1, &self.off.1, &self.settings.1].map(|seen| *seen.borrow());
        let mut cache = self.cache();
        if cache.versions != versions {
            cache.versions = versions;
            cache.known.clear();
        }
        if let Some(known) = cache.known.get(&org) {
            return Ok(Arc::clone(known));
        }
        let known = Arc::new(self.made(org)?);
        cache.known.insert(org, Arc::clone(&known));
        Ok(known)
    }

    /// Waits until some service has listed its tools. After a start with a bus that lost its data the
    /// first runs would otherwise be answered without any.
    ///
    /// Returns whether one has within this time.
    pub async fn tools_listed(&self, patience: Duration) -> bool {
        let (tools, mut changed) = self.tools.clone();
        let listed = changed.wait_for(|_| !tools.all().is_empty());
        tokio::time::timeout(patience, listed).await.is_ok()
    }

    fn made(&self, org: OrgId) -> Result<Known, Error> {
        let mut settings = self.written.clone();
        settings.extend(self.settings.0.all());
        // What is said about others is none of this organisation's business.
        let (about_org, about_users) = (format!("org:{org}"), format!("user:{org}/"));
        settings
            .retain(|key, _| key == "global" || *key == about_org || key.starts_with(&about_users));
        let environment = Environment {
            bounds: self.bounds,
            tools: ToolList::by_name(self.tools.0.all()),
            off: self.off_for(org),
            settings,
        };
        let body = encode_environment(&environment)?;
        let hash = derive_id([b"environment".as_slice(), &body]).to_string();
        Ok(Known {
            environment,
            hash,
            body,
        })
    }

    fn off_for(&self, org: OrgId) -> BTreeSet<String> {
        let about = format!("{org}/");
        let keys = self.off.0.all().into_keys();
        keys.filter_map(|key| key.strip_prefix(&about).map(str::to_owned))
            .collect()
    }

    /// Whether this process has seen the environment stored.
    #[must_use]
    pub fn is_stored(&self, org: OrgId, known: &Known) -> bool {
        self.cache().stored.contains(&(org, known.hash.clone()))
    }

    /// These were stored.
    pub fn stored(&self, learned: impl IntoIterator<Item = (OrgId, String)>) {
        self.cache().stored.extend(learned);
    }
}
