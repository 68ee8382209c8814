use super::{Difference, Features, Salt};

const SALT: Salt = [7; 16];

fn compared(one: &str, other: &str) -> Result<(), Difference> {
    let (one, other) = (Features::of(one, &SALT), Features::of(other, &SALT));
    assert_eq!(one.agree(&other), other.agree(&one), "both ways alike");
    one.agree(&other)
}

#[test]
fn what_differs_is_seen() {
    use Difference::{Closed, Content, Direction, Language, Names, Quantities, Verbatim};
    for (one, other, difference) in [
        ("Add 2 eggs", "Add 3 eggs", Quantities),
        ("Walk 10 miles", "Walk 10 km", Quantities),
        ("How many MB fit?", "How many Mb fit?", Quantities),
        ("Turn miles to km", "Turn km to miles", Quantities),
        ("It costs $5", "It costs 5 €", Quantities),
        ("Is it cold in Oslo?", "Is it cold in Rome?", Names),
        ("Did Ann see Bob?", "Did Bob see Ann?", Names),
        ("Write it as JSON", "Write it as XML", Names),
        ("Mend 'He go.'", "Mend 'She go.'", Verbatim),
        ("What is a >= b?", "What is a > b?", Verbatim),
        ("run git reset --soft", "run git reset --hard", Verbatim),
        ("It is safe", "It is not safe", Closed),
        ("It is safe", "It isn't safe", Closed),
        ("Pizza with cheese", "Pizza without cheese", Closed),
        ("Was it cold?", "Will it be cold?", Closed),
        ("List all rivers", "List some rivers", Closed),
        ("How can I cancel?", "Can I cancel?", Closed),
        ("Is more sleep good?", "Is less sleep good?", Closed),
        (
            "a letter from a tenant to a landlord",
            "a letter from a landlord to a tenant",
            Direction,
        ),
        (
            "What is in the garden of Eden?",
            "Was ist in dem garden of Eden?",
            Closed,
        ),
        (
            "tell me of the pasta recipe",
            "das ist ein pasta recipe",
            Language,
        ),
        (
            "How do I start a container?",
            "How do I stop a container?",
            Content,
        ),
        ("What is inflation?", "What is deflation?", Content),
        ("Rank cats, dogs", "Rank dogs, cats", Content),
        ("does a dog eat a cat", "does a cat eat a dog", Content),
        ("今天下雨吗", "明天下雨吗", Content),
    ] {
        assert_eq!(compared(one, other), Err(difference), "{one} | {other}");
    }
}

#[test]
fn who_does_what_to_whom_is_seen_and_so_are_small_signs() {
    use Difference::{Closed, Order, Quantities, Verbatim};
    for (one, other, difference) in [
        ("Is it cold and wet?", "Is it cold or wet?", Closed),
        ("How much does he owe me?", "How much do I owe him?", Order),
        (
            "Which animals are mammals but do not lay eggs?",
            "Which animals are not mammals but do lay eggs?",
            Order,
        ),
        (
            "Do all cats like some dogs?",
            "Do some cats like all dogs?",
            Order,
        ),
        (
            "Convert .5 miles to km",
            "Convert 5 miles to km",
            Quantities,
        ),
        (
            "Explain: if (!ready) return",
            "Explain: if (ready) return",
            Verbatim,
        ),
        ("Is 3 in (3, 5]?", "Is 3 in [3, 5]?", Verbatim),
    ] {
        assert_eq!(compared(one, other), Err(difference), "{one} | {other}");
    }
}

#[test]
fn what_only_looks_different_is_not() {
    for (one, other) in [
        ("What is inflation?", "what is inflation"),
        ("What is inflation?", "Please tell me what inflation is!"),
        (
            "What's the capital of Peru?",
            "What is the capital of Peru?",
        ),
        ("How do I train a cat?", "How do I train cats?"),
        ("Give me two eggs", "Give me 2 eggs."),
        ("Walk 1,000 kilometres", "Walk 1000 km"),
        ("Don't stop", "Do not stop"),
        ("Explain: `a && b`", "Explain `a && b`, please"),
        (
            "For beginners, which guitar is best?",
            "Which guitar is best for beginners?",
        ),
    ] {
        assert_eq!(compared(one, other), Ok(()), "{one} | {other}");
    }
}

#[test]
fn said_in_quite_other_words_a_text_may_count_as_the_same() {
    let one = "How do I keep fresh basil alive on a sunny kitchen windowsill?";
    let other = "How can supermarket herbs, basil say, survive indoors, given plenty of light?";
    assert_eq!(compared(one, other), Ok(()));
    let nothing_in_common = "How can supermarket herbs survive indoors?";
    assert_eq!(compared(one, nothing_in_common), Err(Difference::Content));
}

#[test]
fn whoever_reads_the_memory_cannot_try_words() {
    let one = Features::of("secret", &SALT);
    assert_ne!(one, Features::of("secret", &[8; 16]));
}
