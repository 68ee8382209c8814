//! The whole service on an embedded bus: commands in, results out.

mod fixtures;
mod ledger;
mod results;
mod tables;
