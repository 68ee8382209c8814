//! Which models are asked, in which order, and why. Pure: what is known comes in, a plan comes out.
//!
//! Who is meant is settled before: a request's choice over its conversation's, its user's, its
//! organisation's (`nexus_contracts::settings`). What arrives here is the name of a provider, the
//! name of a route, or nothing, which means the default of `providers.yaml`.

mod chance;
mod order;
mod what;

use std::sync::Arc;

use nexus_contracts::settings::Privacy;
use serde::Serialize;

use crate::complexity::Complexity;
use crate::provider::{FailureClass, ProviderFailure};
use crate::registry::models::{Model, Task, ToolUse};
use crate::registry::route::{Capability, OnInterruption, Strategy, Target, When};
use crate::registry::{Chosen, Configured, Registry};

pub use order::{Facts, Nothing};
pub use what::{Need, Size, USUAL_ANSWER};

/// A model that can be asked.
#[derive(Clone)]
pub struct Candidate {
    /// Its provider.
    pub configured: Arc<Configured>,
    /// Its name.
    pub model: Arc<str>,
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.configured, &other.configured) && self.model == other.model
    }
}

impl Candidate {
    /// What the file says of it.
    #[must_use]
    pub fn spec(&self) -> Option<&Model> {
        self.configured.spec(&self.model)
    }

    /// How it asks for tools: by what its interface has for that, unless the file says otherwise.
    #[must_use]
    pub fn tool_use(&self) -> ToolUse {
        let said = self.spec().and_then(|spec| spec.tools);
        said.unwrap_or(ToolUse::Native)
    }
}

/// A model that is not asked, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Its provider.
    pub provider: String,
    /// Its name.
    pub model: String,
    /// Why.
    pub why: String,
}

/// Whom to ask.
pub struct Plan {
    /// The route that was meant, if it was one.
    pub route: Option<String>,
    /// How they were put in order.
    pub strategy: Strategy,
    /// At least one, the first to be asked first.
    pub candidates: Vec<Candidate>,
    /// Who is not asked.
    pub skipped: Vec<Skipped>,
    /// Who was meant at first, where none of them could.
    pub delegated: Option<Delegated>,
    /// See [`crate::registry::route::Route::hedge_after`].
    pub hedge_after: Option<std::time::Duration>,
    /// See [`crate::registry::route::Route::on_interruption`].
    pub on_interruption: OnInterruption,
}

/// A call that went to somebody else than was meant, for want of a capability.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Delegated {
    /// Who was meant.
    pub from: String,
    /// What none of them can.
    pub lacking: Capability,
    /// Who is asked instead.
    pub to: String,
}

/// Plans a call.
///
/// # Errors
/// [`FailureClass::UnknownProvider`] when there is none of this name, [`FailureClass::PrivacyRefused`]
/// when the call may not leave and everybody who was meant is elsewhere,
/// [`FailureClass::Unsupported`] when nobody who was meant can do it, [`FailureClass::MissingKey`] when
/// nobody has a key. Each says of every model why not.
pub fn plan(
    registry: &Registry,
    need: &Need<'_>,
    complexity: &Complexity,
    facts: &dyn Facts,
) -> Result<Plan, ProviderFailure> {
    let meant = registry.meant(need.target, need.model, need.task)?;
    let first = sift(registry, &meant, need, complexity, facts);
    let lacking = first.lacking;
    let refused = match finish(&meant, first) {
        Ok(plan) => return Ok(plan),
        Err(failure) => failure,
    };
    // Nobody who was meant can: somebody may be named for that.
    let Some((lacking, to)) = lacking.and_then(|lacking| {
        let to = registry.delegates().get(&lacking)?;
        Some((lacking, to.clone()))
    }) else {
        return Err(refused);
    };
    let elsewhere = registry.meant(Some(&to), None, need.task)?;
    let found = sift(registry, &elsewhere, need, complexity, facts);
    let mut plan = finish(&elsewhere, found).map_err(|failure| {
        let detail = format!("{refused}; and the delegate `{to}`: {failure}");
        ProviderFailure::new(failure.class, detail)
    })?;
    plan.delegated = Some(Delegated {
        from: meant.name().to_owned(),
        lacking,
        to,
    });
    Ok(plan)
}

/// What is left of those who were meant.
struct Sifted {
    candidates: Vec<Candidate>,
    skipped: Vec<(Skipped, Reason)>,
    /// What the first of them lacks that was left out for that.
    lacking: Option<Capability>,
}

/// Why a model is not asked.
enum Reason {
    Away(Privacy),
    Lacks(Capability),
    Unusable(ProviderFailure),
    NotMeant(String),
}

fn sift(
    registry: &Registry,
    meant: &Chosen<'_>,
    need: &Need<'_>,
    complexity: &Complexity,
    facts: &dyn Facts,
) -> Sifted {
    let targets = order::targets(registry, meant, need, facts);
    let mut sifted = Sifted {
        candidates: Vec::new(),
        skipped: Vec::new(),
        lacking: None,
    };
    for (candidate, target) in targets {
        let Some(reason) = objection(&candidate, target, need, complexity) else {
            // Targets that name models for answers may share one for vectors.
            let again = need.task == Task::Embed && sifted.candidates.contains(&candidate);
            if !again {
                sifted.candidates.push(candidate);
            }
            continue;
        };
        if let Reason::Lacks(capability) = reason {
            sifted.lacking.get_or_insert(capability);
        }
        let skipped = Skipped {
            provider: candidate.configured.name.to_string(),
            model: candidate.model.to_string(),
            why: words(&candidate, &reason),
        };
        sifted.skipped.push((skipped, reason));
    }
    sifted
}

/// Why this model is not asked, if it is not.
fn objection(
    candidate: &Candidate,
    target: Option<&Target>,
    need: &Need<'_>,
    complexity: &Complexity,
) -> Option<Reason> {
    let configured = &candidate.configured;
    // Before anything else: what may not leave is not even weighed.
    if !need.privacy.is_open() && !configured.local {
        return Some(Reason::Away(need.privacy));
    }
    if let Some(why) = target.and_then(|target| unmet(&target.when, need, complexity)) {
        return Some(Reason::NotMeant(why));
    }
    if let Some(capability) = need.lacking(candidate) {
        return Some(Reason::Lacks(capability));
    }
    let failure = configured.provider.as_ref().err()?;
    Some(Reason::Unusable(failure.clone()))
}

/// The first condition that does not hold, in words.
fn unmet(when: &When, need: &Need<'_>, complexity: &Complexity) -> Option<String> {
    let level = complexity.level();
    if let Some(levels) = &when.complexity
        && !levels.contains(&level)
    {
        return Some(format!("the question's complexity is {level}"));
    }
    if when.purpose.is_some_and(|purpose| purpose != need.purpose) {
        return Some("it is for another purpose".to_owned());
    }
    match when.tools {
        Some(true) if !need.tools => return Some("no tools are offered".to_owned()),
        Some(false) if need.tools => return Some("tools are offered".to_owned()),
        _ => {}
    }
    match when.images {
        Some(true) if !need.images => return Some("there are no pictures".to_owned()),
        Some(false) if need.images => return Some("there are pictures".to_owned()),
        _ => {}
    }
    let tokens = need.tokens;
    if when.min_tokens.is_some_and(|least| tokens < least)
        || when.max_tokens.is_some_and(|most| tokens > most)
    {
        return Some(format!("the prompt has about {tokens} tokens"));
    }
    let listed = |orgs: &Vec<_>| orgs.contains(&need.org);
    let elsewhere = when
        .organisations
        .as_ref()
        .is_some_and(|orgs| !listed(orgs));
    elsewhere.then(|| "it is for other organisations".to_owned())
}

fn words(candidate: &Candidate, reason: &Reason) -> String {
    match reason {
        Reason::Away(Privacy::LocalOnly) => {
            "nothing of this organisation, user or conversation may leave (`privacy: local_only`), \
             and it is elsewhere"
                .to_owned()
        }
        Reason::Away(_) => {
            "this may not leave (`privacy: sensitive`), and it is elsewhere".to_owned()
        }
        Reason::Lacks(capability) => format!("{} cannot {capability}", candidate.model),
        Reason::Unusable(failure) => failure.to_string(),
        Reason::NotMeant(why) => why.clone(),
    }
}

/// The plan, or why there is none.
fn finish(meant: &Chosen<'_>, sifted: Sifted) -> Result<Plan, ProviderFailure> {
    let Sifted {
        candidates,
        skipped,
        ..
    } = sifted;
    if candidates.is_empty() {
        return Err(nobody(meant, &skipped));
    }
    let route = match meant {
        Chosen::Route(_, route) => Some(*route),
        Chosen::Provider(..) => None,
    };
    Ok(Plan {
        route: route.map(|_| meant.name().to_owned()),
        strategy: route.map_or_else(Strategy::default, |route| route.strategy),
        candidates,
        skipped: skipped.into_iter().map(|(skipped, _)| skipped).collect(),
        delegated: None,
        hedge_after: route.and_then(|route| route.hedge_after),
        // A provider named by itself is asked, and nobody else goes on in its place.
        on_interruption: route.map_or(OnInterruption::Fail, |route| route.on_interruption),
    })
}

fn nobody(meant: &Chosen<'_>, skipped: &[(Skipped, Reason)]) -> ProviderFailure {
    let away = skipped
        .iter()
        .any(|(_, reason)| matches!(reason, Reason::Away(_)));
    let lacks = skipped
        .iter()
        .any(|(_, reason)| matches!(reason, Reason::Lacks(_)));
    let unusable = skipped.iter().find_map(|(_, reason)| match reason {
        Reason::Unusable(failure) => Some(failure),
        _ => None,
    });
    if let (Chosen::Provider(..), Some(failure)) = (meant, unusable) {
        return failure.clone();
    }
    let class = match unusable {
        _ if away => FailureClass::PrivacyRefused,
        Some(failure) if !lacks => failure.class,
        _ => FailureClass::Unsupported,
    };
    let why: Vec<String> = skipped
        .iter()
        .map(|(skipped, _)| format!("{}/{}: {}", skipped.provider, skipped.model, skipped.why))
        .collect();
    let kind = match meant {
        Chosen::Route(..) => "route",
        Chosen::Provider(..) => "provider",
    };
    let todo = if away {
        "; name a provider with `locality: local`"
    } else {
        ""
    };
    let detail = format!(
        "nobody of {kind} `{}` can answer this: {}{todo}",
        meant.name(),
        why.join("; ")
    );
    ProviderFailure::new(class, detail)
}

#[cfg(test)]
mod tests;
