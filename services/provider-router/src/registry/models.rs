//! What `providers.yaml` says of models: what they can do and what they cost.
//!
//! What it does not say is not held against a model: it may be able to, and its price is not known.

use std::fmt;

use nexus_contracts::chat::Usage;
use schemars::JsonSchema;
use serde::de::{Error as _, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::schema::Dollars;

/// A million, of tokens and of parts of a dollar.
const MILLION: u64 = 1_000_000;

/// What a model is wanted for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Task {
    /// To answer what was said.
    #[default]
    Chat,
    /// To turn texts into vectors.
    Embed,
}

impl Task {
    /// Its name, as OpenTelemetry has it in `gen_ai.operation.name`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embed => "embeddings",
        }
    }
}

/// A model: its name alone, or what is known about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Model {
    /// Its name, as the provider knows it.
    pub name: String,
    /// Most tokens of prompt and answer together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<u64>,
    /// How it asks for tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<ToolUse>,
    /// Whether it sees pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vision: Option<bool>,
    /// Whether it can be held to a JSON Schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<bool>,
    /// Whether it turns texts into vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embeds: Option<bool>,
    /// How good its answers are, 0 to 100, by whatever measure its owner trusts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<u8>,
    /// What it costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
}

/// How a model asks for tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ToolUse {
    /// By what its interface has for that.
    Native,
    /// In its text: they are offered in its instructions, and its answers are searched for calls.
    Text,
    /// It does not: it is passed by where tools are offered.
    None,
}

impl<'de> Deserialize<'de> for ToolUse {
    /// Any other value is named: a file may still have `true` or `false` here.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let said = Value::deserialize(from)?;
        match said.as_str() {
            Some("native") => Ok(Self::Native),
            Some("text") => Ok(Self::Text),
            Some("none") => Ok(Self::None),
            _ => Err(D::Error::custom(format!(
                "`tools` of a model is {said}; it is `native` (the interface has tools), `text` (calls are \
                 read from the text) or `none`"
            ))),
        }
    }
}

/// What a million tokens cost, in millionths of a US dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(description = "What a million tokens cost, in US dollars.")]
pub struct Price {
    /// Of the prompt. In the file: US dollars.
    #[serde(deserialize_with = "dollars", serialize_with = "as_dollars")]
    #[schemars(with = "Dollars")]
    pub input: u64,
    /// Of the answer.
    #[serde(default, deserialize_with = "dollars", serialize_with = "as_dollars")]
    #[schemars(with = "Dollars")]
    pub output: u64,
    /// Of those of the prompt that were kept from an earlier one; as the others when absent.
    #[serde(default, deserialize_with = "some_dollars")]
    #[serde(
        serialize_with = "as_some_dollars",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Dollars")]
    pub cached_input: Option<u64>,
}

impl Price {
    /// What these tokens cost, in millionths of a US dollar, rounded to the nearest.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> u64 {
        let cached = usage.cached_input_tokens.min(usage.input_tokens);
        let parts = [
            (usage.input_tokens - cached, self.input),
            (cached, self.cached_input.unwrap_or(self.input)),
            (usage.output_tokens, self.output),
        ];
        let whole: u128 = parts
            .iter()
            .map(|(tokens, price)| u128::from(*tokens) * u128::from(*price))
            .sum();
        let million = u128::from(MILLION);
        u64::try_from((whole + million / 2) / million).unwrap_or(u64::MAX)
    }
}

/// Dollars as written in the file, exactly: never through a floating point number.
fn dollars<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let number = serde_json::Number::deserialize(from)?;
    micros(&number.to_string()).ok_or_else(|| {
        D::Error::custom(format!(
            "{number} is no price: US dollars per million tokens, such as 1.25"
        ))
    })
}

fn some_dollars<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    dollars(from).map(Some)
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
fn as_dollars<S: Serializer>(micros: &u64, to: S) -> Result<S::Ok, S::Error> {
    let text = format!("{}.{:06}", micros / MILLION, micros % MILLION);
    let dollars: f64 = text.parse().map_err(serde::ser::Error::custom)?;
    to.serialize_f64(dollars)
}

fn as_some_dollars<S: Serializer>(micros: &Option<u64>, to: S) -> Result<S::Ok, S::Error> {
    as_dollars(&micros.unwrap_or_default(), to)
}

/// `1.25` as 1,250,000.
fn micros(text: &str) -> Option<u64> {
    let (whole, parts) = text.split_once('.').unwrap_or((text, ""));
    if parts.len() > 6 {
        return None;
    }
    let parts: u64 = format!("{parts:0<6}").parse().ok()?;
    let whole: u64 = whole.parse().ok()?;
    whole.checked_mul(MILLION)?.checked_add(parts)
}

/// A [`Model`] as an object. Editors show what is said of its fields.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(description = "What is known of a model.")]
pub(super) struct Described {
    /// Its name, as the provider knows it.
    #[schemars(regex(pattern = r"\S"))]
    name: String,
    /// Most tokens of prompt and answer together.
    #[serde(default)]
    context: Option<u64>,
    /// How it asks for tools; `native` when absent.
    #[serde(default)]
    tools: Option<ToolUse>,
    /// Whether it sees pictures.
    #[serde(default)]
    vision: Option<bool>,
    /// Whether it can be held to a JSON Schema.
    #[serde(default)]
    schema: Option<bool>,
    /// Whether it turns texts into vectors.
    #[serde(default)]
    embeds: Option<bool>,
    /// How good its answers are, 0 to 100, by whatever measure its owner trusts.
    #[serde(default)]
    #[schemars(range(max = 100))]
    quality: Option<u8>,
    /// What it costs, in US dollars per million tokens.
    #[serde(default)]
    price: Option<Price>,
}

impl<'de> Deserialize<'de> for Model {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(NameOrMore)
    }
}

/// Not `untagged`, which would say of every mistake only that nothing fits.
struct NameOrMore;

impl<'de> Visitor<'de> for NameOrMore {
    type Value = Model;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the name of a model, or an object with its `name`")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Model, E> {
        Ok(Model::named(name))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Model, A::Error> {
        let of = Described::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Model {
            name: of.name,
            context: of.context,
            tools: of.tools,
            vision: of.vision,
            schema: of.schema,
            embeds: of.embeds,
            quality: of.quality,
            price: of.price,
        })
    }
}

impl Model {
    /// One of which only the name is known.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use nexus_contracts::chat::Usage;

    use super::{Model, Price, ToolUse, micros};

    #[test]
    fn prices_are_read_to_the_last_digit() {
        assert_eq!(micros("1.25"), Some(1_250_000));
        assert_eq!(micros("0.0375"), Some(37_500));
        assert_eq!(micros("15"), Some(15_000_000));
        for wrong in ["-1", "1e3", "0.0000001", ""] {
            assert_eq!(micros(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_cost_is_the_sum_of_its_parts() {
        let price: Price =
            serde_json::from_str(r#"{"input": 1.25, "output": 10, "cached_input": 0.125}"#)
                .unwrap();
        let usage = Usage {
            cached_input_tokens: 800,
            ..Usage::of(1000, 100)
        };
        // 200 × 1.25 + 800 × 0.125 + 100 × 10.
        assert_eq!(price.cost(&usage), 1_350);
        assert_eq!(price.cost(&Usage::default()), 0);
        let without = Price {
            cached_input: None,
            ..price
        };
        assert_eq!(without.cost(&usage), 2_250);
        // Half a millionth counts as one.
        let cheap: Price = serde_json::from_str(r#"{"input": 0.5}"#).unwrap();
        assert_eq!(cheap.cost(&Usage::of(1, 0)), 1);
        assert_eq!(cheap.cost(&Usage::of(u64::MAX, u64::MAX)), u64::MAX / 2 + 1);
    }

    #[test]
    fn what_is_told_of_a_model_is_read_again() {
        let text = r#"{"name": "m", "context": 8000, "vision": true,
            "price": {"input": 0.0375, "output": 15, "cached_input": 0.5}}"#;
        let model: Model = serde_json::from_str(text).unwrap();
        let told = serde_json::to_string(&model).unwrap();
        assert!(told.contains(r#""input":0.0375"#), "{told}");
        assert_eq!(serde_json::from_str::<Model>(&told).unwrap(), model);
    }

    #[test]
    fn a_model_is_its_name_or_more() {
        let models: Vec<Model> =
            serde_json::from_str(r#"["a", {"name": "b", "vision": false}]"#).unwrap();
        assert_eq!(models.first(), Some(&Model::named("a")));
        assert_eq!(models.get(1).unwrap().vision, Some(false));
        let wrong = serde_json::from_str::<Model>(r#"{"name": "b", "visoin": true}"#);
        assert!(wrong.unwrap_err().to_string().contains("visoin"));
    }

    #[test]
    fn tools_are_one_of_three_words_and_what_is_not_is_named() {
        let read = |tools: &str| {
            let text = format!(r#"{{"name": "m", "tools": {tools}}}"#);
            serde_json::from_str::<Model>(&text)
        };
        for (word, means) in [
            (r#""native""#, ToolUse::Native),
            (r#""text""#, ToolUse::Text),
            (r#""none""#, ToolUse::None),
        ] {
            let model = read(word).unwrap();
            assert_eq!(model.tools, Some(means));
            let told = serde_json::to_string(&model).unwrap();
            assert!(told.contains(&format!(r#""tools":{word}"#)), "{told}");
        }
        for wrong in ["true", "false", r#""xml""#, "1"] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(
                error.contains(wrong) && error.contains("`native`"),
                "{error}"
            );
        }
    }
}
