use std::{os::unix::process::CommandExt as _, process::Command};

use crate::{
    lockdown::{be_private, become_own_user, die_with, said},
    options::Options,
    sys,
};

/// The outer half of confining a program: a user of its own, tied to the executor, nothing inherited but
/// the three streams and the variables meant for the program; then becomes bubblewrap.
pub(crate) fn confine(options: &Options) -> Result<(), String> {
    sys::close_inherited().map_err(|e| said("close_range", e))?;
    if options.own_user {
        become_own_user();
    }
    be_private()?;
    die_with(options.parent.ok_or("--parent is missing")?)?;
    let (program, arguments) = options.command.split_first().ok_or("no command")?;
    let error = Command::new(program).args(arguments).exec();
    Err(format!("cannot start {}: {error}; install bubblewrap", program.display()))
}
