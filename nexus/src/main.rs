//! The `nexus` binary.

/// Messages are many small allocations on several threads: about a tenth of a turn's time with
/// the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    nexus::main()
}
