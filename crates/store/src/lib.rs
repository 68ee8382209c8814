#![doc = include_str!("../README.md")]

mod connect;
mod error;
pub mod ledger;
mod migrate;
mod rows;
mod store;
mod tx;
mod url;

pub use error::StoreError;
pub use ledger::{Claim, Claimed, Completion, EffectClass, Ledger};
pub use migrate::Migration;
pub use rows::placeholders;
/// What a statement is bound to and what a column is read as.
pub use sea_orm::{TryGetable, Value};
pub use store::{Store, StoreKind};
pub use tx::{Row, SharedTx, TenantRef, TenantTx};
pub use url::StoreUrl;
