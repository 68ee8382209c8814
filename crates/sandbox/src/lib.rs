#![doc = include_str!("../README.md")]

mod backend;
pub mod bubblewrap;
mod capture;
mod error;
mod job;
mod launcher;
mod limits;
mod pool;
pub mod protocol;
mod run;
mod sandbox;
mod self_test;
pub mod text;

pub use backend::{Backend, PythonFull};
pub use error::SandboxError;
pub use job::{Done, ErrorKind, Failure, File, Job, Stream, Times};
pub use launcher::{Launcher, Process};
pub use limits::Limits;
pub use sandbox::{Health, Sandbox, Settings};
pub use self_test::{Check, Report, self_test};
