//! A history before it happens: what people do and what goes wrong.

use std::collections::BTreeSet;
use std::fmt;

use nexus_contracts::settings::OnBusy;

use crate::faults::Rates;
use crate::mutant::Mutant;
use crate::people::{Person, Proc};

/// Everything a run of the simulator depends on.
#[derive(Clone, Debug)]
pub struct Case {
    /// Where chance comes from.
    pub seed: u64,
    /// What is done, in order of time.
    pub(crate) acts: Vec<Act>,
    /// How often what goes wrong.
    pub(crate) rates: Rates,
    /// Faults that are left out, by place.
    pub(crate) without: BTreeSet<u64>,
    /// How the loop is broken on purpose.
    pub mutant: Option<Mutant>,
}

/// Something done at a moment. Its number stays when others are dropped.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Act {
    pub(crate) number: u32,
    pub(crate) at: i64,
    pub(crate) what: What,
}

/// A conversation as people think of it, before it has an id.
pub(crate) type Talk = u8;

/// Something done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    /// Somebody asks for something.
    Ask { who: Person, ask: Ask },
    /// A process is killed and comes back.
    Kill { whom: Proc, down_ms: i64 },
    /// The bus loses everything.
    Flush,
    /// A process's clock jumps.
    Jump { whom: Proc, by_ms: i64 },
    /// The operator changes the settings.
    Settings { version: u8 },
}

/// Something asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ask {
    /// An answer.
    Say {
        talk: Talk,
        script: Script,
        on_busy: Option<OnBusy>,
        samples: u8,
    },
    /// That the talk's latest run ends.
    Cancel { talk: Talk },
    /// Another title.
    Rename { talk: Talk },
    /// Other settings for the conversation.
    Configure { talk: Talk },
    /// To go on from the first message of `from`, as the conversation `talk`.
    Branch {
        from: Talk,
        talk: Talk,
        script: Script,
    },
    /// To erase the conversation.
    Delete { talk: Talk },
    /// A conversation held elsewhere.
    Import { talk: Talk },
    /// Something nobody can be asked.
    Nonsense,
}

impl Ask {
    /// The talk it is about.
    pub(crate) const fn talk(&self) -> Option<Talk> {
        match self {
            Self::Say { talk, .. }
            | Self::Cancel { talk }
            | Self::Rename { talk }
            | Self::Configure { talk }
            | Self::Branch { talk, .. }
            | Self::Delete { talk }
            | Self::Import { talk } => Some(*talk),
            Self::Nonsense => None,
        }
    }
}

/// What the model does about a message: tools side by side, several times over.
pub(crate) type Script = &'static str;

/// Scripts: steps are parted by `/`, tools of one step by `+`; `?` leaves out what the tool needs.
pub(crate) const SCRIPTS: [Script; 11] = [
    "-",
    "-",
    "look",
    "put",
    "send",
    "look+put",
    "sign",
    "send/put",
    "look+sign+send",
    "look?",
    "put/look/send/look/put",
];

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>7} ms  #{:<3} ", self.at, self.number)?;
        match &self.what {
            What::Ask { who, ask } => write!(f, "{} asks {ask:?}", who.name()),
            other => write!(f, "{other:?}"),
        }
    }
}
