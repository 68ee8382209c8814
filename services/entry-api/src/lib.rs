#![doc = include_str!("../README.md")]

pub mod admission;
pub mod answer;
pub mod api;
pub mod config;
pub mod erasure;
pub mod error;
pub mod handler;
pub mod ingress;
pub mod messages;
pub mod metrics;
pub mod migrations;
pub mod openapi;
pub mod outbox;
pub mod problem;
pub mod pruning;
pub mod receipts;
pub mod request;
pub mod sequence;
pub mod service;
pub mod stream;
pub mod submission;
pub mod transcript;
pub mod view;
pub mod wait;
pub mod waiters;

pub use config::{Config, DEFAULT_CONFIG};
pub use error::Error;
pub use openapi::openapi;
pub use service::{EntryApi, service};

/// The service's name: of its consumer group, its section of `nexus.yaml` and its store.
pub const NAME: &str = "entry-api";
