//! The core fed with arbitrary sequences of events, and checkpoints with arbitrary bytes.
//!
//! Each pair of bytes is an event; whatever is open at the end is answered, so that every run that
//! was accepted must have ended, once.

use std::collections::BTreeMap;

use nexus_contracts::chat::{ChatMessage, Role};
use nexus_contracts::events::approval::arguments_hash;
use nexus_contracts::events::{ApprovalDecided, Decision, InferenceFailed};
use nexus_contracts::settings::{OnBusy, Settings, ToolPolicy};
use nexus_contracts::tool::Taint;
use nexus_contracts::{Extra, MessageId, RunId};
use nexus_orchestrator::core::checkpoint::{
    decode_environment, decode_input, decode_state, encode_input, encode_state,
};
use nexus_orchestrator::core::{Command, Input, Request, State, step};

use crate::history::calls_are_closed;
use crate::world::{NOW, World, asked, calling, cancel, header, inferred, submitted};

#[test]
fn arbitrary_bytes_never_break_a_reader() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let read = decode_state(bytes).is_ok();
        let mut marked = vec![0xc1, 2];
        marked.extend_from_slice(bytes);
        let _ = (
            read,
            decode_state(&marked),
            decode_input(&marked),
            decode_environment(bytes),
        );
    });
}

#[test]
fn damaged_checkpoints_never_break_a_reader() {
    let world = World::default();
    let (state, _) = world.first("hello");
    let written = encode_state(&state).expect("written");
    bolero::check!()
        .with_type::<(usize, u8, usize)>()
        .for_each(|(at, flip, cut)| {
            let mut bytes = written.clone();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            bytes.truncate(cut % (written.len() + 1));
            let _ = decode_state(&bytes);
        });
}

#[test]
fn arbitrary_events_never_break_a_conversation() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let (shape, events) = bytes
            .split_first()
            .map_or((0, bytes), |(one, rest)| (*one, rest));
        let mut story = Story::new(shape);
        for event in events.chunks_exact(2).take(80) {
            story.happen(event[0], event[1]);
        }
        story.end();
    });
}

/// Something that waits for an answer.
#[derive(Clone)]
enum Open {
    Model(MessageId),
    Tool(MessageId),
    Person(RunId, MessageId, String),
}

struct Story {
    world: World,
    state: State,
    now: i64,
    open: Vec<Open>,
    issued: BTreeMap<MessageId, u32>,
    accepted: BTreeMap<RunId, u32>,
    ended: BTreeMap<RunId, u32>,
}

impl Story {
    fn new(shape: u8) -> Self {
        let mut world = World::default();
        let global = world.global();
        global.samples = Some(1 + shape % 3);
        global.summary_after = Some(if shape & 4 == 0 { 0 } else { 6 });
        if shape & 8 != 0 {
            let ask = ("math_solver".to_owned(), ToolPolicy::Ask);
            global.tool_policy = Some([ask].into());
        }
        if shape & 16 != 0 {
            let tool = world.environment.tools.get_mut("current_time");
            tool.expect("a tool").parameters = serde_json::json!({ "required": ["zone"] });
        }
        Self {
            world,
            state: State::new(header(1).conversation_id),
            now: NOW,
            open: Vec::new(),
            issued: BTreeMap::new(),
            accepted: BTreeMap::new(),
            ended: BTreeMap::new(),
        }
    }

    fn happen(&mut self, what: u8, which: u8) {
        self.now += i64::from(which) * 10;
        let run = header(which % 8).run_id;
        let input = match what % 14 {
            0 | 1 => self.message(which, OnBusy::Queue),
            2 => self.message(which, OnBusy::Interrupt),
            3 => self.message(which, OnBusy::Reject),
            4 => Some(cancel(200, which % 8)),
            5 => Some(Input::DeadlinePassed { run_id: run }),
            6 => Some(asked(
                201,
                Request::Rename {
                    title: format!("title {which}"),
                },
            )),
            7 if which > 240 => Some(asked(202, Request::Delete)),
            8 => {
                self.now += 700_000;
                self.expiry(which)
            }
            other => self.answer(which, other),
        };
        if let Some(input) = input {
            self.take(&input);
        }
    }

    /// A message nobody sent before: repetitions are the inbox's to recognise.
    fn message(&self, which: u8, on_busy: OnBusy) -> Option<Input> {
        let n = which % 8;
        if self.accepted.contains_key(&header(n).run_id) {
            return None;
        }
        let mut input = submitted(n, "hello");
        if let Input::Asked(asked) = &mut input
            && let Request::Submit(message) = &mut asked.request
        {
            message.settings = Settings {
                on_busy: Some(on_busy),
                ..Settings::default()
            };
        }
        Some(input)
    }

    fn pick(&self, which: u8) -> Option<Open> {
        let at = usize::from(which).checked_rem(self.open.len())?;
        self.open.get(at).cloned()
    }

    fn expiry(&self, which: u8) -> Option<Input> {
        match self.pick(which)? {
            Open::Person(run_id, approval_id, _) => Some(Input::ApprovalExpired {
                run_id,
                approval_id,
            }),
            Open::Model(_) | Open::Tool(_) => None,
        }
    }

    fn answer(&self, which: u8, how: u8) -> Option<Input> {
        Some(match self.pick(which)? {
            Open::Tool(command) => Input::ToolReturned {
                command,
                content: "1".to_owned(),
                taint: Taint::default(),
            },
            Open::Model(command) => match how {
                9 | 10 => inferred(command, ChatMessage::text(Role::Assistant, "done")),
                11 => failed(command),
                _ => {
                    let tools = ["math_solver", "current_time", "nonsense", "math_solver"];
                    let count = usize::from(which % 4) + 1;
                    inferred(command, calling(tools.into_iter().take(count)))
                }
            },
            Open::Person(run_id, approval_id, hash) => {
                let decision = if how.is_multiple_of(2) {
                    Decision::Approve
                } else {
                    Decision::Deny
                };
                decided(run_id, approval_id, (hash, decision))
            }
        })
    }

    /// What must hold of every event that is taken.
    fn take(&mut self, input: &Input) -> bool {
        let ctx = self.world.ctx_at(self.now);
        let first = step(&self.state, input, &ctx);
        assert_eq!(first, step(&self.state, input, &ctx), "not the same twice");
        let Ok((state, commands)) = first else {
            return false;
        };
        let written = encode_state(&state).expect("written");
        assert_eq!(decode_state(&written).as_ref(), Ok(&state));
        let written = encode_input(input).expect("written");
        assert_eq!(decode_input(&written).as_ref(), Ok(input));
        if let Input::Asked(asked) = input
            && matches!(asked.request, Request::Submit(_))
        {
            *self.accepted.entry(asked.header.run_id).or_default() += 1;
        }
        for command in &commands {
            self.note(command);
        }
        assert!(
            state.active.is_some() || state.queued.is_empty(),
            "waiting behind nothing"
        );
        assert!(!state.deleted || (state.messages.is_empty() && state.active.is_none()));
        self.state = state;
        true
    }

    fn note(&mut self, command: &Command) {
        match command {
            Command::Infer { id, event, .. } => {
                assert!(
                    calls_are_closed(&event.messages),
                    "a call without exactly one result"
                );
                self.issue(id, Open::Model(id.clone()));
            }
            Command::CallTool { id, .. } => self.issue(id, Open::Tool(id.clone())),
            Command::AskApproval { id, event, .. } => {
                let hash = arguments_hash(&event.tool, &event.arguments);
                let person = Open::Person(event.run_id, event.approval_id.clone(), hash);
                self.issue(id, person);
            }
            Command::Complete { header, .. } | Command::Fail { header, .. } => {
                *self.ended.entry(header.run_id).or_default() += 1;
            }
            _ => {}
        }
    }

    fn issue(&mut self, id: &MessageId, open: Open) {
        let count = self.issued.entry(id.clone()).or_default();
        *count += 1;
        assert_eq!(*count, 1, "a command was issued twice");
        self.open.push(open);
    }

    /// Everything that is open is answered, in words; then nothing may be left.
    fn end(&mut self) {
        for at in 0.. {
            let Some(open) = self.open.get(at).cloned() else {
                break;
            };
            let input = match open {
                Open::Tool(command) => Input::ToolReturned {
                    command,
                    content: "1".to_owned(),
                    taint: Taint::default(),
                },
                Open::Model(command) => {
                    inferred(command, ChatMessage::text(Role::Assistant, "done"))
                }
                Open::Person(run, approval, hash) => {
                    decided(run, approval, (hash, Decision::Approve))
                }
            };
            self.take(&input);
        }
        assert!(self.state.active.is_none() && self.state.queued.is_empty());
        let once: BTreeMap<RunId, u32> = self.accepted.keys().map(|run| (*run, 1)).collect();
        assert_eq!(self.ended, once, "every run that was accepted ends once");
    }
}

fn failed(command: MessageId) -> Input {
    let failure = InferenceFailed {
        code: "provider_failed".to_owned(),
        detail: "for tests".to_owned(),
        retryable: false,
        provider: None,
        extra: Extra::new(),
    };
    Input::InferenceFailed { command, failure }
}

fn decided(
    run_id: RunId,
    approval_id: MessageId,
    (arguments_hash, decision): (String, Decision),
) -> Input {
    let decided = ApprovalDecided {
        approval_id,
        run_id,
        conversation_id: header(1).conversation_id,
        arguments_hash,
        decision,
        comment: None,
        extra: Extra::new(),
    };
    asked(203, Request::Decide(decided))
}
