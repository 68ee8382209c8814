//! What a statement writes: rows must carry their organisation, and keep it.

use super::patterns::{items, operand, places};
use super::tokens::Node;
use super::walk::{Clause, Fault, Walk};

impl Walk<'_, '_, '_> {
    pub(super) fn insert(&mut self) -> Result<(), Fault> {
        if !self.skip("into") {
            return Err("it has INSERT OR");
        }
        let name = self.target()?;
        let is_tenants = self.ties.holds_tenants(name);
        let mut org = None;
        if let Some(Node::Group(columns)) = self.peek() {
            self.at += 1;
            let mut columns = items(columns).into_iter();
            org = columns.position(|column| matches!(column, [only] if only.is("org_id")));
        }
        if is_tenants && org.is_none() {
            return Err("it adds rows without naming their `org_id`");
        }
        let at = org.unwrap_or_default();
        if self.skip("values") {
            self.values(name, is_tenants.then_some(at))?;
        } else if self.next_is("select") {
            self.copied(name, is_tenants.then_some(at))?;
        } else if is_tenants {
            return Err("it adds rows that are not read");
        }
        Ok(())
    }

    fn values(&mut self, name: usize, org: Option<usize>) -> Result<(), Fault> {
        while let Some(Node::Group(row)) = self.peek() {
            self.at += 1;
            self.group(row)?;
            if let Some(at) = org {
                let Some(Some(place)) = places(row).get(at).copied() else {
                    return Err("it adds a row whose `org_id` is no placeholder");
                };
                self.ties.tie(name, [place]);
            }
            if self.peek() == Some(&Node::Comma) {
                self.at += 1;
            }
        }
        self.conflict(org)
    }

    /// ON CONFLICT: a row of another organisation must not be what is found there.
    fn conflict(&mut self, org: Option<usize>) -> Result<(), Fault> {
        if !self.next_is("on") {
            self.clause = Clause::Tail;
            return Ok(());
        }
        self.at += 2;
        self.clause = Clause::Conflict;
        let target = match self.peek() {
            Some(Node::Group(columns)) => columns.iter().any(|column| column.is("org_id")),
            _ => false,
        };
        let rest = self.nodes.get(self.at..).unwrap_or_default();
        let updates = rest
            .windows(2)
            .any(|pair| matches!(pair, [a, b] if a.is("do") && b.is("update")));
        if org.is_some() && updates && !target {
            return Err("it changes rows on a conflict that does not include `org_id`");
        }
        Ok(())
    }

    /// INSERT … SELECT: the select is a block of its own, which gives the `org_id`.
    fn copied(&mut self, name: usize, org: Option<usize>) -> Result<(), Fault> {
        let around = self.ties.around(self.block);
        self.block = self.ties.block(around);
        let Some(at) = org else { return Ok(()) };
        let list = self.nodes.get(self.at + 1..).unwrap_or_default();
        let end = list
            .iter()
            .position(|node| node.is("from"))
            .unwrap_or(list.len());
        let list = items(list.get(..end).unwrap_or_default());
        let has_more = self.nodes.iter().any(|node| {
            ["union", "except", "intersect", "on"]
                .iter()
                .any(|word| node.is(word))
        });
        let item = list.get(at).copied().unwrap_or_default();
        match operand(item, 0) {
            Some((operand, behind)) if behind == item.len() && !has_more => {
                self.ties.copy(name, self.block, operand);
                Ok(())
            }
            _ => Err("it copies rows whose `org_id` is not read"),
        }
    }

    /// SET: `org_id` must not be among what is set.
    pub(super) fn assignment_names(&mut self) -> Result<(), Fault> {
        let rest = self.nodes.get(self.at..).unwrap_or_default();
        let end = rest
            .iter()
            .position(|node| node.is("where") || node.is("from") || node.is("returning"));
        for assignment in items(rest.get(..end.unwrap_or(rest.len())).unwrap_or_default()) {
            let moves = match assignment.first() {
                Some(Node::Group(columns)) => columns.iter().any(|column| column.is("org_id")),
                Some(column) => column.is("org_id"),
                None => false,
            };
            if moves {
                return Err("it moves rows to another organisation");
            }
        }
        Ok(())
    }
}
