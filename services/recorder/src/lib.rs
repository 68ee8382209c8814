#![doc = include_str!("../README.md")]

pub mod api;
pub mod changes;
pub mod config;
pub mod document;
pub mod error;
pub mod fact;
pub mod handler;
pub mod keep;
pub mod metrics;
pub mod migrations;
pub mod read;
pub mod receipt;
pub mod service;
pub mod snippet;
pub mod terms;
pub mod view;
pub mod words;
pub mod write;
pub mod writer;

pub use api::openapi;
pub use config::{Config, DEFAULT_CONFIG};
pub use error::Error;
pub use service::{NAME, service};
