//! What was heard of an answer while it was made.

use nexus_contracts::live::LiveEvent;

/// The beginning of an answer, as far as it was passed on. What was passed on cannot be taken back, so
/// only what goes on from there is.
#[derive(Debug, Default)]
pub(super) struct Heard {
    said: String,
    /// Something is missing behind it: what comes is passed on when it goes on from there again.
    torn: bool,
}

impl Heard {
    /// More to pass on, if this is more.
    pub(super) fn take(&mut self, event: LiveEvent) -> Option<String> {
        match event {
            LiveEvent::Delta { text, .. } if !self.torn => {
                self.said.push_str(&text);
                Some(text)
            }
            LiveEvent::Snapshot { text, .. } => {
                let rest = self.rest_of(&text).map(str::to_owned);
                self.torn = rest.is_none();
                if rest.is_some() {
                    self.said = text;
                }
                rest
            }
            _ => None,
        }
    }

    /// Something was lost on the way.
    pub(super) const fn lose(&mut self) {
        self.torn = true;
    }

    /// What nobody has heard yet of this answer; `None` when it begins with something else.
    pub(super) fn rest_of<'a>(&self, whole: &'a str) -> Option<&'a str> {
        whole.strip_prefix(self.said.as_str())
    }
}
