#![doc = include_str!("../README.md")]

pub mod announce;
pub mod assembler;
pub mod attempts;
pub mod command;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod error;
pub mod handler;
pub mod keeper;
pub mod live;
pub mod metrics;
pub mod provider;
pub mod registry;
pub mod reload;
pub mod retry;
pub mod service;
pub mod sse;
pub mod stored;
pub mod watch;

pub use config::{Config, DEFAULT_CONFIG};
pub use doctor::{Depth, ProviderCheck, check};
pub use error::Error;
pub use registry::ProviderStatus;
pub use service::{NAME, service};
