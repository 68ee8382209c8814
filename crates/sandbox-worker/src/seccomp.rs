//! Which system calls are left. Lists of what is allowed: what a kernel learns tomorrow is not.

mod calls;

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Width, SeccompCmpOp as Is, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

/// What happens to every other call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Else {
    /// The process ends: nothing but an attack makes such a call.
    Death,
    /// The call is said not to exist, so that libraries take their older way.
    NotThere,
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Namespaces that `clone` could make.
const NAMESPACES: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u64;

/// For the interpreter: the protocol's descriptors, memory without code, its own end.
pub(crate) fn interpreter() -> Result<Rules, String> {
    let mut rules = always(calls::INTERPRETER);
    let descriptor = |number: u64| one(0, Width::Dword, Is::Eq, number);
    rules.insert(libc::SYS_read, vec![descriptor(0)?]);
    rules.insert(
        libc::SYS_write,
        vec![descriptor(0)?, descriptor(1)?, descriptor(2)?],
    );
    let no_code = one(2, Width::Qword, Is::MaskedEq(libc::PROT_EXEC as u64), 0)?;
    rules.insert(libc::SYS_mmap, vec![no_code.clone()]);
    rules.insert(libc::SYS_mprotect, vec![no_code]);
    // Its own limits, which it can only lower.
    rules.insert(libc::SYS_prlimit64, vec![one(0, Width::Dword, Is::Eq, 0)?]);
    let own = u64::from(std::process::id());
    rules.insert(libc::SYS_tgkill, vec![one(0, Width::Dword, Is::Eq, own)?]);
    Ok(rules)
}

/// For a program in bubblewrap, by the name of its list: `code`, `program` or `network`.
pub(crate) fn program(name: &str) -> Result<Rules, String> {
    let mut rules = always(calls::COMMON);
    rules.extend(always(calls::COMMON_OLD));
    // Pushing characters into a terminal, in both ways.
    let terminal =
        [libc::TIOCSTI, libc::TIOCLINUX].map(|request| (1, Width::Dword, Is::Ne, request));
    rules.insert(libc::SYS_ioctl, vec![all(terminal)?]);
    rules.insert(libc::SYS_mmap, memory()?);
    let unix = one(0, Width::Dword, Is::Eq, libc::AF_UNIX as u64)?;
    rules.insert(libc::SYS_socketpair, vec![unix.clone()]);
    let thread = libc::CLONE_THREAD as u64;
    match name {
        "code" => {
            let only = Is::MaskedEq(NAMESPACES | thread);
            rules.insert(libc::SYS_clone, vec![one(0, Width::Qword, only, thread)?]);
        }
        "program" | "network" => {
            rules.extend(always(calls::PROCESSES));
            rules.extend(always(calls::PROCESSES_OLD));
            rules.insert(
                libc::SYS_clone,
                vec![one(0, Width::Qword, Is::MaskedEq(NAMESPACES), 0)?],
            );
            let mut sockets = vec![unix];
            if name == "network" {
                sockets.push(one(0, Width::Dword, Is::Eq, libc::AF_INET as u64)?);
                sockets.push(one(0, Width::Dword, Is::Eq, libc::AF_INET6 as u64)?);
                // Resolvers ask the kernel for its addresses: the routing protocol, and no other.
                let netlink = (0, Width::Dword, Is::Eq, libc::AF_NETLINK as u64);
                sockets.push(all([
                    netlink,
                    (2, Width::Dword, Is::Eq, libc::NETLINK_ROUTE as u64),
                ])?);
            }
            rules.insert(libc::SYS_socket, sockets);
        }
        other => return Err(format!("there is no list of system calls named {other:?}")),
    }
    Ok(rules)
}

/// Kinds of memory that a limit counts: private, or of a file, which lies in a folder that is bounded. The limit on
/// data knows neither what is shared without a file nor what grows by itself.
fn memory() -> Result<Vec<SeccompRule>, String> {
    let only = |mask: i32, is: i32| {
        let mask = (libc::MAP_TYPE | libc::MAP_GROWSDOWN | mask) as u64;
        one(3, Width::Dword, Is::MaskedEq(mask), is as u64)
    };
    Ok(vec![
        only(0, libc::MAP_PRIVATE)?,
        only(libc::MAP_ANONYMOUS, libc::MAP_SHARED)?,
    ])
}

/// Puts the filter on this process for good.
pub(crate) fn apply(rules: Rules, otherwise: Else) -> Result<(), String> {
    let otherwise = match otherwise {
        Else::Death => SeccompAction::KillProcess,
        Else::NotThere => SeccompAction::Errno(libc::ENOSYS.unsigned_abs()),
    };
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|e| e.to_string())?;
    let filter = SeccompFilter::new(rules, otherwise, SeccompAction::Allow, arch)
        .map_err(|e| e.to_string())?;
    let program = BpfProgram::try_from(filter).map_err(|e| e.to_string())?;
    seccompiler::apply_filter(&program)
        .map_err(|e| format!("the system call filter is refused: {e}"))
}

fn always(calls: &[i64]) -> Rules {
    calls.iter().map(|call| (*call, Vec::new())).collect()
}

fn one(argument: u8, width: Width, is: Is, value: u64) -> Result<SeccompRule, String> {
    all([(argument, width, is, value)])
}

fn all<const N: usize>(conditions: [(u8, Width, Is, u64); N]) -> Result<SeccompRule, String> {
    let conditions = conditions
        .into_iter()
        .map(|(argument, width, is, value)| SeccompCondition::new(argument, width, is, value))
        .collect::<Result<Vec<_>, _>>();
    conditions
        .and_then(SeccompRule::new)
        .map_err(|e| e.to_string())
}
