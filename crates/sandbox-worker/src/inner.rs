use std::{ffi::CString, os::unix::process::CommandExt as _, process::Command};

use rustix::{
    mount::{MountFlags, mount_remount},
    process::Resource,
    thread::{CapabilitySet, CapabilitySets},
};

use crate::{
    guards::{Guard, Guards},
    lockdown::{limit, said},
    options::Options,
    seccomp,
};

/// Files a folder in memory may hold, whatever its size. The kernel's own bound is half the pages of the machine,
/// a kilobyte of its memory each, and counts towards no limit.
const INODES: u64 = 4096;
/// A larger folder may hold one more for each of so many bytes.
const BYTES_FOR_INODE: u64 = 16 << 10;

/// The inner half, within bubblewrap's namespaces: bounds the folders, gives up the capabilities that this
/// needs, sets the limits and the filter, and becomes the program.
pub(crate) fn inner(options: &Options, guards: &impl Guards) -> Result<(), String> {
    for (path, bytes) in &options.folders {
        let inodes = INODES.max(bytes / BYTES_FOR_INODE);
        let data =
            CString::new(format!("size={bytes},nr_inodes={inodes}")).map_err(|e| e.to_string())?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        mount_remount(path.as_path(), flags, data.as_c_str())
            .map_err(|e| said("remounting a folder", e))?;
    }
    give_up_capabilities()?;
    for (resource, value) in [
        (Resource::Nproc, options.tasks),
        (Resource::Data, options.memory),
        (Resource::Nofile, options.descriptors),
        (Resource::Fsize, options.file),
        (Resource::Core, Some(1)),
        (Resource::Memlock, Some(0)),
        (Resource::Msgqueue, Some(0)),
    ] {
        if let Some(value) = value {
            limit(resource, value)?;
        }
    }
    let (program, arguments) = options.command.split_first().ok_or("no command")?;
    let mut command = Command::new(program);
    command.args(arguments);
    if guards.on(Guard::Seccomp) {
        seccomp::apply(seccomp::program(&options.calls)?, seccomp::Else::NotThere)?;
    }
    let error = command.exec();
    Err(format!(
        "cannot start {} within the sandbox: {error}",
        program.display()
    ))
}

fn give_up_capabilities() -> Result<(), String> {
    // What is not in the bounding set cannot come back, whatever is executed. The second is what dropping
    // from it needs.
    for capability in [CapabilitySet::SYS_ADMIN, CapabilitySet::SETPCAP] {
        rustix::thread::remove_capability_from_bounding_set(capability)
            .map_err(|e| said("dropping a capability", e))?;
    }
    let _ = rustix::thread::clear_ambient_capability_set();
    let none = CapabilitySet::empty();
    let sets = CapabilitySets {
        effective: none,
        permitted: none,
        inheritable: none,
    };
    rustix::thread::set_capabilities(None, sets).map_err(|e| said("capset", e))
}
