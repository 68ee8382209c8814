//! One attempt, or two beside each other of which the first to speak is heard.

use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::asked::{Asked, Given};
use super::line::{Line, Outcome};
use super::resume::Heard;
use crate::plan::Candidate;
use crate::provider::{DeltaSink, ProviderFailure};

/// Somebody who is asked.
pub(super) struct Entrant<'a, R: Asked> {
    pub(super) line: Line<'a>,
    pub(super) request: Cow<'a, R>,
}

impl<R: Asked> Entrant<'_, R> {
    async fn ask(&self, sink: &mut dyn DeltaSink) -> Outcome<R::Given> {
        self.request.ask(&self.line, sink).await
    }
}

/// Asks `first`; when it is silent for long, `second` beside it. Returns whose outcome counts. What goes
/// wrong with the other one is put with the failures.
pub(super) async fn race<'a, R: Asked>(
    first: Entrant<'a, R>,
    second: Option<(Duration, Entrant<'a, R>)>,
    heard: &mut Heard<'_>,
    failures: &mut Vec<(&'a Candidate, ProviderFailure)>,
) -> (&'a Candidate, Outcome<R::Given>) {
    let Some((after, second)) = second else {
        let by = first.line.candidate;
        return (by, first.ask(heard).await);
    };
    let (said, mut texts) = mpsc::unbounded_channel();
    let mut lanes = Lanes([None, None]);
    let told = |place| Told {
        place,
        said: said.clone(),
    };
    lanes.start(0, run(&first, told(0)));
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
                tracing::info!(provider.name = &*second.line.candidate.configured.name, "hedging");
                lanes.start(1, run(&second, told(1)));
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
            first.line.candidate
        } else {
            second.line.candidate
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

async fn run<R: Asked>(entrant: &Entrant<'_, R>, mut told: Told) -> Outcome<R::Given> {
    entrant.ask(&mut told).await
}
