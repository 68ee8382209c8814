//! What a model is told to say, and how it is told: the question itself says it, so that it passes
//! every gateway unchanged.

/// Most words of one answer.
pub(super) const MOST_WORDS: usize = 4096;

/// So many numbered words, with a pause between each two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// How many words; each is one chunk of the stream, as a token is.
    pub(super) words: usize,
    /// The pause, in milliseconds.
    pub(super) pause_ms: u64,
}

impl Wanted {
    /// The question that asks for it.
    pub(super) fn question(self) -> String {
        let Self { words, pause_ms } = self;
        format!("Say {words} words, {pause_ms} ms apart.")
    }

    /// What a request asks for: its last such question.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let begin = b"Say ";
        let at = body.windows(begin.len()).rposition(|text| text == begin)?;
        let text = body.get(at..)?.strip_prefix(begin)?;
        let (words, text) = number(text)?;
        let (pause_ms, text) = number(text.strip_prefix(b" words, ")?)?;
        text.starts_with(b" ms apart.").then_some(Self {
            words: usize::try_from(words).ok()?.min(MOST_WORDS),
            pause_ms,
        })
    }

    /// The whole answer.
    pub(super) fn answer(self) -> String {
        (1..=self.words).map(word).collect()
    }
}

/// The word in this place, from 1. No word is a part of another one.
pub(super) fn word(place: usize) -> String {
    format!(" word-{place}.")
}

fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(digits)?;
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::Wanted;

    #[test]
    fn a_question_asks_for_what_was_wanted() {
        let wanted = Wanted {
            words: 3,
            pause_ms: 5,
        };
        let body = format!("{{\"content\":\"Say no. {}\"}}", wanted.question());
        assert_eq!(Wanted::read(body.as_bytes()), Some(wanted));
        assert_eq!(wanted.answer(), " word-1. word-2. word-3.");
        assert_eq!(Wanted::read(b"Say 3 things."), None);
        assert_eq!(Wanted::read(b""), None);
    }
}
