//! The agent loop as a pure state machine: an event in, the next state and commands out.
//!
//! No clock, randomness, I/O or hash-map order in here: the same state and event always give the
//! same commands under the same ids, so that a repetition after a crash is recognised everywhere.

pub mod command;
pub mod context;
pub mod event;
pub mod run;
pub mod state;
pub mod step;
pub mod tools;

pub use command::{Command, command_id};
pub use event::{Ctx, Input, Limits, Reject, Submission};
pub use state::{RunHeader, State};
pub use step::step;
