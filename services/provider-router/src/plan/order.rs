//! In which order the models of a route are asked.

use std::cmp::{Ordering, Reverse};
use std::sync::Arc;

use nexus_contracts::chat::Usage;

use super::chance::Chance;
use super::{Candidate, Need};
use crate::registry::route::{Route, Strategy, Target};
use crate::registry::{Chosen, Registry};

/// What has been seen of models.
pub trait Facts {
    /// How long this model has lately taken to begin, in milliseconds.
    fn latency_ms(&self, provider: &str, model: &str) -> Option<u64>;
}

/// Nothing has been seen yet.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

impl Facts for Nothing {
    fn latency_ms(&self, _: &str, _: &str) -> Option<u64> {
        None
    }
}

/// Latencies that differ by less than this factor are alike: a conversation stays where its prompts
/// are kept.
const ALIKE: f64 = 1.25;

/// Everybody who was meant, the first to be asked first.
pub(super) fn targets<'a>(
    registry: &Registry,
    meant: &Chosen<'a>,
    need: &Need<'_>,
    facts: &dyn Facts,
) -> Vec<(Candidate, Option<&'a Target>)> {
    match meant {
        Chosen::Provider(configured, model) => {
            let candidate = Candidate {
                model: model
                    .clone()
                    .unwrap_or_else(|| Arc::clone(configured.usual(need.task))),
                configured: Arc::clone(configured),
            };
            vec![(candidate, None)]
        }
        Chosen::Route(_, route) => of_route(registry, route, need, facts),
    }
}

fn of_route<'a>(
    registry: &Registry,
    route: &'a Route,
    need: &Need<'_>,
    facts: &dyn Facts,
) -> Vec<(Candidate, Option<&'a Target>)> {
    let chance = Chance { seed: need.seed };
    let drawn = drawn(route, chance);
    let mut all: Vec<(Candidate, Option<&Target>)> = drawn
        .into_iter()
        .filter_map(|target| {
            let configured = Arc::clone(registry.provider(&target.provider)?);
            let model = configured.model_for(target.model.as_deref(), need.task);
            let model = Arc::from(model);
            Some((Candidate { configured, model }, Some(target)))
        })
        .filter(|(candidate, _)| need.model.is_none_or(|model| *candidate.model == *model))
        .collect();
    match route.strategy {
        Strategy::Order => {}
        Strategy::Cost => all.sort_by_key(|(one, _)| cost(one, need)),
        Strategy::Quality => {
            let quality = |one: &Candidate| one.spec().and_then(|spec| spec.quality);
            all.sort_by_key(|(one, _)| Reverse(quality(one)));
        }
        Strategy::Latency => by_latency(&mut all, chance, facts),
    }
    all
}

/// The targets with canaries and weights drawn.
fn drawn<'a>(route: &'a Route, chance: Chance<'_>) -> Vec<&'a Target> {
    let purpose = |target: &'a Target| -> [&str; 2] {
        [
            &target.provider,
            target.model.as_deref().unwrap_or_default(),
        ]
    };
    let mut weighted: Vec<(f64, &Target)> = route
        .targets
        .iter()
        .filter_map(|target| {
            let weight = target.weight?;
            Some((chance.rank(&purpose(target), weight), target))
        })
        .collect();
    weighted.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    let mut weighted = Some(weighted);
    let mut first = Vec::new();
    let mut rest = Vec::new();
    for target in &route.targets {
        match (target.canary, target.weight) {
            (Some(percent), _) => {
                if chance.within(percent, &["canary", &target.provider]) {
                    first.push(target);
                }
            }
            // All of those with a weight stand where the first of them stands.
            (None, Some(_)) => {
                let all = weighted.take().into_iter().flatten();
                rest.extend(all.map(|(_, target)| target));
            }
            (None, None) => rest.push(target),
        }
    }
    first.extend(rest);
    first
}

/// What the call would cost there; what is here costs nothing, and what has no price is dear.
fn cost(candidate: &Candidate, need: &Need<'_>) -> u64 {
    let price = candidate.spec().and_then(|spec| spec.price);
    match price {
        Some(price) => price.cost(&Usage::of(need.tokens, need.answer_tokens)),
        None if candidate.configured.local => 0,
        None => u64::MAX,
    }
}

/// The quickest first; among those that are alike, always the same one for a conversation.
fn by_latency(all: &mut [(Candidate, Option<&Target>)], chance: Chance<'_>, facts: &dyn Facts) {
    let seen = |one: &Candidate| facts.latency_ms(&one.configured.name, &one.model);
    let best = all.iter().filter_map(|(one, _)| seen(one)).min();
    let class = |one: &Candidate| match (seen(one), best) {
        // What nobody knows is tried now and then: beside the best, not before it.
        (None, _) => 0,
        (Some(ms), Some(best)) => steps(ms, best),
        (Some(_), None) => 0,
    };
    let rank = |one: &Candidate| chance.rank(&[&one.configured.name, &one.model], 1);
    all.sort_by(|(one, _), (other, _)| match class(one).cmp(&class(other)) {
        Ordering::Equal => rank(one).total_cmp(&rank(other)),
        unequal => unequal,
    });
}

/// How many times [`ALIKE`] lies between the two.
fn steps(ms: u64, best: u64) -> u32 {
    let (mut limit, mut steps) = (f64_of(best.max(1)) * ALIKE, 0);
    while f64_of(ms) > limit && steps < 64 {
        limit *= ALIKE;
        steps += 1;
    }
    steps
}

fn f64_of(ms: u64) -> f64 {
    f64::from(u32::try_from(ms).unwrap_or(u32::MAX))
}
