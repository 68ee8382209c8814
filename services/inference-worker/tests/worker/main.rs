//! Real models, made here in a moment: they are loaded and run by the real engine on the CPU.

mod bus;
mod desk;
mod engine;
#[cfg(test)]
mod made;
#[cfg(test)]
mod nexus;
mod traps;
mod world;
