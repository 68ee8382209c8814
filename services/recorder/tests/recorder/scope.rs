//! Nobody reads what is another's, and nobody writes into it.

use anyhow::{Context, Result, ensure};
use nexus_contracts::events::{
    ConversationDeleted, ConversationRenamed, Event, MessageCompleted, MessageSubmitted,
};
use nexus_contracts::principal::Principal;
use nexus_contracts::{Envelope, Extra, MessageId, Metadata, Timestamp, channels};
use nexus_recorder::fact::{Found, Origin, Recorded, record};
use nexus_recorder::read::{self, Before, Reader};
use nexus_recorder::terms::Terms;
use nexus_recorder::write::write;
use nexus_store::Store;

use crate::on_both;
use crate::picture::{VOCABULARY, list, picture, texts};
use crate::world::{ORG, OTHER_ORG, OTHER_USER, USER, World};

/// Everybody who must not see what [`USER`] of [`ORG`] has.
const STRANGERS: [Reader; 3] = [
    Reader {
        org: ORG,
        user: OTHER_USER,
    },
    Reader {
        org: OTHER_ORG,
        user: USER,
    },
    Reader {
        org: OTHER_ORG,
        user: OTHER_USER,
    },
];

/// A message of an external client that belongs to [`OTHER_USER`], whatever it claims.
fn claim<E: Event>(event: &E, metadata: Metadata) -> Result<Recorded> {
    let id = MessageId::new(format!("claim-{}", E::TYPE))?;
    let envelope = Envelope::new(id, Timestamp::from_millis(1), event)?.with_metadata(metadata);
    let principal = Principal {
        org_id: ORG,
        user_id: OTHER_USER,
        roles: Vec::new(),
        extra: Extra::new(),
    };
    let found = Found {
        channel: channels::REQUESTS_INCOMING,
        entry_id: E::TYPE.to_owned(),
        stored_at: 1,
    };
    Ok(record(envelope, found, &Origin::Client(principal))?)
}

on_both! {
    async fn strangers_find_nothing(store: &Store) -> Result<()> {
        let mut world = World::new();
        let first = world.turn(None, "alpha beta", "gamma")?;
        let branch = world.branch(first.conversation, first.run, ("delta", "omega"))?;
        world.rename(first.conversation, "title")?;
        world.summarize(first.conversation, "alpha")?;
        write(store, &world.messages).await?;
        let own = picture(store, world.reader).await?;
        ensure!(VOCABULARY.iter().all(|word| own.contains(&format!("{word}: "))), "{own}");
        for stranger in STRANGERS {
            ensure!(list(store, stranger).await?.is_empty(), "listed to {stranger:?}");
            for word in VOCABULARY {
                let terms = Terms::parse(word).map_err(anyhow::Error::msg)?;
                let page = read::search(store, stranger, &terms, (&Before::first(), 9)).await?;
                ensure!(page.hits.is_empty(), "found by {stranger:?}");
            }
            for asked in [&first, &branch] {
                let id = asked.conversation.to_string();
                let found = read::conversation(store, stranger, &id, (&Before::first(), 9)).await?;
                ensure!(found.is_none(), "shown to {stranger:?}");
                ensure!(read::export(store, stranger, &id).await?.is_none(), "exported to {stranger:?}");
            }
            ensure!(read::trace(store, stranger, "all").await?.is_none(), "traced by {stranger:?}");
        }
        Ok(())
    }

    async fn people_who_group_by_the_same_word_see_their_own(store: &Store) -> Result<()> {
        let mut all = Vec::new();
        for reader in STRANGERS {
            let mut world = World::of(reader.org, reader.user);
            // A message id of its own in each organisation.
            world.now = i64::from(reader.user == OTHER_USER) * 100_000;
            world.turn(None, &format!("from {}", reader.user), "answer")?;
            all.extend(world.messages);
        }
        write(store, &all).await?;
        for reader in STRANGERS {
            let trace = read::trace(store, reader, "all").await?.context("a trace")?;
            ensure!(trace.messages.len() == 4 && trace.runs.len() == 1, "{trace:?}");
            let question = trace.messages.first().context("a message")?.payload.to_string();
            ensure!(question.contains(&reader.user.to_string()), "{question}");
        }
        Ok(())
    }

    async fn a_client_cannot_write_into_what_is_anothers(store: &Store) -> Result<()> {
        let mut world = World::new();
        let asked = world.turn(None, "alpha", "beta")?;
        write(store, &world.messages).await?;
        let before = picture(store, world.reader).await?;
        let metadata = Metadata {
            org_id: Some(ORG),
            user_id: Some(USER),
            conversation_id: Some(asked.conversation),
            run_id: Some(asked.run),
            ..Metadata::default()
        };
        let conversation_id = asked.conversation;
        let completed: MessageCompleted = world.messages.last().context("an answer")?.envelope.decode()?;
        let forged = [
            claim(&MessageCompleted { text: "forged".to_owned(), ..completed }, metadata.clone())?,
            claim(&ConversationDeleted { conversation_id, extra: Extra::new() }, metadata.clone())?,
            claim(
                &ConversationRenamed {
                    conversation_id,
                    title: "forged".to_owned(),
                    automatic: false,
                    extra: Extra::new(),
                },
                metadata.clone(),
            )?,
            claim(
                &MessageSubmitted {
                    text: "forged".to_owned(),
                    conversation_id: Some(conversation_id),
                    ..MessageSubmitted::default()
                },
                metadata,
            )?,
        ];
        ensure!(forged.iter().all(|one| one.user == Some(OTHER_USER)));
        write(store, &forged).await?;
        let after = picture(store, world.reader).await?;
        ensure!(after == before, "{after}");
        let shown = texts(store, world.reader, &conversation_id.to_string()).await?;
        ensure!(shown == ["alpha", "beta"], "{shown:?}");
        Ok(())
    }
}

#[test]
fn the_organisation_an_external_client_claims_is_ignored() -> Result<()> {
    let submitted = MessageSubmitted {
        text: "hi".to_owned(),
        ..MessageSubmitted::default()
    };
    let metadata = Metadata {
        org_id: Some(OTHER_ORG),
        ..Metadata::default()
    };
    let recorded = claim(&submitted, metadata)?;
    ensure!(recorded.org == ORG && recorded.user == Some(OTHER_USER));
    ensure!(recorded.fact.is_some());
    Ok(())
}
