//! Going through a statement, block by block.

use super::patterns::{equality, listed};
use super::ties::{Operand, Ties};
use super::tokens::Node;

/// What may follow a condition that holds by itself.
const AFTER_CONDITION: [&str; 20] = [
    "and",
    "or",
    "where",
    "on",
    "join",
    "left",
    "right",
    "full",
    "inner",
    "cross",
    "natural",
    "order",
    "group",
    "limit",
    "offset",
    "having",
    "returning",
    "union",
    "except",
    "intersect",
];
/// What ends the conditions of a block.
const TAIL: [&str; 9] = [
    "group",
    "order",
    "having",
    "limit",
    "offset",
    "returning",
    "window",
    "fetch",
    "for",
];

/// Why a statement is refused.
pub(super) type Fault = &'static str;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Clause {
    Start,
    Select,
    From,
    On,
    Where,
    Set,
    /// Behind ON CONFLICT: about rows that are there already.
    Conflict,
    Tail,
}

/// The way through the parts of one pair of brackets.
pub(super) struct Walk<'t, 'f, 'n> {
    pub(super) ties: &'t mut Ties<'f>,
    pub(super) nodes: &'n [Node],
    pub(super) at: usize,
    pub(super) block: usize,
    pub(super) clause: Clause,
    /// The table the last JOIN brought in.
    joined: Option<usize>,
    /// Equalities of the conditions read now, and whether an OR makes them worthless.
    equalities: Vec<(Operand, Operand)>,
    rows: Vec<(Operand, Vec<usize>)>,
    has_or: bool,
    cases: usize,
    betweens: usize,
}

impl<'t, 'f, 'n> Walk<'t, 'f, 'n> {
    /// Reads a whole statement.
    pub(super) fn over(ties: &'t mut Ties<'f>, nodes: &'n [Node]) -> Result<(), Fault> {
        Self::inside(ties, nodes, None)
    }

    fn inside(
        ties: &'t mut Ties<'f>,
        nodes: &'n [Node],
        around: Option<usize>,
    ) -> Result<(), Fault> {
        let block = ties.block(around);
        let mut walk = Walk {
            ties,
            nodes,
            at: 0,
            block,
            clause: Clause::Start,
            joined: None,
            equalities: Vec::new(),
            rows: Vec::new(),
            has_or: false,
            cases: 0,
            betweens: 0,
        };
        walk.run()
    }

    fn run(&mut self) -> Result<(), Fault> {
        while let Some(node) = self.nodes.get(self.at) {
            self.at += 1;
            match node {
                Node::Word(word) => self.word(word)?,
                Node::Group(inner) => self.group(inner)?,
                Node::Comma if matches!(self.clause, Clause::From | Clause::On) => {
                    self.source("from")?;
                }
                _ => {}
            }
        }
        self.close();
        Ok(())
    }

    pub(super) fn peek(&self) -> Option<&'n Node> {
        self.nodes.get(self.at)
    }

    pub(super) fn next_is(&self, word: &str) -> bool {
        self.peek().is_some_and(|node| node.is(word))
    }

    /// Goes past a word, if it is next.
    pub(super) fn skip(&mut self, word: &str) -> bool {
        let is = self.next_is(word);
        self.at += usize::from(is);
        is
    }

    /// The word before the one just read.
    fn previous_is(&self, word: &str) -> bool {
        let before = self.at.checked_sub(2).and_then(|at| self.nodes.get(at));
        before.is_some_and(|node| node.is(word))
    }

    fn word(&mut self, word: &str) -> Result<(), Fault> {
        match word {
            "table" | "natural" => Err("it has a form that is not read"),
            "right" | "full" if !matches!(self.peek(), Some(Node::Group(_))) => {
                Err("it has an outer join that keeps rows of the right side")
            }
            "using" => match self.peek() {
                Some(Node::Group(_)) => {
                    self.at += 1;
                    Ok(())
                }
                _ => Err("it has USING with a table"),
            },
            "in" if !matches!(self.peek(), Some(Node::Group(_))) => {
                Err("it has IN without brackets")
            }
            "select" | "insert" | "update" | "replace" | "union" | "except" | "intersect" => {
                self.beginning(word)
            }
            "from" | "join" => self.source(word),
            "on" | "where" | "set" => self.clause_word(word),
            _ => {
                self.condition_word(word);
                Ok(())
            }
        }
    }

    fn beginning(&mut self, word: &str) -> Result<(), Fault> {
        match word {
            "select" if self.clause == Clause::Start => self.clause = Clause::Select,
            "insert" if self.clause == Clause::Start => return self.insert(),
            "update" if self.clause == Clause::Start => {
                if self.next_is("or") {
                    return Err("it has UPDATE OR");
                }
                self.table()?;
                self.clause = Clause::Set;
            }
            // A function of this name.
            "replace" if matches!(self.peek(), Some(Node::Group(_))) => {}
            "select" | "replace" => return Err("it has a form that is not read"),
            "union" | "except" | "intersect" => self.next_block(),
            _ => {}
        }
        Ok(())
    }

    /// Another block beside this one, in the same brackets.
    fn next_block(&mut self) {
        self.close();
        self.skip("all");
        let around = self.ties.around(self.block);
        self.block = self.ties.block(around);
        self.clause = Clause::Start;
        self.joined = None;
    }

    fn source(&mut self, word: &str) -> Result<(), Fault> {
        if word == "from" && self.previous_is("distinct") && self.clause != Clause::Select {
            // IS DISTINCT FROM
            return Ok(());
        }
        self.close();
        self.clause = Clause::From;
        let name = self.table()?;
        self.joined = (word == "join").then_some(name);
        Ok(())
    }

    fn clause_word(&mut self, word: &str) -> Result<(), Fault> {
        match word {
            "set" if matches!(self.clause, Clause::Set | Clause::Conflict) => {
                return self.assignment_names();
            }
            "set" => {}
            "where" if self.clause == Clause::Conflict => {}
            "where" => {
                self.close();
                self.clause = Clause::Where;
                self.condition();
            }
            "on" if self.clause == Clause::From => {
                self.clause = Clause::On;
                self.condition();
            }
            _ => {}
        }
        Ok(())
    }

    fn condition_word(&mut self, word: &str) {
        match word {
            "case" => self.cases += 1,
            "end" => self.cases = self.cases.saturating_sub(1),
            "between" => self.betweens += 1,
            "or" => self.has_or = true,
            "and" if self.betweens > 0 => self.betweens -= 1,
            "and" => self.condition(),
            _ if TAIL.contains(&word) && self.clause != Clause::Start => {
                self.close();
                self.clause = Clause::Tail;
            }
            _ => {}
        }
    }

    /// Ends the conditions read so far.
    fn close(&mut self) {
        let about = if self.clause == Clause::On {
            self.joined
        } else {
            None
        };
        let equalities = std::mem::take(&mut self.equalities);
        let rows = std::mem::take(&mut self.rows);
        if !std::mem::take(&mut self.has_or) {
            for sides in equalities {
                self.ties.equality(self.block, about, sides);
            }
            for (column, places) in rows {
                for place in places {
                    let sides = (column.clone(), Operand::Place(place));
                    self.ties.equality(self.block, about, sides);
                }
            }
        }
        (self.cases, self.betweens) = (0, 0);
    }

    /// At the beginning of a condition that must hold by itself.
    fn condition(&mut self) {
        if self.cases > 0 || !matches!(self.clause, Clause::On | Clause::Where) {
            return;
        }
        if let Some((sides, behind)) = equality(self.nodes, self.at)
            && self.ends_at(behind)
        {
            self.equalities.push(sides);
        }
        if let Some((row, behind)) = listed(self.nodes, self.at)
            && self.ends_at(behind)
        {
            self.rows.push(row);
        }
    }

    fn ends_at(&self, at: usize) -> bool {
        match self.nodes.get(at) {
            None | Some(Node::Comma) => true,
            Some(Node::Word(word)) => AFTER_CONDITION.contains(&word.as_str()) || word == "for",
            Some(_) => false,
        }
    }

    /// Brackets: a block of their own, or an expression that may hold one.
    pub(super) fn group(&mut self, inner: &[Node]) -> Result<(), Fault> {
        let opens = [
            "select", "with", "values", "insert", "update", "delete", "replace", "table",
        ];
        let first = inner.first().and_then(Node::word).unwrap_or_default();
        // left(…), replace(…): a function's name is never inside its brackets.
        if opens.contains(&first) {
            return Walk::inside(self.ties, inner, Some(self.block));
        }
        for (at, node) in inner.iter().enumerate() {
            let is_in = at > 0 && inner.get(at - 1).is_some_and(|node| node.is("in"));
            match node {
                Node::Group(inner) => self.group(inner)?,
                _ if is_in => return Err("it has IN without brackets"),
                _ => {}
            }
        }
        Ok(())
    }
}
