//! Who may be reached: decided before a connection is made, and without making one.
//!
//! Three questions, each a pure function: what kind of address is this ([`classify`]), may this
//! URL be asked for ([`Reach::check_url`]), and may this name be reached at this address
//! ([`Reach::check_address`]). [`crate::Fetcher`] asks the second of every URL, each redirect
//! included, and the third of every address of every name, and connects to no other address.

mod address;
mod reach;
mod target;

pub use address::{AddressKind, classify};
pub(crate) use reach::host_name;
pub use reach::{Opening, Reach, ReachError};
pub use target::{MAX_URL_BYTES, Target};
