//! What people ask, as messages.

use nexus_contracts::conversation::{ConversationDocument, FORMAT, SaidMessage, Speaker};
use nexus_contracts::events::{
    ConversationBranch, ConversationConfigure, ConversationDelete, ConversationImport,
    ConversationRename, Event, MessageSubmitted, RunCancel,
};
use nexus_contracts::settings::{OnBusy, Settings};
use nexus_contracts::{ConversationId, Envelope, Extra, MessageId, RunId, Timestamp};

use crate::asked::{Opened, marker};
use crate::case::{Ask, Script};

/// A message before it is written.
pub(crate) struct Letter {
    pub(crate) id: MessageId,
    pub(crate) now: Timestamp,
    /// The act.
    pub(crate) number: u32,
    /// The run it starts, or would start.
    pub(crate) run: RunId,
    /// The talk it is about, once that was opened.
    pub(crate) known: Option<Opened>,
    /// The talk a branch leaves.
    pub(crate) from: Option<Opened>,
}

/// A message, and the conversation it is about or opens.
type Written = Option<(Envelope, Option<ConversationId>)>;

impl Letter {
    /// Writes it; nothing when it has nothing to be about.
    pub(crate) fn write(&self, ask: &Ask) -> Written {
        let words = marker(self.number);
        match ask {
            Ask::Say {
                script,
                on_busy,
                samples,
                ..
            } => self.said(script, (*on_busy, *samples)),
            Ask::Branch { script, .. } => self.branched(script),
            Ask::Import { .. } => {
                let event = ConversationImport {
                    conversation: document(&words),
                    extra: Extra::new(),
                };
                self.opening(&event)
            }
            Ask::Nonsense => {
                let (mut envelope, about) = self.opening(&MessageSubmitted::default())?;
                "message.nonsense".clone_into(&mut envelope.event_type);
                Some((envelope, about))
            }
            Ask::Cancel { .. }
            | Ask::Rename { .. }
            | Ask::Configure { .. }
            | Ask::Delete { .. } => self.commanded(ask, &words),
        }
    }

    fn sealed(&self, event: &impl Event, about: ConversationId) -> Written {
        let envelope = Envelope::new(self.id.clone(), self.now, event).ok()?;
        Some((envelope, Some(about)))
    }

    fn opening(&self, event: &impl Event) -> Written {
        self.sealed(event, ConversationId::opened_by(self.run))
    }

    fn said(&self, script: Script, (on_busy, samples): (Option<OnBusy>, u8)) -> Written {
        let there = self.known.as_ref().map(|known| known.conversation);
        let event = MessageSubmitted {
            text: format!("{} {script}", marker(self.number)),
            conversation_id: there,
            settings: Settings {
                on_busy,
                samples: (samples > 1).then_some(samples),
                ..Settings::default()
            },
            ..MessageSubmitted::default()
        };
        let opens = ConversationId::opened_by(self.run);
        self.sealed(&event, there.unwrap_or(opens))
    }

    fn branched(&self, script: Script) -> Written {
        let from = self.from.as_ref()?;
        let event = ConversationBranch {
            conversation_id: from.conversation,
            run_id: from.runs.first().copied().unwrap_or(self.run),
            text: format!("{} {script}", marker(self.number)),
            settings: Settings::default(),
            metadata: Extra::new(),
            extra: Extra::new(),
        };
        self.opening(&event)
    }

    fn commanded(&self, ask: &Ask, words: &str) -> Written {
        let known = self.known.as_ref()?;
        let (conversation_id, extra) = (known.conversation, Extra::new());
        match ask {
            Ask::Cancel { .. } => {
                let event = RunCancel {
                    run_id: *known.runs.last()?,
                    conversation_id,
                    extra,
                };
                self.sealed(&event, conversation_id)
            }
            Ask::Rename { .. } => {
                let event = ConversationRename {
                    conversation_id,
                    title: format!("About {words}"),
                    extra,
                };
                self.sealed(&event, conversation_id)
            }
            Ask::Configure { .. } => {
                let settings = Settings {
                    samples: Some(2),
                    ..Settings::default()
                };
                let event = ConversationConfigure {
                    conversation_id,
                    settings,
                    extra,
                };
                self.sealed(&event, conversation_id)
            }
            _ => {
                let event = ConversationDelete {
                    conversation_id,
                    extra,
                };
                self.sealed(&event, conversation_id)
            }
        }
    }
}

/// A conversation held elsewhere.
fn document(words: &str) -> ConversationDocument {
    let said = |role, text| SaidMessage {
        role,
        text,
        at: None,
        provider: None,
        model: None,
        extra: Extra::new(),
    };
    ConversationDocument {
        format: FORMAT.to_owned(),
        version: 1,
        title: Some(format!("Of {words}")),
        created_at: None,
        messages: vec![
            said(Speaker::User, format!("{words} -")),
            said(Speaker::Assistant, format!("yes {words}")),
        ],
        extra: Extra::new(),
    }
}
