//! Confinement with bubblewrap (`bwrap`, 0.8 or later).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Launch, LaunchError, Launched, Launcher, PATH, start};
use crate::config::{Confinement, Sandbox};

/// Where the system's packages put it.
const PLACES: [&str; 2] = ["/usr/bin/bwrap", "/usr/local/bin/bwrap"];
/// The system's programs and libraries. `/etc/ssl/private` and the like are not among them.
const SYSTEM: [&str; 12] = [
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
];
/// What finding other machines needs.
const NETWORK: [&str; 5] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/ca-certificates",
];

/// Starts programs in a sandbox, except those whose configuration says `sandbox: off`.
///
/// Inside: a user namespace without capabilities in which no other can be made, its own process
/// numbers, no network unless allowed, the system's programs read only, and a `/tmp` of bounded
/// size. The sandbox itself is started with the server's variables and no other, because what it
/// was started with can be read inside as `/proc/1/environ`.
#[derive(Debug, Clone)]
pub struct Bubblewrap {
    program: PathBuf,
}

impl Bubblewrap {
    /// With the `bwrap` of the system's packages, wherever they put it.
    #[must_use]
    pub fn of_system() -> Self {
        let found = PLACES.iter().map(PathBuf::from).find(|path| path.is_file());
        Self {
            program: found.unwrap_or_else(|| PathBuf::from(PLACES[0])),
        }
    }

    /// With this `bwrap`.
    #[must_use]
    pub fn at(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
        }
    }
}

impl Launcher for Bubblewrap {
    fn launch(&self, launch: &Launch<'_>) -> Result<Launched, LaunchError> {
        let Confinement::On(sandbox) = launch.sandbox else {
            return start(launch.command, launch.env);
        };
        if !self.program.is_file() {
            return Err(LaunchError::NoSandbox(self.program.display().to_string()));
        }
        let lists = sandbox.read.iter().chain(&sandbox.write);
        if let Some(missing) = lists.into_iter().find(|path| !path.exists()) {
            return Err(LaunchError::NoPath(missing.display().to_string()));
        }
        let mut command = vec![self.program.display().to_string()];
        command.extend(arguments(sandbox));
        command.push("--".to_owned());
        command.extend(launch.command.iter().cloned());
        start(&command, &environment(launch.env))
    }
}

fn environment(given: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let base = [
        ("PATH", PATH),
        ("HOME", "/tmp"),
        ("TMPDIR", "/tmp"),
        ("LANG", "C.UTF-8"),
    ];
    let mut env: BTreeMap<String, String> = base
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    env.extend(
        given
            .iter()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    env
}

fn arguments(sandbox: &Sandbox) -> Vec<String> {
    let mut words = Words::default();
    // `--unshare-all` alone makes a user namespace only where it can, lets more be made inside,
    // and leaves root all capabilities there.
    words.add(["--unshare-all", "--unshare-user", "--disable-userns"]);
    words.add(["--cap-drop", "ALL"]);
    if sandbox.network {
        words.add(["--share-net"]);
    }
    words.add([
        "--die-with-parent",
        "--new-session",
        "--hostname",
        "sandbox",
    ]);
    let network: &[&str] = if sandbox.network { &NETWORK } else { &[] };
    for path in SYSTEM.iter().chain(network) {
        words.system(Path::new(path));
    }
    words.add(["--proc", "/proc", "--dev", "/dev"]);
    let tmp = sandbox.tmp_bytes.to_string();
    words.add(["--perms", "0700", "--size", tmp.as_str(), "--tmpfs", "/tmp"]);
    for (kind, paths) in [("--ro-bind", &sandbox.read), ("--bind", &sandbox.write)] {
        for path in paths {
            let path = path.display().to_string();
            words.add([kind, path.as_str(), path.as_str()]);
        }
    }
    // Last: the root, and the folders made for the binds, lie in unbounded memory.
    words.add(["--remount-ro", "/dev", "--remount-ro", "/"]);
    let home = sandbox.write.iter().find(|path| path.is_dir());
    let home = home.map_or_else(|| "/tmp".to_owned(), |path| path.display().to_string());
    words.add(["--chdir", home.as_str()]);
    words.0
}

#[derive(Default)]
struct Words(Vec<String>);

impl Words {
    fn add<const N: usize>(&mut self, words: [&str; N]) {
        self.0.extend(words.map(ToOwned::to_owned));
    }

    /// A folder of the system, as a link where it is one: `/bin` is `usr/bin` on most.
    fn system(&mut self, path: &Path) {
        let name = path.display().to_string();
        match fs::read_link(path) {
            Ok(target) if !name.starts_with("/etc/") => {
                self.add(["--symlink", &target.display().to_string(), &name]);
            }
            _ => self.add(["--ro-bind-try", &name, &name]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_and_paths_are_let_in_only_when_named() {
        let closed = arguments(&Sandbox::default());
        assert!(
            !closed
                .iter()
                .any(|word| word == "--share-net" || word == "--bind")
        );
        let open = arguments(&Sandbox {
            network: true,
            read: vec!["/srv/a".into()],
            write: vec!["/srv/b".into()],
            tmp_bytes: 5000,
        });
        let text = open.join(" ");
        for part in [
            "--share-net",
            "--ro-bind /srv/a /srv/a",
            "--bind /srv/b /srv/b",
            "--size 5000 --tmpfs /tmp",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn without_a_sandbox_nothing_starts() {
        let launcher = Bubblewrap::at("/nowhere/bwrap");
        let launch = Launch {
            command: &["true".to_owned()],
            env: &BTreeMap::new(),
            sandbox: &Confinement::default(),
        };
        assert!(matches!(
            launcher.launch(&launch),
            Err(LaunchError::NoSandbox(_))
        ));
    }
}
