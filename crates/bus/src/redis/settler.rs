//! The settling half of a group.

use std::sync::Arc;
use std::time::Duration;

use ::redis::{Cmd, Pipeline, Value, cmd};
use async_trait::async_trait;
use tokio::time::Instant;

use super::fault::Fault;
use super::membership::Membership;
use super::{Call, scripts, wire};
use crate::clock::now_ms;
use crate::group::{GroupSettler, dead_channel, dead_record};
use crate::{Action, BusError, EntryId, LeaseToken, Settlement};

/// Settlements in one transaction: the server does nothing else meanwhile.
const TRANSACTION: usize = 256;
/// Tokens in one script.
const SCRIPT_TOKENS: usize = 500;

pub(super) struct Settler {
    membership: Arc<Membership>,
}

/// A settlement and where it stands in the batch.
type Numbered<'a> = (usize, &'a Settlement);

impl Settler {
    pub(super) const fn new(membership: Arc<Membership>) -> Self {
        Self { membership }
    }

    /// Acknowledges and buries: everything that goes out and all acknowledgements in one
    /// transaction, so that with memory full neither happens.
    async fn finish(&self, batch: &[Numbered<'_>]) -> Vec<(usize, Result<(), BusError>)> {
        let mut results = Vec::with_capacity(batch.len());
        let mut commands: Vec<(Option<usize>, Cmd)> = Vec::new();
        let mut done = Vec::with_capacity(batch.len());
        for (position, settlement) in batch {
            match self.appends(settlement) {
                Ok(appends) => {
                    commands.extend(appends.into_iter().map(|append| (Some(*position), append)));
                    done.push((*position, settlement.leased.entry.id));
                }
                Err(error) => results.push((*position, Err(error))),
            }
        }
        if done.is_empty() {
            return results;
        }
        commands.push((None, self.ack(done.iter().map(|(_, id)| *id))));
        let (owners, commands): (Vec<Option<usize>>, Vec<Cmd>) = commands.into_iter().unzip();
        match self.transact(commands).await {
            Ok(replies) => {
                self.membership.release(done.iter().map(|(_, id)| *id));
                let refused = refusals(&owners, &replies);
                results.extend(done.into_iter().map(|(position, _)| {
                    let refusal = refused.iter().find(|(owner, _)| *owner == position);
                    (
                        position,
                        refusal.map_or(Ok(()), |(_, error)| Err(error.clone())),
                    )
                }));
            }
            Err(error) => {
                results.extend(
                    done.into_iter()
                        .map(|(position, _)| (position, Err(error.clone()))),
                );
            }
        }
        results
    }

    /// What a settlement stores.
    fn appends(&self, settlement: &Settlement) -> Result<Vec<Cmd>, BusError> {
        let (keys, spec) = (&self.membership.core.keys, &self.membership.spec);
        let mut appends = Vec::with_capacity(settlement.publish.len() + 1);
        if matches!(settlement.action, Action::Dead { .. }) {
            let letter = dead_record(settlement, &spec.channel, &spec.group, now_ms());
            appends.push(wire::xadd(
                &keys.channel(&dead_channel(&spec.channel)),
                &letter,
            ));
        }
        for outgoing in &settlement.publish {
            wire::check(&outgoing.channel, &outgoing.record)?;
            appends.push(wire::xadd(
                &keys.channel(&outgoing.channel),
                &outgoing.record,
            ));
        }
        Ok(appends)
    }

    fn ack(&self, ids: impl Iterator<Item = EntryId>) -> Cmd {
        let mut ack = cmd("XACK");
        ack.arg(&self.membership.stream)
            .arg(&self.membership.spec.group);
        for id in ids {
            ack.arg(id.to_string());
        }
        ack
    }

    async fn transact(&self, mut commands: Vec<Cmd>) -> Result<Vec<Value>, BusError> {
        let link = &self.membership.core.link;
        if commands.len() == 1
            && let Some(only) = commands.pop()
        {
            return Ok(vec![link.repeat(Call::Command(&only)).await?]);
        }
        let mut pipeline = Pipeline::with_capacity(commands.len());
        pipeline.atomic().ignore_errors();
        for command in commands {
            pipeline.add_command(command);
        }
        wire::list(link.repeat(Call::Pipeline(&pipeline)).await?)
    }

    /// Sets aside for later; a retry counts as an attempt, waiting does not.
    async fn delay(
        &self,
        batch: &[(usize, EntryId, Duration, u8)],
    ) -> Vec<(usize, Result<(), BusError>)> {
        let (membership, spec) = (&self.membership, &self.membership.spec);
        let mut call = scripts::DELAY.prepare_invoke();
        call.key(&membership.stream).key(&membership.delayed);
        call.arg(&spec.group).arg(&spec.consumer);
        for (_, id, after, count) in batch {
            call.arg(id.to_string())
                .arg(wire::millis(*after))
                .arg(*count);
        }
        let outcome = match membership.core.link.try_repeat(Call::Script(&call)).await {
            // The group is gone and will deliver again from its checkpoint.
            Ok(_) | Err(Fault::NoGroup(_)) => Ok(()),
            Err(fault) => Err(membership.core.link.error(fault)),
        };
        if outcome.is_ok() {
            membership.release(batch.iter().map(|(_, id, ..)| *id));
            if let Some(first) = batch.iter().map(|(_, _, after, _)| *after).min() {
                membership.schedule(Instant::now() + first);
            }
        }
        batch
            .iter()
            .map(|(position, ..)| (*position, outcome.clone()))
            .collect()
    }

    async fn extend_some(&self, tokens: &[LeaseToken]) -> Result<Vec<LeaseToken>, BusError> {
        let (membership, spec) = (&self.membership, &self.membership.spec);
        let mut call = scripts::EXTEND.prepare_invoke();
        call.key(&membership.stream)
            .arg(&spec.group)
            .arg(&spec.consumer);
        for token in tokens {
            call.arg(&token.0);
        }
        let lost = match membership.core.link.try_repeat(Call::Script(&call)).await {
            Ok(reply) => {
                let token = |value| wire::text(value).map(LeaseToken);
                wire::list(reply)?
                    .into_iter()
                    .map(token)
                    .collect::<Result<Vec<_>, _>>()?
            }
            Err(Fault::NoGroup(_)) => tokens.to_vec(),
            Err(fault) => return Err(membership.core.link.error(fault)),
        };
        membership.release(lost.iter().filter_map(|token| token.0.parse().ok()));
        Ok(lost)
    }
}

/// The appends that the server refused although it carried out the rest, by settlement. Only a key
/// of another kind does that (anything the server can foresee, as memory full, aborts the whole
/// transaction); the caller still holds the settlement and can settle it again.
fn refusals(owners: &[Option<usize>], replies: &[Value]) -> Vec<(usize, BusError)> {
    let refusal = |(owner, reply): (&Option<usize>, &Value)| match (owner, reply) {
        (Some(owner), Value::ServerError(error)) => {
            let fault = Fault::by_code(error.code(), format!("an append was refused: {error}"));
            Some((*owner, fault.into_error("redis")))
        }
        _ => None,
    };
    owners.iter().zip(replies).filter_map(refusal).collect()
}

#[async_trait]
impl GroupSettler for Settler {
    async fn settle(&self, batch: &[Settlement]) -> Vec<Result<(), BusError>> {
        let mut finishing: Vec<Numbered<'_>> = Vec::with_capacity(batch.len());
        let mut delaying = Vec::new();
        for (position, settlement) in batch.iter().enumerate() {
            let id = settlement.leased.entry.id;
            match &settlement.action {
                Action::Ack | Action::Dead { .. } => finishing.push((position, settlement)),
                Action::Retry { after } => delaying.push((position, id, *after, 1)),
                Action::Wait { after } => delaying.push((position, id, *after, 0)),
            }
        }
        let mut results: Vec<Result<(), BusError>> = vec![Ok(()); batch.len()];
        let mut settled = Vec::with_capacity(batch.len());
        for some in finishing.chunks(TRANSACTION) {
            settled.extend(self.finish(some).await);
        }
        for some in delaying.chunks(SCRIPT_TOKENS) {
            settled.extend(self.delay(some).await);
        }
        for (position, result) in settled {
            if let Some(place) = results.get_mut(position) {
                *place = result;
            }
        }
        results
    }

    async fn extend(&self, tokens: &[LeaseToken]) -> Result<Vec<LeaseToken>, BusError> {
        let mut lost = Vec::new();
        for some in tokens.chunks(SCRIPT_TOKENS) {
            lost.extend(self.extend_some(some).await?);
        }
        Ok(lost)
    }
}
