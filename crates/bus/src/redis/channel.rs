//! Channels without a group: publishing, reading, figures, trimming.

use std::collections::BTreeSet;
use std::time::Duration;

use ::redis::{Cmd, Pipeline, Value, cmd};

use super::wire::{self, RawEntry};
use super::{Call, Core, scripts};
use crate::{Backlog, BusError, ChannelInfo, Entry, EntryId, Outgoing, ReadFrom};

/// How many keys one step of a scan looks at.
const SCAN_STEP: usize = 1000;

pub(super) async fn publish(core: &Core, batch: &[Outgoing]) -> Result<Vec<EntryId>, BusError> {
    let append = |outgoing: &Outgoing| -> Result<Cmd, BusError> {
        wire::check(&outgoing.channel, &outgoing.record)?;
        Ok(wire::xadd(
            &core.keys.channel(&outgoing.channel),
            &outgoing.record,
        ))
    };
    match batch {
        [] => Ok(Vec::new()),
        [one] => {
            let reply = core.link.repeat(Call::Command(&append(one)?)).await?;
            Ok(vec![wire::entry_id(reply)?])
        }
        many => {
            // One transaction: with memory full nothing is stored rather than the first few.
            let mut pipeline = Pipeline::with_capacity(many.len());
            pipeline.atomic();
            for outgoing in many {
                pipeline.add_command(append(outgoing)?);
            }
            let reply = core.link.repeat(Call::Pipeline(&pipeline)).await?;
            wire::list(reply)?.into_iter().map(wire::entry_id).collect()
        }
    }
}

pub(super) async fn read(
    core: &Core,
    channel: &str,
    from: ReadFrom,
    limit: usize,
) -> Result<Vec<Entry>, BusError> {
    let start = match from {
        ReadFrom::Start => "-".to_owned(),
        ReadFrom::After(id) => format!("({id}"),
        ReadFrom::Time(ms) => ms.max(0).to_string(),
        ReadFrom::End => return Ok(Vec::new()),
    };
    if limit == 0 {
        return Ok(Vec::new());
    }
    let mut range = cmd("XRANGE");
    range
        .arg(core.keys.channel(channel))
        .arg(start)
        .arg("+")
        .arg("COUNT")
        .arg(limit);
    let found = wire::entries(core.link.repeat(Call::Command(&range)).await?)?;
    identified(core, channel, found).await
}

/// Entries as everyone sees them: each with an `id`.
pub(super) async fn identified(
    core: &Core,
    channel: &str,
    found: Vec<RawEntry>,
) -> Result<Vec<Entry>, BusError> {
    let named = |record: &crate::Record| record.get("id").is_some_and(|id| !id.is_empty());
    // Asked for only where needed, and then afresh: whoever remembers it may remember a life that
    // a flush has ended.
    let incarnation = if found.iter().all(|(_, record)| named(record)) {
        String::new()
    } else {
        incarnation(core, channel).await?
    };
    let finish = |(id, mut record): RawEntry| {
        record.ensure_id(channel, &incarnation, id);
        Entry {
            id,
            stored_at_ms: i64::try_from(id.major).unwrap_or(i64::MAX),
            record,
        }
    };
    Ok(found.into_iter().map(finish).collect())
}

/// Names this life of the channel; made here where nobody has read the channel before.
pub(super) async fn incarnation(core: &Core, channel: &str) -> Result<String, BusError> {
    let key = core.keys.incarnation(channel);
    let mut get = cmd("GET");
    get.arg(&key);
    let known = core.link.repeat(Call::Command(&get)).await?;
    if known != Value::Nil {
        return wire::text(known);
    }
    let mut claim = Pipeline::with_capacity(2);
    claim
        .cmd("SET")
        .arg(&key)
        .arg(fresh_incarnation())
        .arg("NX")
        .cmd("GET")
        .arg(&key);
    let [_, won] = wire::tuple(core.link.repeat(Call::Pipeline(&claim)).await?)?;
    wire::text(won)
}

pub(super) fn fresh_incarnation() -> String {
    format!("{:032x}", rand::random::<u128>())
}

pub(super) async fn backlog(core: &Core, channel: &str, group: &str) -> Result<Backlog, BusError> {
    let mut call = scripts::BACKLOG.prepare_invoke();
    call.key(core.keys.channel(channel)).arg(group);
    let [undelivered, pending, age] = wire::tuple(core.link.repeat(Call::Script(&call)).await?)?;
    Ok(Backlog {
        undelivered: wire::number(&undelivered)?,
        pending: wire::number(&pending)?,
        oldest_age: wire::number_or_none(&age)?.map(Duration::from_millis),
    })
}

pub(super) async fn trim(core: &Core, channel: &str, retain: Duration) -> Result<u64, BusError> {
    let mut call = scripts::TRIM.prepare_invoke();
    call.key(core.keys.channel(channel))
        .arg(wire::millis(retain));
    let mut total = 0;
    loop {
        let [dropped, done] = wire::tuple(core.link.repeat(Call::Script(&call)).await?)?;
        total += wire::number(&dropped)?;
        if wire::number(&done)? == 1 {
            return Ok(total);
        }
    }
}

/// Found by scanning: a register would not know the streams that raw clients made.
pub(super) async fn list(core: &Core) -> Result<Vec<ChannelInfo>, BusError> {
    let mut names = BTreeSet::new();
    let mut cursor = "0".to_owned();
    loop {
        let mut scan = cmd("SCAN");
        scan.arg(&cursor).arg("MATCH").arg(core.keys.pattern());
        scan.arg("COUNT").arg(SCAN_STEP).arg("TYPE").arg("stream");
        let [next, keys] = wire::tuple(core.link.repeat(Call::Command(&scan)).await?)?;
        for key in wire::list(keys)? {
            let key = wire::text(key)?;
            names.extend(core.keys.channel_of(&key).map(str::to_owned));
        }
        cursor = wire::text(next)?;
        if cursor == "0" {
            break;
        }
    }
    describe(core, names).await
}

async fn describe(core: &Core, names: BTreeSet<String>) -> Result<Vec<ChannelInfo>, BusError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut pipeline = Pipeline::with_capacity(2 * names.len());
    pipeline.ignore_errors();
    for name in &names {
        let key = core.keys.channel(name);
        pipeline.add_command(with_key("XLEN", &key));
        let mut groups = cmd("XINFO");
        groups.arg("GROUPS").arg(&key);
        pipeline.add_command(groups);
    }
    let mut replies = wire::list(core.link.repeat(Call::Pipeline(&pipeline)).await?)?.into_iter();
    let mut channels = Vec::with_capacity(names.len());
    for name in names {
        let (Some(entries), Some(groups)) = (replies.next(), replies.next()) else {
            break;
        };
        // One that went away between the scan and the question is no channel any more.
        if matches!(groups, Value::ServerError(_)) {
            continue;
        }
        let groups = wire::list(groups)?
            .into_iter()
            .map(group_name)
            .collect::<Result<_, _>>()?;
        channels.push(ChannelInfo {
            name,
            entries: wire::number(&entries)?,
            groups,
        });
    }
    Ok(channels)
}

fn with_key(command: &str, key: &str) -> Cmd {
    let mut command = cmd(command);
    command.arg(key);
    command
}

/// `["name", <name>, …]`.
fn group_name(group: Value) -> Result<String, BusError> {
    let name = wire::list(group)?.into_iter().nth(1);
    wire::text(name.unwrap_or(Value::Nil))
}
