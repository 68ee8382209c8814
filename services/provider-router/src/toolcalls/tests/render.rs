//! Calls as models write them, made of arbitrary names and arguments.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::texts::text;

/// A call to be written.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) name: &'static str,
    pub(super) arguments: Map<String, Value>,
}

/// How to write several calls, and which arguments can be written so.
pub(super) struct Way {
    pub(super) name: &'static str,
    pub(super) write: fn(&[Wanted]) -> String,
    pub(super) arguments: Arguments,
}

/// What arguments a way of writing can carry.
#[derive(Clone, Copy, Debug)]
pub(super) enum Arguments {
    /// Anything.
    Json,
    /// Anything under names that are words.
    Named,
    /// Texts under names that are words.
    Texts,
}

pub(super) const WAYS: [Way; 21] = [
    way("bare", Arguments::Json, |calls| each(calls, "\n", flat)),
    way("bare list", Arguments::Json, list),
    way("pretty", Arguments::Json, |calls| {
        each(calls, "\n\n", |call| format!("{:#}", value(call)))
    }),
    way("fence", Arguments::Json, |calls| {
        format!("```json\n{}\n```", each(calls, "\n", flat))
    }),
    way("fence of calls", Arguments::Json, |calls| {
        each(calls, "\n", |call| {
            format!("```tool_call\n{}\n```", flat(call))
        })
    }),
    way("hermes", Arguments::Json, |calls| {
        each(calls, "\n", |call| {
            format!("<tool_call>\n{}\n</tool_call>", flat(call))
        })
    }),
    way("hermes in one", Arguments::Json, |calls| {
        format!("<tool_call>\n{}\n</tool_call>", each(calls, "\n", flat))
    }),
    way("phi", Arguments::Json, |calls| {
        format!("<|tool_call|>{}<|/tool_call|>", list(calls))
    }),
    way("mistral", Arguments::Json, |calls| {
        format!("[TOOL_CALLS]{}", list(calls))
    }),
    way("new mistral", Arguments::Json, |calls| {
        each(calls, "", |call| {
            format!("[TOOL_CALLS]{}[ARGS]{}", call.name, arguments(call))
        })
    }),
    way("llama", Arguments::Json, |calls| {
        format!("<|python_tag|>{}", each(calls, "; ", flat))
    }),
    way("openai", Arguments::Json, openai),
    way("deepseek", Arguments::Json, deepseek),
    way("kimi", Arguments::Json, |calls| {
        each(calls, "", |call| {
            let arguments = arguments(call);
            format!(
                "<|tool_call_begin|>functions.{}:0<|tool_call_argument_begin|>{arguments}<|tool_call_end|>",
                call.name
            )
        })
    }),
    way("functionary", Arguments::Json, |calls| {
        each(calls, "\n", |call| {
            format!("<function={}>{}</function>", call.name, arguments(call))
        })
    }),
    way("recipient", Arguments::Json, |calls| {
        each(calls, "\n", |call| {
            format!(">>>{}\n{}", call.name, arguments(call))
        })
    }),
    way("python", Arguments::Named, |calls| {
        format!("[{}]", each(calls, ", ", python))
    }),
    way("tool_code", Arguments::Named, |calls| {
        format!("```tool_code\n{}\n```", each(calls, "\n", python))
    }),
    way("coder", Arguments::Texts, |calls| {
        each(calls, "\n", |call| {
            let keys = texts(call, |key, text| {
                format!("<parameter={key}>\n{text}\n</parameter>\n")
            });
            format!(
                "<tool_call>\n<function={}>\n{keys}</function>\n</tool_call>",
                call.name
            )
        })
    }),
    way("invoke", Arguments::Texts, |calls| {
        let calls = each(calls, "\n", |call| {
            // Line breaks on both sides would be taken for those of the tags.
            let keys = texts(call, |key, text| {
                format!("<parameter name=\"{key}\">\n{text}\n</parameter>\n")
            });
            format!("<invoke name=\"{}\">\n{keys}</invoke>", call.name)
        });
        format!("<function_calls>\n{calls}\n</function_calls>")
    }),
    way("glm", Arguments::Texts, |calls| {
        each(calls, "\n", |call| {
            let keys = texts(call, |key, text| {
                format!("<arg_key>{key}</arg_key>\n<arg_value>{text}</arg_value>\n")
            });
            format!("<tool_call>{}\n{keys}</tool_call>", call.name)
        })
    }),
];

const fn way(name: &'static str, arguments: Arguments, write: fn(&[Wanted]) -> String) -> Way {
    Way {
        name,
        write,
        arguments,
    }
}

fn each(calls: &[Wanted], between: &str, write: fn(&Wanted) -> String) -> String {
    calls.iter().map(write).collect::<Vec<_>>().join(between)
}

fn texts(call: &Wanted, write: fn(&str, &str) -> String) -> String {
    let texts = call.arguments.iter();
    texts
        .map(|(key, text)| write(key, text.as_str().unwrap()))
        .collect()
}

fn value(call: &Wanted) -> Value {
    json!({"name": call.name, "arguments": call.arguments})
}

fn arguments(call: &Wanted) -> String {
    Value::Object(call.arguments.clone()).to_string()
}

fn flat(call: &Wanted) -> String {
    value(call).to_string()
}

fn list(calls: &[Wanted]) -> String {
    Value::Array(calls.iter().map(value).collect()).to_string()
}

fn openai(calls: &[Wanted]) -> String {
    let calls: Vec<Value> = calls
        .iter()
        .map(|call| {
            let function = json!({"name": call.name, "arguments": arguments(call)});
            json!({"id": "call_1", "type": "function", "function": function})
        })
        .collect();
    json!({"role": "assistant", "content": null, "tool_calls": calls}).to_string()
}

fn deepseek(calls: &[Wanted]) -> String {
    let calls = each(calls, "\n", |call| {
        format!(
            "<｜tool▁call▁begin｜>function<｜tool▁sep｜>{}\n```json\n{}\n```<｜tool▁call▁end｜>",
            call.name,
            arguments(call)
        )
    });
    format!("<｜tool▁calls▁begin｜>{calls}<｜tool▁calls▁end｜>")
}

fn python(call: &Wanted) -> String {
    let keys = call.arguments.iter();
    let keys: Vec<String> = keys
        .map(|(key, value)| format!("{key}={}", literal(value)))
        .collect();
    format!("{}({})", call.name, keys.join(", "))
}

/// As Python's `repr`.
fn literal(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => {
            let json = Value::from(text.as_str()).to_string();
            let inner = json[1..json.len() - 1].replace("\\\"", "\"");
            format!("'{}'", inner.replace('\'', "\\'"))
        }
        Value::Array(list) => {
            let list: Vec<String> = list.iter().map(literal).collect();
            format!("[{}]", list.join(", "))
        }
        Value::Object(map) => {
            let map: Vec<String> = map
                .iter()
                .map(|(key, value)| {
                    format!(
                        "{}: {}",
                        literal(&Value::from(key.as_str())),
                        literal(value)
                    )
                })
                .collect();
            format!("{{{}}}", map.join(", "))
        }
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // What is written in binary with few digits comes back the same from any reader.
        any::<i32>().prop_map(|number| Value::from(f64::from(number) / 8.0)),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn some_arguments(kind: Arguments) -> BoxedStrategy<Map<String, Value>> {
    let word = "[a-z][a-z_0-9]{0,6}";
    let map = |keys: BoxedStrategy<String>, values: BoxedStrategy<Value>| {
        prop::collection::btree_map(keys, values, 0..4)
            .prop_map(|map| map.into_iter().collect())
            .boxed()
    };
    match kind {
        Arguments::Json => map(text().boxed(), json_value().boxed()),
        Arguments::Named => map(word.boxed(), json_value().boxed()),
        Arguments::Texts => map(
            word.boxed(),
            text()
                .prop_map(|text| Value::from(text.replace("</", "<")))
                .boxed(),
        ),
    }
}

/// Calls of the tool that takes anything, or without arguments of the one that needs none.
pub(super) fn calls(kind: Arguments) -> impl Strategy<Value = Vec<Wanted>> {
    let call = prop_oneof![
        some_arguments(kind).prop_map(|arguments| Wanted {
            name: "search",
            arguments
        }),
        Just(Wanted {
            name: "now",
            arguments: Map::new()
        }),
    ];
    prop::collection::vec(call, 1..4)
}

pub(super) fn which() -> impl Strategy<Value = &'static Way> {
    prop::sample::select(WAYS.iter().collect::<Vec<_>>())
}

/// A way and calls that can be written so.
pub(super) fn written() -> impl Strategy<Value = (&'static Way, Vec<Wanted>)> {
    which().prop_flat_map(|way| (Just(way), calls(way.arguments)))
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}
