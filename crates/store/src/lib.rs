#![doc = include_str!("../README.md")]

mod config;
mod connect;
mod error;
mod guard;
mod in_list;
pub mod ledger;
mod migrate;
mod protect;
mod rows;
mod schema;
mod session;
mod store;
mod tx;
mod upkeep;
mod url;

pub use config::{Durability, StoreConfig};

pub use error::StoreError;
pub use in_list::InList;
pub use ledger::{Claim, Claimed, Completion, EffectClass, Ledger};
pub use rows::placeholders;
pub use schema::{Migration, Schema};
/// What a statement is bound to and what a column is read as.
pub use sea_orm::{TryGetable, Value};
pub use session::Row;
pub use store::{Store, StoreKind};
pub use tx::{SharedTx, TenantRef, TenantTx};
pub use url::StoreUrl;
