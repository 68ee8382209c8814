//! The hops of one correlation id, in order, with how long each took. Pure.

use std::collections::BTreeMap;

use nexus_contracts::{ConversationId, OrgId, RunId, Timestamp};
use serde::Serialize;

use crate::channels::Seen;
use crate::style::{Tone, column, millis, time_of_day, toned};
use crate::tail::line::{summary, tone_of};

/// Width of the bars, in characters.
const BAR: usize = 24;

/// One message on its way.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hop {
    /// Counted from 1.
    pub hop: usize,
    /// When the bus stored it.
    pub at: Timestamp,
    /// Since the first hop.
    pub offset_ms: i64,
    /// Since the message that caused it, or the hop before where that is not known or says nothing.
    pub latency_ms: i64,
    /// The channel.
    pub channel: String,
    /// The event type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The message.
    pub id: String,
    /// The message that caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<String>,
    /// The step of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
    /// How often this very message was on the channel before: a repetition.
    #[serde(skip_serializing_if = "is_zero")]
    pub repetition: usize,
    /// What it says, in a few words.
    pub summary: String,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
const fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// Everything one message caused.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trace {
    /// The correlation id.
    pub correlation_id: String,
    /// The organisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org_id: Option<OrgId>,
    /// The conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<ConversationId>,
    /// The run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// From the first hop to the last.
    pub duration_ms: i64,
    /// The hops, in order of storage.
    pub hops: Vec<Hop>,
}

impl Trace {
    /// Puts what was found in order.
    #[must_use]
    pub fn of(corr: &str, mut found: Vec<Seen>) -> Self {
        // Stable: of those stored in one millisecond, a cause stands before its effect.
        found.sort_by_key(|seen| (seen.stored_at, rank(seen)));
        let start = found.first().map(|seen| seen.stored_at).unwrap_or_default();
        let mut stored: BTreeMap<String, Timestamp> = BTreeMap::new();
        let mut times: BTreeMap<(String, String), usize> = BTreeMap::new();
        let mut before = start;
        let mut hops = Vec::with_capacity(found.len());
        for (number, seen) in (1..).zip(&found) {
            let mut hop = hop(number, seen);
            let cause = hop
                .causation_id
                .as_ref()
                .and_then(|id| stored.get(id))
                .copied();
            hop.offset_ms = between(start, seen.stored_at);
            hop.latency_ms = between(follows(seen, cause, before), seen.stored_at);
            let count = times
                .entry((hop.channel.clone(), hop.id.clone()))
                .or_default();
            hop.repetition = *count;
            *count += 1;
            stored.entry(hop.id.clone()).or_insert(seen.stored_at);
            before = seen.stored_at;
            hops.push(hop);
        }
        let about = |of: fn(&nexus_contracts::Metadata) -> Option<uuid::Uuid>| {
            found
                .iter()
                .find_map(|seen| of(&seen.envelope.as_ref().ok()?.metadata))
        };
        Self {
            correlation_id: corr.to_owned(),
            org_id: about(|metadata| metadata.org_id.map(|id| id.0)).map(OrgId),
            conversation_id: about(|metadata| metadata.conversation_id.map(|id| id.0))
                .map(ConversationId),
            run_id: about(|metadata| metadata.run_id.map(|id| id.0)).map(RunId),
            duration_ms: between(start, before),
            hops,
        }
    }

    /// For people.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.title()];
        lines.extend(self.hops.iter().map(|hop| self.line(hop)));
        lines
    }

    fn title(&self) -> String {
        let id = toned(Tone::Name, &self.correlation_id);
        let hops = self.hops.len();
        let conversation = self
            .conversation_id
            .map_or_else(String::new, |id| format!(", conversation {id}"));
        format!(
            "{id}  {hops} hops in {}{conversation}",
            millis(self.duration_ms)
        )
    }

    fn line(&self, hop: &Hop) -> String {
        let again = match hop.repetition {
            0 => String::new(),
            _ => toned(Tone::Bad, "(repeated) "),
        };
        let text = [
            format!("{:>3}", hop.hop),
            toned(Tone::Faint, time_of_day(hop.at)),
            column(Tone::Strong, &format!("+{}", millis(hop.latency_ms)), 8),
            toned(Tone::Name, self.bar(hop)),
            column(Tone::Faint, &hop.channel, 24),
            column(tone_of(&hop.event_type), &hop.event_type, 20),
            format!("{again}{}", hop.summary),
        ];
        text.join("  ").trim_end().to_owned()
    }

    /// Where in the whole this hop stands: blank until its cause, filled while it took.
    fn bar(&self, hop: &Hop) -> String {
        let place = |at: i64| {
            let share = at.clamp(0, self.duration_ms).saturating_mul(BAR as i64);
            usize::try_from(share / self.duration_ms.max(1))
                .unwrap_or(0)
                .min(BAR - 1)
        };
        let (from, to) = (place(hop.offset_ms - hop.latency_ms), place(hop.offset_ms));
        (0..BAR)
            .map(|at| match at {
                _ if at == to => '▪',
                _ if (from..to).contains(&at) => '─',
                _ => '·',
            })
            .collect()
    }
}

fn hop(number: usize, seen: &Seen) -> Hop {
    let envelope = seen.envelope.as_ref().ok();
    let metadata = envelope.map(|envelope| &envelope.metadata);
    Hop {
        hop: number,
        at: seen.stored_at,
        offset_ms: 0,
        latency_ms: 0,
        channel: seen.channel.clone(),
        event_type: seen.event_type().to_owned(),
        id: envelope.map_or_else(|| seen.entry.to_string(), |one| one.id.as_str().to_owned()),
        causation_id: metadata
            .and_then(|metadata| metadata.causation_id.as_ref())
            .map(|id| id.as_str().to_owned()),
        step: metadata.and_then(|metadata| metadata.step),
        repetition: 0,
        summary: summary(&seen.envelope),
    }
}

fn between(from: Timestamp, to: Timestamp) -> i64 {
    to.as_millis().saturating_sub(from.as_millis()).max(0)
}

/// The moment from which a hop's latency counts: its cause. The end of a run names the message that
/// began it, which tells nothing about the last hop; there it is the hop before.
fn follows(seen: &Seen, cause: Option<Timestamp>, before: Timestamp) -> Timestamp {
    match seen.event_type() {
        "message.completed" | "message.failed" => before,
        _ => cause.unwrap_or(before),
    }
}

/// The order in which a step goes through the channels.
fn rank(seen: &Seen) -> (u32, u8) {
    let step = seen
        .envelope
        .as_ref()
        .ok()
        .and_then(|envelope| envelope.metadata.step);
    match seen.event_type() {
        "message.submitted" => (0, 0),
        "message.accepted" => (0, 1),
        "inference.requested" => (step.unwrap_or(1), 2),
        "inference.completed" | "inference.failed" | "usage.recorded" => (step.unwrap_or(1), 3),
        "tool.requested" => (step.unwrap_or(1), 4),
        "tool.completed" | "tool.failed" => (step.unwrap_or(1), 5),
        "receipt.recorded" => (u32::MAX, 7),
        _ => (u32::MAX, 6),
    }
}
