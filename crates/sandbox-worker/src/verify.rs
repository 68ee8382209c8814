use rustix::process::{Resource, getrlimit};

use crate::sys;

/// Calls that work everywhere but behind the filter, each with arguments that do no harm where it is missing.
const FORBIDDEN: [(&str, libc::c_long, [libc::c_long; 4]); 5] = [
    (
        "ptrace",
        libc::SYS_ptrace,
        [libc::PTRACE_TRACEME as libc::c_long, 0, 0, 0],
    ),
    ("personality", libc::SYS_personality, [0xffff_ffff, 0, 0, 0]),
    (
        "memory that no limit counts",
        libc::SYS_mmap,
        [0, 4096, WRITABLE, SHARED],
    ),
    (
        "memory that grows by itself",
        libc::SYS_mmap,
        [0, 4096, WRITABLE, GROWING],
    ),
    ("semget", libc::SYS_semget, [0, 1, 0o600, 0]),
];

const WRITABLE: libc::c_long = (libc::PROT_READ | libc::PROT_WRITE) as libc::c_long;
const SHARED: libc::c_long = (libc::MAP_SHARED | libc::MAP_ANONYMOUS) as libc::c_long;
const GROWING: libc::c_long =
    (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_GROWSDOWN) as libc::c_long;

/// Run as the confined program itself: says what of its confinement does not hold.
pub(crate) fn verify() -> Result<(), String> {
    let possible = FORBIDDEN
        .iter()
        .find(|(_, number, arguments)| sys::possible(*number, *arguments));
    if let Some((name, ..)) = possible {
        return Err(format!("the system call filter lets {name} pass"));
    }
    let limits = [
        Resource::Nproc,
        Resource::Data,
        Resource::Nofile,
        Resource::Fsize,
        Resource::Core,
    ];
    let unlimited = limits
        .into_iter()
        .find(|it| getrlimit(*it).maximum.is_none());
    if let Some(resource) = unlimited {
        return Err(format!("there is no limit on {resource:?}"));
    }
    let held =
        rustix::thread::capabilities(None).map_err(|e| crate::lockdown::said("capget", e))?;
    if !held.permitted.is_empty() || !held.inheritable.is_empty() {
        return Err(format!("it holds capabilities: {held:?}"));
    }
    Ok(())
}
