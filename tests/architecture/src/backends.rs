//! Who may depend on whom.

use crate::Tree;

/// Packages that put all services together: the program, and the tests and figures over all of it.
const ABOVE_SERVICES: &[&str] = &[
    "nexus",
    "nexus-bench",
    "nexus-chaos",
    "nexus-crash-tests",
    "nexus-e2e",
    "nexus-simulator",
];

/// Each backend's library, and the packages that may use it. Beside the one door, a test that
/// counts from outside needs a way in of its own.
const DOORS: &[(&str, &[&str])] = &[
    ("redis", &["nexus-bus", "nexus-bench"]),
    ("async-nats", &["nexus-bus"]),
    (
        "rusqlite",
        &[
            "nexus-bus",
            "nexus-store",
            "nexus-bench",
            "nexus-chaos",
            "nexus-crash-tests",
            "nexus-e2e",
        ],
    ),
    ("tokio-postgres", &["nexus-store"]),
    ("deadpool-postgres", &["nexus-store"]),
];

/// No service depends on another, and only what is above all of them depends on services.
pub(crate) fn services_stand_alone(tree: &Tree) -> Vec<String> {
    let services: Vec<&str> = tree
        .services()
        .map(|service| service.name.as_str())
        .collect();
    let mut broken = Vec::new();
    for package in &tree.packages {
        if ABOVE_SERVICES.contains(&package.name.as_str()) {
            continue;
        }
        for needed in package
            .dependencies
            .iter()
            .filter(|name| services.contains(&name.as_str()))
        {
            broken.push(format!(
                "{}: depends on the service {needed}; talk to it over the bus, and share meaning \
                 through bus-contracts",
                package.folder
            ));
        }
    }
    broken
}

/// Every backend is reached through the one crate that wraps it.
pub(crate) fn one_door_to_each_backend(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for package in &tree.packages {
        for (library, doors) in DOORS {
            let uses = package.dependencies.iter().any(|needed| needed == library);
            if uses && !doors.contains(&package.name.as_str()) {
                let door = doors.first().copied().unwrap_or_default();
                broken.push(format!(
                    "{}: uses {library}; go through {door}",
                    package.folder
                ));
            }
        }
    }
    broken
}
