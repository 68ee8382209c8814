//! Searching what was said, and titles.
//!
//! The words were cut by [`crate::words`] when they were stored, and what is asked for is cut by
//! [`crate::terms`] the same way, so both databases find the same. `SQLite` looks words up in an
//! index; `PostgreSQL` compares what this person said, see the migration.

use nexus_store::{Row, Store, StoreKind, Value};

use super::{Before, Reader, SUMMARY, next, shown, title_of};
use crate::error::Error;
use crate::snippet::snippet;
use crate::terms::Terms;
use crate::view::{SearchHit, SearchPage, moment};

/// A page of what contains all terms, the latest first.
///
/// # Errors
/// When the database refuses.
pub async fn search(
    store: &Store,
    reader: Reader,
    terms: &Terms,
    (before, limit): (&Before, u32),
) -> Result<SearchPage, Error> {
    let (sql, values) = search_statement(store.kind(), reader, terms, (before, limit));
    let tx = store.read(reader.org).await?;
    let rows = tx.query(&sql, values).await?;
    tx.commit().await?;
    let hits = rows.iter().map(|row| hit(row, terms));
    Ok(SearchPage {
        next: next(&rows, limit, ("at", "place"))?,
        hits: hits.collect::<Result<_, Error>>()?,
    })
}

/// The statement behind [`search`], and what it binds.
#[must_use]
pub fn search_statement(
    kind: StoreKind,
    reader: Reader,
    terms: &Terms,
    (before, limit): (&Before, u32),
) -> (String, Vec<Value>) {
    let mut values = reader.values();
    values.extend(before.values());
    let mut bind = |value: String| {
        values.push(Value::from(value));
        values.len()
    };
    let mut like = |column: &str, pattern| format!(" AND {column} LIKE ${}", bind(pattern));
    let titles: String = terms
        .patterns()
        .map(|one| like("t.title_words", one))
        .collect();
    let said: String = match kind {
        // CROSS keeps the order: first the few rows that have the words.
        StoreKind::Sqlite => {
            let phrases: String = terms.phrases().map(|one| like("s.words", one)).collect();
            let words = bind(terms.fts(reader.org));
            format!(
                "said_fts CROSS JOIN said AS s ON s.seq = said_fts.rowid \
                 CROSS JOIN shown ON shown.id = s.conversation_id \
                 WHERE said_fts MATCH ${words} AND s.org_id = $1{phrases}"
            )
        }
        StoreKind::Postgres => {
            let words: String = terms.patterns().map(|one| like("s.words", one)).collect();
            format!(
                "shown JOIN said AS s ON s.conversation_id = shown.id \
                 WHERE s.org_id = $1{words}"
            )
        }
    };
    let sql = format!(
        "{}, hit (place, conversation_id, at, told_at, role, run_id, hit_text) AS (\
         SELECT shown.shown_in || '/' || s.place, shown.shown_in, s.at, s.told_at, s.role, \
         s.run_id, s.text FROM {said} AND s.at < shown.cut AND s.text IS NOT NULL \
         UNION ALL SELECT t.id || '/title', t.id, t.title_at, t.title_at, NULL, NULL, t.title \
         FROM conversation AS t WHERE t.org_id = $1 AND t.user_id = $2{titles}), \
         page AS (SELECT * FROM hit WHERE at < $3 OR (at = $3 AND place < $4) \
         ORDER BY at DESC, place DESC LIMIT {limit}) \
         SELECT page.place, page.at, page.told_at, page.role, page.run_id, page.hit_text, \
         {SUMMARY} FROM page JOIN conversation AS c ON c.org_id = $1 \
         AND c.id = page.conversation_id ORDER BY page.at DESC, page.place DESC",
        shown("conversation.org_id = $1 AND conversation.user_id = $2"),
    );
    (sql, values)
}

fn hit(row: &Row, terms: &Terms) -> Result<SearchHit, Error> {
    let text: String = row.get("hit_text")?;
    let told_at: Option<i64> = row.get("told_at")?;
    Ok(SearchHit {
        conversation_id: row.get("id")?,
        title: title_of(row)?,
        role: row.get("role")?,
        run_id: row.get("run_id")?,
        at: moment(told_at.map_or_else(|| row.get("at"), Ok)?),
        snippet: snippet(&text, terms),
    })
}
