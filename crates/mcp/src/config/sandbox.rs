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
    /// Bytes of its `/tmp`, which lies in memory. A file takes 16 KiB of it at least, beyond the first 4096.
    pub tmp_bytes: u64,
    /// Processes and threads together. The kernel does not hold root to it.
    pub tasks: u32,
    /// Bytes of memory that each process may write to. Not address space: node reserves far more of
    /// that than it uses.
    pub memory_bytes: u64,
    /// Open files and sockets of each process.
    pub open_files: u32,
    /// Bytes of the largest file it can make.
    pub file_bytes: u64,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self {
            network: false,
            read: Vec::new(),
            write: Vec::new(),
            tmp_bytes: 64 << 20,
            tasks: 256,
            memory_bytes: 2 << 30,
            open_files: 1024,
            file_bytes: 1 << 30,
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
        sandbox.check_numbers()
    }
}

impl Sandbox {
    /// Below these nothing starts, and the reason it gives would be hard to read.
    fn check_numbers(&self) -> Result<(), String> {
        for (name, value, least) in [
            ("tmp_bytes", self.tmp_bytes, 4096),
            ("tasks", self.tasks.into(), 8),
            ("memory_bytes", self.memory_bytes, 16 << 20),
            ("open_files", self.open_files.into(), 32),
            ("file_bytes", self.file_bytes, 4096),
        ] {
            if value < least {
                return Err(format!("`sandbox.{name}` is at least {least}"));
            }
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
                to.write_str("`off`, or what is let in and the limits")
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
