//! How the list becomes tests.

/// Makes one module per backend and one test per property in it.
macro_rules! properties {
    ($($module:ident::$name:ident $(, not on $backend:ident: $reason:literal)?;)*) => {
        mod embedded {
            $(properties!(@embedded $module, $name $(, $backend)?);)*
        }
        mod redis {
            $(properties!(@redis $module, $name $(, $backend)?);)*
        }
        mod nats {
            $(properties!(@nats $module, $name $(, $backend)?);)*
        }
    };
    (@embedded $module:ident, $name:ident, embedded) => {};
    (@redis $module:ident, $name:ident, redis) => {};
    (@nats $module:ident, $name:ident, nats) => {};
    (@$backend:ident $module:ident, $name:ident $(, $other:ident)?) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() -> anyhow::Result<()> {
            let mut harness = crate::servers::$backend().await?;
            crate::$module::$name(&mut harness).await?;
            harness.end().await;
            Ok(())
        }
    };
}
