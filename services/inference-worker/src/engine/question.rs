//! A question in the words of the contracts into one in the words of the engine.

use either::Either;
use indexmap::IndexMap;
use mistralrs::{
    Constraint, Function, MessageContent, ModelGenerationDefaults, RequestMessage, SamplingParams,
    Tool, ToolType,
};
use nexus_contracts::Extra;
use nexus_contracts::chat::{ChatMessage, Role, ToolSpec};
use serde_json::{Value, json};

use super::answer::{Question, Refusal};
use super::noise::Noise;
use super::pump::Form;
use super::shape::Shape;

/// A question as the engine takes it.
pub(crate) struct Prepared {
    pub(crate) messages: RequestMessage,
    pub(crate) tools: Option<Vec<Tool>>,
    pub(crate) constraint: Constraint,
    pub(crate) sampling: SamplingParams,
    pub(crate) noise: Option<Noise>,
    pub(crate) stops: Vec<String>,
    pub(crate) form: Form,
    /// Whether a grammar decides which tokens may come.
    pub(crate) is_held: bool,
    /// Most tokens of the answer.
    pub(crate) most: usize,
}

/// Translates. `most` tokens are given at most, `defaults` are the model's own.
pub(crate) fn prepare(
    question: &Question,
    most: usize,
    defaults: Option<&ModelGenerationDefaults>,
) -> Result<Prepared, Refusal> {
    let parameters = &question.parameters;
    let extra = &parameters.extra;
    let shape = Shape::of(&question.tools, extra).map_err(Refusal::BadRequest)?;
    if integer(extra, "n")?.is_some_and(|count| count > 1) {
        let reason = "`n`: a model that runs here gives one answer at a time";
        return Err(Refusal::Unsupported(reason.to_owned()));
    }
    let asked = match parameters.max_tokens {
        Some(count) => Some(u64::from(count)),
        None => integer(extra, "max_completion_tokens")?,
    };
    let asked = asked.and_then(|count| usize::try_from(count).ok());
    let most = asked.map_or(most, |asked| asked.min(most)).max(1);
    let (sampling, noise) = sampling(parameters.temperature, extra, defaults)?;
    let sampling = SamplingParams {
        max_len: Some(most),
        ..sampling
    };
    let (tools, constraint, form) = match shape {
        Shape::Free => (tools(&question.tools)?, Constraint::None, Form::Text),
        Shape::NoTools => (None, Constraint::None, Form::Text),
        Shape::Json(schema) => (None, Constraint::JsonSchema(schema), Form::Text),
        Shape::Call(schema) => (
            tools(&question.tools)?,
            Constraint::JsonSchema(schema),
            Form::Call,
        ),
    };
    Ok(Prepared {
        messages: RequestMessage::Chat {
            messages: messages(&question.messages)?,
            enable_thinking: extra.get("enable_thinking").and_then(Value::as_bool),
            reasoning_effort: None,
        },
        tools,
        is_held: !matches!(constraint, Constraint::None),
        constraint,
        sampling,
        noise,
        stops: stops(extra)?,
        form,
        most,
    })
}

fn messages(messages: &[ChatMessage]) -> Result<Vec<IndexMap<String, MessageContent>>, Refusal> {
    if messages.is_empty() {
        return Err(Refusal::BadRequest("`messages` is empty".to_owned()));
    }
    messages.iter().map(message).collect()
}

fn message(message: &ChatMessage) -> Result<IndexMap<String, MessageContent>, Refusal> {
    if !message.images.is_empty() {
        let reason = "a message has pictures, and the models that run here read text";
        return Err(Refusal::Unsupported(reason.to_owned()));
    }
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    let mut map = IndexMap::from([
        ("role".to_owned(), Either::Left(role.to_owned())),
        ("content".to_owned(), Either::Left(message.content.clone())),
    ]);
    // Chat templates look for this key; the engine's own builder writes another one.
    if !message.tool_calls.is_empty() {
        let calls = message.tool_calls.iter().map(|call| {
            // Templates expect an object, and escape a text once more.
            let arguments = serde_json::from_str::<Value>(&call.arguments)
                .unwrap_or_else(|_| Value::String(call.arguments.clone()));
            IndexMap::from([
                ("id".to_owned(), json!(call.id)),
                ("type".to_owned(), json!("function")),
                (
                    "function".to_owned(),
                    json!({"name": call.name, "arguments": arguments}),
                ),
            ])
        });
        map.insert("tool_calls".to_owned(), Either::Right(calls.collect()));
    }
    if let Some(id) = &message.tool_call_id {
        map.insert("tool_call_id".to_owned(), Either::Left(id.clone()));
    }
    Ok(map)
}

fn tools(tools: &[ToolSpec]) -> Result<Option<Vec<Tool>>, Refusal> {
    let tool = |tool: &ToolSpec| {
        let parameters = match &tool.parameters {
            Value::Null => None,
            schema => Some(serde_json::from_value(schema.clone()).map_err(|error| {
                Refusal::BadRequest(format!("parameters of tool `{}`: {error}", tool.name))
            })?),
        };
        Ok(Tool {
            tp: ToolType::Function,
            function: Function {
                description: Some(tool.description.clone()),
                name: tool.name.clone(),
                parameters,
            },
        })
    };
    let tools: Vec<_> = tools.iter().map(tool).collect::<Result<_, Refusal>>()?;
    Ok((!tools.is_empty()).then_some(tools))
}

fn sampling(
    temperature: Option<f64>,
    extra: &Extra,
    defaults: Option<&ModelGenerationDefaults>,
) -> Result<(SamplingParams, Option<Noise>), Refusal> {
    let mut sampling = SamplingParams::neutral();
    match (temperature, defaults) {
        (Some(temperature), _) if temperature <= 0.0 => {
            sampling = SamplingParams::deterministic();
        }
        (Some(temperature), _) => sampling.temperature = Some(temperature),
        (None, Some(defaults)) => sampling.apply_model_defaults(defaults),
        (None, None) => {}
    }
    sampling.max_len = None;
    sampling.top_p = number(extra, "top_p")?.or(sampling.top_p);
    sampling.min_p = number(extra, "min_p")?.or(sampling.min_p);
    sampling.frequency_penalty = number(extra, "frequency_penalty")?.map(narrow);
    sampling.presence_penalty = number(extra, "presence_penalty")?.map(narrow);
    let is_greedy = sampling.top_k == Some(1);
    if let Some(count) = integer(extra, "top_k")?.filter(|_| !is_greedy) {
        sampling.top_k = usize::try_from(count).ok();
    }
    let Some(seed) = integer(extra, "seed")?.filter(|_| !is_greedy) else {
        return Ok((sampling, None));
    };
    let temperature = sampling.temperature.unwrap_or(1.0);
    let noise = Noise::new(seed, temperature, sampling.top_p.unwrap_or(1.0));
    // The noise has made the choice already: the engine takes the largest.
    let greedy = SamplingParams {
        frequency_penalty: sampling.frequency_penalty,
        presence_penalty: sampling.presence_penalty,
        ..SamplingParams::deterministic()
    };
    Ok((greedy, Some(noise)))
}

#[expect(clippy::cast_possible_truncation, reason = "a penalty from -2 to 2")]
const fn narrow(number: f64) -> f32 {
    number as f32
}

fn number(extra: &Extra, key: &str) -> Result<Option<f64>, Refusal> {
    read(extra, key, Value::as_f64, "a number")
}

fn integer(extra: &Extra, key: &str) -> Result<Option<u64>, Refusal> {
    read(extra, key, Value::as_u64, "a whole number, at least 0")
}

fn read<T>(
    extra: &Extra,
    key: &str,
    as_it: impl FnOnce(&Value) -> Option<T>,
    what: &str,
) -> Result<Option<T>, Refusal> {
    match extra.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => as_it(value)
            .map(Some)
            .ok_or_else(|| Refusal::BadRequest(format!("`{key}` must be {what}"))),
    }
}

fn stops(extra: &Extra) -> Result<Vec<String>, Refusal> {
    let wrong = || Refusal::BadRequest("`stop` must be a text or a list of texts".to_owned());
    match extra.get("stop") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(stop)) => Ok(vec![stop.clone()]),
        Some(Value::Array(stops)) => stops
            .iter()
            .map(|stop| stop.as_str().map(str::to_owned).ok_or_else(wrong))
            .collect(),
        Some(_) => Err(wrong()),
    }
}
