/// What can be left out to see whether a test notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// The system call filter.
    Seccomp,
    /// The interpreter's memory limit.
    MemoryLimit,
    /// The refusal to start with variables in the environment.
    EmptyEnvironment,
}

/// Which guards are on. The production program has [`Full`], a constant: there is no argument, variable or
/// file that turns a guard off, and the code that would is not compiled into it.
pub trait Guards {
    /// Whether this guard is on.
    fn on(&self, guard: Guard) -> bool;
}

/// All of them.
#[derive(Debug, Clone, Copy)]
pub struct Full;

impl Guards for Full {
    #[inline]
    fn on(&self, _guard: Guard) -> bool {
        true
    }
}
