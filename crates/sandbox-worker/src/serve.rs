use std::io::{Read, Write};

use nexus_sandbox::protocol::{Hello, Order, Outcome, Reply, frame};
use rustix::process::Resource;

use crate::{
    guards::{Guard, Guards},
    interpreter,
    lockdown::{
        address_space, be_private, become_own_user, begin_session, die_with, grow_stack, landlock,
        limit, said,
    },
    options::Options,
    probe, seccomp, sys,
};

/// The largest order: all limits at their ceilings, as JSON.
const MAX_ORDER: usize = 128 << 20;

/// Descriptor 0, a socket both ways. No `File`: that would own and close it.
struct Channel;

impl Read for Channel {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        Ok(rustix::io::read(std::io::stdin(), into)?)
    }
}

impl Write for Channel {
    fn write(&mut self, from: &[u8]) -> std::io::Result<usize> {
        Ok(rustix::io::write(std::io::stdin(), from)?)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Locks down, says hello, does one order, ends.
pub(crate) fn serve(options: &Options, guards: &impl Guards) -> Result<(), String> {
    let environment = u32::try_from(std::env::vars_os().count()).unwrap_or(u32::MAX);
    if environment > 0 && guards.on(Guard::EmptyEnvironment) {
        return Err("the environment is not empty, and could hold secrets".to_owned());
    }
    begin_session()?;
    sys::close_inherited().map_err(|e| said("close_range", e))?;
    interpreter::warm_up();
    let own = lock(options, guards)?;
    let hello = Hello {
        backend: "monty".to_owned(),
        environment: if guards.on(Guard::EmptyEnvironment) {
            environment
        } else {
            0
        },
        descriptors: own.descriptors,
        seccomp: true,
        landlock: own.landlock,
    };
    frame::write(&mut Channel, &hello).map_err(|e| e.to_string())?;
    let order = match frame::read::<Order>(&mut Channel, MAX_ORDER) {
        Ok(order) => order,
        // The executor has no more use for this process.
        Err(frame::FrameError::Silent) => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    let reply = match order {
        Order::Run(request) => {
            // The second wall: the allocator counts what is alive, the kernel what is mapped.
            limit(
                Resource::As,
                own.address_space + 2 * request.limits.memory + (128 << 20),
            )?;
            interpreter::run(request, guards)
        }
        Order::Probe { what } => Reply {
            outcome: Outcome::Value(probe::attempt(what).into()),
            files: Vec::new(),
            files_left_out: false,
            cpu_us: 0,
        },
    };
    frame::write(&mut Channel, &reply).map_err(|e| e.to_string())
}

/// What was found while locking down.
struct Own {
    address_space: u64,
    descriptors: u32,
    landlock: String,
}

fn lock(options: &Options, guards: &impl Guards) -> Result<Own, String> {
    rustix::process::chdir("/").map_err(|e| said("chdir", e))?;
    become_own_user();
    be_private()?;
    die_with(options.parent.ok_or("--parent is missing")?)?;
    grow_stack();
    let address_space = address_space();
    for (resource, value) in [
        (Resource::Nproc, 0),
        (Resource::Fsize, 0),
        (Resource::Memlock, 0),
        (Resource::Msgqueue, 0),
        (
            Resource::Cpu,
            nexus_sandbox::Limits::CEILING.time_ms / 1000 + 60,
        ),
    ] {
        limit(resource, value)?;
    }
    rustix::thread::set_no_new_privs(true).map_err(|e| said("prctl", e))?;
    let landlock = landlock();
    limit(Resource::Nofile, 3)?;
    let descriptors = sys::inherited();
    if guards.on(Guard::Seccomp) {
        seccomp::apply(seccomp::interpreter()?, seccomp::Else::Death)?;
    }
    Ok(Own {
        address_space,
        descriptors,
        landlock,
    })
}
