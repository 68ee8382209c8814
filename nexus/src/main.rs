//! The `nexus` binary.

/// Messages are many small allocations on several threads: a fifth of a turn's processor time with
/// the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    nexus::main()
}
