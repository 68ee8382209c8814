//! Which names of a statement are tied to the organisation, and by which values.

/// A column, as a condition names it, or a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operand {
    /// `a.b` or `b`.
    Column(Option<String>, String),
    /// A placeholder.
    Place(usize),
}

/// A table, or what stands for one.
struct Name {
    alias: String,
    block: usize,
    is_tenants: bool,
    /// Of `(VALUES …) AS k`: the placeholders of each row.
    rows: Vec<Vec<Option<usize>>>,
    is_tied: bool,
}

/// An equality that must hold for every row, in a block.
struct Equality {
    block: usize,
    /// Set in an ON: it says nothing about the tables before.
    about: Option<usize>,
    sides: (Operand, Operand),
}

/// What a side of an equality turns out to be.
enum Side {
    /// The `org_id` of a name.
    Organisation(usize),
    /// A column of listed values.
    Listed(Vec<Option<usize>>),
    Place(usize),
    Other,
}

/// Everything a statement says about its tables.
pub(super) struct Ties<'a> {
    is_tenants: &'a dyn Fn(&str) -> bool,
    /// The block around each block.
    blocks: Vec<Option<usize>>,
    names: Vec<Name>,
    equalities: Vec<Equality>,
    /// Names of tables that get their `org_id` from a column of a block.
    copies: Vec<(usize, usize, Operand)>,
    bound: Vec<usize>,
}

impl<'a> Ties<'a> {
    pub(super) fn new(is_tenants: &'a dyn Fn(&str) -> bool) -> Self {
        Self {
            is_tenants,
            blocks: Vec::new(),
            names: Vec::new(),
            equalities: Vec::new(),
            copies: Vec::new(),
            bound: Vec::new(),
        }
    }

    pub(super) fn block(&mut self, around: Option<usize>) -> usize {
        self.blocks.push(around);
        self.blocks.len() - 1
    }

    /// The block around this one.
    pub(super) fn around(&self, block: usize) -> Option<usize> {
        self.blocks.get(block).copied().flatten()
    }

    /// A table comes in.
    pub(super) fn table(&mut self, block: usize, table: &str, alias: &str) -> usize {
        let name = self.derived(block, alias, Vec::new());
        if (self.is_tenants)(table)
            && let Some(name) = self.names.get_mut(name)
        {
            name.is_tenants = true;
        }
        name
    }

    /// Something that is no table comes in; with the placeholders of each row, where it is a list
    /// of values.
    pub(super) fn derived(
        &mut self,
        block: usize,
        alias: &str,
        rows: Vec<Vec<Option<usize>>>,
    ) -> usize {
        self.names.push(Name {
            alias: alias.to_owned(),
            block,
            is_tenants: false,
            rows,
            is_tied: false,
        });
        self.names.len() - 1
    }

    /// Whether this name is that of a table of organisations.
    pub(super) fn holds_tenants(&self, name: usize) -> bool {
        self.names.get(name).is_some_and(|name| name.is_tenants)
    }

    /// A name is tied because these values must be the organisation's.
    pub(super) fn tie(&mut self, name: usize, places: impl IntoIterator<Item = usize>) {
        self.bound.extend(places);
        if let Some(name) = self.names.get_mut(name) {
            name.is_tied = true;
        }
    }

    pub(super) fn equality(
        &mut self,
        block: usize,
        about: Option<usize>,
        sides: (Operand, Operand),
    ) {
        self.equalities.push(Equality {
            block,
            about,
            sides,
        });
    }

    /// Rows for a table come from a block that selects this column as their `org_id`.
    pub(super) fn copy(&mut self, name: usize, block: usize, column: Operand) {
        self.copies.push((name, block, column));
    }

    pub(super) fn touches(&self) -> bool {
        self.names.iter().any(|name| name.is_tenants)
    }

    /// Which values must be the organisation's, and whether a table is left that nothing ties.
    pub(super) fn resolve(mut self) -> (Vec<usize>, bool) {
        let equalities = std::mem::take(&mut self.equalities);
        let copies = std::mem::take(&mut self.copies);
        loop {
            let before = self.tied();
            for equality in &equalities {
                self.apply(equality);
            }
            for (name, block, column) in &copies {
                self.apply_to(*name, *block, column);
            }
            if self.tied() == before {
                break;
            }
        }
        self.bound.sort_unstable();
        self.bound.dedup();
        let loose = self
            .names
            .iter()
            .any(|name| name.is_tenants && !name.is_tied);
        (self.bound, loose)
    }

    fn tied(&self) -> usize {
        self.names.iter().filter(|name| name.is_tied).count()
    }

    fn apply(&mut self, equality: &Equality) {
        let (one, other) = &equality.sides;
        for (side, other) in [(one, other), (other, one)] {
            let Some(name) = self.organisation_of(equality.block, side) else {
                continue;
            };
            // A condition says nothing about the tables of the blocks around it.
            let is_here = self.names.get(name).map(|name| name.block) == Some(equality.block);
            if !is_here || equality.about.is_some_and(|about| about != name) {
                continue;
            }
            self.apply_to(name, equality.block, other);
        }
    }

    fn apply_to(&mut self, name: usize, block: usize, other: &Operand) {
        match self.side(block, other) {
            Side::Place(place) => self.tie(name, [place]),
            Side::Listed(places) => {
                if let Some(places) = places.into_iter().collect::<Option<Vec<_>>>() {
                    self.tie(name, places);
                }
            }
            Side::Organisation(source) => {
                if source != name && self.names.get(source).is_some_and(|name| name.is_tied) {
                    self.tie(name, []);
                }
            }
            Side::Other => {}
        }
    }

    fn organisation_of(&self, block: usize, operand: &Operand) -> Option<usize> {
        match self.side(block, operand) {
            Side::Organisation(name) => Some(name),
            _ => None,
        }
    }

    fn side(&self, block: usize, operand: &Operand) -> Side {
        let other = Side::Other;
        let (alias, column) = match operand {
            Operand::Place(place) => return Side::Place(*place),
            Operand::Column(alias, column) => (alias.as_deref(), column.as_str()),
        };
        let Some(found) = self.find(block, alias) else {
            return other;
        };
        if column == "org_id" {
            return Side::Organisation(found);
        }
        let number = column
            .strip_prefix("column")
            .and_then(|n| n.parse::<usize>().ok());
        match (number.and_then(|n| n.checked_sub(1)), self.names.get(found)) {
            (Some(at), Some(name)) if !name.rows.is_empty() => {
                let place = |row: &Vec<Option<usize>>| row.get(at).copied().flatten();
                Side::Listed(name.rows.iter().map(place).collect())
            }
            _ => other,
        }
    }

    /// The name an alias means here: the nearest one. Without an alias, the one table of
    /// organisations of the nearest block that has any.
    fn find(&self, block: usize, alias: Option<&str>) -> Option<usize> {
        let mut here = Some(block);
        while let Some(block) = here {
            let fits = |name: &Name| {
                name.block == block && alias.map_or(name.is_tenants, |alias| name.alias == alias)
            };
            let mut found = (0..).zip(&self.names).filter(|(_, name)| fits(name));
            match (found.next(), found.next()) {
                (Some((name, _)), None) => return Some(name),
                // Two of them: the database would not know either.
                (Some(_), Some(_)) => return None,
                (None, _) => here = self.around(block),
            }
        }
        None
    }
}
