#![doc = include_str!("../README.md")]

pub mod call;
pub mod config;
pub mod error;
pub mod execution;
pub mod handler;
pub mod keeper;
pub mod metrics;
pub mod publisher;
pub mod registry;
pub mod service;
pub mod tool;
pub mod tools;

pub use config::{Config, DEFAULT_CONFIG};
pub use error::Error;
pub use registry::Registry;
pub use service::{NAME, service, service_with};
pub use tool::{AnyTool, Tool, ToolContext, ToolError};
