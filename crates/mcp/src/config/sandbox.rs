//! What a server's program can reach.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `off`, or what is let in. The default is a sandbox that lets in nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confinement {
    /// With all rights of this process: its files, its network, its processes.
    Off,
    /// In a sandbox; where none can be made, the server does not start.
    On(Sandbox),
}

impl Default for Confinement {
    fn default() -> Self {
        Self::On(Sandbox::default())
    }
}

/// What a sandboxed program can reach beside the system's own programs and libraries (read only)
/// and a `/tmp` of its own that is lost when it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sandbox {
    /// The network of this machine, loopback and neighbours included; otherwise none.
    pub network: bool,
    /// Files and folders it can read. Absolute.
    pub read: Vec<PathBuf>,
    /// Files and folders it can read and change. Absolute.
    pub write: Vec<PathBuf>,
    /// Bytes of its `/tmp`, which lies in memory.
    pub tmp_bytes: u64,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self {
            network: false,
            read: Vec::new(),
            write: Vec::new(),
            tmp_bytes: 64 << 20,
        }
    }
}

impl Confinement {
    pub(super) fn check(&self) -> Result<(), String> {
        let Self::On(sandbox) = self else {
            return Ok(());
        };
        for path in sandbox.read.iter().chain(&sandbox.write) {
            if !is_bindable(path) {
                return Err(format!(
                    "`sandbox` lists `{}`: write absolute paths without `..`, and neither `/` nor \
                     anything of /proc, /sys or /dev",
                    path.display()
                ));
            }
        }
        if sandbox.tmp_bytes < 4096 {
            return Err("`sandbox.tmp_bytes` is at least 4096".to_owned());
        }
        Ok(())
    }
}

fn is_bindable(path: &Path) -> bool {
    let mut parts = path.components();
    let rooted = parts.next() == Some(Component::RootDir);
    let rest: Vec<Component<'_>> = parts.collect();
    let plain = rest.iter().all(|part| matches!(part, Component::Normal(_)));
    let first = rest
        .first()
        .map(|part| part.as_os_str().to_string_lossy().into_owned());
    let ours = first.is_some_and(|name| !["proc", "sys", "dev"].contains(&name.as_str()));
    rooted && plain && ours
}

impl Serialize for Confinement {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => to.serialize_str("off"),
            Self::On(sandbox) => sandbox.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Confinement {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Confinement;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("`off`, or network, read, write and tmp_bytes")
            }

            // Some YAML readers take the word for a boolean.
            fn visit_bool<E: de::Error>(self, on: bool) -> Result<Confinement, E> {
                match on {
                    false => Ok(Confinement::Off),
                    true => Ok(Confinement::default()),
                }
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Confinement, E> {
                match word {
                    "off" => Ok(Confinement::Off),
                    _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Confinement, A::Error> {
                Sandbox::deserialize(MapAccessDeserializer::new(map)).map(Confinement::On)
            }
        }
        from.deserialize_any(Either)
    }
}
