//! What a statement must bind to stay within one organisation.
//!
//! Every table of organisations that a statement names has to be tied to the organisation: by
//! `org_id = $n`, by an equality with the `org_id` of a table that is tied already, or, in an
//! insert, by the value in the column `org_id` of every row. Only conditions that must hold count:
//! those joined by AND, in a WHERE, or in the ON that brings the table in. What is not understood
//! is refused, so a mistake of this reader is an error and not a leak.

use super::ties::Ties;
use super::tokens::{self, Node};
use super::walk::Walk;

/// What is known about a statement by its text alone.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Which values must be the organisation's id.
    pub(crate) bound: Vec<usize>,
    /// Whether it names a table of organisations.
    pub(crate) touches: bool,
    /// Whether it adds rows.
    pub(crate) inserts: bool,
    /// Why it does not stay within one organisation.
    pub(crate) fault: Option<&'static str>,
}

/// Why a statement is refused that was read in full.
pub(crate) const LOOSE: &str =
    "a table of organisations is not tied to the organisation by `org_id = $n`";

/// What a statement may begin with.
const BEGINNINGS: [&str; 8] = [
    "select", "insert", "update", "delete", "with", "values", "explain", "pragma",
];

impl Shape {
    /// Reads a statement; `is_tenants` knows the tables of organisations.
    ///
    /// # Errors
    /// Why a statement like this is not for a transaction at all.
    pub(crate) fn of(sql: &str, is_tenants: &dyn Fn(&str) -> bool) -> Result<Self, &'static str> {
        let nodes = tokens::read(sql)?;
        let first = nodes.first().and_then(Node::word).unwrap_or_default();
        if !BEGINNINGS.contains(&first) {
            return Err("it is none that reads or writes rows");
        }
        if first == "pragma" {
            return Ok(Self::default());
        }
        if mentions(&nodes, "set_config") {
            return Err("only the store says whose transaction it is");
        }
        let mut ties = Ties::new(is_tenants);
        let fault = Walk::over(&mut ties, &nodes).err();
        let inserts = mentions(&nodes, "insert");
        // Part of it was not read: it may name anything.
        let touches = fault.is_some() || ties.touches();
        let (bound, loose) = ties.resolve();
        Ok(Self {
            bound,
            touches,
            inserts,
            fault: fault.or(if loose { Some(LOOSE) } else { None }),
        })
    }
}

fn mentions(nodes: &[Node], word: &str) -> bool {
    nodes.iter().any(|node| match node {
        Node::Group(inner) => mentions(inner, word),
        node => node.is(word),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(sql: &str) -> Result<Shape, &'static str> {
        Shape::of(sql, &|table| matches!(table, "note" | "said" | "run"))
    }

    fn bound(sql: &str) -> Vec<usize> {
        let shape = shape(sql).unwrap();
        assert_eq!(shape.fault, None, "{sql}");
        assert!(shape.touches, "{sql}");
        shape.bound
    }

    /// Statements, and which of their values must be the organisation's.
    const TIED: [(&str, &[usize]); 15] = [
        ("SELECT id FROM note WHERE org_id = $1 AND id > $2", &[0]),
        (
            "EXPLAIN QUERY PLAN SELECT id FROM main.note n WHERE $2 = n.org_id",
            &[1],
        ),
        (
            "DELETE FROM note WHERE id = $1 AND org_id = $2 AND (a < $3 OR b)",
            &[1],
        ),
        (
            "UPDATE note SET body = $1 WHERE org_id = $2 AND id = $3 RETURNING id",
            &[1],
        ),
        (
            "SELECT r.id FROM note n LEFT JOIN run r ON r.org_id = n.org_id AND r.id = n.id \
                 WHERE n.org_id = $1",
            &[0],
        ),
        (
            "SELECT id, (SELECT text FROM said WHERE said.org_id = note.org_id LIMIT 1) AS t \
                 FROM note WHERE org_id = $1",
            &[0],
        ),
        (
            "SELECT e.* FROM (VALUES ($1,$2),($3,$4)) AS k CROSS JOIN note e \
                 WHERE e.org_id = k.column1 AND e.id = k.column2 FOR UPDATE OF e",
            &[0, 2],
        ),
        (
            "DELETE FROM note WHERE (id, org_id) IN (VALUES ($1,$2),($3,$4) )",
            &[1, 3],
        ),
        (
            "INSERT INTO note (id, org_id) VALUES (?,?),(?,?) ON CONFLICT DO NOTHING",
            &[1, 3],
        ),
        (
            "INSERT INTO note (org_id, id) VALUES ($1, $2) ON CONFLICT (org_id, id) \
                 DO UPDATE SET id = excluded.id WHERE note.id = excluded.previous",
            &[0],
        ),
        (
            "INSERT INTO note (org_id, id) SELECT org_id, id + 1 FROM note AS old \
                 WHERE old.org_id = $1",
            &[0],
        ),
        (
            "INSERT INTO note (org_id, id) SELECT $1, id FROM said WHERE org_id = $2",
            &[0, 1],
        ),
        (
            "DELETE FROM note WHERE org_id = $1 AND seq IN \
                 (SELECT seq FROM note WHERE org_id = $2 ORDER BY at LIMIT 9)",
            &[0, 1],
        ),
        (
            "WITH x AS (SELECT id FROM note WHERE org_id = $1) SELECT * FROM x",
            &[0],
        ),
        (
            "SELECT id FROM note WHERE org_id = $1 UNION ALL SELECT id FROM said \
                 WHERE org_id = $2",
            &[0, 1],
        ),
    ];

    #[test]
    fn tied_statements_say_what_to_bind() {
        for (sql, expected) in TIED {
            assert_eq!(bound(sql), expected, "{sql}");
        }
    }

    const LOOSE_ONES: &[&str] = &[
        "SELECT id FROM note",
        "SELECT id FROM note WHERE org_id <> $1",
        "SELECT id FROM note WHERE org_id = $1 OR id = $2",
        "SELECT id FROM note WHERE id = $2 AND a OR org_id = $1 AND b",
        "SELECT id FROM note WHERE NOT org_id = $1",
        "SELECT id FROM note WHERE org_id = $1 IS NOT NULL",
        "SELECT id FROM note WHERE org_id = $1 || ''",
        "SELECT id FROM note WHERE org_id = org_id",
        "SELECT id FROM note WHERE (org_id = $1) = $2",
        "SELECT id FROM note WHERE CASE WHEN a AND org_id = $1 AND b THEN 1 ELSE 1 END = 1",
        "SELECT id FROM note WHERE id BETWEEN 1 AND org_id = $1",
        "SELECT id FROM note ORDER BY org_id = $1",
        "SELECT id, org_id = $1 FROM note",
        "SELECT id FROM note, said WHERE note.org_id = $1",
        "SELECT id FROM note n LEFT JOIN said s ON s.org_id = n.org_id AND n.org_id = $1",
        "SELECT id FROM note n RIGHT JOIN said s ON s.org_id = $1 WHERE n.org_id = $1",
        "SELECT id FROM note NATURAL JOIN said WHERE note.org_id = $1",
        "SELECT id FROM note JOIN said USING (org_id) WHERE note.org_id = $1",
        "SELECT id FROM (note JOIN said ON 1 = 1) WHERE org_id = $1",
        "SELECT 1 WHERE $1 IN (SELECT id FROM note)",
        "SELECT 1 WHERE $1 IN note",
        "SELECT id FROM note WHERE id IN (SELECT id FROM dispatch WHERE org_id = $1)",
        "SELECT id FROM note WHERE id IN (SELECT id FROM dispatch WHERE note.org_id = $1)",
        "SELECT (SELECT count(*) FROM said) FROM note WHERE org_id = $1",
        "SELECT max((SELECT text FROM said)) FROM note WHERE org_id = $1",
        "SELECT id FROM note WHERE org_id = $1 UNION SELECT id FROM said",
        "WITH x AS (DELETE FROM note RETURNING id) SELECT * FROM x",
        "TABLE note",
        "SELECT * FROM (TABLE note) t",
        "INSERT INTO note VALUES ($1, $2)",
        "INSERT INTO note (id) VALUES ($1)",
        "INSERT INTO note (org_id, id) VALUES ($1, $2), ('other', $3)",
        "INSERT INTO note (org_id, id) VALUES ($1, (SELECT id FROM said))",
        "INSERT INTO note (org_id, id) SELECT id, org_id FROM note WHERE org_id = $1",
        "INSERT INTO note (org_id, id) DEFAULT VALUES",
        "INSERT OR REPLACE INTO note (org_id, id) VALUES ($1, $2)",
        "REPLACE INTO note (org_id, id) VALUES ($1, $2)",
        "INSERT INTO note (org_id, id) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET id = 1",
        "INSERT INTO note (org_id, id) VALUES ($1, $2) ON CONFLICT DO UPDATE SET id = 1",
        "INSERT INTO note (org_id, id) VALUES ($1, $2) ON CONFLICT (org_id, id) \
             DO UPDATE SET org_id = $3",
        "UPDATE note SET org_id = $1 WHERE org_id = $2",
        "UPDATE note SET (id, org_id) = ($1, $3) WHERE org_id = $2",
        "UPDATE note SET id = (SELECT max(id) FROM said) WHERE org_id = $1",
        "UPDATE OR IGNORE note SET id = $2 WHERE org_id = $1",
        "UPDATE note SET id = said.id FROM said WHERE note.org_id = $1",
        "DELETE FROM ONLY note WHERE id = $1",
        "DELETE FROM note USING said WHERE note.org_id = $1",
    ];

    #[test]
    fn what_could_reach_further_is_refused() {
        for sql in LOOSE_ONES {
            let refused = shape(sql).map_or(true, |shape| shape.fault.is_some() && shape.touches);
            assert!(refused, "{sql}");
        }
    }

    #[test]
    fn other_tables_need_nothing_and_other_statements_are_not_for_transactions() {
        for sql in [
            "SELECT a.note AS said FROM dispatch a WHERE due_at <= $1 ORDER BY due_at LIMIT 5",
            "DELETE FROM dispatch WHERE (org_id, run_id) IN (VALUES ($1,$2) )",
            "UPDATE counter SET n = n + 1",
            "PRAGMA max_page_count = 1",
        ] {
            let shape = shape(sql).unwrap();
            assert!(!shape.touches && shape.fault.is_none(), "{sql} {shape:?}");
        }
        for sql in [
            "SET app.org_id = 'x'",
            "RESET ROLE",
            "ROLLBACK",
            "SAVEPOINT a",
            "DROP TABLE note",
            "SELECT set_config('app.org_id', $1, true)",
            "",
        ] {
            assert!(shape(sql).is_err(), "{sql}");
        }
    }
}
