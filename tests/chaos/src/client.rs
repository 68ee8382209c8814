//! Who asks: clients of several organisations and users.

/// A client, its channels and whom it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The name that ends its channels; empty for the local client.
    pub name: &'static str,
    /// Its organisation.
    pub org: &'static str,
    /// Its user.
    pub user: &'static str,
}

const HOME: &str = "01900000-0000-7000-8000-00000000000a";
const ACME: &str = "01900000-0000-7000-8000-00000000000b";
const BOLT: &str = "01900000-0000-7000-8000-00000000000c";

/// The clients that write on the bus. The first one is also whom HTTP requests are for. Two are
/// users of one organisation.
pub const CLIENTS: [Client; 4] = [
    Client {
        name: "",
        org: HOME,
        user: "01900000-0000-7000-8000-0000000000a1",
    },
    Client {
        name: "acme",
        org: ACME,
        user: "01900000-0000-7000-8000-0000000000b1",
    },
    Client {
        name: "acme2",
        org: ACME,
        user: "01900000-0000-7000-8000-0000000000b2",
    },
    Client {
        name: "bolt",
        org: BOLT,
        user: "01900000-0000-7000-8000-0000000000c1",
    },
];

/// The name under which questions over HTTP are counted.
pub const HTTP: &str = "api";

impl Client {
    /// Its name in the configuration.
    #[must_use]
    pub const fn configured(&self) -> &'static str {
        if self.name.is_empty() {
            "local"
        } else {
            self.name
        }
    }
}
