//! What `providers.yaml` says of routes: several models that can answer, and which of them when.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use nexus_contracts::OrgId;
use nexus_contracts::events::Purpose;
use nexus_service_kit::config::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::Word;
use crate::complexity::Level;

/// Some models, of which the first that can answers.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// In which order they are asked.
    #[serde(default)]
    pub strategy: Strategy,
    /// When the first is silent for this long, the next is asked beside it, and who speaks first is
    /// heard. Costs twice; off when absent.
    #[serde(default, deserialize_with = "some_duration")]
    #[schemars(with = "Span")]
    pub hedge_after: Option<Duration>,
    /// What to do when an answer breaks off after people have heard a part of it.
    #[serde(default)]
    pub on_interruption: OnInterruption,
    /// Who can be asked.
    pub targets: Vec<Target>,
}

fn some_duration<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    nexus_service_kit::config::duration::deserialize(from).map(Some)
}

/// In which order the models of a route are asked. What is not known of a model puts it last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// As they are listed.
    #[default]
    Order,
    /// The cheapest first, for a prompt of this length.
    Cost,
    /// First the one that has lately been quickest to begin.
    Latency,
    /// The best first, by its `quality`.
    Quality,
}

/// What becomes of an answer that breaks off after a part of it was heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnInterruption {
    /// The next model goes on where it broke off, and the answer says where and who.
    #[default]
    Continue,
    /// The call fails.
    Fail,
}

/// A model of a route.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The provider.
    pub provider: String,
    /// Its model; the provider's `model` when absent.
    #[serde(default)]
    pub model: Option<String>,
    /// Which share it has of what those with a weight get: its weight out of the sum of theirs.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub weight: Option<u32>,
    /// The percentage of conversations that ask it first; the others never do.
    #[serde(default)]
    #[schemars(range(max = 100))]
    pub canary: Option<u8>,
    /// What it is there for; everything when absent.
    #[serde(default)]
    pub when: When,
}

/// What a target is there for. All that is said must hold.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// Questions of one of these levels.
    pub complexity: Option<Vec<Level>>,
    /// Answers for this.
    pub purpose: Option<Purpose>,
    /// Whether tools are offered.
    pub tools: Option<bool>,
    /// Whether there are pictures.
    pub images: Option<bool>,
    /// Prompts of at least this many tokens.
    pub min_tokens: Option<u64>,
    /// Prompts of at most this many.
    pub max_tokens: Option<u64>,
    /// These organisations.
    pub organisations: Option<Vec<OrgId>>,
}

/// What a model may lack.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Seeing pictures.
    Vision,
    /// Asking for tools.
    Tools,
    /// Being held to a JSON Schema.
    Schema,
    /// Reading a prompt of this length.
    Context,
    /// Turning texts into vectors.
    Embed,
}

impl fmt::Display for Capability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Vision => "see pictures",
            Self::Tools => "call tools",
            Self::Schema => "be held to a JSON Schema",
            Self::Context => "read a prompt of this length",
            Self::Embed => "turn texts into vectors",
        })
    }
}

/// Who is asked instead of a model that cannot: by what it lacks, the name of a provider or route.
pub type Delegates = BTreeMap<Capability, String>;

/// [`Delegates`] as an editor is told of them.
pub(super) type DelegatesSchema = BTreeMap<Word<Capability>, String>;
