//! Arguments are checked against the server's schema before the server sees them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jsonschema::{PatternOptions, Retrieve, Uri, Validator};
use serde_json::Value;

use crate::text;

mod expansion;
pub(crate) mod prose;

/// Problems told to the model at once.
const MOST_PROBLEMS: usize = 8;
/// Longest description of one problem, in bytes.
const LONGEST_PROBLEM: usize = 300;
/// A schema is the server's: it may be made to take for ever.
const LONGEST_CHECK: Duration = Duration::from_secs(2);
const PATTERN_BYTES: usize = 1 << 20;
const BACKTRACKS: usize = 10_000;

/// What a check can say against arguments.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// They do not fit; for the model.
    Arguments(Vec<String>),
    /// The schema itself is of no use; for the operator.
    Schema(String),
}

/// A schema, compiled when it is first needed.
#[derive(Debug)]
pub(crate) struct Checker {
    schema: Value,
    compiled: OnceLock<Result<Compiled, String>>,
    /// A check ran out of time: its thread may still be at it, and gets no company.
    stuck: AtomicBool,
}

#[derive(Debug)]
struct Compiled {
    validator: Validator,
    /// Its problems can be told one by one: without the memory that a mere yes or no is decided
    /// with, that takes exponential time for some schemas that refer to themselves.
    tells: bool,
}

impl Checker {
    pub(crate) fn new(schema: Value) -> Arc<Self> {
        Arc::new(Self {
            schema,
            compiled: OnceLock::new(),
            stuck: AtomicBool::new(false),
        })
    }

    /// Checks `arguments` on a thread where a hostile schema blocks nobody else.
    pub(crate) async fn check(self: &Arc<Self>, arguments: &Value) -> Result<(), Refusal> {
        let slow = || Refusal::Schema("checking it takes too long".to_owned());
        if self.stuck.load(Ordering::Relaxed) {
            return Err(slow());
        }
        let this = Arc::clone(self);
        let arguments = arguments.clone();
        let check = tokio::task::spawn_blocking(move || this.check_now(&arguments));
        match tokio::time::timeout(LONGEST_CHECK, check).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Refusal::Schema("checking it failed".to_owned())),
            Err(_) => {
                self.stuck.store(true, Ordering::Relaxed);
                Err(slow())
            }
        }
    }

    fn check_now(&self, arguments: &Value) -> Result<(), Refusal> {
        let compiled = self.compiled.get_or_init(|| compile(&self.schema));
        let compiled = compiled
            .as_ref()
            .map_err(|why| Refusal::Schema(why.clone()))?;
        if compiled.validator.is_valid(arguments) {
            return Ok(());
        }
        if !compiled.tells {
            let problem = "they are not what the schema, which refers to itself, describes";
            return Err(Refusal::Arguments(vec![problem.to_owned()]));
        }
        let problems: Vec<String> = compiled
            .validator
            .iter_errors(arguments)
            .take(MOST_PROBLEMS)
            .map(|error| {
                let place = error.instance_path().to_string();
                let place = if place.is_empty() {
                    "arguments".to_owned()
                } else {
                    place
                };
                text::line(&format!("{place}: {error}"), LONGEST_PROBLEM)
            })
            .collect();
        Err(Refusal::Arguments(problems))
    }
}

fn compile(schema: &Value) -> Result<Compiled, String> {
    let tells = !expansion::measure(schema)?.refers_to_itself;
    let validator = build(schema)?;
    Ok(Compiled { validator, tells })
}

fn build(schema: &Value) -> Result<Validator, String> {
    // Linear patterns first; those with look-around get few steps.
    let linear = jsonschema::options()
        .with_retriever(Nothing)
        .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES))
        .build(schema);
    if let Ok(validator) = linear {
        return Ok(validator);
    }
    jsonschema::options()
        .with_retriever(Nothing)
        .with_pattern_options(
            PatternOptions::fancy_regex()
                .size_limit(PATTERN_BYTES)
                .backtrack_limit(BACKTRACKS),
        )
        .build(schema)
        .map_err(|error| text::line(&error.to_string(), LONGEST_PROBLEM))
}

/// A schema must stand alone: following a reference would read files or addresses of the
/// server's choice.
struct Nothing;

impl Retrieve for Nothing {
    fn retrieve(&self, _: &Uri<String>) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        Err("the schema refers to something outside itself, which is not fetched".into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn problems_say_where_and_what() {
        let checker = Checker::new(json!({
            "type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n", "city"],
        }));
        let Err(Refusal::Arguments(problems)) = checker.check(&json!({"n": "two"})).await else {
            panic!("taken")
        };
        let all = problems.join("\n");
        assert!(
            all.contains("/n") && all.contains("\"city\" is a required property"),
            "{all}"
        );
        assert!(
            checker
                .check(&json!({"n": 2, "city": "Oslo"}))
                .await
                .is_ok()
        );
    }

    #[tokio::test]
    async fn nothing_outside_the_schema_is_read() {
        for outside in [
            "file:///etc/hostname",
            "http://127.0.0.1:1/x",
            "https://json-schema.org/x",
        ] {
            let checker = Checker::new(json!({"$ref": outside}));
            assert!(
                matches!(checker.check(&json!({})).await, Err(Refusal::Schema(_))),
                "{outside}"
            );
        }
    }

    #[tokio::test]
    async fn a_schema_in_circles_or_of_endless_patterns_comes_to_an_end() {
        let hostile = [
            json!({"$ref": "#"}),
            json!({"allOf": [{"$ref": "#"}, {"$ref": "#"}]}),
            json!({"properties": {"a": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}}, "maxProperties": 0}),
            json!({"properties": {"a": {"pattern": "^(a+)+$"}}}),
            json!({"properties": {"a": {"pattern": "^(?=(a+)+$)(a|a)+b$"}}}),
            json!({"properties": {"a": {"pattern": "((a{1000}){1000}){1000}"}}}),
        ];
        let arguments = json!({"a": "a".repeat(5000) + "!"});
        let mut defs = serde_json::Map::new();
        for n in 0..40 {
            let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
            defs.insert(format!("d{n}"), json!({"allOf": [next.clone(), next]}));
        }
        defs.insert("d40".to_owned(), json!({"minProperties": 1}));
        let doubling = json!({"$ref": "#/$defs/d0", "$defs": defs});
        for schema in hostile.into_iter().chain([doubling]) {
            let checker = Checker::new(schema);
            // The outcome differs; that there is one, and in time, is the point.
            let outcome = checker.check(&arguments).await;
            assert!(!checker.stuck.load(Ordering::Relaxed), "{outcome:?}");
        }
    }
}
