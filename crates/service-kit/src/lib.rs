#![doc = include_str!("../README.md")]

pub mod backoff;
pub mod breaker;
pub mod config;
pub mod crash;
pub mod telemetry;

mod clock;
mod consume;
mod deps;
mod error;
#[cfg(test)]
mod fake;
mod health;
mod http;
mod janitor;
mod live;
mod node;
mod outage;
mod request;
mod run;
mod service;
mod stores;
mod table;
mod tasks;
mod workers;

pub use clock::{Clock, ManualClock, TimeSource};
pub use config::{ConfigError, ConfigSource, ListenConfig, NodeConfig};
pub use consume::{
    BatchHandler, ConsumerSpec, DeadLetter, Failure, Handler, Message, Outcome, consume_batches,
    consume_each, envelope_of, outgoing,
};
pub use deps::Deps;
pub use error::{NodeError, ServiceError};
pub use health::{ComponentState, Health, HealthHandle};
pub use http::{Problem, ProblemJson};
pub use live::{LiveWriter, report};
pub use node::{Node, RunningNode};
pub use request::{RequestError, RequestTiming, request};
pub use run::{main_of, run_process, run_until_signal};
pub use service::{Service, Started};
pub use stores::Stores;
pub use table::{TableView, put_table};
pub use tasks::Tasks;
pub use workers::WorkerInfo;

pub(crate) use deps::host_name;
