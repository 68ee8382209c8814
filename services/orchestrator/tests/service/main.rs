//! The service over a real bus and both databases.

mod approvals;
mod basics;
mod conversations;
mod keeping;
mod listing;
mod strangers;
mod world;
