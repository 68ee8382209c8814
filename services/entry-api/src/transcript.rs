//! What a reader of a run's live events shows: the rule by which text is put together.

use nexus_contracts::live::LiveEvent;
use serde_json::Value;

/// The text of a run as far as it was reported.
///
/// `delta` appends and `snapshot` replaces, both within their step; a later step starts over; what
/// belongs to an earlier step is late and ignored; `completed` carries the whole final text. Two
/// readers that saw the end show the same bytes, wherever they came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    step: u32,
    text: String,
    finished: bool,
}

impl Transcript {
    /// Takes one report in.
    pub fn apply(&mut self, event: &LiveEvent) {
        if self.finished {
            return;
        }
        match event {
            LiveEvent::Delta { step, text } => {
                if self.enter(*step) {
                    self.text.push_str(text);
                }
            }
            LiveEvent::Snapshot { step, text } => {
                if self.enter(*step) {
                    self.text.clone_from(text);
                }
            }
            LiveEvent::Status { .. } | LiveEvent::Tool { .. } | LiveEvent::Approval { .. } => {}
            LiveEvent::Completed { message } => {
                if let Some(text) = message.get("text").and_then(Value::as_str) {
                    text.clone_into(&mut self.text);
                }
                self.finished = true;
            }
            LiveEvent::Failed { .. } => self.finished = true,
        }
    }

    /// What is shown now.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The step that speaks, counted from 1; 0 before the first.
    #[must_use]
    pub const fn step(&self) -> u32 {
        self.step
    }

    /// Whether nothing comes any more.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.finished
    }

    fn enter(&mut self, step: u32) -> bool {
        if step > self.step {
            self.step = step;
            self.text.clear();
        }
        step == self.step
    }
}
