#![doc = include_str!("../README.md")]

pub mod backend;
pub mod blob;
pub mod bus;
mod clock;
pub mod config;
pub mod embedded;
pub mod error;
pub mod group;
pub mod live;
pub mod nats;
pub mod record;
pub mod redis;
pub mod table;

pub use backend::{Backend, Backlog, ChannelInfo, ServerInfo};
pub use blob::Blobs;
pub use bus::Bus;
pub use config::{BusConfig, BusUrl, Durability, INLINE_LIMIT};
pub use error::BusError;
pub use group::{
    Action, Delivery, Group, GroupReader, GroupSettler, GroupSpec, LeaseToken, Leased, Settlement,
    dead_channel,
};
pub use live::{LiveEntry, LiveItem};
pub use record::{Entry, EntryId, Outgoing, ReadFrom, Record};
pub use table::{Expect, PutOutcome, TableChange, TableVersion, Versioned};
