//! The forms of conditions that tie a table to an organisation.

use super::ties::Operand;
use super::tokens::Node;

/// `a = b` at this place, and where it ends.
pub(super) fn equality(nodes: &[Node], at: usize) -> Option<((Operand, Operand), usize)> {
    let (one, behind) = operand(nodes, at)?;
    if nodes.get(behind) != Some(&Node::Equals) {
        return None;
    }
    let (other, behind) = operand(nodes, behind + 1)?;
    Some(((one, other), behind))
}

/// `(a, org_id) IN (VALUES ($1, $2), …)` at this place: the column, its values, and where it ends.
pub(super) fn listed(nodes: &[Node], at: usize) -> Option<((Operand, Vec<usize>), usize)> {
    let (Some(Node::Group(columns)), Some(word), Some(Node::Group(values))) =
        (nodes.get(at), nodes.get(at + 1), nodes.get(at + 2))
    else {
        return None;
    };
    if !word.is("in") || !values.first()?.is("values") {
        return None;
    }
    let columns = items(columns);
    let is_org = |item: &&[Node]| item.last().is_some_and(|last| last.is("org_id"));
    let position = columns.iter().position(is_org)?;
    let item = columns.get(position)?;
    let (column, behind) = operand(item, 0)?;
    let rows = values.iter().filter_map(row);
    let found: Option<Vec<usize>> = rows
        .map(|row| places(row).get(position).copied().flatten())
        .collect();
    (behind == item.len()).then_some(((column, found?), at + 3))
}

pub(super) fn operand(nodes: &[Node], at: usize) -> Option<(Operand, usize)> {
    match (nodes.get(at)?, nodes.get(at + 1), nodes.get(at + 2)) {
        (Node::Place(place), ..) => Some((Operand::Place(*place), at + 1)),
        (Node::Word(alias), Some(Node::Dot), Some(Node::Word(column))) => {
            Some((Operand::Column(Some(alias.clone()), column.clone()), at + 3))
        }
        (Node::Word(_), Some(Node::Dot | Node::Group(_)), _) => None,
        (Node::Word(column), ..) => Some((Operand::Column(None, column.clone()), at + 1)),
        _ => None,
    }
}

pub(super) fn row(node: &Node) -> Option<&[Node]> {
    match node {
        Node::Group(row) => Some(row),
        _ => None,
    }
}

/// What stands between the commas.
pub(super) fn items(nodes: &[Node]) -> Vec<&[Node]> {
    nodes.split(|node| *node == Node::Comma).collect()
}

/// The placeholder each item is, if it is one.
pub(super) fn places(row: &[Node]) -> Vec<Option<usize>> {
    let place = |item: &[Node]| match item {
        [Node::Place(place)] => Some(*place),
        _ => None,
    };
    items(row).into_iter().map(place).collect()
}
