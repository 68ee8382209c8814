//! Live streams: a capped stream per topic, announced to whoever listens.

use std::collections::VecDeque;
use std::sync::Arc;

use ::redis::cmd;
use bytes::{Buf, Bytes};
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use super::link::Backoff;
use super::subscriber::{Event, Subscription};
use super::{Call, Core, scripts, wire};
use crate::live::{LIVE_CAPACITY, LIVE_TTL_SECONDS};
use crate::{BusError, EntryId, LiveEntry, LiveItem};

/// Sent once: a second time would say everything twice, under new numbers.
pub(super) async fn publish(
    core: &Core,
    topic: &str,
    entries: &[LiveEntry],
) -> Result<u64, BusError> {
    if entries.is_empty() {
        return Ok(0);
    }
    let mut call = scripts::LIVE_PUBLISH.prepare_invoke();
    call.key(core.keys.live(topic))
        .arg(LIVE_CAPACITY)
        .arg(LIVE_TTL_SECONDS);
    for entry in entries {
        call.arg(u8::from(entry.snapshot)).arg(entry.data.as_ref());
    }
    wire::number(&core.link.once(Call::Script(&call)).await?)
}

pub(super) fn subscribe(core: Arc<Core>, topic: &str, after: u64) -> BoxStream<'static, LiveItem> {
    let key = core.keys.live(topic);
    let subscription = core.subscriber.subscribe(key.clone());
    let follower = Follower {
        core,
        key,
        subscription,
        life: None,
        last: after,
        ready: VecDeque::new(),
    };
    stream::unfold(follower, Follower::next).boxed()
}

/// One report: the life of the topic and its sequence in it, whether it is a snapshot, its data.
type Report = (EntryId, bool, Bytes);

struct Follower {
    core: Arc<Core>,
    key: String,
    subscription: Subscription,
    /// Which life of the topic `last` counts in, once it is known.
    life: Option<u64>,
    last: u64,
    ready: VecDeque<LiveItem>,
}

impl Follower {
    async fn next(mut self) -> Option<(LiveItem, Self)> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some((item, self));
            }
            let event = tokio::select! {
                () = self.core.closed.cancelled() => return None,
                event = self.subscription.next() => event,
            };
            let complete = match event {
                Event::Resync => false,
                Event::Message(message) => self.hear(message),
            };
            if !complete && !self.catch_up().await {
                return None;
            }
        }
    }

    /// Takes what was announced; says whether nothing before it was missed.
    fn hear(&mut self, message: Bytes) -> bool {
        for (id, snapshot, data) in reports(message) {
            if self.life != Some(id.major) {
                return false;
            }
            if id.minor > self.last + 1 {
                return false;
            }
            // What was announced while the stream was read has been told already.
            if id.minor == self.last + 1 {
                self.tell((id, snapshot, data));
            }
        }
        true
    }

    fn tell(&mut self, (id, snapshot, data): Report) {
        self.life = Some(id.major);
        self.last = id.minor;
        self.ready.push_back(LiveItem::Entry {
            sequence: id.minor,
            snapshot,
            data,
        });
    }

    /// Reads what is kept behind the last report, however long that takes. False when the bus
    /// closes.
    async fn catch_up(&mut self) -> bool {
        let mut backoff = Backoff::default();
        loop {
            let error = match self.kept().await {
                Ok(kept) => {
                    self.tell_kept(kept);
                    return true;
                }
                Err(BusError::Closed) => return false,
                Err(error) => error,
            };
            tracing::debug!(key = %self.key, %error, "live stream could not be read; again soon");
            tokio::select! {
                () = self.core.closed.cancelled() => return false,
                () = tokio::time::sleep(backoff.next_pause()) => {}
            }
        }
    }

    async fn kept(&self) -> Result<Vec<Report>, BusError> {
        let start = match self.life {
            Some(life) => EntryId::new(life, self.last + 1).to_string(),
            None => "-".to_owned(),
        };
        let mut range = cmd("XRANGE");
        range.arg(&self.key).arg(start).arg("+");
        let found = wire::entries(self.core.link.repeat(Call::Command(&range)).await?)?;
        let report = |(id, record): wire::RawEntry| {
            let data = record.get("d").cloned().unwrap_or_default();
            (id, record.text("s") == Some("1"), data)
        };
        Ok(found.into_iter().map(report).collect())
    }

    fn tell_kept(&mut self, mut kept: Vec<Report>) {
        let newest = kept.last().map(|(id, ..)| *id);
        let anew = match (self.life, newest) {
            // The stream ran out or was lost: what was behind `after` is not to be had any more.
            (None, None) => self.last > 0,
            (None, Some(newest)) => newest.minor < self.last,
            (Some(life), newest) => newest.is_some_and(|newest| newest.major != life),
        };
        if anew {
            self.ready.push_back(LiveItem::Gap);
            self.life = None;
            self.last = 0;
        }
        kept.retain(|(id, ..)| id.minor > self.last);
        let missing = kept
            .first()
            .is_some_and(|(id, ..)| id.minor > self.last + 1);
        if missing && !anew {
            self.ready.push_back(LiveItem::Gap);
        }
        if let Some(newest) = newest {
            self.life = Some(newest.major);
        }
        for report in kept {
            self.tell(report);
        }
    }
}

/// Takes an announcement apart: for each report a line `life sequence snapshot length`, then its
/// data.
fn reports(mut message: Bytes) -> Vec<Report> {
    let mut reports = Vec::new();
    while let Some(end) = message.iter().position(|byte| *byte == b'\n') {
        let line = message.split_to(end);
        message.advance(1);
        let line = String::from_utf8_lossy(&line);
        let mut numbers = line.split(' ').map(str::parse::<u64>);
        let mut number = || numbers.next().and_then(Result::ok);
        let (Some(life), Some(sequence), Some(snapshot), Some(length)) =
            (number(), number(), number(), number())
        else {
            break;
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > message.len() {
            break;
        }
        let data = message.split_to(length);
        reports.push((EntryId::new(life, sequence), snapshot == 1, data));
    }
    reports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_is_read_whatever_its_data() {
        let message = Bytes::from_static(b"7 1 1 3\na\nb7 2 0 0\n");
        let expected = vec![
            (EntryId::new(7, 1), true, Bytes::from_static(b"a\nb")),
            (EntryId::new(7, 2), false, Bytes::new()),
        ];
        assert_eq!(reports(message), expected);
        assert!(reports(Bytes::from_static(b"7 1 1 9\nshort")).is_empty());
        assert!(reports(Bytes::from_static(b"nonsense\n")).is_empty());
    }
}
