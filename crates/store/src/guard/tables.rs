//! The tables a statement names.

use super::patterns::{places, row};
use super::tokens::Node;
use super::walk::{Fault, Walk};

/// What ends a table's alias, because it cannot be one.
const AFTER_TABLE: [&str; 26] = [
    "where",
    "on",
    "join",
    "left",
    "right",
    "full",
    "inner",
    "outer",
    "cross",
    "natural",
    "order",
    "group",
    "limit",
    "offset",
    "having",
    "window",
    "fetch",
    "for",
    "set",
    "values",
    "using",
    "union",
    "except",
    "intersect",
    "returning",
    "select",
];
impl<'n> Walk<'_, '_, 'n> {
    /// A table's place: its name, or what stands for one.
    pub(super) fn table(&mut self) -> Result<usize, Fault> {
        let _modifier = self.skip("only") || self.skip("lateral");
        if let Some(Node::Group(inner)) = self.peek() {
            self.at += 1;
            return self.derived(inner);
        }
        let name = self.table_name()?;
        if let Some(Node::Group(inner)) = self.peek() {
            // A function that gives rows.
            self.at += 1;
            self.group(inner)?;
            let alias = self.alias().unwrap_or(name);
            return Ok(self.ties.derived(self.block, alias, Vec::new()));
        }
        let alias = self.alias().unwrap_or(name);
        Ok(self.ties.table(self.block, name, alias))
    }

    /// The table that rows are added to; brackets behind it name its columns.
    pub(super) fn target(&mut self) -> Result<usize, Fault> {
        let name = self.table_name()?;
        let alias = self.alias().unwrap_or(name);
        Ok(self.ties.table(self.block, name, alias))
    }

    /// A name, without the schema before it.
    fn table_name(&mut self) -> Result<&'n str, Fault> {
        let mut name = self
            .peek()
            .and_then(Node::word)
            .ok_or("a table's name is missing")?;
        self.at += 1;
        while let (Some(Node::Dot), Some(Node::Word(last))) =
            (self.peek(), self.nodes.get(self.at + 1))
        {
            name = last;
            self.at += 2;
        }
        Ok(name)
    }

    fn derived(&mut self, inner: &[Node]) -> Result<usize, Fault> {
        let first = inner.first().and_then(Node::word).unwrap_or_default();
        if !["select", "with", "values"].contains(&first) {
            return Err("it has a join in brackets");
        }
        self.group(inner)?;
        let rows = match first {
            "values" => inner.iter().filter_map(row).map(places).collect(),
            _ => Vec::new(),
        };
        let alias = self.alias().unwrap_or_default();
        Ok(self.ties.derived(self.block, alias, rows))
    }

    fn alias(&mut self) -> Option<&'n str> {
        let named = self.skip("as");
        let alias = self.peek().and_then(Node::word)?;
        if !named && AFTER_TABLE.contains(&alias) {
            return None;
        }
        self.at += 1;
        Some(alias)
    }
}
