//! The whole service on an embedded bus: commands in, results out.

mod fixtures;
mod keeper;
mod ledger;
mod limits;
mod privacy;
mod results;
mod tables;
