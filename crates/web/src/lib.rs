#![doc = include_str!("../README.md")]

mod error;
mod fetch;
pub mod guard;
pub mod page;
pub mod request;
mod resolve;
mod robots;
pub mod search;
mod text;
mod tls;

pub use error::Error;
pub use fetch::{
    Accept, ContentType, Fetched, Fetcher, FetcherConfig, Identity, Limits, RobotsPolicy,
};
pub use resolve::{Resolver, SystemResolver};
