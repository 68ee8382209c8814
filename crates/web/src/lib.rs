#![doc = include_str!("../README.md")]

mod error;
mod fetch;
pub mod guard;
mod resolve;
mod robots;
mod text;
mod tls;

pub use error::Error;
pub use fetch::{
    Accept, ContentType, Fetched, Fetcher, FetcherConfig, Identity, Limits, RobotsPolicy,
};
pub use resolve::{Resolver, SystemResolver};
