#![doc = include_str!("../README.md")]

pub mod announce;
pub mod assembler;
pub mod cache;
pub mod call;
pub mod command;
pub mod complexity;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod error;
pub mod handler;
pub mod health;
pub mod inbox;
pub mod keeper;
pub mod limits;
pub mod live;
pub mod metrics;
pub mod plan;
pub mod provider;
pub mod registry;
pub mod reload;
pub mod reply;
pub mod retry;
pub mod service;
pub mod sse;
pub mod stored;
pub mod tally;
pub mod usage;
pub mod watch;

pub use config::{Config, DEFAULT_CONFIG};
pub use doctor::{Depth, ProviderCheck, check};
pub use error::Error;
pub use health::ProviderHealth;
pub use inbox::openapi;
pub use registry::ProviderStatus;
pub use service::{NAME, service};
