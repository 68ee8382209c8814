//! Redis.

use anyhow::Result;
use async_trait::async_trait;
use nexus_bus::{Bus, BusConfig, BusUrl};
use nexus_testkit::RedisServer;
use redis::{Client, cmd};

use crate::harness::Server;

pub(crate) struct Redis {
    server: RedisServer,
}

impl Redis {
    pub(crate) async fn start() -> Result<Self> {
        Ok(Self {
            server: nexus_testkit::redis().await?,
        })
    }

    async fn tell(&self, words: &[&str]) -> Result<()> {
        let (first, rest) = words
            .split_first()
            .map_or(("PING", &[][..]), |(f, r)| (*f, r));
        let mut command = cmd(first);
        rest.iter().for_each(|word| {
            command.arg(word);
        });
        let client = Client::open(self.server.url())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        command.query_async::<()>(&mut connection).await?;
        Ok(())
    }
}

#[async_trait(?Send)]
impl Server for Redis {
    fn url(&self) -> BusUrl {
        BusUrl::Redis(self.server.url())
    }

    fn handles_survive(&self) -> bool {
        true
    }

    async fn open(&self, config: &BusConfig) -> Result<Bus> {
        Ok(Bus::connect(config).await?)
    }

    async fn stop(&mut self) -> Result<()> {
        self.server.stop().await
    }

    async fn start(&mut self) -> Result<()> {
        self.server.start().await
    }

    async fn flush(&mut self) -> Result<()> {
        self.tell(&["FLUSHALL"]).await
    }

    async fn fill(&mut self) -> Result<()> {
        self.tell(&["CONFIG", "SET", "maxmemory-policy", "noeviction"])
            .await?;
        self.tell(&["CONFIG", "SET", "maxmemory", "1"]).await
    }

    async fn relieve(&mut self) -> Result<()> {
        self.tell(&["CONFIG", "SET", "maxmemory", "0"]).await
    }
}
