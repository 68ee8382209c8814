//! `math_solver`: exact arithmetic, equations and statistics.
//!
//! Arithmetic and units are fend's; the rest is calculated here, with fractions of integers of any
//! size. Whatever it is, it runs on a thread of its own, because it does not yield; it ends when the
//! call does, and what it may do is bounded besides.

mod complex;
mod equations;
mod exact;
mod fend;
mod integers;
mod linear;
mod number;
mod polynomial;
mod roots;
mod search;
mod statistics;
mod syntax;
mod system;
mod univariate;
mod work;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nexus_store::EffectClass;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

pub use equations::{MAX_EQUATIONS, MAX_UNKNOWNS};
pub use fend::{MAX_DEPTH, MAX_EXPRESSION_BYTES, MAX_RESULT_CHARS};
pub use number::Scalar;
pub use statistics::MAX_NUMBERS;

use crate::tool::{Tool, ToolContext, ToolError};
use work::Work;

/// Calculates.
pub struct MathSolver {
    /// Calculations run on processors, so there are as many at once. One that cannot be stopped
    /// keeps its permit, and the tool degrades instead of the machine.
    processors: Arc<Semaphore>,
}

/// The arguments: exactly one of `expression`, `equations` and `data`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// What to calculate, such as `37 * 43`, `2^200`, `(1/3 + 1/7) to fraction`,
    /// `5 km + 3 miles to m`, `sin(30 degrees)`, `15% of 80`, `gcd(12, 18)`, `lcm(4, 6)`,
    /// `binomial(5, 2)`, `modpow(3, 200, 7)`, `factor(360)` or `is_prime(97)`. Arguments of
    /// functions go in brackets; elsewhere a comma may only separate thousands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub expression: Option<String>,
    /// Equations to solve: one polynomial equation, such as `["x^2 - 5x + 6 = 0"]`; a linear system,
    /// such as `["x + y = 3", "x - y = 1"]`; or any one equation together with `range`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    pub equations: Option<Vec<String>>,
    /// With `equations`: the unknowns, such as `["x", "y"]`. Without it, every name is one but `pi`
    /// and `e`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    pub unknowns: Option<Vec<String>>,
    /// With `equations`: look for real solutions between these two numbers, such as `[-10, 10]`. An
    /// equation such as `cos(x) = x` (in radians) needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<Scalar>")]
    pub range: Option<Vec<Scalar>>,
    /// Numbers to describe by `statistics`, such as `[2, 3.5, "1/3"]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<Scalar>")]
    pub data: Option<Vec<Scalar>>,
    /// With `data`: a second list of as many numbers, for `covariance`, `correlation` and
    /// `regression`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<Scalar>")]
    pub y: Option<Vec<Scalar>>,
    /// With `data`: which of `count`, `sum`, `mean`, `median`, `mode`, `min`, `max`, `range`,
    /// `variance` and `stdev` (each of the population and of a sample), `quantiles`, `covariance`,
    /// `correlation` and `regression`. Without it, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    pub statistics: Option<Vec<String>>,
    /// With `data`: which quantiles, such as `[0.1, 0.9]`. Without it, the quartiles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<Scalar>")]
    pub quantiles: Option<Vec<Scalar>>,
}

impl MathSolver {
    /// As many calculations at once as there are processors.
    #[must_use]
    pub fn new() -> Self {
        let processors = thread::available_parallelism().map_or(2, usize::from);
        Self {
            processors: Arc::new(Semaphore::new(processors)),
        }
    }
}

impl Default for MathSolver {
    fn default() -> Self {
        Self::new()
    }
}

impl Tool for MathSolver {
    const NAME: &'static str = "math_solver";
    const DESCRIPTION: &'static str = "Calculates exactly; use it for every calculation. Give one of: \
        `expression` (big integers, fractions, powers, roots, logarithms, trigonometry, percentages, \
        bases, units, primes, combinatorics; append `to 30 dp` or `to fraction` to choose the form), \
        `equations` (polynomials, linear systems, any function within a `range`), or `data` \
        (statistics, regression). Rounded results are marked `approx`.";
    const EFFECT: EffectClass = EffectClass::ReadOnly;
    const TIMEOUT: Option<Duration> = Some(Duration::from_secs(2));
    const EXAMPLE: Option<&'static str> = Some(r#"{"expression": "37 * 43"}"#);
    type Args = Args;
    type Output = Value;

    async fn call(&self, args: Args, _: &ToolContext) -> Result<Value, ToolError> {
        let task = Task::of(args)?;
        let permit = Arc::clone(&self.processors).acquire_owned().await;
        let permit = permit.map_err(|error| ToolError::Failed(error.to_string()))?;
        on_a_thread(task, permit).await
    }
}

/// What is to be done.
enum Task {
    /// The expression as it was written, and as fend reads it.
    Fend(String, String),
    Exact(String),
    Equations(equations::Question),
    Statistics(statistics::Question),
}

impl Task {
    /// Checks that the fields belong together.
    fn of(args: Args) -> Result<Self, ToolError> {
        let beside_equations = args.unknowns.is_some() || args.range.is_some();
        let beside_data = args.y.is_some() || args.statistics.is_some() || args.quantiles.is_some();
        match (args.expression, args.equations, args.data) {
            (Some(expression), None, None) if !beside_equations && !beside_data => {
                Self::expression(expression)
            }
            (None, Some(equations), None) if !beside_data => {
                Ok(Self::Equations(equations::Question {
                    equations,
                    unknowns: args.unknowns.unwrap_or_default(),
                    range: args.range,
                }))
            }
            (None, None, Some(data)) if !beside_equations => {
                Ok(Self::Statistics(statistics::Question {
                    data,
                    y: args.y,
                    statistics: args.statistics.unwrap_or_default(),
                    quantiles: args.quantiles.unwrap_or_default(),
                }))
            }
            _ => Err(ToolError::BadArguments(
                "give exactly one of `expression` (alone), `equations` (with `unknowns` and `range` \
                 where needed) and `data` (with `y`, `statistics` and `quantiles` where needed)"
                    .to_owned(),
            )),
        }
    }

    fn expression(expression: String) -> Result<Self, ToolError> {
        if expression.len() <= MAX_EXPRESSION_BYTES && exact::concerns(&expression) {
            return Ok(Self::Exact(expression));
        }
        let readable = fend::prepare(&expression)?;
        Ok(Self::Fend(expression, readable))
    }

    /// Does it, until `stopped` is set.
    fn perform(&self, stopped: &AtomicBool) -> Result<Value, ToolError> {
        let work = Work::new(stopped);
        match self {
            Self::Fend(expression, readable) => {
                let result = fend::evaluate(readable, stopped)?;
                Ok(json!({ "expression": expression, "result": result }))
            }
            Self::Exact(expression) => {
                let result = exact::calculate(expression, &work)?;
                Ok(json!({ "expression": expression, "result": result }))
            }
            Self::Equations(question) => Ok(equations::solve(question, &work)?),
            Self::Statistics(question) => Ok(statistics::answer(question, &work)?),
        }
    }
}

/// Calculates on a thread, which ends early when the future is dropped.
async fn on_a_thread(task: Task, permit: OwnedSemaphorePermit) -> Result<Value, ToolError> {
    let stop = StopOnDrop(Arc::default());
    let stopped = Arc::clone(&stop.0);
    let (answer, answered) = oneshot::channel();
    let work = move || {
        let _permit = permit;
        // Nobody hears it when the call was given up.
        let _ = answer.send(task.perform(&stopped));
    };
    thread::Builder::new()
        .name("math_solver".to_owned())
        .stack_size(fend::STACK_BYTES)
        .spawn(work)
        .map_err(|error| ToolError::Failed(format!("no thread to calculate on: {error}")))?;
    answered.await.map_err(|_died| {
        ToolError::Failed("the calculator broke on this; write it differently".into())
    })?
}

struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
