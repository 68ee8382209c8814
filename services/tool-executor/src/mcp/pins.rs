//! Which definitions were approved: kept in this service's database.

use async_trait::async_trait;
use nexus_contracts::OrgId;
use nexus_mcp::{Known, Pins};
use nexus_store::{Store, StoreError, Value};

/// Servers belong to the operator, not to an organisation; their rows have the organisation that no
/// principal can have.
const OPERATOR: OrgId = OrgId(uuid::Uuid::nil());

const LOAD: &str = "SELECT known FROM mcp_pin WHERE org_id = $1 AND server = $2";
const STORE: &str = "INSERT INTO mcp_pin (org_id, server, known) VALUES ($1, $2, $3) \
    ON CONFLICT (org_id, server) DO UPDATE SET known = excluded.known WHERE mcp_pin.org_id = $1";

/// In the table `mcp_pin`.
pub(super) struct StoredPins {
    pub(super) store: Store,
}

#[async_trait]
impl Pins for StoredPins {
    async fn load(&self, server: &str) -> Result<Option<Vec<Known>>, String> {
        let text = self.read(server).await.map_err(|error| error.to_string())?;
        let Some(text) = text else { return Ok(None) };
        let known = serde_json::from_str(&text);
        known
            .map(Some)
            .map_err(|error| format!("what was approved of `{server}` does not read: {error}"))
    }

    async fn store(&self, server: &str, known: &[Known]) -> Result<(), String> {
        let text = serde_json::to_string(known).map_err(|error| error.to_string())?;
        let stored = self.write(server, text).await;
        stored.map_err(|error| error.to_string())
    }
}

impl StoredPins {
    async fn read(&self, server: &str) -> Result<Option<String>, StoreError> {
        let tx = self.store.begin(OPERATOR).await?;
        let values = vec![Value::from(OPERATOR.to_string()), Value::from(server)];
        let rows = tx.query(LOAD, values).await?;
        tx.commit().await?;
        rows.first().map(|row| row.get("known")).transpose()
    }

    async fn write(&self, server: &str, known: String) -> Result<(), StoreError> {
        let tx = self.store.begin(OPERATOR).await?;
        let values = vec![
            Value::from(OPERATOR.to_string()),
            Value::from(server),
            Value::from(known),
        ];
        tx.execute(STORE, values).await?;
        tx.commit().await
    }
}
