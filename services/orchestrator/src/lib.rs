#![doc = include_str!("../README.md")]

pub mod config;
pub mod core;
pub mod db;
pub mod emit;
pub mod environment;
pub mod error;
pub mod handler;
pub mod intake;
pub mod metrics;
pub mod mutant;
mod owned;
pub mod plan;
pub mod processor;
pub mod service;
pub mod sweeper;
pub mod translate;

pub use config::{Config, DEFAULT_CONFIG};
pub use error::Error;
pub use service::{NAME, service};
