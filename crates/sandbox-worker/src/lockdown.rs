//! What a process gives up before it meets anybody's code.

use std::io;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, Ruleset, RulesetAttr as _, RulesetStatus, Scope,
};
use rustix::{
    process::{
        DumpableBehavior, Resource, Rlimit, Signal, getppid, set_dumpable_behavior, setrlimit,
    },
    thread::{Gid, Uid},
};

/// Users from here on belong to nobody (systemd leaves `0x7000_0000` to `0x7fff_ffff` unassigned); a process
/// takes the one with its own number added, so no two running at once share one.
const FIRST_USER: u32 = 0x7000_0000;

/// Started as root, becomes a user whom nobody else is: the kernel's limit on tasks does not hold for root,
/// and counts per user. Where that is not allowed the process stays who it is, which is not the real root.
pub(crate) fn become_own_user() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let number = FIRST_USER
        + rustix::process::getpid()
            .as_raw_nonzero()
            .get()
            .unsigned_abs();
    let (user, group) = (Uid::from_raw(number), Gid::from_raw(number));
    let _ = rustix::thread::set_thread_groups(&[]);
    let _ = rustix::thread::set_thread_res_gid(group, group, group);
    let _ = rustix::thread::set_thread_res_uid(user, user, user);
}

/// Begins a session: nobody's terminal belongs to it, and who started it can end all of its group, which is
/// bubblewrap while it starts too. bubblewrap's own `--new-session` would leave that group before its
/// processes are tied to their parents, and one whose monitor is killed just then would stay.
pub(crate) fn begin_session() -> Result<(), String> {
    rustix::process::setsid()
        .map(drop)
        .map_err(|e| said("setsid", e))
}

/// Ties this process to its parent's life. After any change of user, which would untie it.
pub(crate) fn die_with(parent: u32) -> Result<(), String> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|e| said("prctl", e))?;
    let is = getppid().map_or(0, |pid| pid.as_raw_nonzero().get().unsigned_abs());
    if is == parent {
        Ok(())
    } else {
        Err("the process that started this one is gone".to_owned())
    }
}

/// No core dump, no other process of the user looks in.
pub(crate) fn be_private() -> Result<(), String> {
    // One byte, not none: a limit of 0 does not keep the kernel from piping a dump to a program, 1 does.
    limit(Resource::Core, 1)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|e| said("prctl", e))
}

/// Sets a limit for good, never above what is already the most.
pub(crate) fn limit(resource: Resource, value: u64) -> Result<(), String> {
    let most = rustix::process::getrlimit(resource).maximum;
    let value = most.map_or(value, |most| value.min(most));
    let new = Rlimit {
        current: Some(value),
        maximum: Some(value),
    };
    setrlimit(resource, new).map_err(|e| said("setrlimit", e))
}

/// Room for deep recursion of the parser and the interpreter, as far as this is allowed.
pub(crate) fn grow_stack() {
    const STACK: u64 = 64 << 20;
    let is = rustix::process::getrlimit(Resource::Stack);
    let value = is.maximum.map_or(STACK, |most| STACK.min(most));
    let _ = setrlimit(
        Resource::Stack,
        Rlimit {
            current: Some(value),
            maximum: Some(value),
        },
    );
}

/// Address space this process holds now, in bytes.
pub(crate) fn address_space() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    pages.unwrap_or(1 << 18) * rustix::param::page_size() as u64
}

/// Denies every file, port and foreign abstract socket, as far as this kernel can: `full`, `partial` or
/// `none`. It is the second wall behind the system call filter, so an old kernel is no reason to refuse.
pub(crate) fn landlock() -> String {
    let abi = ABI::V6;
    let restricted = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))
        .and_then(|r| r.handle_access(AccessNet::from_all(abi)))
        .and_then(|r| r.scope(Scope::from_all(abi)))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self);
    match restricted.map(|status| status.ruleset) {
        Ok(RulesetStatus::FullyEnforced) => "full",
        Ok(RulesetStatus::PartiallyEnforced) => "partial",
        Ok(RulesetStatus::NotEnforced) | Err(_) => "none",
    }
    .to_owned()
}

pub(crate) fn said(what: &str, error: impl Into<io::Error>) -> String {
    format!("{what} failed: {}", error.into())
}
