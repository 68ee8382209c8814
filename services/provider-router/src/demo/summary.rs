//! Summaries: the demo model picks sentences out of what it is given and adds nothing of its own.
//!
//! The transcript is one line per message, `person: …` or `agent: …`; a line without a speaker goes
//! on with the message before it. What comes out is in the same form, one `- person: …` per line,
//! so that a summary of a summary works, and what people told stays where [`super::facts`] finds it.

use super::facts;
use super::phrases::plain;

/// Most sentences of a summary; of the others the oldest go first, what people told last.
const MOST: usize = 24;

/// Longest sentence that is quoted whole, in characters.
const LONGEST: usize = 160;

/// Most words of a title.
const TITLE_WORDS: usize = 8;

/// The title where nobody said anything.
const UNTITLED: &str = "Conversation";

/// Longest title, in characters.
const TITLE_LONGEST: usize = 60;

/// Whose words are people's.
const PEOPLE: [&str; 3] = ["person", "user", "human"];

/// Whose words are left out: the answers say what came of them.
const LEFT_OUT: [&str; 2] = ["tool", "system"];

/// Whether instructions ask for a title and a summary.
#[must_use]
pub fn is_wanted(instructions: &[&str]) -> bool {
    instructions.iter().any(|text| {
        let text = plain(text);
        text.contains("title:") && text.contains("summar")
    })
}

/// What people said according to a summary, oldest first.
pub fn told(summary: &str) -> impl Iterator<Item = &str> {
    summary.lines().filter_map(|line| {
        let (speaker, text) = spoken(line);
        speaker.filter(|name| is_person(name)).map(|_| text)
    })
}

/// A title, an empty line, and the summary.
#[must_use]
pub fn of(transcript: &str) -> String {
    let said = messages(transcript);
    let quotes: Vec<Quote> = said.iter().filter_map(Quote::of).collect();
    let mut left_out = quotes.len().saturating_sub(MOST);
    let mut facts = quotes.iter().filter(|quote| quote.is_fact).count();
    let mut text = format!("Title: {}\n", title(&said));
    for quote in &quotes {
        let spare = !quote.is_fact || facts > MOST;
        if left_out > 0 && spare {
            left_out -= 1;
            facts -= usize::from(quote.is_fact);
            continue;
        }
        text.push_str(&format!("\n- {}{}", quote.speaker, quote.sentence));
    }
    text
}

/// One message of a transcript.
#[derive(Debug)]
struct Said<'a> {
    speaker: Option<&'a str>,
    text: String,
}

impl Said<'_> {
    fn by_person(&self) -> bool {
        self.speaker.is_some_and(is_person)
    }
}

/// The sentence that stands for a message.
struct Quote {
    /// With its colon; empty when nobody is named.
    speaker: String,
    sentence: String,
    is_fact: bool,
}

impl Quote {
    fn of(said: &Said<'_>) -> Option<Self> {
        if said.speaker.is_some_and(|name| is_one_of(name, &LEFT_OUT)) {
            return None;
        }
        let fact = sentences(&said.text).find(|sentence| facts::told(sentence).is_some());
        let fact = fact.filter(|_| said.by_person());
        let sentence = fact.or_else(|| sentences(&said.text).next())?;
        Some(Self {
            speaker: said
                .speaker
                .map(|name| format!("{name}: "))
                .unwrap_or_default(),
            sentence: shortened(sentence, LONGEST),
            is_fact: fact.is_some(),
        })
    }
}

fn messages(transcript: &str) -> Vec<Said<'_>> {
    let mut said: Vec<Said<'_>> = Vec::new();
    let lines = transcript.lines().filter(|line| !line.trim().is_empty());
    // Headings, and what was asked of tools.
    let lines = lines.filter(|line| !(line.ends_with(':') || line.starts_with("agent calls ")));
    for line in lines {
        let (speaker, text) = spoken(line);
        match said.last_mut() {
            Some(last) if speaker.is_none() => {
                last.text.push(' ');
                last.text.push_str(text);
            }
            _ => said.push(Said {
                speaker,
                text: text.to_owned(),
            }),
        }
    }
    said
}

/// Who speaks in a line, if it says so, and what.
fn spoken(line: &str) -> (Option<&str>, &str) {
    let line = line.trim();
    let line = line.strip_prefix("- ").unwrap_or(line).trim_start();
    match line.split_once(':') {
        Some((name, text)) if is_name(name) && (text.is_empty() || text.starts_with(' ')) => {
            (Some(name), text.trim())
        }
        _ => (None, line),
    }
}

fn is_name(name: &str) -> bool {
    (1..=20).contains(&name.len()) && name.chars().all(char::is_alphabetic)
}

fn is_person(name: &str) -> bool {
    is_one_of(name, &PEOPLE)
}

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// What the first person who says more than a greeting is about.
fn title(said: &[Said<'_>]) -> String {
    let people = || said.iter().filter(|said| said.by_person());
    let first = |least: usize| {
        let mut all = people().flat_map(|said| sentences(&said.text));
        all.find(|sentence| sentence.split_whitespace().count() >= least)
    };
    let Some(sentence) = first(3).or_else(|| first(1)) else {
        return UNTITLED.to_owned();
    };
    let words: Vec<&str> = sentence.split_whitespace().take(TITLE_WORDS).collect();
    let title = words.join(" ");
    let title = title.trim_end_matches(['.', '!', '?', ',', ';', ':']);
    let mut letters = title.chars();
    let Some(capital) = letters.next().map(char::to_uppercase) else {
        return UNTITLED.to_owned();
    };
    let title: String = capital.chain(letters).collect();
    shortened(&title, TITLE_LONGEST)
}

/// Sentences of a text: each ends in `.`, `!` or `?` before white space, or with the text.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text.trim();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let ends = rest.match_indices(['.', '!', '?']).map(|(at, _)| at + 1);
        let blank = |at: &usize| {
            let next = rest.get(*at..).and_then(|tail| tail.chars().next());
            next.is_none_or(char::is_whitespace)
        };
        let end = { ends }.find(blank).unwrap_or(rest.len());
        let (sentence, tail) = rest.split_at(end);
        rest = tail.trim_start();
        Some(sentence)
    })
}

fn shortened(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let kept: String = text.chars().take(longest.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::{MOST, TITLE_LONGEST, is_wanted, of, told};

    #[test]
    fn only_instructions_for_a_summary_are_taken_for_some() {
        assert!(is_wanted(&[
            "Answer with `Title: ` and a line, then the summary."
        ]));
        assert!(!is_wanted(&[
            "You are a helpful assistant.",
            "Summarise at the end."
        ]));
        assert!(!is_wanted(&[]));
    }

    #[test]
    fn it_quotes_what_was_said_and_names_what_it_was_about() {
        let transcript = "Summary of what was said before:\n\
                          - person: Good day.\n\n\
                          person: Hello! My name is Ada. How are you?\n\
                          agent: Hello! Nice to meet you, Ada!\n\
                          person: what is 3.5 * 2, please? I need it today.\n\
                          agent calls math_solver {\"expression\":\"3.5 * 2\"}\n\
                          tool: {\"result\":\"7\"}\n\
                          agent: 3.5 * 2 = 7";
        assert_eq!(
            of(transcript),
            "Title: My name is Ada\n\n\
             - person: Good day.\n\
             - person: My name is Ada.\n\
             - agent: Hello!\n\
             - person: what is 3.5 * 2, please?\n\
             - agent: 3.5 * 2 = 7"
        );
    }

    #[test]
    fn a_summary_of_a_summary_keeps_what_was_told() {
        let mut transcript = "person: My favourite colour is blue.".to_owned();
        for turn in 0..100 {
            transcript.push_str(&format!("\nperson: What is {turn} + 1?\nagent: A number."));
            let summary = of(&transcript);
            assert!(summary.lines().count() <= MOST + 2, "{summary}");
            let people: Vec<_> = told(&summary).collect();
            assert!(
                people.contains(&"My favourite colour is blue."),
                "{summary}"
            );
            transcript = summary.split_once("\n\n").unwrap().1.to_owned();
        }
    }

    #[test]
    fn odd_transcripts_give_a_title_and_no_panic() {
        for (transcript, title) in [
            ("", "Conversation"),
            ("no speaker at all", "Conversation"),
            ("User:", "Conversation"),
            ("User: ?", "Conversation"),
            (
                "User: über alles: siehe https://example.org/a.b?c",
                "Über alles: siehe https://example.org/a.b?c",
            ),
            ("Human: hi\n\n\nand on\nit goes", "Hi and on it goes"),
        ] {
            let summary = of(transcript);
            assert_eq!(
                summary.lines().next(),
                Some(format!("Title: {title}").as_str()),
                "{summary}"
            );
        }
        let long = of(&format!("User: {}", "wörter ".repeat(500)));
        assert!(
            long.lines().all(|line| line.chars().count() < 200),
            "{long}"
        );
        assert!(long.lines().next().unwrap().chars().count() <= TITLE_LONGEST + 7);
    }
}
