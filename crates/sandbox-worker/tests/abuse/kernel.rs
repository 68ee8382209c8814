//! Cases 27, 28, 29 and 31: the kernel itself.

use nexus_sandbox::{ErrorKind::Exception, protocol::Probe};
use serde_json::json;

use crate::case::{Case, Expect, On};

fn case(number: u8, name: &'static str, monty: On, python: On) -> Case {
    Case {
        number,
        name,
        monty,
        python,
    }
}

/// What each attack on the kernel must see: that there is no such call.
fn no_such_calls(calls: &[(&str, i64, [i64; 4])]) -> On {
    let list: Vec<_> = calls
        .iter()
        .map(|(name, number, a)| format!("({name:?}, {number}, {a:?})"))
        .collect();
    let code = format!(
        "
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
found = []
for name, number, arguments in [{}]:
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) for a in arguments])
    if result != -1 or ctypes.get_errno() != 38: found.append([name, result, ctypes.get_errno()])
found",
        list.join(", ")
    );
    On::new(code, Expect::Gives(json!([])))
}

pub fn cases() -> Vec<Case> {
    let none = |code: &str| On::new(code, Expect::Kind(Exception));
    let user = i64::from(libc::CLONE_NEWUSER);
    let tracing = [
        ("ptrace", libc::SYS_ptrace, [0, 0, 0, 0]),
        (
            "ptrace attach to the first process",
            libc::SYS_ptrace,
            [16, 1, 0, 0],
        ),
        ("process_vm_readv", libc::SYS_process_vm_readv, [1, 0, 0, 0]),
        (
            "process_vm_writev",
            libc::SYS_process_vm_writev,
            [1, 0, 0, 0],
        ),
        ("kcmp", libc::SYS_kcmp, [1, 1, 0, 0]),
    ];
    let spaces = [
        ("unshare", libc::SYS_unshare, [user, 0, 0, 0]),
        ("setns", libc::SYS_setns, [0, user, 0, 0]),
        ("mount", libc::SYS_mount, [0, 0, 0, 0]),
        ("pivot_root", libc::SYS_pivot_root, [0, 0, 0, 0]),
        ("chroot", libc::SYS_chroot, [0, 0, 0, 0]),
        (
            "clone into a user namespace",
            libc::SYS_clone,
            [user | 17, 0, 0, 0],
        ),
        ("clone3", libc::SYS_clone3, [0, 0, 0, 0]),
        ("fsopen", libc::SYS_fsopen, [0, 0, 0, 0]),
    ];
    let rare = [
        ("keyctl", libc::SYS_keyctl, [0, -3, 0, 0]),
        ("add_key", libc::SYS_add_key, [0, 0, 0, 0]),
        ("bpf", libc::SYS_bpf, [0, 0, 0, 0]),
        ("io_uring_setup", libc::SYS_io_uring_setup, [1, 0, 0, 0]),
        ("userfaultfd", libc::SYS_userfaultfd, [1, 0, 0, 0]),
        ("perf_event_open", libc::SYS_perf_event_open, [0, 0, 0, 0]),
        ("memfd_create", libc::SYS_memfd_create, [0, 0, 0, 0]),
        ("execveat", libc::SYS_execveat, [0, 0, 0, 0]),
        ("shmget", libc::SYS_shmget, [0, 4096, 0x3b6, 0]),
        ("init_module", libc::SYS_init_module, [0, 0, 0, 0]),
    ];
    let terminal = [
        ("TIOCSTI", libc::SYS_ioctl, [1, 0x5412, 0, 0]),
        (
            "TIOCSTI with high bits",
            libc::SYS_ioctl,
            [1, 0x1_0000_5412, 0, 0],
        ),
        ("TIOCLINUX", libc::SYS_ioctl, [1, 0x541c, 0, 0]),
    ];
    let memory: &[Probe] = &[Probe::Memfd, Probe::Exec, Probe::ExecutableMemory];
    vec![
        case(
            27,
            "ptrace, process_vm_readv",
            none("import ctypes").probes(&[Probe::Ptrace]),
            no_such_calls(&tracing),
        ),
        case(
            28,
            "unshare, mount, setns",
            none("import ctypes").probes(&[Probe::Unshare]),
            no_such_calls(&spaces),
        ),
        case(
            29,
            "keyctl, bpf, io_uring and kin",
            none("import ctypes").probes(memory),
            no_such_calls(&rare),
        ),
        case(
            31,
            "TIOCSTI",
            none("import fcntl"),
            no_such_calls(&terminal),
        ),
    ]
}
