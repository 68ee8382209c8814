#![doc = include_str!("../README.md")]

pub mod cases;
pub mod effects;
pub mod leftovers;
pub mod model;
pub mod person;
pub mod points;
pub mod rig;
pub mod switches;
