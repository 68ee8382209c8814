//! Commands in, results out, over the embedded bus and a ledger in a real database.

mod answers;
mod cache;
mod cancel;
mod chains;
mod inbox;
mod keeper;
mod ledger;
mod local;
mod reload;
mod text_tools;
mod vectors;
mod world;
