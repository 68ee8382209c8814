//! Nexus with switches that break it on purpose.

fn main() -> std::process::ExitCode {
    nexus::main()
}
