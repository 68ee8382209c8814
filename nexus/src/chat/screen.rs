//! What to write to a terminal so that it shows a run's text as it grows. Pure.

use nexus_contracts::live::LiveEvent;
use nexus_entry_api::transcript::Transcript;

/// What the terminal shows.
#[derive(Clone, Debug, Default)]
pub struct Screen {
    transcript: Transcript,
    shown: String,
}

/// What to write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drawn {
    /// A new line first: what stands there is not part of the text any more.
    pub line_break: bool,
    /// Then this.
    pub text: String,
}

impl Screen {
    /// Takes one report in. A terminal cannot take back what it shows: where the text starts over,
    /// a new line begins.
    pub fn apply(&mut self, event: &LiveEvent) -> Drawn {
        let step = self.transcript.step();
        self.transcript.apply(event);
        let text = self.transcript.text();
        let drawn = match text.strip_prefix(self.shown.as_str()) {
            Some(more) if step == self.transcript.step() || self.shown.is_empty() => Drawn {
                line_break: false,
                text: more.to_owned(),
            },
            // Starting over with what is shown already: nothing to write yet.
            None if self.shown.starts_with(text) && step == self.transcript.step() => {
                return Drawn::default();
            }
            _ => Drawn {
                line_break: !self.shown.is_empty(),
                text: text.to_owned(),
            },
        };
        text.clone_into(&mut self.shown);
        drawn
    }

    /// The text on the screen.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }
}
