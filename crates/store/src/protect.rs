//! Row-level security: put on every table of organisations, and looked after at every start.

use std::collections::HashSet;

use crate::connect::roles::quoted;
use crate::session::{Row, Session};
use crate::{StoreError, Value};

/// The one policy of a table.
const POLICY: &str = "nexus_tenant";
/// After a transaction the setting is empty, not missing: nobody's.
const CONDITION: &str = "org_id = NULLIF(current_setting('app.org_id', true), '')";
/// Tables of the store's own. What was applied is not for the service to change.
const OWN: [(&str, &str); 2] = [
    ("nexus_migration", "SELECT"),
    ("nexus_organisation", "SELECT, INSERT, DELETE"),
];
const ALL: &str = "SELECT, INSERT, UPDATE, DELETE";

/// A table of a schema, and what protects it.
struct Table {
    name: String,
    kind: Kind,
    protection: Protection,
    /// Whether the one who looks can be its owner.
    is_ours: bool,
    is_granted: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Its rows belong to organisations.
    Tenants,
    /// It is read across all of them.
    Exempt,
    /// It shows what its owner may see, whoever looks.
    Leaky,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Protection {
    /// The one policy, forced on its owner too.
    Forced,
    /// None, or not on its owner.
    Missing,
    /// Policies that are not ours.
    Foreign,
}

const TABLES: &str = "SELECT c.relname::text AS name, \
     EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'org_id' \
       AND NOT a.attisdropped) AS tenants, \
     c.relrowsecurity AND c.relforcerowsecurity AS forced, \
     (SELECT COALESCE(string_agg(p.polname::text, ','), '') FROM pg_policy p \
       WHERE p.polrelid = c.oid) AS policies, \
     pg_has_role(c.relowner, 'MEMBER') AS ours, \
     has_table_privilege($2, c.oid, 'SELECT') AND has_table_privilege($2, c.oid, 'INSERT') \
       AS granted, \
     c.relkind = 'm' OR (c.relkind = 'v' \
       AND NOT COALESCE('security_invoker=true' = ANY (c.reloptions), false)) AS leaky \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm') ORDER BY c.relname";

impl Table {
    fn of(row: &Row, exempt: &HashSet<&'static str>) -> Result<Self, StoreError> {
        let name: String = row.get("name")?;
        let policies: String = row.get("policies")?;
        let is_own = OWN.iter().any(|(own, _)| *own == name);
        let kind = match (row.get("leaky")?, row.get("tenants")?) {
            (true, _) => Kind::Leaky,
            (false, true) if !is_own && !exempt.contains(name.as_str()) => Kind::Tenants,
            (false, _) => Kind::Exempt,
        };
        let protection = match (row.get("forced")?, policies.as_str()) {
            (true, POLICY) => Protection::Forced,
            (false, _) | (true, "") => Protection::Missing,
            (true, _) => Protection::Foreign,
        };
        Ok(Self {
            name,
            kind,
            protection,
            is_ours: row.get("ours")?,
            is_granted: row.get("granted")?,
        })
    }

    fn is_tenants(&self) -> bool {
        self.kind == Kind::Tenants
    }

    /// What lets organisations see each other.
    fn gap(&self) -> Option<&'static str> {
        match (self.kind, self.protection) {
            (Kind::Leaky, _) => Some("is a view without security_invoker"),
            (Kind::Tenants, Protection::Missing) => {
                Some("has no row-level security that is forced")
            }
            (Kind::Tenants, Protection::Foreign) => Some("has other policies than Nexus gave it"),
            (Kind::Tenants, Protection::Forced) | (Kind::Exempt, _) => None,
        }
    }
}

async fn tables(
    session: &mut Session,
    schema: &str,
    app: &str,
    exempt: &HashSet<&'static str>,
) -> Result<Vec<Table>, StoreError> {
    let values = vec![Value::from(schema), Value::from(app)];
    let rows = session.query(TABLES, values).await?;
    rows.iter().map(|row| Table::of(row, exempt)).collect()
}

/// As the owner: protects every table of organisations, and lets the role that serves use them all.
pub(crate) async fn protect(
    session: &mut Session,
    schema: &str,
    app: &str,
    exempt: &HashSet<&'static str>,
) -> Result<(), StoreError> {
    let tables = tables(session, schema, app, exempt).await?;
    let open = |table: &&Table| table.is_tenants() && table.gap().is_some();
    for table in tables.iter().filter(open) {
        let name = quoted(&table.name);
        // Rows that were there before: their organisations are listed as well.
        session
            .script(&format!(
                "{}; ALTER TABLE {name} ENABLE ROW LEVEL SECURITY; \
                 ALTER TABLE {name} FORCE ROW LEVEL SECURITY; \
                 DROP POLICY IF EXISTS {POLICY} ON {name}; \
                 CREATE POLICY {POLICY} ON {name} FOR ALL USING ({CONDITION}) \
                 WITH CHECK ({CONDITION})",
                listing(&name)
            ))
            .await?;
    }
    let app = quoted(app);
    let missing: Vec<&Table> = tables.iter().filter(|table| !table.is_granted).collect();
    for table in &missing {
        let own = OWN.iter().find(|(own, _)| *own == table.name);
        let rights = own.map_or(ALL, |(_, rights)| *rights);
        let name = quoted(&table.name);
        session
            .script(&format!("GRANT {rights} ON {name} TO {app}"))
            .await?;
    }
    if !missing.is_empty() {
        let schema = quoted(schema);
        session
            .script(&format!(
                "GRANT USAGE ON SCHEMA {schema} TO {app}; \
                 GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {app}"
            ))
            .await?;
    }
    Ok(())
}

/// As the owner, before it changes what is there: rows that are protected are hidden from it too, and
/// a migration would find none of them. Nobody else sees more, and [`protect`] closes this again
/// before the transaction ends.
pub(crate) async fn open_to_owner(session: &mut Session, schema: &str) -> Result<(), StoreError> {
    let sql = "SELECT c.relname::text AS name FROM pg_class c \
               JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE n.nspname = $1 AND c.relforcerowsecurity";
    for row in session.query(sql, vec![Value::from(schema)]).await? {
        let name = quoted(&row.get::<String>("name")?);
        session
            .script(&format!("ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY"))
            .await?;
    }
    Ok(())
}

/// As the role that serves: refuses to begin where row-level security would not bind it, or is not
/// there. Gives the tables of organisations.
pub(crate) async fn verify(
    session: &mut Session,
    schema: &str,
    exempt: &HashSet<&'static str>,
) -> Result<HashSet<String>, StoreError> {
    let me = "SELECT rolname::text AS name, rolsuper AS super, rolbypassrls AS bypass \
              FROM pg_roles WHERE rolname = current_user";
    let mut app = String::new();
    for row in session.query(me, Vec::new()).await? {
        app = row.get("name")?;
        for (column, what) in [("super", "is a superuser"), ("bypass", "has BYPASSRLS")] {
            if row.get(column)? {
                return Err(StoreError::Privileged { role: app, what });
            }
        }
    }
    let tables = tables(session, schema, &app, exempt).await?;
    if tables.iter().any(|table| table.is_ours) {
        let what = "owns the tables";
        return Err(StoreError::Privileged { role: app, what });
    }
    for table in &tables {
        if let Some(reason) = table.gap() {
            let table = format!("{schema}.{}", table.name);
            return Err(StoreError::Unprotected { table, reason });
        }
    }
    let tenants = tables.into_iter().filter(Table::is_tenants);
    Ok(tenants.map(|table| table.name.to_lowercase()).collect())
}

/// The tables of organisations of an `SQLite` file, where nothing but the store protects them.
pub(crate) async fn tenants_of_sqlite(
    session: &mut Session,
    exempt: &HashSet<&'static str>,
) -> Result<HashSet<String>, StoreError> {
    let sql = "SELECT m.name AS name FROM sqlite_schema m JOIN pragma_table_info(m.name) c \
               WHERE m.type IN ('table', 'view') AND lower(c.name) = 'org_id'";
    let mut tenants = HashSet::new();
    for row in session.query(sql, Vec::new()).await? {
        let name: String = row.get("name")?;
        let is_own = OWN.iter().any(|(own, _)| *own == name);
        if !is_own && !exempt.contains(name.as_str()) {
            tenants.insert(name.to_lowercase());
        }
    }
    Ok(tenants)
}

/// Whether an `SQLite` file was made before organisations were listed.
pub(crate) async fn lists_nobody(session: &mut Session) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM sqlite_schema WHERE name = 'nexus_organisation'";
    Ok(session.query(sql, Vec::new()).await?.is_empty())
}

/// Lists the organisations that have rows in these tables.
pub(crate) async fn list(
    session: &mut Session,
    tables: &HashSet<String>,
) -> Result<(), StoreError> {
    for table in tables {
        session.script(&listing(&quoted(table))).await?;
    }
    Ok(())
}

fn listing(table: &str) -> String {
    // `WHERE true` tells SQLite that ON does not belong to a join.
    format!(
        "INSERT INTO nexus_organisation (org_id) SELECT DISTINCT org_id FROM {table} WHERE true \
         ON CONFLICT DO NOTHING"
    )
}
