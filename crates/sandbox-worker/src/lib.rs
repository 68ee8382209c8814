#![doc = include_str!("../README.md")]

mod confine;
mod files;
mod guards;
mod inner;
mod interpreter;
mod lockdown;
mod options;
mod output;
mod probe;
mod seccomp;
mod serve;
mod sys;
mod value;
mod verify;

use std::{ffi::OsString, io::Write as _, process::ExitCode};

pub use guards::{Full, Guard, Guards};
use options::Options;

// Without this the interpreter ignores its memory limit, silently.
#[global_allocator]
static ALLOCATOR: monty_alloc::LimitedAllocator = monty_alloc::LimitedAllocator;

/// Does what the arguments (without the program's name) say: `monty`, `confine`, `inner` or `verify`.
///
/// Whatever cannot be done ends the program with code 3 and the reason on standard error.
#[must_use]
pub fn main(arguments: impl Iterator<Item = OsString>, guards: &impl Guards) -> ExitCode {
    let result = Options::parse(arguments).and_then(|options| match options.role.as_str() {
        "monty" => serve::serve(&options, guards),
        "confine" => confine::confine(&options),
        "inner" => inner::inner(&options, guards),
        "verify" => verify::verify(),
        role => Err(format!(
            "unknown role {role:?}: this program is started by Nexus, not by hand"
        )),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            drop(writeln!(std::io::stderr(), "nexus-sandbox: {reason}"));
            ExitCode::from(3)
        }
    }
}
