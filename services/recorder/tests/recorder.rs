//! What is recorded, on both databases: every order and repetition gives the same picture, and
//! nobody sees another organisation's.

use anyhow::{Context, Result, ensure};
use nexus_contracts::chat::{FinishReason, Usage};
use nexus_contracts::events::{Event, MessageAccepted, MessageCompleted, MessageSubmitted};
use nexus_contracts::{
    ConversationId, CorrelationId, Envelope, Extra, MessageId, Metadata, OrgId, RunId, Timestamp,
    UserId, channels,
};
use nexus_recorder::fact::{Origin, Recorded, record};
use nexus_recorder::migrations::MIGRATIONS;
use nexus_recorder::read::{self, Before};
use nexus_recorder::write::write;
use nexus_store::Store;
use uuid::Uuid;

const ORG: OrgId = OrgId(Uuid::from_u128(1));
const OTHER: OrgId = OrgId(Uuid::from_u128(2));

/// Each test twice: on SQLite and on PostgreSQL.
macro_rules! on_both {
    ($(async fn $name:ident($store:ident: &Store) -> Result<()> $body:block)*) => {
        $(
            mod $name {
                use super::*;

                async fn body($store: &Store) -> Result<()> $body

                #[tokio::test]
                async fn sqlite() -> Result<()> {
                    let folder = tempfile::tempdir()?;
                    let url = format!("sqlite:{}", folder.path().display());
                    body(&Store::open(&url.parse()?, "recorder", MIGRATIONS).await?).await
                }

                #[tokio::test]
                async fn postgres() -> Result<()> {
                    let server = nexus_testkit::postgres().await?;
                    let url = server.fresh_database().await?;
                    body(&Store::open(&url.parse()?, "recorder", MIGRATIONS).await?).await
                }
            }
        )*
    };
}

/// The answer to a question.
fn answer(run: RunId, conversation: ConversationId, number: i64) -> MessageCompleted {
    MessageCompleted {
        run_id: run,
        conversation_id: conversation,
        text: format!("answer {number}"),
        provider: "demo".to_owned(),
        model: "demo-1".to_owned(),
        usage: Usage {
            input_tokens: 3,
            output_tokens: 2,
        },
        finish_reason: FinishReason::Stop,
        steps: 1,
        metadata: Extra::new(),
        extra: Extra::new(),
    }
}

/// The messages of one answered question, in order.
fn question(org: OrgId, number: i64) -> Result<Vec<(i64, Recorded)>> {
    let channel = channels::incoming("api");
    let id = MessageId::new(format!("m-{number}"))?;
    let run = RunId::of(org, &channel, &id);
    let conversation = ConversationId::opened_by(run);
    let correlation = CorrelationId::new(format!("c-{number}"))?;
    let metadata = Metadata {
        org_id: Some(org),
        user_id: Some(UserId(Uuid::from_u128(7))),
        run_id: Some(run),
        conversation_id: Some(conversation),
        ..Metadata::default()
    };
    let at = |step: i64| Timestamp::from_millis(number * 1000 + step);
    let wrap = |id: MessageId, step: i64, envelope: Result<Envelope, _>, channel: &str| {
        let envelope: Envelope = envelope?;
        let envelope = envelope
            .correlated(Some(correlation.clone()))
            .with_metadata(metadata.clone());
        let envelope = Envelope { id, ..envelope };
        let entry = format!("{number}-{step}");
        Ok::<_, nexus_contracts::ContractError>((
            at(step).as_millis(),
            record(envelope, channel, entry, &Origin::Ours),
        ))
    };
    let submitted = MessageSubmitted {
        text: format!("question {number}"),
        ..MessageSubmitted::default()
    };
    let accepted = MessageAccepted {
        run_id: run,
        conversation_id: conversation,
        extra: Extra::new(),
    };
    let completed = answer(run, conversation, number);
    let processed = channels::processed("api");
    Ok(vec![
        wrap(
            id.clone(),
            0,
            Envelope::new(id.clone(), at(0), &submitted),
            &channel,
        )?,
        wrap(
            id.result("a"),
            1,
            Envelope::new(id.result("a"), at(1), &accepted),
            &processed,
        )?,
        wrap(
            id.result("c"),
            2,
            Envelope::new(id.result("c"), at(2), &completed),
            &processed,
        )?,
    ])
}

async fn picture(store: &Store, org: OrgId) -> Result<String> {
    let list = read::conversations(store, org, &Before::first(), 50).await?;
    let mut picture = serde_json::to_string(&list)?;
    for summary in &list.conversations {
        let found = read::conversation(store, org, &summary.conversation_id).await?;
        picture.push_str(&serde_json::to_string(&found.context("listed")?)?);
    }
    let trace = read::trace(store, org, "c-1").await?;
    picture.push_str(&serde_json::to_string(&trace)?);
    Ok(picture)
}

on_both! {
    async fn every_order_and_repetition_gives_the_same_picture(store: &Store) -> Result<()> {
        let messages = question(ORG, 1)?;
        write(store, &messages).await?;
        let first = picture(store, ORG).await?;
        ensure!(first.contains("answer 1") && first.contains("question 1"), "{first}");
        write(store, &messages).await?;
        ensure!(picture(store, ORG).await? == first, "written twice");
        let backwards = question(OTHER, 1)?;
        for message in backwards.iter().rev() {
            write(store, std::slice::from_ref(message)).await?;
        }
        let second = picture(store, OTHER).await?;
        // The same but for ids, which are derived from the organisation.
        let shape = |text: &str| text.replace(|c: char| c.is_ascii_hexdigit(), "");
        ensure!(shape(&second) == shape(&first), "backwards: {second}\n{first}");
        Ok(())
    }

    async fn another_organisation_sees_nothing(store: &Store) -> Result<()> {
        write(store, &question(ORG, 1)?).await?;
        let list = read::conversations(store, ORG, &Before::first(), 50).await?;
        let id = &list.conversations.first().context("one")?.conversation_id;
        ensure!(read::conversations(store, OTHER, &Before::first(), 50).await?.conversations.is_empty());
        ensure!(read::conversation(store, OTHER, id).await?.is_none());
        ensure!(read::trace(store, OTHER, "c-1").await?.is_none());
        Ok(())
    }

    async fn pages_follow_each_other_without_gap_or_overlap(store: &Store) -> Result<()> {
        for number in 1..=7 {
            write(store, &question(ORG, number)?).await?;
        }
        let mut before = Before::first();
        let mut titles = Vec::new();
        loop {
            let page = read::conversations(store, ORG, &before, 3).await?;
            titles.extend(page.conversations.into_iter().map(|one| one.title));
            let Some(next) = page.next else { break };
            before = Before::parse(&next).context("next")?;
        }
        let expected: Vec<String> = (1..=7).rev().map(|at| format!("question {at}")).collect();
        ensure!(titles == expected, "{titles:?}");
        Ok(())
    }

    async fn a_message_nobody_accepted_opens_no_conversation(store: &Store) -> Result<()> {
        let messages = question(ORG, 1)?;
        write(store, messages.get(..1).context("one")?).await?;
        ensure!(read::conversations(store, ORG, &Before::first(), 50).await?.conversations.is_empty());
        let trace = read::trace(store, ORG, "c-1").await?.context("a trace")?;
        ensure!(trace.runs.iter().all(|run| run.status == "queued"), "{:?}", trace.runs);
        Ok(())
    }
}

#[tokio::test]
async fn a_trace_is_found_by_its_index() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite:{}", folder.path().display());
    let store = Store::open(&url.parse()?, "recorder", MIGRATIONS).await?;
    let tx = store.read(ORG).await?;
    let key = vec![ORG.to_string().into(), "c-1".to_owned().into()];
    let plan = tx
        .query(&format!("EXPLAIN QUERY PLAN {}", read::TRACE), key)
        .await?;
    let plan: Vec<String> = plan
        .iter()
        .map(|row| row.get("detail"))
        .collect::<Result<_, _>>()?;
    ensure!(
        plan.iter().any(|line| line.contains("archive_correlation")),
        "{plan:?}"
    );
    Ok(())
}

#[test]
fn what_an_external_client_claims_is_ignored() -> Result<()> {
    let submitted = MessageSubmitted {
        text: "hi".to_owned(),
        ..MessageSubmitted::default()
    };
    let id = MessageId::new("m")?;
    let envelope =
        Envelope::new(id, Timestamp::from_millis(0), &submitted)?.with_metadata(Metadata {
            org_id: Some(OTHER),
            ..Metadata::default()
        });
    let principal = nexus_contracts::principal::Principal {
        org_id: ORG,
        user_id: UserId(Uuid::from_u128(7)),
        roles: Vec::new(),
        extra: Extra::new(),
    };
    let origin = Origin::Client(principal);
    let recorded = record(
        envelope,
        channels::REQUESTS_INCOMING,
        "1-0".to_owned(),
        &origin,
    );
    ensure!(recorded.org == ORG);
    ensure!(recorded.envelope.event_type == MessageSubmitted::TYPE);
    Ok(())
}
