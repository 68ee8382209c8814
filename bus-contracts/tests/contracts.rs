//! What is promised about contracts: every version ever published decodes for ever, unknown fields
//! survive, and the committed schemas are the ones the code means.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use nexus_contracts::{
    CATALOGUE, Envelope, FieldsContext, MessageId, Timestamp, catalogue, schema,
};
use proptest::prelude::{Strategy, any, prop_assert_eq, proptest};
use serde_json::Value;

fn folder(name: &str) -> PathBuf {
    PathBuf::from(name)
}

fn context() -> Result<FieldsContext> {
    let fallback_id = MessageId::new("fallback")?;
    Ok(FieldsContext {
        fallback_id,
        stored_at: Timestamp::from_millis(0),
    })
}

/// A fixture as flat fields: `metadata` and `payload` as JSON text.
fn fields(fixture: &Value) -> Result<Vec<(String, Bytes)>> {
    let object = fixture.as_object().context("a fixture is an object")?;
    let field = |(name, value): (&String, &Value)| {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        (name.clone(), Bytes::from(text))
    };
    Ok(object.iter().map(field).collect())
}

fn fixtures() -> Result<Vec<(PathBuf, Value)>> {
    let mut found = Vec::new();
    for event in std::fs::read_dir(folder("tests/fixtures"))? {
        for version in std::fs::read_dir(event?.path())? {
            let path = version?.path();
            let text = std::fs::read_to_string(&path)?;
            found.push((path.clone(), serde_json::from_str(&text)?));
        }
    }
    Ok(found)
}

#[test]
fn every_fixture_decodes_and_comes_back_whole() -> Result<()> {
    for (path, fixture) in fixtures()? {
        let about = path.display().to_string();
        let envelope =
            Envelope::from_fields(fields(&fixture)?, &context()?).context(about.clone())?;
        let spec = catalogue::find(&envelope.event_type).context(about.clone())?;
        let event = (spec.round_trip)(&envelope).context(about.clone())?;
        ensure!(
            event == fixture["payload"],
            "{about}: payload changed to {event}"
        );
        let metadata = serde_json::to_value(&envelope.metadata)?;
        ensure!(
            metadata == fixture["metadata"],
            "{about}: metadata changed to {metadata}"
        );
        let again = Envelope::from_fields(envelope.to_fields()?, &context()?)?;
        ensure!(again == envelope, "{about}: the envelope changed");
        ensure!(
            again.extra.contains_key("x_field"),
            "{about}: an unknown field was lost"
        );
    }
    Ok(())
}

#[test]
fn every_event_has_a_fixture_of_its_version() {
    for spec in CATALOGUE {
        let path = folder("tests/fixtures").join(spec.event_type);
        let file = path.join(format!("v{}.json", spec.version));
        assert!(file.exists(), "{} is missing", file.display());
    }
}

#[test]
fn event_types_are_unique() {
    let mut types: Vec<&str> = CATALOGUE.iter().map(|spec| spec.event_type).collect();
    types.sort_unstable();
    types.dedup();
    assert_eq!(types.len(), CATALOGUE.len());
}

/// `UPDATE_SCHEMAS=1` writes the files instead, after a change that is meant.
#[test]
fn committed_schemas_are_current() -> Result<()> {
    let mut files: Vec<(String, Value)> = schema::json_schemas()
        .into_iter()
        .map(|(name, schema)| (format!("schemas/json-schema/{name}.json"), schema))
        .collect();
    files.push(("schemas/asyncapi.json".to_owned(), schema::asyncapi()));
    let update = option_env!("UPDATE_SCHEMAS").is_some();
    for (name, value) in files {
        let path = folder(&name);
        let text = format!("{}\n", serde_json::to_string_pretty(&value)?);
        if update {
            std::fs::create_dir_all(path.parent().context("a folder")?)?;
            std::fs::write(&path, &text)?;
        }
        let committed = std::fs::read_to_string(&path)
            .with_context(|| format!("{name} is missing; run `just schemas`"))?;
        ensure!(
            committed == text,
            "{name} differs from the code; run `just schemas`"
        );
    }
    Ok(())
}

#[test]
fn fixtures_satisfy_their_schemas() -> Result<()> {
    for (path, fixture) in fixtures()? {
        let name = fixture["type"].as_str().context("type")?;
        let spec = catalogue::find(name).context("known type")?;
        let schema = (spec.schema)().to_value();
        let validator = jsonschema::validator_for(&schema)?;
        let errors: Vec<String> = validator
            .iter_errors(&fixture["payload"])
            .map(|error| error.to_string())
            .collect();
        ensure!(errors.is_empty(), "{}: {errors:?}", path.display());
    }
    Ok(())
}

#[test]
fn a_client_may_leave_out_all_but_type_and_payload() -> Result<()> {
    let fields = [
        ("type", "message.submitted"),
        ("payload", "{\"text\":\"What is 6*7?\"}"),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), Bytes::from(value)));
    let envelope = Envelope::from_fields(fields, &context()?)?;
    let event: nexus_contracts::events::MessageSubmitted = envelope.decode()?;
    assert_eq!(event.text, "What is 6*7?");
    assert_eq!(envelope.id.as_str(), "fallback");
    Ok(())
}

/// Fields of a message, and what is said to be wrong with them.
type Case<'a> = (&'a [(&'a str, &'a [u8])], &'a str);

#[test]
fn what_is_wrong_is_named() -> Result<()> {
    let decode = |fields: &[(&str, &[u8])]| {
        let fields = fields
            .iter()
            .map(|(n, v)| ((*n).to_owned(), Bytes::copy_from_slice(v)));
        Envelope::from_fields(fields, &context()?).map_err(anyhow::Error::from)
    };
    let cases: [Case<'_>; 6] = [
        (&[("payload", b"{}")], "`type` is missing"),
        (&[("type", b"x")], "`payload` is missing"),
        (
            &[("type", b"x"), ("payload", b"{}"), ("metadata", b"{")],
            "`metadata` is not readable",
        ),
        (&[("type", &[0xff]), ("payload", b"{}")], "not UTF-8"),
        (
            &[("type", b"x"), ("payload", b"{}"), ("id", b"has space")],
            "message id",
        ),
        (
            &[
                ("type", b"x"),
                ("payload", b"{}"),
                ("content_type", b"text/csv"),
            ],
            "text/csv",
        ),
    ];
    for (fields, expected) in cases {
        let error = decode(fields).err().context(expected)?.to_string();
        ensure!(
            error.contains(expected),
            "`{error}` does not say `{expected}`"
        );
    }
    Ok(())
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..200)
}

/// `nexus tail` and every client in another language show payloads as JSON.
#[test]
fn what_services_write_reads_as_json() -> Result<()> {
    for (path, fixture) in fixtures()? {
        let mut envelope = Envelope::from_fields(fields(&fixture)?, &context()?)?;
        envelope.payload = rmp_serde::to_vec_named(&fixture["payload"])?.into();
        envelope.content_type = nexus_contracts::ContentType::MessagePack;
        let spec = catalogue::find(&envelope.event_type).context("known type")?;
        let packed = (spec.pack)(&envelope)?;
        let json = Envelope {
            payload: packed,
            ..envelope
        }
        .payload_json()?;
        ensure!(json == fixture["payload"], "{}: {json}", path.display());
    }
    Ok(())
}

proptest! {
    #[test]
    fn arbitrary_fields_never_panic(
        fields in proptest::collection::vec(("[a-z_]{1,14}", bytes()), 0..12),
        kind in 0..CATALOGUE.len(),
        payload in bytes(),
    ) {
        let mut fields: Vec<(String, Bytes)> =
            fields.into_iter().map(|(name, value)| (name, value.into())).collect();
        fields.push(("type".to_owned(), CATALOGUE[kind].event_type.into()));
        fields.push(("payload".to_owned(), payload.into()));
        let context = FieldsContext {
            fallback_id: MessageId::from(uuid::Uuid::nil()),
            stored_at: Timestamp::from_millis(0),
        };
        if let Ok(envelope) = Envelope::from_fields(fields, &context) {
            let _read = (CATALOGUE[kind].round_trip)(&envelope);
            let again = Envelope::from_fields(envelope.to_fields().expect("fields"), &context);
            prop_assert_eq!(again.expect("its own fields"), envelope);
        }
    }

    #[test]
    fn times_survive(millis in -60_000_000_000_000_i64..250_000_000_000_000) {
        let at = Timestamp::from_millis(millis);
        prop_assert_eq!(at.to_string().parse::<Timestamp>().expect("its own text"), at);
    }
}
