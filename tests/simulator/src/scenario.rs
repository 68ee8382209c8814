//! What people do and what goes wrong at moments of its own, drawn from a seed.

use std::collections::BTreeSet;

use nexus_contracts::settings::OnBusy;

use crate::case::{Act, Ask, Case, SCRIPTS, Talk, What};
use crate::chance::Dice;
use crate::faults::Rates;
use crate::mutant::Mutant;
use crate::people::{Person, Proc};
use crate::surroundings::VERSIONS;

/// Until when people act, in a short history and a long one.
const ENDS: (i64, i64) = (20_000, 120_000);

/// One history in so many is long.
const LONG: u64 = 40;

impl Case {
    /// The history of a seed.
    #[must_use]
    pub fn of(seed: u64, mutant: Option<Mutant>) -> Self {
        let mut dice = Dice::new(seed);
        let rates = Rates::drawn(&mut dice);
        let mut drawing = Drawing {
            dice,
            acts: Vec::new(),
            talks: Vec::new(),
            end: ENDS.0,
        };
        drawing.draw();
        let mut acts = drawing.acts;
        acts.sort_by_key(|act| (act.at, act.number));
        Self {
            seed,
            acts,
            rates,
            without: BTreeSet::new(),
            mutant,
        }
    }
}

/// A history being drawn.
struct Drawing {
    dice: Dice,
    acts: Vec<Act>,
    /// Whose each talk is.
    talks: Vec<Person>,
    end: i64,
}

impl Drawing {
    fn draw(&mut self) {
        let is_long = self.dice.below(LONG) == 0;
        if is_long {
            self.end = ENDS.1;
        }
        let asks = if is_long { 30 } else { 2 + self.dice.below(4) };
        for _ in 0..asks {
            self.ask();
        }
        let (kills, jumps) = (self.dice.below(3), self.dice.below(2));
        for _ in 0..kills {
            let whom = self.dice.pick(&Proc::ALL, Proc::Recorder);
            let down_ms = self.dice.between(10, 8_000);
            self.act(What::Kill { whom, down_ms });
        }
        for _ in 0..jumps {
            let whom = self.dice.pick(&Proc::ALL, Proc::Recorder);
            let by_ms = self.dice.between(-60_000, 60_000);
            self.act(What::Jump { whom, by_ms });
        }
        if self.dice.happens(20) {
            self.act(What::Flush);
        }
        if self.dice.happens(15) {
            let version = u8::try_from(self.dice.below(u64::from(VERSIONS))).unwrap_or_default();
            self.act(What::Settings { version });
        }
    }

    fn act(&mut self, what: What) {
        let at = self.dice.between(0, self.end);
        self.act_at(at, what);
    }

    fn act_at(&mut self, at: i64, what: What) {
        let number = u32::try_from(self.acts.len()).unwrap_or(u32::MAX);
        self.acts.push(Act { number, at, what });
    }

    /// Somebody opens a conversation, goes on with one, or does something to one.
    fn ask(&mut self) {
        let opens = self.talks.is_empty() || self.talks.len() < 6 && self.dice.happens(25);
        if opens {
            let who = self.dice.pick(&Person::ALL, Person::ANNA);
            let talk = self.new_talk(who);
            let ask = if self.dice.happens(8) {
                Ask::Import { talk }
            } else {
                self.say(talk)
            };
            return self.asked(who, ask);
        }
        let count = self.talks.len() as u64;
        let talk = Talk::try_from(self.dice.below(count)).unwrap_or_default();
        let owner = self.talks.get(usize::from(talk)).copied();
        let owner = owner.unwrap_or(Person::ANNA);
        // Now and then it is somebody who has no business there, or the owner at another door.
        let who = if self.dice.happens(18) {
            self.dice.pick(&Person::ALL, owner)
        } else {
            owner
        };
        let ask = match self.dice.below(100) {
            0..=57 => self.say(talk),
            58..=66 => Ask::Cancel { talk },
            67..=74 => Ask::Rename { talk },
            75..=78 => Ask::Configure { talk },
            79..=87 => {
                let new = self.new_talk(who);
                let script = self.dice.pick(&SCRIPTS, "-");
                Ask::Branch {
                    from: talk,
                    talk: new,
                    script,
                }
            }
            88..=97 => Ask::Delete { talk },
            _ => Ask::Nonsense,
        };
        self.asked(who, ask);
    }

    /// Mostly at any moment; sometimes right after the act before, so that they meet.
    fn asked(&mut self, who: Person, ask: Ask) {
        let last = self.acts.last().map(|act| act.at);
        let at = match last {
            Some(last) if self.dice.happens(40) => last + self.dice.between(0, 1_500),
            _ => self.dice.between(0, self.end),
        };
        self.act_at(at, What::Ask { who, ask });
    }

    fn new_talk(&mut self, who: Person) -> Talk {
        self.talks.push(who);
        Talk::try_from(self.talks.len() - 1).unwrap_or(Talk::MAX)
    }

    fn say(&mut self, talk: Talk) -> Ask {
        let on_busy = match self.dice.below(10) {
            0 | 1 => Some(OnBusy::Interrupt),
            2 => Some(OnBusy::Reject),
            3 => Some(OnBusy::Queue),
            _ => None,
        };
        Ask::Say {
            talk,
            script: self.dice.pick(&SCRIPTS, "-"),
            on_busy,
            samples: if self.dice.happens(12) { 3 } else { 1 },
        }
    }
}
