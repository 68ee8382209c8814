//! What everything is called on the server.

/// Names keys; knows the prefix.
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
        }
    }

    pub(super) fn channel(&self, channel: &str) -> String {
        format!("{}{channel}", self.prefix)
    }

    pub(super) fn delayed(&self, channel: &str, group: &str) -> String {
        format!("{}{channel}.delayed.{group}", self.prefix)
    }

    pub(super) fn incarnation(&self, channel: &str) -> String {
        format!("{}{channel}.incarnation", self.prefix)
    }

    pub(super) fn checkpoints(&self, channel: &str) -> String {
        format!("{}{channel}.checkpoints", self.prefix)
    }

    pub(super) fn leases(&self, channel: &str, group: &str) -> String {
        format!("{}{channel}.leases.{group}", self.prefix)
    }

    pub(super) fn table(&self, table: &str) -> TableKeys {
        let values = format!("{}table:{table}", self.prefix);
        TableKeys {
            meta: format!("{values}:meta"),
            changes: format!("{values}:changes"),
            values,
        }
    }

    pub(super) fn live(&self, topic: &str) -> String {
        format!("{}live:{topic}", self.prefix)
    }

    /// A pattern for `SCAN` that every stream of this bus matches.
    pub(super) fn pattern(&self) -> String {
        let mut pattern = String::with_capacity(self.prefix.len() + 1);
        for c in self.prefix.chars() {
            if matches!(c, '*' | '?' | '[' | ']' | '^' | '\\') {
                pattern.push('\\');
            }
            pattern.push(c);
        }
        pattern.push('*');
        pattern
    }

    /// The channel a stream is, or none for the streams behind tables and live topics.
    pub(super) fn channel_of<'a>(&self, key: &'a str) -> Option<&'a str> {
        let name = key.strip_prefix(&self.prefix)?;
        let ours = name.starts_with("live:") || name.starts_with("table:");
        (!ours && !name.is_empty()).then_some(name)
    }
}

/// The keys of a table; changes are also announced under the name of `values`.
pub(super) struct TableKeys {
    pub(super) values: String,
    pub(super) meta: String,
    pub(super) changes: String,
}

#[cfg(test)]
mod tests {
    use super::Keys;

    #[test]
    fn tells_channels_from_what_else_is_a_stream() {
        let keys = Keys::new("t1:");
        assert_eq!(
            keys.channel_of("t1:requests.incoming"),
            Some("requests.incoming")
        );
        assert_eq!(keys.channel_of("t1:table:x:changes"), None);
        assert_eq!(keys.channel_of(&keys.live("run:1")), None);
        assert_eq!(keys.channel_of("t2:requests.incoming"), None);
    }

    #[test]
    fn a_prefix_matches_only_itself() {
        assert_eq!(Keys::new("a*[b]").pattern(), "a\\*\\[b\\]*");
    }
}
