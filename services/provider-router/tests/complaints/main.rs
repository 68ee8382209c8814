//! What people complain about in other gateways for models, as properties of this one. Every test
//! names the complaint it is made from; all of them go over real HTTP or a real bus.

mod bounds;
mod broken;
mod dialect;
mod fields;
mod history;
mod reload;
mod routed;
mod streams;
mod support;
mod tools;
#[expect(
    dead_code,
    unused_macros,
    unused_imports,
    reason = "the world of the router's own tests; not all of it is wanted here"
)]
#[path = "../router/world.rs"]
mod world;
