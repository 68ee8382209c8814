//! All servers of a configuration, running.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::call::{CallError, Meta, near};
use crate::client::Sampler;
use crate::config::{Config, Trust};
use crate::content::CallResult;
use crate::definition::Pin;
use crate::error::Error;
use crate::launch::Launcher;
use crate::names;
use crate::pins::{Change, Pins};
use crate::reading::{PromptInfo, PromptText, ResourceInfo};
use crate::schema::prose;
use crate::server::status::{Health, Status};
use crate::server::supervise::supervise;
use crate::server::{Entry, Live, Shared, Surroundings};
use crate::text;

/// Longer than a server is given to end.
const STOPPING: Duration = Duration::from_secs(10);

/// The value of a variable, by its name.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What a fleet needs from its owner.
pub struct Parts {
    /// How programs are started: [`Bubblewrap`](crate::Bubblewrap).
    pub launcher: Arc<dyn Launcher>,
    /// Where approvals are kept.
    pub pins: Arc<dyn Pins>,
    /// The value of a variable that a server's configuration names.
    pub environment: Environment,
    /// Answers servers with `sampling: true`; without it none is answered.
    pub sampler: Option<Arc<dyn Sampler>>,
}

/// A tool that may be used.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tool {
    /// The name models call it by.
    pub name: String,
    /// Its server.
    pub server: String,
    /// The server's own name for it.
    pub own_name: String,
    /// For people; cleaned.
    pub title: Option<String>,
    /// For the model, without hidden characters. Untrusted.
    pub description: String,
    /// JSON Schema of the arguments, as approved; its words without hidden characters.
    pub input: Value,
    /// JSON Schema of the structured result, likewise.
    pub output: Option<Value>,
    /// The approved definition; pass it in [`Meta::pin`].
    pub pin: Pin,
    /// Whether the operator says that it changes nothing.
    pub read_only: bool,
    /// What the operator says of the server.
    pub trust: Trust,
    /// Whether its server can be called now.
    pub ready: bool,
}

/// All servers. Cloning gives another handle; when the last is dropped, every server is killed.
#[derive(Clone)]
pub struct Fleet(Arc<Inner>);

struct Inner {
    around: Arc<Surroundings>,
    pins: Arc<dyn Pins>,
    servers: RwLock<BTreeMap<String, Member>>,
    /// One change of the configuration at a time.
    applying: tokio::sync::Mutex<()>,
    tasks: Mutex<JoinSet<()>>,
    news: watch::Sender<u64>,
}

#[derive(Clone)]
struct Member {
    shared: Arc<Shared>,
    stop: CancellationToken,
}

impl Fleet {
    /// A fleet without servers; [`apply`](Self::apply) brings them.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner {
            around: Arc::new(Surroundings {
                launcher: parts.launcher,
                environment: parts.environment,
                sampler: parts.sampler,
            }),
            pins: parts.pins,
            servers: RwLock::default(),
            applying: tokio::sync::Mutex::default(),
            tasks: Mutex::default(),
            news: watch::channel(0).0,
        }))
    }

    /// Makes the servers those of `config`: stops what is gone or changed, starts what is new or
    /// changed, and leaves alone what is as before. Returns when what is to stop has stopped; the
    /// new ones start meanwhile.
    ///
    /// # Errors
    /// [`Error::Config`]: nothing was changed then.
    pub async fn apply(&self, config: &Config) -> Result<(), Error> {
        config.check()?;
        let _one = self.0.applying.lock().await;
        let keeps = |name: &String, member: &Member| {
            config
                .servers
                .get(name)
                .is_some_and(|wanted| *wanted == member.shared.config)
        };
        let leaving: BTreeMap<String, Member> = {
            let mut servers = self.0.servers.write();
            servers
                .extract_if(.., |name, member| !keeps(name, member))
                .collect()
        };
        stop(leaving.into_values().collect(), &self.0.news).await;
        for (name, wanted) in &config.servers {
            if !self.0.servers.read().contains_key(name) {
                self.start(name, wanted.clone());
            }
        }
        Ok(())
    }

    fn start(&self, name: &str, config: crate::config::Server) {
        let pins = Arc::clone(&self.0.pins);
        let shared = Arc::new(Shared::new(name, config, pins, self.0.news.clone()));
        let stop = CancellationToken::new();
        let around = Arc::clone(&self.0.around);
        {
            let mut tasks = self.0.tasks.lock();
            while tasks.try_join_next().is_some() {}
            tasks.spawn(supervise(Arc::clone(&shared), around, stop.clone()));
        }
        self.0
            .servers
            .write()
            .insert(name.to_owned(), Member { shared, stop });
    }

    /// Stops every server, and returns when none is left.
    pub async fn shutdown(&self) {
        let _one = self.0.applying.lock().await;
        let leaving = std::mem::take(&mut *self.0.servers.write());
        stop(leaving.into_values().collect(), &self.0.news).await;
        let mut tasks = std::mem::take(&mut *self.0.tasks.lock());
        tasks.shutdown().await;
    }

    /// Changes with every change of a status, a listing or an approval.
    #[must_use]
    pub fn news(&self) -> watch::Receiver<u64> {
        self.0.news.subscribe()
    }

    /// How every server is.
    #[must_use]
    pub fn statuses(&self) -> Vec<Status> {
        self.members()
            .iter()
            .map(|shared| shared.status())
            .collect()
    }

    /// The tools that may be used, of all servers, in order of their names.
    #[must_use]
    pub fn tools(&self) -> Vec<Tool> {
        let mut tools = Vec::new();
        for shared in self.members() {
            let Some(listing) = shared.listing() else {
                continue;
            };
            let live = shared.live();
            tools.extend(
                listing
                    .approved()
                    .map(|(name, entry)| offer(&shared, name, entry, live.as_ref())),
            );
        }
        tools
    }

    /// The tools that wait for a person, with what was approved before.
    #[must_use]
    pub fn pending(&self) -> Vec<Change> {
        let listed = |shared: &Arc<Shared>| shared.listing().map(|it| it.changes(&shared.name));
        self.members().iter().filter_map(listed).flatten().collect()
    }

    /// Approves `tool` (the server's own name) as `pin` says it is.
    ///
    /// # Errors
    /// [`Error::Moved`] when it is another by now; [`Error::UnknownTool`], [`Error::UnknownServer`];
    /// [`Error::Pins`] when it could not be kept: it is not approved then.
    pub async fn approve(&self, server: &str, tool: &str, pin: &Pin) -> Result<(), Error> {
        self.server(server)?.approve(tool, pin).await
    }

    /// Lists the tools of a server anew and reads its approvals again; starts it at once where it
    /// waits to be started.
    ///
    /// # Errors
    /// [`Error::UnknownServer`].
    pub fn refresh(&self, server: &str) -> Result<(), Error> {
        self.server(server)?.nudge();
        Ok(())
    }

    /// Calls the tool offered as `tool`. Dropping the future tells the server that nobody waits.
    ///
    /// # Errors
    /// See [`CallError`]; what may have had an effect says so.
    pub async fn call(
        &self,
        tool: &str,
        arguments: Value,
        meta: Meta,
    ) -> Result<CallResult, CallError> {
        let server = names::server_of(tool).and_then(|name| self.server(name).ok());
        let Some(server) = server else {
            let names: Vec<String> = self.tools().into_iter().map(|tool| tool.name).collect();
            return Err(CallError::UnknownTool {
                name: text::line(tool, 200),
                near: near(tool, names.iter()),
            });
        };
        Box::pin(server.call(tool, arguments, meta)).await
    }

    /// The resources of a server.
    ///
    /// # Errors
    /// [`Error::UnknownServer`], [`Error::Reading`].
    pub async fn resources(&self, server: &str) -> Result<Vec<ResourceInfo>, Error> {
        self.server(server)?.resources().await
    }

    /// Reads a resource through its server.
    ///
    /// # Errors
    /// [`Error::UnknownServer`], [`Error::Reading`].
    pub async fn read_resource(&self, server: &str, uri: &str) -> Result<CallResult, Error> {
        self.server(server)?.read_resource(uri).await
    }

    /// The prompts of a server.
    ///
    /// # Errors
    /// [`Error::UnknownServer`], [`Error::Reading`].
    pub async fn prompts(&self, server: &str) -> Result<Vec<PromptInfo>, Error> {
        self.server(server)?.prompts().await
    }

    /// A prompt of a server, filled in.
    ///
    /// # Errors
    /// [`Error::UnknownServer`], [`Error::Reading`].
    pub async fn prompt(
        &self,
        server: &str,
        name: &str,
        arguments: Map<String, Value>,
    ) -> Result<Vec<PromptText>, Error> {
        self.server(server)?.prompt(name, arguments).await
    }

    fn members(&self) -> Vec<Arc<Shared>> {
        let servers = self.0.servers.read();
        servers
            .values()
            .map(|member| Arc::clone(&member.shared))
            .collect()
    }

    fn server(&self, name: &str) -> Result<Arc<Shared>, Error> {
        let servers = self.0.servers.read();
        let member = servers.get(name);
        member
            .map(|member| Arc::clone(&member.shared))
            .ok_or_else(|| Error::UnknownServer(text::line(name, 100)))
    }
}

/// Until all of `members` stopped, within reason: a supervisor that hangs must not hang its owner.
async fn stop(members: Vec<Member>, news: &watch::Sender<u64>) {
    for member in &members {
        member.stop.cancel();
    }
    let mut news = news.subscribe();
    let stopped = || {
        members
            .iter()
            .all(|member| member.shared.health() == Health::Stopped)
    };
    let _ = tokio::time::timeout(STOPPING, news.wait_for(|_| stopped())).await;
}

fn offer(shared: &Shared, name: &str, entry: &Entry, live: Option<&Live>) -> Tool {
    let definition = &entry.definition;
    let most = shared.config.limits.tool_bytes;
    let trust = shared.config.trust.clone();
    Tool {
        name: name.to_owned(),
        server: shared.name.clone(),
        own_name: definition.name.clone(),
        title: definition
            .title
            .as_deref()
            .map(|title| text::line(title, 200)),
        description: text::clean(definition.description.as_deref().unwrap_or_default(), most),
        input: prose::shown(&definition.input),
        output: definition.output.as_ref().map(prose::shown),
        pin: entry.pin.clone(),
        read_only: trust.read_only.contains(&definition.name),
        trust,
        ready: live.is_some(),
    }
}
