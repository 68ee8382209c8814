//! Reading: conversations, what was said in them, and everything under a correlation id.
//!
//! All of it belongs to one person of one organisation. Anybody else's is not there, exactly as what
//! never was.

use nexus_contracts::{OrgId, UserId};
use nexus_store::{Row, Value};

use crate::changes::NEVER;
use crate::error::Error;
use crate::view::{ConversationSummary, moment, title};

mod list;
mod search;
mod trace;
mod transcript;

pub use list::conversations;
pub use search::{search, search_statement};
pub use trace::{TRACE, trace};
pub use transcript::{conversation, export};

/// Who reads. There is no role that reads what others said: not yet, and then under a name of its
/// own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reader {
    /// The tenant.
    pub org: OrgId,
    /// The person or program.
    pub user: UserId,
}

impl Reader {
    /// `$1` and `$2` of every statement.
    fn values(&self) -> Vec<Value> {
        vec![
            Value::from(self.org.to_string()),
            Value::from(self.user.to_string()),
        ]
    }
}

/// Where a page begins: behind what has this time and key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Before {
    /// Its time, in milliseconds.
    pub at: i64,
    /// What tells it from others of the same time.
    pub key: String,
}

impl Before {
    /// Behind nothing: the first page.
    #[must_use]
    pub fn first() -> Self {
        Self {
            at: i64::MAX,
            key: String::new(),
        }
    }

    /// Reads what `next` of a page said.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (at, key) = text.split_once('_')?;
        let is_plain = key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-/".contains(&byte));
        Some(Self {
            at: at.parse().ok().filter(|_| is_plain)?,
            key: key.to_owned(),
        })
    }

    fn values(&self) -> [Value; 2] {
        [Value::from(self.at), Value::from(self.key.clone())]
    }
}

/// `next` of a page that ends with this row; none when the page is not full.
fn next(rows: &[Row], limit: u32, (at, key): (&str, &str)) -> Result<Option<String>, Error> {
    let is_full = rows.len() as u64 == u64::from(limit);
    let Some(last) = rows.last().filter(|_| is_full) else {
        return Ok(None);
    };
    let (at, key): (i64, String) = (last.get(at)?, last.get(key)?);
    Ok(Some(format!("{at}_{key}")))
}

/// The columns of [`summary`], of a conversation `c`; `c.org_id` must be tied. The number is
/// [`crate::changes::NEVER`].
const SUMMARY: &str = "c.id, c.created_at, c.updated_at, c.title, \
    (SELECT p.id FROM branch AS b JOIN conversation AS p ON p.org_id = b.org_id \
    AND p.id = b.parent AND p.user_id = c.user_id WHERE b.org_id = c.org_id \
    AND b.conversation_id = c.id) AS parent, \
    (SELECT COUNT(*) FROM summary AS m WHERE m.org_id = c.org_id \
    AND m.conversation_id = c.id) AS summaries, \
    (SELECT s.text FROM said AS s WHERE s.org_id = c.org_id AND s.conversation_id = c.id \
    AND s.role = 'user' AND s.at < 9223372036854775807 AND s.text IS NOT NULL \
    ORDER BY s.at, s.place LIMIT 1) AS begins";

fn summary(row: &Row) -> Result<ConversationSummary, Error> {
    let summaries: i64 = row.get("summaries")?;
    Ok(ConversationSummary {
        conversation_id: row.get("id")?,
        title: title_of(row)?,
        parent: row.get("parent")?,
        summarized: summaries > 0,
        created_at: moment(row.get("created_at")?),
        updated_at: moment(row.get("updated_at")?),
    })
}

fn title_of(row: &Row) -> Result<String, Error> {
    if let Some(given) = row.get("title")? {
        return Ok(given);
    }
    let begins: Option<String> = row.get("begins")?;
    Ok(title(&begins.unwrap_or_default()))
}

/// `WITH` a table `shown`: which conversations show what of which others, up to which moment. It
/// begins with the conversations that meet a condition and goes on to what they were branched from.
fn shown(condition: &str) -> String {
    format!(
        "WITH RECURSIVE shown (shown_in, id, cut) AS (\
         SELECT conversation.id, conversation.id, {NEVER} FROM conversation \
         WHERE {condition} \
         UNION SELECT shown.shown_in, branch.parent, \
         CASE WHEN COALESCE(branch.cut, branch.at) < shown.cut \
         THEN COALESCE(branch.cut, branch.at) ELSE shown.cut END \
         FROM shown JOIN branch ON branch.conversation_id = shown.id WHERE branch.org_id = $1)"
    )
}
