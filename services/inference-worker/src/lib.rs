#![doc = include_str!("../README.md")]

pub mod command;
pub mod config;
pub mod engine;
pub mod error;
pub mod handler;
pub mod keeper;
pub mod live;
pub mod metrics;
pub mod models;
pub mod service;
pub mod stored;
pub mod watch;
pub mod work;

pub use config::{Config, DEFAULT_CONFIG};
pub use error::Error;
pub use service::{NAME, service};
