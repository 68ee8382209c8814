//! Reads all channels of a bus at once, without joining a group: nothing is taken from anyone.

use std::collections::BTreeMap;

use nexus_bus::{Bus, BusError, Entry, EntryId, ReadFrom};
use nexus_contracts::{Envelope, Timestamp};
use nexus_service_kit::envelope_of;

/// Most entries read from one channel at once.
const PAGE: usize = 1000;

/// One message as it passed.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The channel.
    pub channel: String,
    /// Where it stands there.
    pub entry: EntryId,
    /// When the bus stored it.
    pub stored_at: Timestamp,
    /// The message; or why it does not read.
    pub envelope: Result<Envelope, String>,
}

impl Seen {
    fn new(channel: &str, entry: &Entry) -> Self {
        Self {
            channel: channel.to_owned(),
            entry: entry.id,
            stored_at: Timestamp::from_millis(entry.stored_at_ms),
            envelope: envelope_of(entry, channel).map_err(|error| error.to_string()),
        }
    }

    /// The correlation id, where there is one.
    #[must_use]
    pub fn corr(&self) -> Option<&str> {
        let envelope = self.envelope.as_ref().ok()?;
        envelope
            .correlation_id
            .as_ref()
            .map(nexus_contracts::CorrelationId::as_str)
    }

    /// The event type, or what stands for it.
    #[must_use]
    pub fn event_type(&self) -> &str {
        self.envelope
            .as_ref()
            .map_or("(unreadable)", |envelope| &envelope.event_type)
    }
}

/// A reader of all channels, new ones too.
pub struct AllChannels {
    bus: Bus,
    from: ReadFrom,
    places: BTreeMap<String, ReadFrom>,
}

impl AllChannels {
    /// Begins there in every channel.
    #[must_use]
    pub const fn new(bus: Bus, from: ReadFrom) -> Self {
        Self {
            bus,
            from,
            places: BTreeMap::new(),
        }
    }

    /// Looks which channels there are.
    ///
    /// # Errors
    /// When the bus cannot be reached.
    pub async fn look(&mut self) -> Result<(), BusError> {
        for channel in self.bus.channels().await? {
            self.places.entry(channel.name).or_insert(self.from);
        }
        Ok(())
    }

    /// [`AllChannels::look`], then everything that is new.
    ///
    /// # Errors
    /// When the bus cannot be reached.
    pub async fn look_and_next(&mut self) -> Result<Page, BusError> {
        self.look().await?;
        self.next(|_| true).await
    }

    /// What is new in all channels, in the order of storage; empty when nothing is. `wanted` sees
    /// each entry before it is decoded.
    ///
    /// # Errors
    /// When the bus cannot be reached.
    pub async fn next(&mut self, wanted: impl Fn(&Entry) -> bool) -> Result<Page, BusError> {
        let mut page = Page::default();
        for (channel, place) in &mut self.places {
            let entries = self.bus.read(channel, *place, PAGE).await?;
            page.read += entries.len();
            if let Some(last) = entries.last() {
                *place = ReadFrom::After(last.id);
            }
            let seen = entries.iter().filter(|entry| wanted(entry));
            page.seen
                .extend(seen.map(|entry| Seen::new(channel, entry)));
        }
        page.seen.sort_by(|one, other| {
            (one.stored_at, &one.channel, one.entry).cmp(&(
                other.stored_at,
                &other.channel,
                other.entry,
            ))
        });
        Ok(page)
    }
}

/// What one look brought.
#[derive(Debug, Default)]
pub struct Page {
    /// How many entries were read.
    pub read: usize,
    /// Those that were wanted.
    pub seen: Vec<Seen>,
}
