//! Short storms on every bus and both databases: what CI can afford of `nexus-chaos --minutes 30`.

use crate::program::{chaos, holds};
use anyhow::Result;

#[tokio::test]
async fn redis_and_postgres_with_two_replicas() -> Result<()> {
    holds(&chaos("--bus redis --db postgres --minutes 0.5 --seed 7").await?)
}

#[tokio::test]
async fn nats_and_sqlite() -> Result<()> {
    holds(&chaos("--bus nats --db sqlite --minutes 0.25 --seed 7").await?)
}

#[tokio::test]
async fn one_process_with_files() -> Result<()> {
    holds(&chaos("--bus embedded --db sqlite --minutes 0.25 --seed 7").await?)
}
