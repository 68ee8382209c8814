#![doc = include_str!("../README.md")]

mod backends;
mod faces;
mod rooms;
mod sources;
mod tree;

pub use tree::{Package, Source, Tree};

/// A rule: gives what breaks it, one line each, with the place and what to do.
pub type Rule = fn(&Tree) -> Vec<String>;

/// Every rule, by name.
pub const RULES: &[(&str, Rule)] = &[
    ("services_stand_alone", backends::services_stand_alone),
    (
        "one_door_to_each_backend",
        backends::one_door_to_each_backend,
    ),
    ("files_are_short", sources::files_are_short),
    ("services_have_one_face", faces::services_have_one_face),
    ("main_only_starts", faces::main_only_starts),
    ("pure_rooms_do_nothing", rooms::pure_rooms_do_nothing),
    ("modules_have_a_subject", sources::modules_have_a_subject),
    ("lints_are_shared", sources::lints_are_shared),
];
