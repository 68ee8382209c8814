//! The few system calls that no safe library offers.
#![expect(
    unsafe_code,
    reason = "raw system calls; each is alone in its function and says why it is sound"
)]

use std::io;

/// Closes every descriptor from 3 on, whoever forgot it.
pub(crate) fn close_inherited() -> io::Result<()> {
    // SAFETY: run first in a program of one thread that has opened nothing and keeps no descriptor yet.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// How many of the descriptors 3 to 1023 are open.
pub(crate) fn inherited() -> u32 {
    // SAFETY: asking for flags changes nothing, and an unused number is an answer, not an error here.
    (3..1024)
        .map(|fd| u32::from(unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0))
        .sum()
}

/// Makes a system call with integers alone, to see whether it is possible. True when it was.
pub(crate) fn possible(number: libc::c_long, arguments: [libc::c_long; 4]) -> bool {
    let [a, b, c, d] = arguments;
    // SAFETY: used only by the probes, with arguments that hold no pointer to memory the kernel would write.
    let result = unsafe { libc::syscall(number, a, b, c, d, 0, 0) };
    result >= 0
}

/// Maps one page of memory that can be written and executed. True when it was possible.
pub(crate) fn executable_page() -> bool {
    let rights = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no memory of ours.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), 4096, rights, kind, -1, 0) };
    page != libc::MAP_FAILED
}
