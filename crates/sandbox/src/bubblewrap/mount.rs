//! What a confined program finds, and where.

use std::{ffi::OsString, path::PathBuf};

/// Programs and libraries. `/etc/ssl/private` and the like are not among them.
pub(super) const SYSTEM: [&str; 13] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc/ld.so.cache",
    "/etc/alternatives",
    "/etc/localtime",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/certs",
];

/// What finding other machines needs.
pub(super) const NETWORK: [&str; 5] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/ca-certificates",
];

/// Those that every program may use. Not bubblewrap's `--dev`: for its terminals it makes, where the user is not root,
/// a second user namespace, from which the folders in memory can no longer be bounded.
/// Nor `/dev/zero`: shared, it is memory that no limit counts.
pub(super) const DEVICES: [&str; 4] = ["/dev/null", "/dev/full", "/dev/random", "/dev/urandom"];

/// Where shells look for open files.
pub(super) const STREAMS: [(&str, &str); 4] = [
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
];

/// What a program finds at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mount {
    ReadOnly(PathBuf, PathBuf),
    Writable(PathBuf, PathBuf),
    Memory(PathBuf, u64),
    Link(PathBuf, PathBuf),
    Device(&'static str),
    Processes,
}

impl Mount {
    pub(super) fn arguments(&self) -> Vec<OsString> {
        match self {
            Self::ReadOnly(from, at) => vec!["--ro-bind".into(), from.into(), at.into()],
            Self::Writable(from, at) => vec!["--bind".into(), from.into(), at.into()],
            Self::Memory(at, bytes) => {
                vec![
                    "--size".into(),
                    bytes.to_string().into(),
                    "--tmpfs".into(),
                    at.into(),
                ]
            }
            Self::Link(target, at) => vec!["--symlink".into(), target.into(), at.into()],
            Self::Device(path) => words(["--dev-bind", path, path]),
            Self::Processes => words(["--proc", "/proc"]),
        }
    }
}

pub(super) fn words<const N: usize>(words: [&str; N]) -> Vec<OsString> {
    words.map(OsString::from).into()
}
