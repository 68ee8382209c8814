//! What happened in conversations: where something never does, nothing about it is proved.

/// What is counted: types of events that were journaled or published.
const TYPES: [&str; 19] = [
    "approval.decided",
    "approval.requested",
    "conversation.branch",
    "conversation.configure",
    "conversation.deleted",
    "conversation.import",
    "conversation.rename",
    "conversation.renamed",
    "conversation.summarized",
    "inference.completed",
    "inference.failed",
    "message.completed",
    "message.failed",
    "message.submitted",
    "run.cancel",
    "timer.approval",
    "timer.deadline",
    "tool.completed",
    "tool.failed",
];

/// How often what happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached([u64; TYPES.len()]);

impl Reached {
    pub(crate) fn add(&mut self, event_type: &str) {
        if let Ok(at) = TYPES.binary_search(&event_type)
            && let Some(count) = self.0.get_mut(at)
        {
            *count += 1;
        }
    }

    pub(crate) fn add_all(&mut self, other: &Self) {
        for (sum, one) in self.0.iter_mut().zip(other.0) {
            *sum += one;
        }
    }

    /// Types of events, and how often they happened.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
        TYPES.into_iter().zip(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_found() {
        let mut reached = Reached::default();
        for event_type in TYPES {
            reached.add(event_type);
        }
        reached.add("message.accepted");
        assert!(reached.each().all(|(_, count)| count == 1));
    }
}
