//! The bus loses everything while conversations stand at each of ten points: fifty at each, five
//! hundred in all. `nexus-chaos --wipes 500` does five hundred at each.

use anyhow::Result;

use crate::program::{chaos, holds};

#[tokio::test]
async fn redis_is_flushed() -> Result<()> {
    holds(&chaos("--bus redis --wipes 50").await?)
}

#[tokio::test]
async fn nats_loses_its_store() -> Result<()> {
    holds(&chaos("--bus nats --wipes 50").await?)
}

#[tokio::test]
async fn the_embedded_file_is_removed() -> Result<()> {
    holds(&chaos("--bus embedded --wipes 50").await?)
}
