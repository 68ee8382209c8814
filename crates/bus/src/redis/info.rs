//! What is known about the server, in words.

use std::collections::HashMap;

use ::redis::cmd;

use super::{Call, Core, wire};
use crate::{BusError, ServerInfo};

/// The oldest version the backend is tested on.
const FLOOR: u64 = 7;

pub(super) async fn info(core: &Core) -> Result<ServerInfo, BusError> {
    let text = wire::text(core.link.repeat(Call::Command(&cmd("INFO"))).await?)?;
    let facts = Facts {
        info: parse(&text),
        fsync: setting(core, "appendfsync").await,
    };
    Ok(ServerInfo {
        kind: "redis",
        version: facts.get("redis_version").to_owned(),
        durability: facts.durability(),
        warnings: facts.warnings(),
    })
}

/// A setting, where the server lets one ask.
async fn setting(core: &Core, name: &str) -> Option<String> {
    let mut ask = cmd("CONFIG");
    ask.arg("GET").arg(name);
    let reply = core.link.repeat(Call::Command(&ask)).await.ok()?;
    wire::list(reply)
        .ok()?
        .into_iter()
        .nth(1)
        .and_then(|value| wire::text(value).ok())
}

fn parse(text: &str) -> HashMap<String, String> {
    let pair = |line: &str| {
        line.trim_end()
            .split_once(':')
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    text.lines().filter_map(pair).collect()
}

struct Facts {
    info: HashMap<String, String>,
    fsync: Option<String>,
}

impl Facts {
    fn get(&self, name: &str) -> &str {
        self.info.get(name).map_or("", String::as_str)
    }

    fn appends(&self) -> bool {
        self.get("aof_enabled") == "1"
    }

    fn durability(&self) -> String {
        if !self.appends() {
            return "no append-only file: when the server stops, everything since its last \
                    snapshot is lost"
                .to_owned();
        }
        match self.fsync.as_deref() {
            Some("always") => "append-only file, synced at every write: survives a power cut",
            Some("everysec") => {
                "append-only file, synced every second: survives kill -9; a power cut may cost \
                 the last second"
            }
            Some("no") => {
                "append-only file, synced when the system likes: survives kill -9; a power cut \
                 may cost half a minute"
            }
            _ => "append-only file; how often it is synced is not told",
        }
        .to_owned()
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut warn = |when: bool, text: String| {
            if when {
                warnings.push(text);
            }
        };
        let version = self.get("redis_version");
        let major = version
            .split('.')
            .next()
            .and_then(|major| major.parse::<u64>().ok());
        warn(
            major.is_some_and(|major| major < FLOOR),
            format!("version {version} is older than {FLOOR}.0; upgrade"),
        );
        let policy = self.get("maxmemory_policy");
        warn(
            policy != "noeviction",
            format!(
                "maxmemory-policy is `{policy}`: with memory full whole channels would be \
                 evicted; set it to noeviction"
            ),
        );
        warn(
            !self.appends(),
            "appendonly is off; set `appendonly yes` to keep messages over a restart".to_owned(),
        );
        warn(
            self.get("aof_last_write_status") == "err",
            "the append-only file cannot be written; look at the server's log and disk".to_owned(),
        );
        warn(
            self.get("role") == "slave",
            "this server is a replica and takes no writes; connect to its master".to_owned(),
        );
        warn(
            self.get("redis_mode") == "cluster",
            "this server is part of a cluster, which is not supported; use one server, with \
             replicas where needed"
                .to_owned(),
        );
        let replicas = self
            .get("connected_slaves")
            .parse::<u64>()
            .unwrap_or_default();
        warn(
            replicas > 0 && self.get("min_slaves_good_slaves").is_empty(),
            "replication is asynchronous: set min-replicas-to-write, or a failover may lose what \
             was acknowledged last"
                .to_owned(),
        );
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(text: &str) -> Facts {
        Facts {
            info: parse(text),
            fsync: Some("everysec".to_owned()),
        }
    }

    #[test]
    fn a_well_kept_server_gets_no_warnings() {
        let good = "redis_version:7.0.15\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n\
                    aof_last_write_status:ok\r\nrole:master\r\nredis_mode:standalone\r\n";
        assert_eq!(facts(good).warnings(), Vec::<String>::new());
        assert!(facts(good).durability().contains("kill -9"));
    }

    #[test]
    fn each_danger_is_named_with_its_remedy() {
        let bad = "redis_version:6.2.1\r\nmaxmemory_policy:allkeys-lru\r\naof_enabled:0\r\n\
                   role:slave\r\nredis_mode:cluster\r\nconnected_slaves:1\r\n";
        let warnings = facts(bad).warnings().join("\n");
        for word in [
            "upgrade",
            "noeviction",
            "appendonly",
            "master",
            "cluster",
            "min-replicas",
        ] {
            assert!(warnings.contains(word), "{word} is not in:\n{warnings}");
        }
    }
}
