#![doc = include_str!("../README.md")]

mod config;
mod connect;
mod error;
mod guard;
mod in_list;
pub mod ledger;
mod migrate;
mod postgres;
mod protect;
mod rows;
mod schema;
mod session;
mod sqlite;
mod store;
mod tx;
mod upkeep;
mod url;
mod value;

pub use config::{Durability, StoreConfig};

pub use error::{DatabaseError, StoreError};
pub use in_list::InList;
pub use ledger::{Claim, Claimed, Completion, EffectClass, Ledger};
pub use rows::placeholders;
pub use schema::{Migration, Schema};
pub use session::Row;
pub use store::{Store, StoreKind};
pub use tx::{SharedTx, TenantRef, TenantTx};
pub use url::StoreUrl;
pub use value::{FromValue, Value};
