//! The floor: bare XADD, XREADGROUP and XACK for as many messages as Nexus writes, with the same
//! client library on the same server, and nothing in between.

use std::time::Duration;

use anyhow::{Context, Result};
use redis::aio::MultiplexedConnection;
use redis::streams::{StreamReadOptions, StreamReadReply};
use redis::{AsyncCommands, AsyncConnectionConfig, Client};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::Ran;

/// Bytes of a message's payload, as in the published figures of other buses.
const PAYLOAD: usize = 512;

const GROUP: &str = "floor";

/// `turns` messages passed through `hops` streams, `in_flight` at a time.
pub(crate) async fn run(url: &str, hops: usize, turns: usize, in_flight: usize) -> Result<Ran> {
    let client = Client::open(url)?;
    let mut control = connect(&client).await?;
    for hop in 0..=hops {
        let _gone: i64 = control.del(stream(hop)).await?;
        let () = control
            .xgroup_create_mkstream(stream(hop), GROUP, "0")
            .await?;
    }
    let mut stages = JoinSet::new();
    for hop in 1..hops {
        stages.spawn(pass_on(connect(&client).await?, hop));
    }
    let ran = ask(connect(&client).await?, control, hops, (turns, in_flight)).await;
    stages.shutdown().await;
    ran
}

fn stream(hop: usize) -> String {
    format!("floor:{hop}")
}

async fn connect(client: &Client) -> Result<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    Ok(client
        .get_multiplexed_async_connection_with_config(&config)
        .await?)
}

/// One worker: reads a stream, writes each message to the next, acknowledges.
async fn pass_on(mut connection: MultiplexedConnection, hop: usize) -> Result<()> {
    loop {
        let read = read(&mut connection, hop, 256).await?;
        let mut pipe = redis::pipe();
        for (id, body) in &read {
            let at = body.get(..32).unwrap_or(body);
            let fields = [("id", at), ("payload", body.as_slice())];
            pipe.xadd(stream(hop + 1), "*", &fields).ignore();
            pipe.xack(stream(hop), GROUP, &[id]).ignore();
        }
        let () = pipe.query_async(&mut connection).await?;
    }
}

async fn read(
    connection: &mut MultiplexedConnection,
    hop: usize,
    count: usize,
) -> Result<Vec<(String, Vec<u8>)>> {
    let options = StreamReadOptions::default()
        .group(GROUP, "one")
        .count(count)
        .block(5000);
    let reply: Option<StreamReadReply> = connection
        .xread_options(&[stream(hop)], &[">"], &options)
        .await?;
    let mut messages = Vec::new();
    for id in reply
        .into_iter()
        .flat_map(|reply| reply.keys)
        .flat_map(|key| key.ids)
    {
        let body: Vec<u8> = id.get("payload").context("no payload")?;
        messages.push((id.id, body));
    }
    Ok(messages)
}

async fn ask(
    mut reader: MultiplexedConnection,
    mut writer: MultiplexedConnection,
    hops: usize,
    (turns, in_flight): (usize, usize),
) -> Result<Ran> {
    let started = Instant::now();
    let mut times: Vec<Duration> = Vec::with_capacity(turns);
    let mut asked: Vec<Instant> = Vec::with_capacity(turns);
    let first = in_flight.min(turns);
    put(&mut writer, &mut asked, first).await?;
    while times.len() < turns {
        let answers = read(&mut reader, hops, 1024).await?;
        let mut acks = redis::pipe();
        for (id, body) in &answers {
            let number = std::str::from_utf8(body.get(..16).unwrap_or_default())?.trim();
            let asked = asked
                .get(number.parse::<usize>()?)
                .context("unknown message")?;
            times.push(asked.elapsed());
            acks.xack(stream(hops), GROUP, &[id]).ignore();
        }
        let () = acks.query_async(&mut writer).await?;
        let more = answers.len().min(turns - asked.len());
        put(&mut writer, &mut asked, more).await?;
    }
    Ok(Ran {
        times,
        elapsed: started.elapsed(),
    })
}

async fn put(
    connection: &mut MultiplexedConnection,
    asked: &mut Vec<Instant>,
    count: usize,
) -> Result<()> {
    let mut pipe = redis::pipe();
    for _ in 0..count {
        let body = format!("{:<PAYLOAD$}", asked.len());
        let id = body.get(..32).unwrap_or(&body);
        pipe.xadd(stream(1), "*", &[("id", id), ("payload", &body)])
            .ignore();
        asked.push(Instant::now());
    }
    if count > 0 {
        let () = pipe.query_async(connection).await?;
    }
    Ok(())
}
