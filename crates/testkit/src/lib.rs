#![doc = include_str!("../README.md")]

mod installed;
pub mod loss;
pub mod nats;
pub mod openai;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod redis;
mod server;
mod wait;

pub use installed::installed;
pub use nats::{NatsServer, nats, nats_with};
pub use postgres::{PgRoles, PgServer, postgres, postgres_with};
pub use process::{Signal, Spawn, Spawned};
pub use redis::{RedisServer, redis, redis_with};
pub use server::prefix;
pub use wait::{wait_for, wait_until};
