//! What a record may carry, and how it stays itself.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use nexus_bus::{Delivery, INLINE_LIMIT, ReadFrom, Record};

use crate::harness::Harness;
use crate::member::{LONG, Member, contents, outgoing, publish, record};

/// A payload above the limit travels as a reference; readers get the payload.
pub(crate) async fn large_envelope(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    let large = Bytes::from(vec![7u8; INLINE_LIMIT * 40]);
    let mut big = record("big");
    big.set("payload", large.clone());
    bus.publish(vec![outgoing("work", big.clone())]).await?;
    ensure!(blobs(harness)? == 1, "one blob");
    let mut member = Member::join(&bus, "work", "group").await?;
    let leased = member.take_one().await?;
    ensure!(
        leased.entry.record.get("payload") == Some(&large),
        "delivered whole"
    );
    ensure!(
        leased.entry.record.get("payload_ref").is_none(),
        "{:?}",
        leased.entry.record.fields()
    );
    // Sent on with the acknowledgement, and stored once.
    member
        .settle(Delivery::new(leased).ack(vec![outgoing("out", big)]))
        .await?;
    let sent = bus.read("out", ReadFrom::Start, 1).await?;
    ensure!(
        sent.iter()
            .all(|entry| entry.record.get("payload") == Some(&large)),
        "read whole"
    );
    ensure!(
        sent.len() == 1 && blobs(harness)? == 1,
        "the same content is one blob"
    );
    let limit = Bytes::from(vec![7u8; INLINE_LIMIT]);
    let mut small = record("small");
    small.set("payload", limit);
    bus.publish(vec![outgoing("work", small)]).await?;
    ensure!(blobs(harness)? == 1, "up to the limit nothing is put aside");
    Ok(())
}

/// A dead letter's payload goes by reference too: it was too large for the bus before.
pub(crate) async fn large_dead_letter(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    let large = Bytes::from(vec![b'x'; INLINE_LIMIT * 40]);
    let mut big = record("big");
    big.set("payload", large.clone());
    bus.publish(vec![outgoing("work", big)]).await?;
    let mut member = Member::join(&bus, "work", "group").await?;
    let leased = member.take_one().await?;
    member
        .settle(Delivery::new(leased).dead("too much", Vec::new()))
        .await?;
    let letters = contents(&bus, "work.dead").await?;
    let letter = letters.first().context("a letter")?;
    ensure!(letter.record.get("payload") == Some(&large), "buried whole");
    ensure!(blobs(harness)? == 1, "the same content is one blob");
    Ok(())
}

fn blobs(harness: &Harness) -> Result<usize> {
    let mut count = 0;
    for shelf in std::fs::read_dir(harness.folder().join("blobs"))? {
        count += std::fs::read_dir(shelf?.path())?.count();
    }
    Ok(count)
}

/// A record whose writer gave it no id has one for all who read it, however often and wherever it
/// is moved; two such records have two.
pub(crate) async fn missing_id(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    let mut bare = record("a");
    bare.remove("id");
    bus.publish(vec![outgoing("work", bare.clone()), outgoing("work", bare)])
        .await?;
    let read = contents(&bus, "work").await?;
    let ids: Vec<&str> = read
        .iter()
        .filter_map(|entry| entry.record.text("id"))
        .collect();
    let [first, second] = ids[..] else {
        anyhow::bail!("two ids: {ids:?}")
    };
    ensure!(first != second && first.len() == 32, "{ids:?}");
    let mut member = Member::join(&bus, "work", "group").await?;
    let leased = member.take_one().await?;
    ensure!(leased.entry.record.text("id") == Some(first), "delivered");
    member
        .settle(Delivery::new(leased).retry(Duration::ZERO))
        .await?;
    let mut other = Member::join_as(&bus, "work", "other", "two", LONG).await?;
    ensure!(
        other.take_one().await?.entry.record.text("id") == Some(first),
        "another group"
    );
    let again = member.take_one().await?;
    ensure!(
        again.attempts == 2 && again.entry.record.text("id") == Some(first),
        "{again:?}"
    );
    member
        .settle(Delivery::new(again).dead("no", Vec::new()))
        .await?;
    let letters = contents(&bus, "work.dead").await?;
    let letter = letters.first().context("a letter")?;
    ensure!(
        letter.record.text("id") == Some(first),
        "buried: {:?}",
        letter.record
    );
    Ok(())
}

/// Payloads are bytes: NUL, invalid UTF-8, line breaks, nothing at all.
pub(crate) async fn binary(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    let payloads: [&[u8]; 5] = [
        b"a\0b\0",
        &[0xff, 0xfe, 0x00, 0x80],
        b"\r\n\r\n+OK\r\n",
        b"",
        &[0; 1000],
    ];
    let sent: Vec<Record> = payloads
        .iter()
        .enumerate()
        .map(|(number, payload)| {
            let mut record = record(&number.to_string());
            record.set("payload", Bytes::copy_from_slice(payload));
            record
        })
        .collect();
    bus.publish(
        sent.iter()
            .map(|record| outgoing("work", record.clone()))
            .collect(),
    )
    .await?;
    let mut member = Member::join(&bus, "work", "group").await?;
    for (leased, expected) in member.take(payloads.len()).await?.iter().zip(payloads) {
        let found = leased.entry.record.get("payload");
        ensure!(
            found.is_some_and(|found| found == expected),
            "{found:?} for {expected:?}"
        );
    }
    Ok(())
}

/// Other fields are text of any script, and come back as they were.
pub(crate) async fn unicode(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    let mut sent = record("grüße 🦀 こんにちは");
    let fields = [
        (
            "metadata",
            r#"{"org_id":"ö","user":"Ďábel 👩‍🚀","rtl":"שלום"}"#,
        ),
        ("correlation_id", "ünïcödé/with spaces: and = signs"),
        ("content_type", "application/json"),
        ("timestamp", ""),
        ("x", " leading and trailing "),
    ];
    for (name, value) in fields {
        sent.set(name, value);
    }
    bus.publish(vec![outgoing("work", sent.clone())]).await?;
    let mut member = Member::join(&bus, "work", "group").await?;
    let leased = member.take_one().await?;
    for (name, value) in sent.fields() {
        ensure!(
            leased.entry.record.get(name) == Some(value),
            "{name}: {:?}",
            leased.entry.record
        );
    }
    ensure!(
        contents(&bus, "work")
            .await?
            .iter()
            .all(|e| e.record == leased.entry.record),
        "read"
    );
    Ok(())
}

/// A dead letter is what was buried, and where it came from.
pub(crate) async fn dead_letter_keeps_everything(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    publish(&bus, "work", &["before"]).await?;
    let mut sent = record("bytes");
    sent.set("payload", Bytes::from_static(b"\0\xffnot an envelope"));
    sent.set("metadata", "ünï");
    bus.publish(vec![outgoing("work", sent.clone())]).await?;
    let mut member = Member::join(&bus, "work", "group").await?;
    let before = member.take_one().await?;
    member.ack(before).await?;
    let leased = member.take_one().await?;
    member
        .settle(Delivery::new(leased).retry(Duration::ZERO))
        .await?;
    let leased = member.take_one().await?;
    let entry = leased.entry.clone();
    member
        .settle(Delivery::new(leased).dead("two\nlines: ünï", Vec::new()))
        .await?;
    let letters = contents(&bus, "work.dead").await?;
    let letter = &letters.first().context("a letter")?.record;
    for (name, value) in sent.fields() {
        ensure!(letter.get(name) == Some(value), "{name}: {letter:?}");
    }
    let entry_id = entry.id.to_string();
    let expected = [
        ("dead_reason", "two lines: ünï"),
        ("dead_channel", "work"),
        ("dead_group", "group"),
        ("dead_entry_id", entry_id.as_str()),
        ("dead_attempts", "2"),
    ];
    for (name, value) in expected {
        ensure!(letter.text(name) == Some(value), "{name}: {letter:?}");
    }
    let at: i64 = letter.text("dead_at").context("dead_at")?.parse()?;
    // Two clocks may be involved.
    ensure!(
        at > entry.stored_at_ms - 60_000,
        "{at} against {}",
        entry.stored_at_ms
    );
    Ok(())
}
