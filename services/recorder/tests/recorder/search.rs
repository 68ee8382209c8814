//! Both databases find the same, and nothing but words reaches them.

use anyhow::{Context, Result, ensure};
use nexus_recorder::read::{self, Before};
use nexus_recorder::terms::Terms;
use nexus_recorder::words::indexed;
use nexus_recorder::write::write;
use nexus_store::{Store, StoreKind};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use crate::on_both;
use crate::picture::found;
use crate::world::{ORG, World, open};

/// What was said in one conversation each.
const SAID: [&str; 8] = [
    "The quick brown fox jumps over the lazy dog.",
    "QUICK! Brown paper; fox-trot on 2026-03-01 at 10.5 %",
    "Écrire à l'été: naïve ΟΔΟΣ Straße",
    "世界你好 — 今日は世界",
    "mail a_b+c@example.org or https://example.org/x?y=1&z=%20",
    "C:\\temp\\file.txt 'quoted' \"double\" `tick` NULL",
    "AND OR NOT NEAR(one two, 3) text:word ^start {set} wild* -minus",
    "don't stop",
];

/// What is searched for, and which of [`SAID`] hold it, the last one first.
const SEARCHES: [(&str, &[usize]); 31] = [
    ("quick", &[1, 0]),
    ("QuIcK", &[1, 0]),
    ("quick fox", &[1, 0]),
    ("fox quick", &[1, 0]),
    ("\"quick brown\"", &[1, 0]),
    ("\"brown fox\"", &[0]),
    ("\"fox brown\"", &[]),
    ("\"brown pa\"*", &[1]),
    ("qui", &[]),
    ("qui*", &[1, 0]),
    ("lazy trot*", &[]),
    ("fox-trot", &[1]),
    ("trot-fox", &[]),
    ("2026-03-01", &[1]),
    ("10.5", &[1]),
    ("été", &[2]),
    ("ÉCRIRE", &[2]),
    ("οδος", &[2]),
    ("STRASSE", &[]),
    ("世界", &[3]),
    ("界你", &[3]),
    ("好世", &[]),
    ("example.org", &[4]),
    ("a_b", &[4]),
    ("b%", &[4]),
    ("c:\\temp", &[5]),
    ("'quoted'", &[5]),
    ("null", &[5]),
    ("and or not near", &[6]),
    ("don't", &[7]),
    ("\"don't st\"*", &[7]),
];

fn conversations() -> Result<World> {
    let mut world = World::new();
    for said in SAID {
        world.turn(None, said, "-")?;
    }
    Ok(world)
}

/// Which of [`SAID`] were found.
async fn which(store: &Store, world: &World, typed: &str) -> Result<Vec<usize>> {
    let hits = found(store, world.reader, typed).await?;
    let which = hits.into_iter().map(|hit| {
        let at = SAID
            .iter()
            .position(|said| said.starts_with(hit.title.trim_end_matches('…')));
        ensure!(
            hit.snippet.iter().any(|piece| piece.hit),
            "`{typed}` marks nothing in {hit:?}"
        );
        at.context("a conversation of these")
    });
    which.collect()
}

on_both! {
    async fn words_beginnings_and_phrases_are_found(store: &Store) -> Result<()> {
        let world = conversations()?;
        write(store, &world.messages).await?;
        for (typed, expected) in SEARCHES {
            let which = which(store, &world, typed).await?;
            ensure!(which == expected, "`{typed}` finds {which:?} and not {expected:?}");
        }
        Ok(())
    }

    async fn no_syntax_of_a_database_gets_through(store: &Store) -> Result<()> {
        let world = conversations()?;
        write(store, &world.messages).await?;
        for typed in [
            "\"", "a\"b", "\"unclosed", "*", "a*b*", "words:quick", "said_fts", "NEAR(quick fox)",
            "quick OR zebra", "quick NOT fox", "^quick", "{words} : x", "%", "_", "100%", "q_ick",
            "quick') OR 1=1 --", "\\", "quick\\", "$1", "?", "a & b | !c", "a <-> b", "\u{a7}",
            &format!("\u{a7}{}", ORG.0.simple()), &ORG.to_string(), "\u{0}quick", "quick\u{0}",
        ] {
            // Refused for having no word, or read as words: never an error of the database.
            let Ok(terms) = Terms::parse(typed) else { continue };
            let page = read::search(store, world.reader, &terms, (&Before::first(), 50)).await;
            let hits = page.with_context(|| format!("`{typed}`"))?.hits;
            let held = SAID.iter().filter(|said| {
                let words = indexed(ORG, said);
                terms.patterns().all(|pattern| words.contains(pattern.trim_matches('%')))
            });
            ensure!(hits.len() == held.count(), "`{typed}` finds {}", hits.len());
        }
        Ok(())
    }

    async fn hits_are_shown_with_what_is_around_them(store: &Store) -> Result<()> {
        let mut world = World::new();
        let far = "hay ".repeat(60);
        let id = world.turn(None, &format!("{far}needle in it {far}"), "a needle")?.conversation;
        world.rename(id, "About needles and a needle")?;
        write(store, &world.messages).await?;
        let hits = found(store, world.reader, "needle").await?;
        let kinds: Vec<_> = hits.iter().map(|hit| hit.role.as_deref()).collect();
        ensure!(kinds == [None, Some("assistant"), Some("user")], "{kinds:?}");
        ensure!(hits.iter().all(|hit| hit.title == "About needles and a needle"));
        let shown: String = hits.last().context("three")?.snippet.iter().map(|piece| {
            if piece.hit { format!("[{}]", piece.text) } else { piece.text.clone() }
        }).collect();
        ensure!(shown.starts_with("…hay") && shown.contains("hay [needle] in it hay"), "{shown}");
        ensure!(shown.len() < 400, "{shown}");
        Ok(())
    }

    async fn both_find_what_the_words_say(store: &Store) -> Result<()> {
        let mut runner = TestRunner::new_with_rng(
            Config { failure_persistence: None, ..Config::default() },
            proptest::test_runner::TestRng::deterministic_rng(
                proptest::test_runner::RngAlgorithm::ChaCha,
            ),
        );
        let pieces = vec![
            "a", "b", "ab", "abc", "Ä", "ä", "a\u{308}", "ß", "世", "界", "1", "1a", " ", " ", " ",
            "-", ".", "_", "%", "'", "\"", "*", "é", "\n", "\u{1f980}", "\u{a0}", "İ", "ﬁ",
        ];
        let text = vec(select(pieces), 1..14).prop_map(|pieces| pieces.concat());
        let texts = drawn(&mut runner, &vec(text.clone(), 40..41))?;
        let searches = drawn(&mut runner, &vec((text, any::<bool>()), 150..151))?;
        let mut world = World::new();
        for text in &texts {
            world.turn(None, text, "-")?;
        }
        write(store, &world.messages).await?;
        let mut hit = 0;
        for (typed, quoted) in searches {
            let typed = if quoted { format!("\"{typed}\"") } else { typed };
            let Ok(terms) = Terms::parse(&typed) else { continue };
            let page = read::search(store, world.reader, &terms, (&Before::first(), 100)).await?;
            let held = texts.iter().filter(|said| {
                let words = indexed(ORG, said);
                terms.patterns().all(|pattern| words.contains(pattern.trim_matches('%')))
            });
            let expected = held.count();
            hit += expected;
            ensure!(page.hits.len() == expected, "{typed:?} finds {} of {expected}", page.hits.len());
        }
        ensure!(hit > 100, "the searches find something: {hit}");
        Ok(())
    }

    async fn the_index_agrees_with_what_it_is_of(store: &Store) -> Result<()> {
        let mut world = conversations()?;
        let gone = world.turn(None, "alpha", "beta")?.conversation;
        world.delete(gone)?;
        for message in world.messages.iter().rev() {
            write(store, std::slice::from_ref(message)).await?;
        }
        if store.kind() == StoreKind::Sqlite {
            let tx = store.begin_shared().await?;
            // Fails when they differ.
            let sql = "INSERT INTO said_fts (said_fts, rank) VALUES ('integrity-check', 1)";
            tx.execute(sql, Vec::new()).await?;
        }
        Ok(())
    }
}

/// One value of a strategy.
pub(crate) fn drawn<S: Strategy>(runner: &mut TestRunner, strategy: &S) -> Result<S::Value> {
    use proptest::strategy::ValueTree;
    let tree = strategy.new_tree(runner);
    Ok(tree
        .map_err(|reason| anyhow::anyhow!("{reason}"))?
        .current())
}

#[tokio::test]
async fn words_are_looked_up_before_anything_else() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let store = open(&format!("sqlite:{}", folder.path().display())).await?;
    let reader = World::new().reader;
    let terms = Terms::parse("quick \"brown fox\"").map_err(anyhow::Error::msg)?;
    let page = (&Before::first(), 20);
    let (sql, values) = read::search_statement(StoreKind::Sqlite, reader, &terms, page);
    let tx = store.read(reader.org).await?;
    let plan = tx
        .query(&format!("EXPLAIN QUERY PLAN {sql}"), values)
        .await?;
    let plan = plan.iter().map(|row| row.get::<String>("detail"));
    let plan = plan.collect::<Result<Vec<_>, _>>()?;
    let at = |step: &str| plan.iter().position(|line| line.starts_with(step));
    let order = [
        "SCAN said_fts VIRTUAL TABLE INDEX",
        "SEARCH s USING INTEGER PRIMARY KEY",
        "SEARCH shown USING AUTOMATIC",
        "SCAN page",
        "SEARCH c USING",
    ];
    let order = order.map(at);
    ensure!(
        order.iter().all(Option::is_some) && order.is_sorted(),
        "{plan:#?}"
    );
    Ok(())
}
