//! The lists, without the calls that are allowed by their arguments.

#[expect(clippy::wildcard_imports, reason = "some two hundred names of one kind")]
use libc::*;

/// What an interpreter needs that computes and talks over three open descriptors.
pub(super) const INTERPRETER: &[i64] = &[
    SYS_munmap, SYS_mremap, SYS_madvise, SYS_brk, SYS_futex, SYS_exit, SYS_exit_group,
    SYS_rt_sigreturn, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_sigaltstack, SYS_clock_gettime,
    SYS_gettimeofday, SYS_getrandom, SYS_sched_yield, SYS_restart_syscall, SYS_getpid, SYS_gettid,
];

/// What a runtime like CPython needs, threads and files included. Not among them, besides all that needs a
/// privilege: `memfd_create`, `execveat`, `ptrace`, `process_vm_*`, `keyctl`, `bpf`, `io_uring_*`,
/// `userfaultfd`, `perf_event_open`, `unshare`, `setns`, `mount` and its kin, `clone3` (its flags cannot be
/// looked at; libraries then use `clone`), `shmget`, `mq_open` and `socket`.
pub(super) const COMMON: &[i64] = &[
    SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_preadv,
    SYS_pwritev, SYS_preadv2, SYS_pwritev2, SYS_close, SYS_close_range, SYS_lseek, SYS_mmap,
    SYS_mprotect, SYS_munmap, SYS_mremap, SYS_madvise, SYS_brk, SYS_mincore, SYS_msync,
    SYS_membarrier, SYS_futex, SYS_get_robust_list, SYS_set_robust_list, SYS_rseq,
    SYS_set_tid_address, SYS_sched_yield, SYS_sched_getaffinity, SYS_sched_setaffinity,
    SYS_sched_getparam, SYS_sched_getscheduler, SYS_sched_get_priority_max,
    SYS_sched_get_priority_min, SYS_getpriority, SYS_rt_sigaction, SYS_rt_sigprocmask,
    SYS_rt_sigreturn, SYS_rt_sigtimedwait, SYS_rt_sigpending, SYS_rt_sigsuspend, SYS_sigaltstack,
    SYS_kill, SYS_tkill, SYS_tgkill, SYS_restart_syscall, SYS_getpid, SYS_gettid, SYS_getppid,
    SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getresuid, SYS_getresgid, SYS_getgroups,
    SYS_getpgid, SYS_getsid, SYS_capget, SYS_uname, SYS_sysinfo, SYS_getrusage, SYS_prlimit64,
    SYS_setrlimit, SYS_getrlimit, SYS_getcpu, SYS_times, SYS_gettimeofday, SYS_clock_gettime,
    SYS_clock_getres, SYS_clock_nanosleep, SYS_nanosleep, SYS_getitimer, SYS_setitimer,
    SYS_timer_create, SYS_timer_settime, SYS_timer_gettime, SYS_timer_getoverrun,
    SYS_timer_delete, SYS_timerfd_create, SYS_timerfd_settime, SYS_timerfd_gettime, SYS_eventfd2,
    SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait, SYS_epoll_pwait2, SYS_ppoll, SYS_pselect6,
    SYS_pipe2, SYS_dup, SYS_dup3, SYS_fcntl, SYS_flock, SYS_fsync, SYS_fdatasync, SYS_ftruncate,
    SYS_truncate, SYS_fallocate, SYS_fadvise64, SYS_sync_file_range, SYS_openat, SYS_openat2,
    SYS_fstat, SYS_newfstatat, SYS_statx, SYS_faccessat, SYS_faccessat2, SYS_getcwd, SYS_chdir,
    SYS_fchdir, SYS_getdents64, SYS_readlinkat, SYS_mkdirat, SYS_unlinkat, SYS_renameat,
    SYS_renameat2, SYS_linkat, SYS_symlinkat, SYS_fchmod, SYS_fchmodat, SYS_fchown, SYS_fchownat,
    SYS_utimensat, SYS_umask, SYS_statfs, SYS_fstatfs, SYS_getxattr, SYS_lgetxattr, SYS_fgetxattr,
    SYS_listxattr, SYS_llistxattr, SYS_flistxattr, SYS_sendfile, SYS_splice, SYS_tee,
    SYS_copy_file_range, SYS_getrandom, SYS_prctl, SYS_exit, SYS_exit_group, SYS_execve,
    SYS_wait4, SYS_waitid, SYS_sendto, SYS_recvfrom, SYS_sendmsg, SYS_recvmsg, SYS_sendmmsg,
    SYS_recvmmsg, SYS_shutdown, SYS_getsockopt, SYS_setsockopt, SYS_getsockname, SYS_getpeername,
];

/// Older forms of some of them, which newer machines never had.
#[cfg(target_arch = "x86_64")]
pub(super) const COMMON_OLD: &[i64] = &[
    SYS_open, SYS_creat, SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_mkdir, SYS_rmdir,
    SYS_unlink, SYS_rename, SYS_link, SYS_symlink, SYS_chmod, SYS_chown, SYS_lchown, SYS_utime,
    SYS_utimes, SYS_futimesat, SYS_getdents, SYS_poll, SYS_select, SYS_pipe, SYS_dup2,
    SYS_epoll_create, SYS_epoll_wait, SYS_eventfd, SYS_alarm, SYS_pause, SYS_time, SYS_getpgrp,
    SYS_arch_prctl,
];
/// This machine has none.
#[cfg(not(target_arch = "x86_64"))]
pub(super) const COMMON_OLD: &[i64] = &[];

/// What programs need that start others and talk to them.
pub(super) const PROCESSES: &[i64] = &[
    SYS_bind, SYS_connect, SYS_listen, SYS_accept, SYS_accept4, SYS_setsid, SYS_setpgid,
    SYS_inotify_init1, SYS_inotify_add_watch, SYS_inotify_rm_watch, SYS_setpriority,
    SYS_pidfd_open, SYS_pidfd_send_signal, SYS_signalfd4, SYS_ioprio_get, SYS_mlock, SYS_munlock,
];

/// Older forms of some of them.
#[cfg(target_arch = "x86_64")]
pub(super) const PROCESSES_OLD: &[i64] = &[
    SYS_fork, SYS_vfork, SYS_inotify_init, SYS_signalfd,
];
/// This machine has none.
#[cfg(not(target_arch = "x86_64"))]
pub(super) const PROCESSES_OLD: &[i64] = &[];
