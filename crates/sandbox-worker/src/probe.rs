use std::os::unix::process::CommandExt as _;

use nexus_sandbox::protocol::Probe;

use crate::sys;

/// Tries it. In a locked process the kernel ends the process here; that it returns is the bad news, and
/// whether it worked the worse one.
pub(crate) fn attempt(what: Probe) -> bool {
    match what {
        Probe::OpenFile => std::fs::File::open("/etc/ld.so.cache").is_ok(),
        Probe::Socket => std::net::UdpSocket::bind("127.0.0.1:0").is_ok(),
        // When it is possible, the other program ends without an answer.
        Probe::Exec => std::process::Command::new("/bin/true")
            .exec()
            .raw_os_error()
            .is_none(),
        Probe::Thread => std::thread::Builder::new().spawn(|| ()).is_ok(),
        Probe::Fork => fork(),
        Probe::Ptrace => sys::possible(libc::SYS_ptrace, [libc::PTRACE_TRACEME.into(), 0, 0, 0]),
        Probe::Unshare => sys::possible(libc::SYS_unshare, [libc::CLONE_NEWUSER.into(), 0, 0, 0]),
        Probe::Memfd => rustix::fs::memfd_create("probe", rustix::fs::MemfdFlags::CLOEXEC).is_ok(),
        Probe::ExecutableMemory => sys::executable_page(),
    }
}

/// Without flags or a stack `clone` is `fork`.
fn fork() -> bool {
    let before = rustix::process::getpid();
    let possible = sys::possible(libc::SYS_clone, [libc::SIGCHLD.into(), 0, 0, 0]);
    if rustix::process::getpid() != before {
        std::process::abort();
    }
    possible
}
