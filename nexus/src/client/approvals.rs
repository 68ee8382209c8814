//! Tool calls that wait for a person.

use nexus_contracts::events::Decision;
use nexus_entry_api::view::{ApprovalList, ApprovalView, CommandView};
use serde_json::{Value, json};

use super::{Client, PATIENCE};
use crate::exit::Failure;

impl Client {
    /// Everything that waits for a decision, the oldest first.
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub async fn approvals(&self) -> Result<Vec<ApprovalView>, Failure> {
        let mut all = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let mut url = self.address(&["v1", "approvals"])?;
            url.query_pairs_mut()
                .append_pair("limit", "200")
                .extend_pairs(after.iter().map(|after| ("after", after)));
            let page: ApprovalList = self.read(self.http.get(url).timeout(PATIENCE)).await?;
            all.extend(page.approvals);
            after = page.next;
            if after.is_none() {
                return Ok(all);
            }
        }
    }

    /// Decides about one.
    ///
    /// # Errors
    /// As [`Client::submit`]; also when it is not open any more.
    pub async fn decide(
        &self,
        id: &str,
        decision: Decision,
        comment: Option<&str>,
    ) -> Result<CommandView, Failure> {
        let body: Value = json!({ "decision": decision, "comment": comment });
        let url = self.address(&["v1", "approvals", id])?;
        let request = self.http.post(url).json(&body).timeout(PATIENCE);
        self.settled(self.read(request).await?).await
    }
}
