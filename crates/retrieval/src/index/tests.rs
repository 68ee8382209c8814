use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const PRIVACIES: [Privacy; 3] = [Privacy::Open, Privacy::Sensitive, Privacy::LocalOnly];

const WORDS: [&str; 8] = ["red", "green", "blue", "cat", "dog", "東京", "a.b", "x"];

fn space(number: u8) -> Space {
    Space {
        model: format!("m{number}"),
        dimensions: 2,
    }
}

fn user(number: u8) -> UserId {
    UserId(Uuid::from_u128(u128::from(number) + 1_000))
}

/// What a document holds: its owner, its privacy, and of each chunk the words and where its vector
/// points.
type Content = ((Option<u8>, Privacy), Vec<(Vec<usize>, Option<(u8, u8)>)>);

#[derive(Clone, Debug)]
enum Change {
    Put(u8, Content),
    Remove(u8),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let vector = prop::option::of((0..2_u8, 0..20_u8));
    let chunk = (prop::collection::vec(0..WORDS.len(), 0..6), vector);
    let content = (
        (prop::option::of(0..2_u8), prop::sample::select(&PRIVACIES)),
        prop::collection::vec(chunk, 1..4),
    );
    let change = prop_oneof![
        3 => (0..6_u8, content).prop_map(|(id, content)| Change::Put(id, content)),
        1 => (0..6_u8).prop_map(Change::Remove),
    ];
    prop::collection::vec(change, 0..40)
}

fn put(index: &mut OrgIndex, id: u8, ((owner, privacy), chunks): &Content, revision: i64) {
    let about = About {
        id: Uuid::from_u128(u128::from(id)),
        kind: if id == 5 {
            Kind::Memory
        } else {
            Kind::Document
        },
        collection: Arc::from(if id.is_multiple_of(2) { "even" } else { "odd" }),
        owner: owner.map(user),
        privacy: *privacy,
        revision,
    };
    let chunks = (0..).zip(chunks).map(|(ordinal, (words, vector))| {
        let words: Vec<&str> = words.iter().map(|at| WORDS[*at]).collect();
        Put {
            ordinal,
            words: super::words(&words.join(" ")),
            space: vector.map(|(number, _)| space(number)),
            vector: vector.map(|(_, angle)| {
                let angle = f32::from(angle) / 10.0;
                vec![angle.cos(), angle.sin()]
            }),
        }
    });
    index.put(about, chunks.collect());
}

fn dump(index: &OrgIndex) -> Vec<(String, Vec<(String, u32)>)> {
    index.lexical.dump(&|slot| {
        let slot = index.slot(slot).unwrap();
        let document = index.documents[slot.document as usize].as_ref().unwrap();
        format!("{} {}", document.about.id, slot.ordinal)
    })
}

fn withins(privacy: Privacy) -> [Within; 4] {
    let documents = |user, collections| Within::Documents {
        user,
        collections,
        privacy,
    };
    let user_0 = user(0);
    [
        documents(None, None),
        documents(Some(user_0), None),
        documents(Some(user(1)), Some(vec!["odd".to_owned()])),
        Within::Memories {
            user: user_0,
            privacy,
        },
    ]
}

/// What an index was told: of each document what it holds and in which revision.
type Truth = BTreeMap<u8, (Content, i64)>;

fn follow(changes: Vec<Change>) -> (OrgIndex, Truth) {
    let (mut index, mut truth) = (OrgIndex::default(), BTreeMap::new());
    for (revision, change) in (1..).zip(changes) {
        match change {
            Change::Put(id, content) => {
                put(&mut index, id, &content, revision);
                truth.insert(id, (content, revision));
            }
            Change::Remove(id) => {
                index.remove(Uuid::from_u128(u128::from(id)));
                truth.remove(&id);
            }
        }
    }
    (index, truth)
}

proptest! {
    #[test]
    fn it_is_what_it_would_be_if_built_anew(changes in changes()) {
        let (mut index, truth) = follow(changes);
        let mut anew = OrgIndex::default();
        for (id, (content, revision)) in truth.iter().rev() {
            put(&mut anew, *id, content, *revision);
        }
        prop_assert_eq!(dump(&index), dump(&anew));
        prop_assert_eq!(index.revisions(), anew.revisions());
        for within in PRIVACIES.into_iter().flat_map(withins) {
            let lexical = index.lexical("red cat 東京", &within, 5);
            prop_assert_eq!(&lexical, &anew.lexical("red cat 東京", &within, 5));
            for number in 0..2 {
                let query = (&space(number), [0.8, 0.6].as_slice());
                let nearest = index.nearest(query, &within, 5);
                prop_assert_eq!(&nearest, &anew.nearest(query, &within, 5));
                for scored in &nearest {
                    let id = u8::try_from(scored.key.document.as_u128()).unwrap();
                    let chunk = &truth[&id].0.1[scored.key.ordinal as usize];
                    prop_assert_eq!(chunk.1.map(|(space, _)| space), Some(number));
                }
                let found = lexical.iter().chain(&nearest);
                let ids = found.map(|scored| u8::try_from(scored.key.document.as_u128()).unwrap());
                for id in ids {
                    let (owner, privacy) = truth[&id].0.0;
                    prop_assert!(privacy <= within.privacy());
                    match &within {
                        Within::Memories { .. } => prop_assert!(id == 5 && owner == Some(0)),
                        Within::Documents { user: seen, .. } => {
                            prop_assert!(id != 5 && (owner.is_none() || owner.map(user) == *seen));
                        }
                    }
                }
                let covered = index.coverage(&within, &space(number));
                prop_assert_eq!(covered, anew.coverage(&within, &space(number)));
                let has_any = covered.fit + covered.others > 0;
                prop_assert_eq!(index.has_vectors(&within), has_any);
            }
        }
        for id in 0..6 {
            index.remove(Uuid::from_u128(id));
        }
        prop_assert!(dump(&index).is_empty() && index.matrices.is_empty());
        prop_assert!(index.lexical.ids.is_empty());
    }

    /// What is stricter changes nothing that is found, and is counted.
    #[test]
    fn it_answers_as_if_nothing_stricter_were_there(changes in changes()) {
        let (index, truth) = follow(changes);
        for privacy in PRIVACIES {
            let (mut without, mut stricter) = (OrgIndex::default(), Vec::new());
            for (id, (content, revision)) in &truth {
                let (owner, of) = content.0;
                match of <= privacy {
                    true => put(&mut without, *id, content, *revision),
                    false => stricter.push((*id == 5, owner)),
                }
            }
            for within in withins(privacy) {
                let words = |index: &OrgIndex| index.lexical("red cat 東京", &within, 3);
                prop_assert_eq!(words(&index), words(&without));
                for number in 0..2 {
                    let space = space(number);
                    let near = |index: &OrgIndex| index.nearest((&space, &[0.8, 0.6]), &within, 3);
                    prop_assert_eq!(near(&index), near(&without));
                    prop_assert_eq!(near(&index), index.known(near(&index), &within));
                    let covered = |index: &OrgIndex| index.coverage(&within, &space);
                    prop_assert_eq!(covered(&index), covered(&without));
                }
                let theirs = stricter.iter().filter(|(is_memory, owner)| match &within {
                    Within::Memories { user: seen, .. } => *is_memory && owner.map(user) == Some(*seen),
                    Within::Documents { user: seen, .. } => {
                        !is_memory && (owner.is_none() || owner.map(user) == *seen)
                    }
                });
                prop_assert_eq!(index.withheld(&within), theirs.count());
                prop_assert_eq!(without.withheld(&within), 0);
                // What another database of vectors did not filter is left out here.
                let all = Within::Documents {
                    user: Some(user(0)),
                    collections: None,
                    privacy: Privacy::LocalOnly,
                };
                let unfiltered = index.nearest((&space(0), &[0.8, 0.6]), &all, 50);
                for scored in index.known(unfiltered, &within) {
                    let id = u8::try_from(scored.key.document.as_u128()).unwrap();
                    prop_assert!(truth[&id].0.0.1 <= privacy);
                }
            }
        }
    }
}
