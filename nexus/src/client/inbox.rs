//! Questions that wait for a person's answer.

use nexus_provider_router::inbox::view::{
    InboxItem, InboxList, InboxQuestion, NewInboxAnswer, NewInboxRefusal,
};
use serde::Serialize;

use super::{Client, PATIENCE};
use crate::exit::Failure;

impl Client {
    /// Everything that waits for an answer, the oldest first.
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub async fn inbox(&self) -> Result<Vec<InboxItem>, Failure> {
        let url = self.address(&["v1", "inbox"])?;
        let list: InboxList = self.read(self.http.get(url).timeout(PATIENCE)).await?;
        Ok(list.questions)
    }

    /// A question with the end of its conversation.
    ///
    /// # Errors
    /// As [`Client::submit`]; also when nobody waits for an answer any more.
    pub async fn question(&self, id: &str) -> Result<InboxQuestion, Failure> {
        let url = self.address(&["v1", "inbox", id])?;
        self.read(self.http.get(url).timeout(PATIENCE)).await
    }

    /// Answers a question.
    ///
    /// # Errors
    /// As [`Client::question`]; also when somebody else was quicker, with what they said.
    pub async fn answer_question(
        &self,
        id: &str,
        answer: &NewInboxAnswer,
    ) -> Result<InboxQuestion, Failure> {
        self.close(id, "answer", answer).await
    }

    /// Declines to answer a question.
    ///
    /// # Errors
    /// As [`Client::answer_question`].
    pub async fn decline_question(
        &self,
        id: &str,
        refusal: &NewInboxRefusal,
    ) -> Result<InboxQuestion, Failure> {
        self.close(id, "decline", refusal).await
    }

    async fn close(
        &self,
        id: &str,
        how: &str,
        said: &(impl Serialize + Sync),
    ) -> Result<InboxQuestion, Failure> {
        let url = self.address(&["v1", "inbox", id, how])?;
        self.read(self.http.post(url).json(said).timeout(PATIENCE))
            .await
    }
}
