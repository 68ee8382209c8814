//! The HTTP interface over an embedded bus, with an orchestrator that does what its message says.

mod events;
mod messages;
mod node;
mod orchestrator;
mod republication;
