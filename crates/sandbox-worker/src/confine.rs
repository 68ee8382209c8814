use std::{os::unix::process::CommandExt as _, process::Command};

use crate::{
    lockdown::{be_private, become_own_user, begin_session, die_with, said},
    options::Options,
    sys,
};

/// The outer half of confining a program: a user of its own, tied to the executor, nothing inherited but
/// the three streams and the variables meant for the program; then becomes bubblewrap.
pub(crate) fn confine(options: &Options) -> Result<(), String> {
    begin_session()?;
    sys::close_inherited().map_err(|e| said("close_range", e))?;
    let here = std::env::current_exe().map_err(|e| said("finding this program", e))?;
    if options.own_user {
        become_own_user();
    }
    // bubblewrap puts this program into the sandbox, and is that user by then.
    if std::fs::File::open(&here).is_err() {
        return Err(format!(
            "{} lies where only root can read it, and what is confined runs as a user of its own; \
             install it where everybody can, such as /usr/libexec",
            here.display()
        ));
    }
    be_private()?;
    die_with(options.parent.ok_or("--parent is missing")?)?;
    let (program, arguments) = options.command.split_first().ok_or("no command")?;
    let error = Command::new(program).args(arguments).exec();
    Err(format!(
        "cannot start {}: {error}; install bubblewrap",
        program.display()
    ))
}
