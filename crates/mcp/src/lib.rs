#![doc = include_str!("../README.md")]

mod backoff;
pub mod call;
mod client;
pub mod config;
pub mod content;
pub mod definition;
pub mod error;
pub mod fleet;
mod http;
pub mod launch;
pub mod names;
pub mod pins;
mod reading;
mod schema;
mod server;
mod text;
mod wire;

pub use backoff::delay;
pub use call::{CallError, Meta, Progress};
pub use client::Sampler;
pub use config::{Approval, Config, Confinement, Filter, Limits, Restart, Sandbox, Server, Trust};
pub use content::{CallResult, Part};
pub use definition::{Definition, Pin};
pub use error::Error;
pub use fleet::{Environment, Fleet, Parts, Tool};
pub use launch::{Bubblewrap, Launch, LaunchError, Launched, Launcher, Plain, Process};
pub use pins::{Change, Field, Known, MemoryPins, Pins, Verdict, judge};
pub use reading::{PromptInfo, PromptText, ResourceInfo};
pub use server::status::{Health, Status};
