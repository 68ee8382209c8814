//! What is recorded and what is read of it, on both databases.

mod branches;
mod commute;
mod conversations;
mod documents;
mod erasure;
mod keeping;
mod node;
mod picture;
mod replicas;
mod scope;
mod search;
mod trace;
mod world;

/// Each test twice: on `SQLite` and on `PostgreSQL`.
macro_rules! on_both {
    ($(async fn $name:ident($store:ident: &Store) -> Result<()> $body:block)*) => {
        $(
            mod $name {
                use super::*;

                async fn body($store: &Store) -> Result<()> $body

                #[tokio::test]
                async fn sqlite() -> Result<()> {
                    let folder = tempfile::tempdir()?;
                    let url = format!("sqlite:{}", folder.path().display());
                    body(&crate::world::open(&url).await?).await
                }

                #[tokio::test]
                async fn postgres() -> Result<()> {
                    let server = nexus_testkit::postgres().await?;
                    let url = server.fresh_database().await?;
                    body(&crate::world::open(&url).await?).await
                }
            }
        )*
    };
}
pub(crate) use on_both;
