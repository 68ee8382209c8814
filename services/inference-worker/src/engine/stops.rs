//! Stop texts. The engine ends at one but says it first; here the answer ends before it.

/// Looks for stop texts in an answer that comes in pieces.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stops {
    texts: Vec<String>,
    held: String,
}

/// What may be said after a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// This much; more may come.
    More(String),
    /// This much, and a stop text followed.
    Stopped(String),
}

impl Stops {
    /// Ends at any of these; empty ones are ignored.
    pub(crate) fn new(texts: Vec<String>) -> Self {
        Self {
            texts: texts.into_iter().filter(|text| !text.is_empty()).collect(),
            held: String::new(),
        }
    }

    /// Another piece. What may be the beginning of a stop text is held back.
    pub(crate) fn push(&mut self, piece: &str) -> Said {
        self.held.push_str(piece);
        let found = self.texts.iter().filter_map(|stop| self.held.find(stop));
        if let Some(at) = found.min() {
            self.held.truncate(at);
            return Said::Stopped(std::mem::take(&mut self.held));
        }
        let keep = self.texts.iter().map(|stop| self.overlap(stop)).max();
        let rest = self.held.split_off(self.held.len() - keep.unwrap_or(0));
        Said::More(std::mem::replace(&mut self.held, rest))
    }

    /// Nothing more comes: what was held back after all.
    pub(crate) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// How many bytes at the end may begin this stop text.
    fn overlap(&self, stop: &str) -> usize {
        stop.char_indices()
            .map(|(at, _)| at)
            .rev()
            .find(|&at| stop.get(..at).is_some_and(|part| self.held.ends_with(part)))
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Said, Stops};

    #[test]
    fn a_stop_text_is_never_said_however_it_is_cut() {
        let mut stops = Stops::new(vec!["END".into(), "\u{e9}\u{e9}".into(), String::new()]);
        assert_eq!(stops.push("a E"), Said::More("a ".into()));
        assert_eq!(stops.push("N"), Said::More(String::new()));
        assert_eq!(stops.push("X E"), Said::More("ENX ".into()));
        assert_eq!(stops.push("\u{e9}"), Said::More("E".into()));
        assert_eq!(stops.push("ok \u{e9}"), Said::More("\u{e9}ok ".into()));
        assert_eq!(
            stops.push("b\u{e9}\u{e9}c"),
            Said::Stopped("\u{e9}b".into())
        );
        let mut stops = Stops::new(vec!["END".into()]);
        assert_eq!(stops.push("EN"), Said::More(String::new()));
        assert_eq!(stops.finish(), "EN");
        assert_eq!(Stops::default().push("all"), Said::More("all".into()));
    }
}
