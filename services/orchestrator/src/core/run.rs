//! The life of a run: it starts, asks a model, and ends; then the next one starts.

use nexus_contracts::chat::{ChatMessage, Role, Usage};
use nexus_contracts::events::{
    Clarification, InferenceCompleted, InferenceRequested, MessageCompleted, MessageFailed,
    MessageSubmitted, Purpose,
};
use nexus_contracts::settings::Caching;
use nexus_contracts::{Extra, derive_id, tokens};
use uuid::Uuid;

use super::command::{Command, Timer, command_id};
use super::event::Ctx;
use super::resolve::{Resolved, resolve};
use super::samples;
use super::state::{Drawn, Pending, Run, RunHeader, Sample, State};
use super::{clarify, context, summary, tools};

/// How a message is to be answered.
#[must_use]
pub fn settings_of(
    state: &State,
    header: &RunHeader,
    message: &MessageSubmitted,
    ctx: &Ctx<'_>,
) -> Resolved {
    let who = (header.org_id, header.user_id);
    let layers = &ctx.environment.settings;
    resolve(layers, who, &state.settings, &message.settings)
}

/// Starts a run: its deadline is set and a model is asked.
pub fn start(
    state: &mut State,
    header: RunHeader,
    message: MessageSubmitted,
    ctx: &Ctx<'_>,
) -> Vec<Command> {
    let settings = settings_of(state, &header, &message, ctx);
    state.privacy = state.privacy.max(settings.privacy);
    state.messages.push(ChatMessage {
        images: message.images,
        ..ChatMessage::text(Role::User, message.text)
    });
    let deadline = ctx.now.plus_millis(i64::from(settings.seconds) * 1000);
    let timer = Timer::Deadline(header.run_id);
    let run = Run {
        header,
        settings,
        metadata: message.metadata,
        step: 0,
        deadline,
        paused_ms: None,
        usage: Usage::default(),
        prompt_hash: Uuid::nil(),
        tools_hash: Uuid::nil(),
        pending: Pending::Tools { calls: Vec::new() },
    };
    let mut commands = vec![Command::SetTimer {
        timer,
        at: deadline,
    }];
    commands.extend(ask_model(state, run, ctx));
    commands
}

/// Asks a model for the next step and puts the run back as the active one.
pub fn ask_model(state: &mut State, mut run: Run, ctx: &Ctx<'_>) -> Vec<Command> {
    run.step += 1;
    let event = request(state, &mut run, ctx);
    let ordinals = 0..u32::from(run.settings.samples);
    let ids = ordinals.map(|at| command_id(run.header.run_id, run.step, at, "inference"));
    let samples: Vec<Sample> = ids
        .map(|command| Sample {
            command,
            outcome: Drawn::Open,
        })
        .collect();
    let commands = samples.iter().map(|sample| Command::Infer {
        id: sample.command.clone(),
        header: run.header.clone(),
        step: run.step,
        deadline: run.deadline,
        event: Box::new(event.clone()),
    });
    let commands = commands.collect();
    run.pending = Pending::Inference { samples };
    state.active = Some(run);
    commands
}

/// What the model is asked; remembers what it depends on.
fn request(state: &State, run: &mut Run, ctx: &Ctx<'_>) -> InferenceRequested {
    let settings = &run.settings;
    let offered = tools::offered(state.conversation_id, settings, ctx);
    let system = context::system(&settings.instructions, state.summary.as_deref());
    let described = offered.iter().map(tokens::of_tool).sum::<u64>();
    let answer = u64::from(settings.parameters.max_tokens.unwrap_or_default());
    let spent = tokens::of_text(&system) + described + answer;
    let budget = settings.context_tokens.saturating_sub(spent);
    let most = ctx.environment.bounds.max_messages;
    let start = context::window_start(&state.messages, most, budget);
    let window = state.messages.get(start..).unwrap_or_default();
    let several = settings.samples > 1;
    let mut parameters = settings.parameters.clone();
    if several {
        parameters.temperature = parameters.temperature.or(Some(samples::TEMPERATURE));
    }
    run.prompt_hash = derive_id([b"prompt".as_slice(), system.as_bytes()]);
    run.tools_hash = tools_hash(&offered);
    InferenceRequested {
        messages: context::prompt(system, window),
        tools: offered,
        provider: run.settings.provider.clone(),
        model: run.settings.model.clone(),
        parameters,
        quiet: several,
        purpose: Purpose::Answer,
        privacy: state.privacy,
        // Answers are drawn to differ.
        cache: if several {
            Caching::Off
        } else {
            run.settings.cache
        },
        extra: Extra::new(),
    }
}

fn tools_hash(offered: &[nexus_contracts::chat::ToolSpec]) -> Uuid {
    // A description that cannot be written would have been refused by whoever listed the tool.
    let text = serde_json::to_vec(offered).unwrap_or_default();
    derive_id([b"tools".as_slice(), &text])
}

/// The model's step is over: tools are called, or the answer is delivered.
pub fn inferred(
    state: &mut State,
    mut run: Run,
    answers: &[&InferenceCompleted],
    ctx: &Ctx<'_>,
) -> Vec<Command> {
    let Some((chosen, agreement)) = samples::vote(answers) else {
        state.active = Some(run);
        return Vec::new();
    };
    let Some(result) = answers.get(chosen).copied() else {
        state.active = Some(run);
        return Vec::new();
    };
    if result.message.tool_calls.is_empty() {
        state.messages.push(result.message.clone());
        let event = MessageCompleted {
            agreement: (run.settings.samples > 1).then_some(agreement),
            ..completed(&run, result, &result.message.content)
        };
        return finish(state, &run, event, ctx);
    }
    if let Some((code, detail)) = over_limit(&run) {
        return fail(state, &run, (code, &detail), ctx);
    }
    state.messages.push(result.message.clone());
    run.pending = Pending::Tools { calls: Vec::new() };
    tools::call(state, run, result, ctx)
}

/// Which limit another model call would break.
fn over_limit(run: &Run) -> Option<(&'static str, String)> {
    let settings = &run.settings;
    let (tokens, cost) = (run.usage.tokens(), run.usage.cost_microusd.unwrap_or(0));
    let over = |most: Option<u64>, used: u64| most.filter(|most| used >= *most);
    if run.step >= settings.steps {
        let detail = format!(
            "the model still asked for tools after {} steps; ask something smaller, or raise \
             `limits.steps`",
            run.step
        );
        return Some(("step_limit", detail));
    }
    if let Some(most) = over(settings.tokens, tokens) {
        let detail = format!(
            "{tokens} tokens are used and {most} allowed; ask something smaller, or raise \
             `limits.tokens`"
        );
        return Some(("token_limit", detail));
    }
    let most = over(settings.cost_microusd, cost)?;
    let detail = format!(
        "{cost} millionths of a dollar are spent and {most} allowed; ask something smaller, or \
         raise `limits.cost_microusd`"
    );
    Some(("cost_limit", detail))
}

/// A tool call lacks something: the person is asked, and the run ends with the question.
pub fn clarification(
    state: &mut State,
    run: &Run,
    (result, missing): (&InferenceCompleted, Clarification),
    ctx: &Ctx<'_>,
) -> Vec<Command> {
    for call in &result.message.tool_calls {
        let told = format!(
            "error: not called; the person is asked for `{}` of `{}`",
            missing.argument, missing.tool
        );
        state
            .messages
            .push(ChatMessage::tool_result(&call.id, told));
    }
    let spec = ctx.environment.tools.get(&missing.tool);
    let text = spec.map(|tool| clarify::question(tool, &missing.argument));
    let text = text.unwrap_or_default();
    state
        .messages
        .push(ChatMessage::text(Role::Assistant, text.clone()));
    let event = MessageCompleted {
        clarification: Some(missing),
        finish_reason: nexus_contracts::chat::FinishReason::Stop,
        ..completed(run, result, &text)
    };
    finish(state, run, event, ctx)
}

/// Ends the active run without an answer. Tool calls that have not returned get a result that
/// says so.
pub fn stop(state: &mut State, (code, detail): (&str, &str), ctx: &Ctx<'_>) -> Vec<Command> {
    let Some(run) = state.active.take() else {
        return Vec::new();
    };
    tools::close(state, &run.pending, &format!("error: {detail}"));
    fail(state, &run, (code, detail), ctx)
}

fn fail(state: &mut State, run: &Run, (code, detail): (&str, &str), ctx: &Ctx<'_>) -> Vec<Command> {
    let failed = failure(&run.header, code, detail, run.metadata.clone());
    end(state, run, failed, ctx)
}

/// Ends a run with this failure.
pub fn fail_with(
    state: &mut State,
    run: &Run,
    event: MessageFailed,
    ctx: &Ctx<'_>,
) -> Vec<Command> {
    let failed = Command::Fail {
        header: run.header.clone(),
        event,
    };
    end(state, run, failed, ctx)
}

fn finish(state: &mut State, run: &Run, event: MessageCompleted, ctx: &Ctx<'_>) -> Vec<Command> {
    let completed = Command::Complete {
        header: run.header.clone(),
        event: Box::new(event),
    };
    end(state, run, completed, ctx)
}

/// Delivers the outcome, closes what is open, and starts the next message that waits.
fn end(state: &mut State, run: &Run, outcome: Command, ctx: &Ctx<'_>) -> Vec<Command> {
    let run_id = run.header.run_id;
    let mut commands = vec![Command::Settle {
        commands: run.pending.commands(),
    }];
    commands.push(outcome);
    let asked = run.pending.approvals().into_iter();
    let timers = asked.map(|approval| Timer::Approval(run_id, approval));
    let timers = timers.chain([Timer::Deadline(run_id)]);
    commands.extend(timers.map(|timer| Command::ClearTimer { timer }));
    let most = ctx.environment.bounds.max_messages;
    // Twice the budget: the next model may see more.
    let budget = run.settings.context_tokens.saturating_mul(2);
    let dropped = context::trim(&mut state.messages, most, budget);
    if let Some(pending) = &mut state.summarizing {
        pending.upto = pending.upto.saturating_sub(dropped);
    }
    commands.extend(summary::ask(state, &run.header, &run.settings, ctx));
    if let Some(next) = state.queued.pop_front() {
        commands.extend(start(state, next.header, next.message, ctx));
    }
    commands
}

fn completed(run: &Run, result: &InferenceCompleted, text: &str) -> MessageCompleted {
    let mut metadata = run.metadata.clone();
    metadata.extend(result.metadata.clone());
    MessageCompleted {
        run_id: run.header.run_id,
        conversation_id: run.header.conversation_id,
        text: text.to_owned(),
        provider: result.provider.clone(),
        model: result.model.clone(),
        usage: run.usage,
        finish_reason: result.finish_reason,
        steps: run.step,
        agreement: None,
        clarification: None,
        metadata,
        extra: Extra::new(),
    }
}

/// The command that delivers a failure.
#[must_use]
pub fn failure(header: &RunHeader, code: &str, detail: &str, metadata: Extra) -> Command {
    Command::Fail {
        header: header.clone(),
        event: failed(header, code, detail, metadata),
    }
}

/// A failure.
#[must_use]
pub fn failed(header: &RunHeader, code: &str, detail: &str, metadata: Extra) -> MessageFailed {
    MessageFailed {
        run_id: (!header.is_command).then_some(header.run_id),
        conversation_id: Some(header.conversation_id),
        code: code.to_owned(),
        detail: detail.to_owned(),
        retryable: false,
        metadata,
        extra: Extra::new(),
    }
}
