//! One attempt, or two beside each other of which the first to speak is heard.

use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::Instrument;

use super::Means;
use super::asked::{Asked, Given};
use super::resume::Heard;
use crate::plan::Candidate;
use crate::provider::{DeltaSink, ProviderFailure};
use crate::tally::{Counted, Running};

type Outcome<G> = Result<G, ProviderFailure>;

/// Somebody who is asked.
pub(super) struct Entrant<'a, R: Asked> {
    pub(super) candidate: &'a Candidate,
    pub(super) request: Cow<'a, R>,
    pub(super) prompt_tokens: u64,
    /// How many tokens of its limit were paid for.
    pub(super) paid: u64,
}

/// Asks `first`; when it is silent for long, `second` beside it. Returns whose outcome counts. What goes
/// wrong with the other one is put with the failures.
pub(super) async fn race<'a, R: Asked>(
    first: Entrant<'a, R>,
    second: Option<(Duration, Entrant<'a, R>)>,
    means: Means<'_>,
    heard: &mut Heard<'_>,
    failures: &mut Vec<(&'a Candidate, ProviderFailure)>,
) -> (&'a Candidate, Outcome<R::Given>) {
    let Some((after, second)) = second else {
        let by = first.candidate;
        return (by, attempt(&first, means, heard).await);
    };
    let (said, mut texts) = mpsc::unbounded_channel();
    let mut lanes = Lanes([None, None]);
    let told = |place| Told {
        place,
        said: said.clone(),
    };
    lanes.start(0, run(&first, means, told(0)));
    let mut late = pin!(sleep(after));
    let mut alone = true;
    let mut speaking: Option<usize> = None;
    loop {
        let (place, outcome) = tokio::select! {
            biased;
            Some((place, text)) = texts.recv() => {
                // Whoever speaks first: the connection of the other one closes here.
                if *speaking.get_or_insert(place) == place {
                    lanes.keep(place);
                    heard.delta(&text).await;
                }
                continue;
            }
            ended = lanes.next() => ended,
            () = &mut late, if alone && speaking.is_none() => {
                alone = false;
                tracing::info!(provider.name = &*second.candidate.configured.name, "hedging");
                lanes.start(1, run(&second, means, told(1)));
                continue;
            }
        };
        // What it said on the way to its end.
        while let Ok((from, text)) = texts.try_recv() {
            if *speaking.get_or_insert(from) == from {
                lanes.keep(from);
                heard.delta(&text).await;
            }
        }
        let by = if place == 0 {
            first.candidate
        } else {
            second.candidate
        };
        match outcome {
            Err(failure) if lanes.is_anybody_running() => failures.push((by, failure)),
            outcome => return (by, outcome),
        }
    }
}

/// Two lanes, each empty or with somebody on it.
struct Lanes<'a, G>([Option<Lane<'a, G>>; 2]);

type Lane<'a, G> = Pin<Box<dyn Future<Output = Outcome<G>> + Send + 'a>>;

impl<'a, G: Given> Lanes<'a, G> {
    fn start(&mut self, place: usize, running: impl Future<Output = Outcome<G>> + Send + 'a) {
        if let Some(lane) = self.0.get_mut(place) {
            *lane = Some(Box::pin(running));
        }
    }

    /// Stops everybody but this one.
    fn keep(&mut self, place: usize) {
        for (other, lane) in self.0.iter_mut().enumerate() {
            if other != place {
                *lane = None;
            }
        }
    }

    fn is_anybody_running(&self) -> bool {
        self.0.iter().any(Option::is_some)
    }

    /// Waits for whoever ends first.
    fn next(&mut self) -> impl Future<Output = (usize, Outcome<G>)> {
        poll_fn(|context| {
            for (place, lane) in self.0.iter_mut().enumerate() {
                let polled = lane.as_mut().map(|running| running.as_mut().poll(context));
                if let Some(Poll::Ready(outcome)) = polled {
                    *lane = None;
                    return Poll::Ready((place, outcome));
                }
            }
            Poll::Pending
        })
    }
}

/// Passes on who says what.
struct Told {
    place: usize,
    said: mpsc::UnboundedSender<(usize, String)>,
}

#[async_trait]
impl DeltaSink for Told {
    async fn delta(&mut self, text: &str) {
        // The other end lives as long as the race.
        drop(self.said.send((self.place, text.to_owned())));
    }
}

async fn run<R: Asked>(
    entrant: &Entrant<'_, R>,
    means: Means<'_>,
    mut told: Told,
) -> Outcome<R::Given> {
    attempt(entrant, means, &mut told).await
}

/// One attempt, with all that is noted of it.
async fn attempt<R: Asked>(
    entrant: &Entrant<'_, R>,
    means: Means<'_>,
    sink: &mut dyn DeltaSink,
) -> Outcome<R::Given> {
    let candidate = entrant.candidate;
    let provider = candidate
        .configured
        .provider
        .as_ref()
        .map_err(Clone::clone)?;
    let running = means.tally.begin(candidate, R::TASK, entrant.prompt_tokens);
    let mut noted = Noted {
        means,
        candidate,
        running,
        paid: entrant.paid,
        ended: false,
    };
    let mut counted = Counted { running, sink };
    let span = tracing::debug_span!(
        "provider.attempt",
        provider.name = &*candidate.configured.name,
        model = &*candidate.model
    );
    let call = entrant.request.put(provider.as_ref(), &mut counted);
    let outcome = call.instrument(span).await;
    noted.end(&outcome);
    outcome
}

/// What is to be noted, also of an attempt that is dropped.
struct Noted<'a> {
    means: Means<'a>,
    candidate: &'a Candidate,
    running: Running<'a>,
    paid: u64,
    ended: bool,
}

impl Noted<'_> {
    fn end<G: Given>(&mut self, outcome: &Outcome<G>) {
        self.ended = true;
        self.running.end(outcome);
        match outcome {
            Ok(_) => self
                .means
                .health
                .answered(self.candidate, self.running.latency()),
            Err(failure) => self.means.health.failed(self.candidate, failure),
        }
    }
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.running.give_up();
            self.means.health.unused(self.candidate);
        }
        let configured = &self.candidate.configured;
        let used = self.running.tokens();
        let limits = self.means.limits;
        limits.settle(&configured.name, &configured.limits, self.paid, used);
    }
}
