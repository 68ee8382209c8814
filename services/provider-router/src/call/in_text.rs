//! Asking a model that calls tools in its text: what is heard of it, and one more chance where a call
//! could not be read.

use async_trait::async_trait;

use super::line::{Line, Outcome};
use crate::assembler::Answer;
use crate::provider::{ChatRequest, DeltaSink};
use crate::textual::{self, Read, Refused};
use crate::toolcalls::{Shown, Tool};

/// Between what was kept of a first answer and the second one.
const GAP: &str = "\n\n";

/// Asks, and once more where nothing but calls came that cannot be read.
///
/// What is told on the way is what the answer begins with, never a part of a call. The second question is
/// an attempt like any other: it needs the leave of limits and breaker, and is noted. Where it is not
/// answered, the first answer is told as it was written.
pub(super) async fn ask(
    asked: &ChatRequest,
    line: &Line<'_>,
    sink: &mut dyn DeltaSink,
) -> Outcome<Answer> {
    let tools = textual::offered(asked).iter();
    let tools = tools.map(|tool| Tool {
        name: &tool.name,
        parameters: &tool.parameters,
    });
    let tools: Vec<Tool<'_>> = tools.collect();
    let request = textual::request(asked);
    if tools.is_empty() {
        return line.attempt(&request, sink).await;
    }
    let mut telling = Telling::new(&tools, "", sink);
    let answer = line.attempt(&request, &mut telling).await?;
    let Read { answer, refused } = textual::read(answer, &tools, &asked.id);
    if let Some(refused) = refused {
        telling.rest(&refused.kept).await;
        if let Some(outcome) = ask_again(asked, line, &answer, &refused, &mut telling).await {
            return outcome;
        }
    }
    telling.rest(&answer.message.content).await;
    Ok(answer)
}

/// The second answer behind what was kept of the first; `None` when there is none and nothing of it was
/// told.
async fn ask_again(
    asked: &ChatRequest,
    line: &Line<'_>,
    first: &Answer,
    refused: &Refused,
    telling: &mut Telling<'_>,
) -> Option<Outcome<Answer>> {
    let line = line.again().await.ok()?;
    tracing::info!(
        provider.name = &*line.candidate.configured.name,
        model = &*line.candidate.model,
        reason = refused.words,
        "a call in text could not be read; asking again"
    );
    let request = textual::request(&textual::again(asked, refused));
    let gap = if refused.kept.is_empty() { "" } else { GAP };
    let mut telling = Telling::new(telling.tools, gap, telling.sink);
    let answer = match line.attempt(&request, &mut telling).await {
        Ok(answer) => answer,
        Err(failure) if telling.told > 0 => return Some(Err(failure)),
        Err(_noted) => return None,
    };
    let read = textual::read(answer, telling.tools, &asked.id);
    telling.rest(&read.answer.message.content).await;
    Some(Ok(read.behind(refused, gap, first)))
}

/// Tells what is prose however the text goes on.
struct Telling<'a> {
    tools: &'a [Tool<'a>],
    /// Told before the first piece.
    gap: &'static str,
    sink: &'a mut dyn DeltaSink,
    text: String,
    shown: Shown,
    /// How much of the text was told, in bytes.
    told: usize,
}

impl<'a> Telling<'a> {
    fn new(tools: &'a [Tool<'a>], gap: &'static str, sink: &'a mut dyn DeltaSink) -> Self {
        Self {
            tools,
            gap,
            sink,
            text: String::new(),
            shown: Shown::default(),
            told: 0,
        }
    }

    /// Tells what was not told of this, which begins with what was.
    async fn rest(&mut self, prose: &str) {
        let Some(more) = prose.get(self.told..).filter(|more| !more.is_empty()) else {
            return;
        };
        if self.told == 0 && !self.gap.is_empty() {
            self.sink.delta(self.gap).await;
        }
        self.told = prose.len();
        self.sink.delta(more).await;
    }
}

#[async_trait]
impl DeltaSink for Telling<'_> {
    async fn delta(&mut self, text: &str) {
        let mut all = std::mem::take(&mut self.text);
        all.push_str(text);
        let safe = self.shown.of(&all, self.tools);
        self.rest(safe).await;
        self.text = all;
    }
}
