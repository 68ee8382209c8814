//! Who owns the tables and who serves: never the same role.
//!
//! Row-level security does not bind a superuser or a role with BYPASSRLS, and the owner of a table
//! may switch it off.

use tokio_postgres::{Client, Row};

use super::address::Address;
use super::postgres::{Server, owners};
use crate::StoreError;
use crate::postgres::PgPool;

/// Who serves, and who migrates.
pub(crate) struct Roles {
    /// The role that serves.
    pub(crate) app: String,
    /// Whether connections log in as the owner and take on `app`.
    pub(super) assumed: bool,
    /// Who migrates; nobody here when the tables were made by somebody else.
    pub(crate) owner: Option<Owner>,
}

/// How to connect as the owner of the tables.
pub(crate) struct Owner(Address);

impl Owner {
    /// One connection.
    pub(crate) fn connect(&self) -> Result<PgPool, StoreError> {
        owners(&self.0)
    }
}

/// What a look at the server found.
pub(super) struct Found {
    pub(super) roles: Roles,
    pub(super) server: Server,
}

/// What a role may do with a schema.
struct Role {
    name: String,
    /// It owns the schema, or may make the one that nobody made yet.
    may_migrate: bool,
    /// It owns the schema.
    owns: bool,
}

const LOOK: &str = "SELECT r.rolname::text AS name, r.rolsuper AS super, r.rolbypassrls AS bypass, \
     COALESCE(pg_has_role(r.oid, n.nspowner, 'MEMBER'), false) AS owns, \
     COALESCE(pg_has_role(r.oid, n.nspowner, 'MEMBER'), \
       has_database_privilege(current_database(), 'CREATE')) AS may_migrate, \
     current_setting('synchronous_commit') AS synchronous_commit, \
     current_setting('fsync') = 'on' AS fsync \
     FROM pg_roles r LEFT JOIN pg_namespace n ON n.nspname = $1 WHERE r.rolname = current_user";

/// Finds out who serves and who migrates, and makes the role that serves where there is only one
/// address.
pub(super) async fn settle(
    url: &Address,
    owner: Option<Address>,
    schema: &str,
) -> Result<Found, StoreError> {
    let mut connected = url.connect().await?;
    let connection = &mut connected.client;
    let row = look(connection, schema).await?;
    let (me, server) = (role(&row)?, server(&row)?);
    let roles = match owner {
        Some(owner) => two(me, owner, schema).await?,
        None if me.may_migrate => one(me, url.clone(), connection).await?,
        None => Roles {
            app: me.name,
            assumed: false,
            owner: None,
        },
    };
    Ok(Found { roles, server })
}

async fn look(connection: &Client, schema: &str) -> Result<Row, StoreError> {
    Ok(connection.query_one(LOOK, &[&schema]).await?)
}

fn role(row: &Row) -> Result<Role, StoreError> {
    let name: String = row.try_get("name")?;
    let privileged = |what| {
        Err(StoreError::Privileged {
            role: name.clone(),
            what,
        })
    };
    if row.try_get("super")? {
        return privileged("is a superuser");
    }
    if row.try_get("bypass")? {
        return privileged("has BYPASSRLS");
    }
    Ok(Role {
        may_migrate: row.try_get("may_migrate")?,
        owns: row.try_get("owns")?,
        name,
    })
}

fn server(row: &Row) -> Result<Server, StoreError> {
    Ok(Server {
        synchronous_commit: row.try_get("synchronous_commit")?,
        fsync: row.try_get("fsync")?,
    })
}

/// Two addresses: one role serves, the other one migrates.
async fn two(me: Role, owner: Address, schema: &str) -> Result<Roles, StoreError> {
    let connected = owner.connect().await?;
    let theirs = role(&look(&connected.client, schema).await?)?;
    if me.owns || me.name == theirs.name {
        return Err(StoreError::Privileged {
            role: me.name,
            what: "owns the tables",
        });
    }
    Ok(Roles {
        app: me.name,
        assumed: false,
        owner: Some(Owner(owner)),
    })
}

/// One address, of a role that owns the tables or will: connections take on another role, which is
/// made here.
async fn one(me: Role, owner: Address, connection: &mut Client) -> Result<Roles, StoreError> {
    let app = app_of(&me.name);
    let made = make(connection, &me.name, &app).await;
    made.map_err(|error| match error {
        StoreError::Refused(error) => StoreError::NoAppRole {
            owner: me.name,
            app: app.clone(),
            error,
        },
        error => error,
    })?;
    tracing::info!(
        app,
        "one address for the owner of the tables and the service: name an owner of its own in \
         production (store.owner_url)"
    );
    Ok(Roles {
        app,
        assumed: true,
        owner: Some(Owner(owner)),
    })
}

/// Longest name of a role, in bytes.
const MOST_NAME: usize = 63;

fn app_of(owner: &str) -> String {
    let mut end = owner.len().min(MOST_NAME - "_app".len());
    while !owner.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}_app", owner.get(..end).unwrap_or_default())
}

/// Held while the role is made: services start at the same time. Any number nobody else uses.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7959375371420395378)";

async fn make(connection: &mut Client, me: &str, app: &str) -> Result<(), StoreError> {
    let tx = connection.transaction().await?;
    tx.batch_execute(LOCK).await?;
    let is_member =
        "SELECT pg_has_role(current_user, oid, 'MEMBER') FROM pg_roles WHERE rolname = $1";
    let found = tx.query_opt(is_member, &[&app]).await?;
    let found: Option<bool> = found.map(|row| row.try_get(0)).transpose()?;
    let (me, app) = (quoted(me), quoted(app));
    if found.is_none() {
        tx.batch_execute(&format!("CREATE ROLE {app} NOLOGIN"))
            .await?;
    }
    if found != Some(true) {
        tx.batch_execute(&format!("GRANT {app} TO {me}")).await?;
    }
    Ok(tx.commit().await?)
}

/// A name as SQL writes it, whatever is in it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_and_cut_to_what_the_server_takes() {
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
        assert_eq!(app_of("nexus"), "nexus_app");
        let long = app_of(&"ä".repeat(40));
        assert!(long.len() <= MOST_NAME && long.ends_with("ä_app"), "{long}");
    }
}
