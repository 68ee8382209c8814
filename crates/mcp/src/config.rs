//! Which servers there are, what they may do, and how far they are trusted.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::names;

mod duration;
mod sandbox;

pub use sandbox::{Confinement, Sandbox};

/// All servers, by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Names are words of `[a-z0-9]` joined by single `_`, at most 24 bytes.
    pub servers: BTreeMap<String, Server>,
}

/// One server: a program (`command`) or an address (`url`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Program and arguments, spoken to over its standard input and output. Never a shell's line.
    pub command: Vec<String>,
    /// Streamable HTTP: `https`, or `http` to this machine alone. Redirects are not followed.
    pub url: Option<String>,
    /// Names of environment variables the program gets; it sees no other of ours.
    pub env: Vec<String>,
    /// Name of the variable with the bearer token for `url`.
    pub bearer_env: Option<String>,
    /// Header to send with every request → name of the variable with its value.
    pub headers_env: BTreeMap<String, String>,
    /// What the program can reach; `off` runs it with all rights of this process.
    pub sandbox: Confinement,
    /// Which of its tools exist for us.
    pub tools: Filter,
    /// Whether it may ask for completions of our models.
    pub sampling: bool,
    /// What the operator knows of it; what the server says of itself decides nothing.
    pub trust: Trust,
    /// For connecting and for each listing.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// For one call, when the caller names no shorter one.
    #[serde(with = "duration")]
    pub call_timeout: Duration,
    /// How often it is asked whether it lives, while it is idle.
    #[serde(with = "duration")]
    pub ping: Duration,
    /// Who approves tools.
    pub approve: Approval,
    /// How it is started again.
    pub restart: Restart,
    /// Sizes and numbers.
    pub limits: Limits,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            command: Vec::new(),
            url: None,
            env: Vec::new(),
            bearer_env: None,
            headers_env: BTreeMap::new(),
            sandbox: Confinement::default(),
            tools: Filter::default(),
            sampling: false,
            trust: Trust::default(),
            timeout: Duration::from_secs(30),
            call_timeout: Duration::from_mins(1),
            ping: Duration::from_secs(30),
            approve: Approval::default(),
            restart: Restart::default(),
            limits: Limits::default(),
        }
    }
}

/// Which tools of a server exist for us. Names are the server's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// These alone; empty: all.
    pub allow: Vec<String>,
    /// Never these.
    pub deny: Vec<String>,
}

impl Filter {
    /// Whether `tool` passes.
    #[must_use]
    pub fn passes(&self, tool: &str) -> bool {
        let named = |list: &[String]| list.iter().any(|name| name == tool);
        (self.allow.is_empty() || named(&self.allow)) && !named(&self.deny)
    }
}

/// What the operator knows of a server. What nothing is said of counts as the worse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "three independent labels, as the taint rules name them"
)]
pub struct Trust {
    /// Tools (by the server's names) that change nothing: may be repeated and run side by side.
    pub read_only: Vec<String>,
    /// Its results may hold what is private.
    pub private: bool,
    /// Its results may hold what strangers wrote.
    pub untrusted: bool,
    /// What it is given may leave this system.
    pub egress: bool,
}

impl Default for Trust {
    fn default() -> Self {
        Self {
            read_only: Vec::new(),
            private: true,
            untrusted: true,
            egress: true,
        }
    }
}

/// Who approves a tool before it is offered. A change of an approved tool always stops it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// The first listing of a server never seen is approved with its configuration; from then on
    /// every new or changed tool waits for a person.
    #[default]
    Pinned,
    /// Every tool waits for a person.
    Always,
}

/// How a server that ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Restart {
    /// The first wait; it doubles. At least 100 ms.
    #[serde(with = "duration")]
    pub first: Duration,
    /// The longest wait.
    #[serde(with = "duration")]
    pub most: Duration,
    /// Having been up for this long, the next wait is the first one again.
    #[serde(with = "duration")]
    pub stable: Duration,
}

impl Default for Restart {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            most: Duration::from_mins(5),
            stable: Duration::from_mins(1),
        }
    }
}

/// Sizes and numbers beyond which a server is not listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes of one message of the server, before it is parsed.
    pub message_bytes: usize,
    /// Bytes of one result as it is returned.
    pub result_bytes: usize,
    /// Tools that pass the filter.
    pub tools: usize,
    /// Bytes of one tool's definition.
    pub tool_bytes: usize,
    /// Calls at once.
    pub calls: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 4 << 20,
            result_bytes: 1 << 20,
            tools: 128,
            tool_bytes: 32 << 10,
            calls: 8,
        }
    }
}

impl Config {
    /// Whether it holds together.
    ///
    /// # Errors
    /// The first server that does not, and why.
    pub fn check(&self) -> Result<(), Error> {
        for (name, server) in &self.servers {
            server.check(name).map_err(|reason| Error::Config {
                server: name.clone(),
                reason,
            })?;
        }
        Ok(())
    }
}

impl Server {
    fn check(&self, name: &str) -> Result<(), String> {
        if !names::is_server(name) {
            return Err(
                "a server's name is words of a-z and 0-9 joined by single `_`, at most 24 \
                        bytes"
                    .to_owned(),
            );
        }
        match (self.command.first(), &self.url) {
            (Some(program), None) => self.check_program(program)?,
            (None, Some(url)) => self.check_url(url)?,
            _ => return Err("give either `command` or `url`".to_owned()),
        }
        self.check_numbers()
    }

    fn check_program(&self, program: &str) -> Result<(), String> {
        if program.trim().is_empty() || self.command.iter().any(|word| word.contains('\0')) {
            return Err("`command` must begin with a program and hold no NUL".to_owned());
        }
        if self.bearer_env.is_some() || !self.headers_env.is_empty() {
            return Err("`bearer_env` and `headers_env` go with `url`; use `env`".to_owned());
        }
        if let Some(bad) = self.env.iter().find(|name| !is_variable(name)) {
            return Err(format!("`env` holds names of variables, not `{bad}`"));
        }
        self.sandbox.check()
    }

    fn check_url(&self, url: &str) -> Result<(), String> {
        crate::http::check(url)?;
        if !self.env.is_empty() || self.sandbox != Confinement::default() {
            return Err("`env` and `sandbox` go with `command`".to_owned());
        }
        let variables = self.headers_env.values().chain(&self.bearer_env);
        match variables.into_iter().find(|name| !is_variable(name)) {
            Some(_) => Err(
                "`bearer_env` and `headers_env` hold names of variables, never the \
                            secret itself"
                    .to_owned(),
            ),
            None => Ok(()),
        }
    }

    fn check_numbers(&self) -> Result<(), String> {
        if self.restart.first < Duration::from_millis(100) || self.restart.most < self.restart.first
        {
            return Err("`restart.first` is at least 100ms, and `restart.most` no less".to_owned());
        }
        let waits = [self.timeout, self.call_timeout, self.ping];
        if waits.iter().any(|wait| *wait < Duration::from_millis(100)) {
            return Err("`timeout`, `call_timeout` and `ping` are at least 100ms".to_owned());
        }
        let Limits {
            message_bytes,
            result_bytes,
            tools,
            tool_bytes,
            calls,
        } = self.limits;
        if message_bytes < 4096 || [result_bytes, tools, tool_bytes, calls].contains(&0) {
            return Err("`limits` must not be 0, and `message_bytes` at least 4096".to_owned());
        }
        Ok(())
    }
}

fn is_variable(name: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(first) && name.chars().all(|c| first(c) || c.is_ascii_digit())
}

#[cfg(test)]
mod tests;
