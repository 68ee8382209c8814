#![doc = include_str!("../README.md")]

pub mod admission;
pub mod api;
pub mod artefacts;
pub mod call;
pub mod config;
pub mod error;
pub mod execution;
pub mod handler;
pub mod health;
pub mod keeper;
pub mod knowledge;
pub mod mcp;
pub mod metrics;
pub mod migrations;
pub mod parts;
pub mod programs;
pub mod publisher;
pub mod quota;
pub mod registry;
pub mod service;
pub mod shorten;
pub mod switches;
pub mod tool;
pub mod tools;
pub mod web;

pub use api::openapi;
pub use config::{Config, DEFAULT_CONFIG};
pub use error::Error;
pub use health::ToolHealth;
pub use nexus_sandbox as sandbox;
pub use parts::Parts;
pub use registry::Registry;
pub use service::{NAME, service, service_with};
pub use tool::{AnyTool, Returned, Tool, ToolContext, ToolError};
