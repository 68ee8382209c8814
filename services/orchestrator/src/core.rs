//! The agent loop as a pure state machine: an event in, the next state and commands out.
//!
//! No clock, randomness, I/O or hash-map order in here: the same state and event always give the
//! same commands under the same ids, so that a repetition after a crash is recognised everywhere.

pub mod aliases;
pub mod approvals;
pub mod checkpoint;
pub mod clarify;
pub mod command;
pub mod context;
pub mod conversation;
pub mod event;
pub mod replay;
pub mod requests;
pub mod resolve;
pub mod run;
pub mod samples;
pub mod state;
pub mod step;
pub mod summary;
pub mod taint;
pub mod tools;

pub use command::{Command, Fact, Timer, command_id};
pub use event::{Asked, Bounds, Branch, Ctx, Environment, Input, Reject, Request};
pub use resolve::Resolved;
pub use state::{RunHeader, State};
pub use step::step;
