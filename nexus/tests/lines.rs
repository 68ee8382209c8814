//! What `tail`, `trace` and `chat` show.

use nexus::channels::Seen;
use nexus::chat::screen::{Drawn, Screen};
use nexus::style::{cut, millis};
use nexus::tail::line::{Lines, json};
use nexus::trace::waterfall::Trace;
use nexus::up::without_password;
use nexus_bus::EntryId;
use nexus_contracts::events::{Event, MessageAccepted, MessageSubmitted, ToolRequested};
use nexus_contracts::live::LiveEvent;
use nexus_contracts::{
    ContractError, ConversationId, CorrelationId, Envelope, Extra, MessageId, Metadata, RunId,
    Timestamp,
};

const START: i64 = 1_700_000_000_000;

fn seen<E: Event>(
    channel: &str,
    (id, cause): (&str, Option<&str>),
    offset: i64,
    event: &E,
) -> Result<Seen, ContractError> {
    let at = Timestamp::from_millis(START + offset);
    let cause = cause.map(MessageId::new).transpose()?;
    let metadata = Metadata {
        causation_id: cause,
        step: Some(1),
        ..Metadata::default()
    };
    let envelope = Envelope::new(MessageId::new(id)?, at, event)?
        .correlated(Some(CorrelationId::new("0197a5f0-corr")?))
        .with_metadata(metadata);
    let entry = EntryId::new(u64::try_from(offset).unwrap_or(0), 0);
    Ok(Seen {
        channel: channel.into(),
        entry,
        stored_at: at,
        envelope: Ok(envelope),
    })
}

fn submitted(text: &str) -> MessageSubmitted {
    MessageSubmitted {
        text: text.to_owned(),
        ..MessageSubmitted::default()
    }
}

fn accepted() -> MessageAccepted {
    let id = uuid::Uuid::nil();
    MessageAccepted {
        run_id: RunId(id),
        conversation_id: ConversationId(id),
        extra: Extra::new(),
    }
}

fn tool() -> ToolRequested {
    ToolRequested {
        call_id: "c".into(),
        name: "math_solver".into(),
        arguments: "{\"expression\":\"6*7\"}".into(),
        ..ToolRequested::default()
    }
}

/// Without the escape codes that a terminal would have eaten.
fn plain(line: &str) -> String {
    anstream::adapter::strip_str(line).to_string()
}

#[test]
fn a_line_has_aligned_columns_and_the_latency_of_the_hop() -> anyhow::Result<()> {
    let mut lines = Lines::default();
    let one = lines.line(&seen(
        "requests.incoming.api",
        ("a", None),
        0,
        &submitted("hi\nthere"),
    )?);
    let two = lines.line(&seen("tools.execute", ("b", Some("a")), 12, &tool())?);
    let (one, two) = (plain(&one), plain(&two));
    assert_eq!(
        one,
        "22:13:20.000            0197a5f0  requests.incoming.api     message.submitted     hi there"
    );
    assert!(
        two.starts_with("22:13:20.012  +12ms     0197a5f0  tools.execute  "),
        "{two}"
    );
    assert!(
        two.ends_with("math_solver {\"expression\":\"6*7\"}"),
        "{two}"
    );
    assert_eq!(one.find("message.submitted"), two.find("tool.requested"));
    Ok(())
}

#[test]
fn what_does_not_read_is_shown_too() -> anyhow::Result<()> {
    let mut broken = seen("requests.incoming", ("a", None), 0, &submitted("x"))?;
    broken.envelope = Err("field `payload` is missing".into());
    let line = plain(&Lines::default().line(&broken));
    assert!(
        line.contains("(unreadable)") && line.contains("`payload` is missing"),
        "{line}"
    );
    assert!(json(&broken).contains("\"error\""));
    Ok(())
}

#[test]
fn a_json_line_holds_the_whole_message() -> anyhow::Result<()> {
    let line = json(&seen("requests.incoming", ("a", None), 0, &submitted("x"))?);
    let value: serde_json::Value = serde_json::from_str(&line)?;
    assert_eq!(value["type"], "message.submitted");
    assert_eq!(value["payload"]["text"], "x");
    assert_eq!(value["correlation_id"], "0197a5f0-corr");
    assert!(!line.contains('\n'));
    Ok(())
}

#[test]
fn a_trace_is_in_order_with_latencies_from_cause_to_effect() -> anyhow::Result<()> {
    let found = vec![
        seen("tools.execute", ("c", Some("a")), 30, &tool())?,
        seen("requests.processed.api", ("b", Some("a")), 5, &accepted())?,
        seen("requests.incoming.api", ("a", None), 0, &submitted("x"))?,
        seen("tools.execute", ("c", Some("a")), 40, &tool())?,
    ];
    let trace = Trace::of("0197a5f0-corr", found);
    let ids: Vec<_> = trace.hops.iter().map(|hop| hop.id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c", "c"]);
    let latencies: Vec<_> = trace.hops.iter().map(|hop| hop.latency_ms).collect();
    assert_eq!(
        latencies,
        [0, 5, 30, 40],
        "from the cause, not from the hop before"
    );
    assert_eq!(
        trace
            .hops
            .iter()
            .map(|hop| hop.repetition)
            .collect::<Vec<_>>(),
        [0, 0, 0, 1]
    );
    assert_eq!(trace.duration_ms, 40);
    let lines: Vec<_> = trace.lines().iter().map(|line| plain(line)).collect();
    assert_eq!(lines.len(), 5);
    assert!(lines[0].contains("4 hops in 40ms"), "{}", lines[0]);
    assert!(lines[4].contains("(repeated)"), "{}", lines[4]);
    Ok(())
}

#[test]
fn an_empty_trace_is_empty() {
    assert!(Trace::of("x", vec![]).hops.is_empty());
}

fn delta(step: u32, text: &str) -> LiveEvent {
    LiveEvent::Delta {
        step,
        text: text.into(),
    }
}

fn snapshot(step: u32, text: &str) -> LiveEvent {
    LiveEvent::Snapshot {
        step,
        text: text.into(),
    }
}

#[test]
fn a_screen_appends_and_starts_a_line_only_where_the_text_starts_over() {
    let mut screen = Screen::default();
    let mut written = String::new();
    for event in [
        snapshot(1, ""),
        delta(1, "let me"),
        delta(1, " see"),
        snapshot(1, "let me see"),
        snapshot(2, ""),
        delta(2, "15"),
        snapshot(2, ""),
        delta(2, "1591"),
    ] {
        let Drawn { line_break, text } = screen.apply(&event);
        if line_break {
            written.push('\n');
        }
        written.push_str(&text);
    }
    assert_eq!(written, "let me see\n1591");
    assert_eq!(screen.shown(), "1591");
}

#[test]
fn text_from_outside_cannot_move_the_cursor() {
    assert_eq!(cut("a\u{1b}[2Jb\nc", 20), "a [2Jb c");
    assert_eq!(cut("abcdef", 4), "abc…");
    assert_eq!(cut("日本語です", 3), "日本…");
}

#[test]
fn small_things_read_well() {
    assert_eq!(
        [millis(3), millis(1_250), millis(125_000)],
        ["3ms", "1.25s", "2m05s"]
    );
    assert_eq!(
        without_password("redis://u:p@host:1/0"),
        "redis://…@host:1/0"
    );
    assert_eq!(without_password("nats://host:1"), "nats://host:1");
}
