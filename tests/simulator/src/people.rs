//! Who takes part: two organisations, five people, and the doors they come through.

use nexus_contracts::principal::Principal;
use nexus_contracts::{Extra, OrgId, UserId, channels};
use nexus_orchestrator::translate::Sender;
use uuid::Uuid;

/// Where somebody comes in, and where the answers go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Door {
    /// An adapter of ours that delivers by storing, as the REST one does.
    Api,
    /// An adapter of ours that sends to a platform which cannot tell a repetition.
    Chat,
    /// The local client, which writes on the bus itself.
    Local,
    /// Another client that writes on the bus itself.
    Ext,
}

impl Door {
    pub(crate) const ALL: [Self; 4] = [Self::Api, Self::Chat, Self::Local, Self::Ext];

    /// What ends its channels.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Chat => "chat",
            Self::Local => "",
            Self::Ext => "ext",
        }
    }

    /// Whether it is an adapter of ours, which stores and confirms.
    pub(crate) const fn is_adapter(self) -> bool {
        matches!(self, Self::Api | Self::Chat)
    }

    pub(crate) fn incoming(self) -> String {
        channels::incoming(self.name())
    }

    pub(crate) fn processed(self) -> String {
        channels::processed(self.name())
    }

    /// How the orchestrator knows it.
    pub(crate) fn sender(self) -> Sender {
        let name = self.name().to_owned();
        if self.is_adapter() {
            return Sender::Adapter { name };
        }
        let person = if self == Self::Local {
            Person::CARL
        } else {
            Person::DORA
        };
        let (org_id, user_id) = person.identity();
        let principal = Principal {
            org_id,
            user_id,
            roles: Vec::new(),
            extra: Extra::new(),
        };
        Sender::Client { name, principal }
    }
}

/// Somebody who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Person {
    org: u8,
    user: u8,
    pub(crate) door: Door,
}

impl Person {
    pub(crate) const ANNA: Self = Self::new(0, 0, Door::Api);
    pub(crate) const BERT: Self = Self::new(0, 1, Door::Chat);
    /// Anna again, on the command line.
    pub(crate) const CARL: Self = Self::new(0, 0, Door::Local);
    pub(crate) const DORA: Self = Self::new(1, 0, Door::Ext);
    pub(crate) const EMIL: Self = Self::new(1, 1, Door::Api);
    /// Dora again, from her telephone.
    pub(crate) const FAYE: Self = Self::new(1, 0, Door::Chat);

    pub(crate) const ALL: [Self; 6] = [
        Self::ANNA,
        Self::BERT,
        Self::CARL,
        Self::DORA,
        Self::EMIL,
        Self::FAYE,
    ];

    const fn new(org: u8, user: u8, door: Door) -> Self {
        Self { org, user, door }
    }

    /// Organisation and user.
    pub(crate) const fn identity(self) -> (OrgId, UserId) {
        (org(self.org), user(self.user))
    }

    /// Whether it is the same user, wherever they come in.
    pub(crate) const fn is_same_user(self, other: Self) -> bool {
        self.org == other.org && self.user == other.user
    }

    pub(crate) const fn name(self) -> &'static str {
        match (self.org, self.user, self.door) {
            (0, 0, Door::Local) => "carl (anna)",
            (0, 0, _) => "anna",
            (0, _, _) => "bert",
            (_, 0, Door::Chat) => "faye (dora)",
            (_, 0, _) => "dora",
            _ => "emil",
        }
    }
}

/// The organisations.
pub(crate) const fn org(at: u8) -> OrgId {
    OrgId(Uuid::from_u128(0xa0 + at as u128))
}

const fn user(at: u8) -> UserId {
    UserId(Uuid::from_u128(0xb0 + at as u128))
}

/// Who must confirm what became of conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Keeper {
    Recorder,
    Router,
    Tools,
    Api,
    Chat,
}

impl Keeper {
    pub(crate) const ALL: [Self; 5] = [
        Self::Recorder,
        Self::Router,
        Self::Tools,
        Self::Api,
        Self::Chat,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Recorder => "recorder",
            Self::Router => "provider-router",
            Self::Tools => "tool-executor",
            Self::Api => "entry-api",
            Self::Chat => "entry-chat",
        }
    }
}

/// A process: it dies and comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Proc {
    /// A replica of the orchestrator.
    Orchestrator(u8),
    /// A replica of the provider router.
    Router(u8),
    /// A replica of the tool executor.
    Tools(u8),
    Recorder,
    /// The adapter at a door.
    Adapter(Door),
}

impl Proc {
    pub(crate) const ALL: [Self; 9] = [
        Self::Orchestrator(0),
        Self::Orchestrator(1),
        Self::Router(0),
        Self::Router(1),
        Self::Tools(0),
        Self::Tools(1),
        Self::Recorder,
        Self::Adapter(Door::Api),
        Self::Adapter(Door::Chat),
    ];
}
