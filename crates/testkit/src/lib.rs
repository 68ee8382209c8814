#![doc = include_str!("../README.md")]

pub mod nats;
pub mod openai;
mod ports;
pub mod postgres;
pub mod process;
pub mod redis;
mod server;
mod wait;

pub use nats::{NatsServer, nats, nats_with};
pub use postgres::{PgServer, postgres};
pub use process::{Signal, Spawn, Spawned};
pub use redis::{RedisServer, redis, redis_with};
pub use server::prefix;
pub use wait::{wait_for, wait_until};
