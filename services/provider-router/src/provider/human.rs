//! The kind `human`: a person answers, through the table `inbox` of the bus.
//!
//! A question is an entry of that table under the id of its command, which is the same however
//! often the command is carried out: a replica that takes a command over, or a process that comes
//! back, goes on waiting for the entry that a person may be looking at.

pub mod entry;
mod step;
pub mod table;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nexus_contracts::Extra;
use nexus_contracts::chat::{ChatMessage, FinishReason, Role, Usage};
use serde_json::json;
use tokio::time::timeout;

use super::{
    ChatRequest, DeltaSink, EmbedRequest, Embedded, FailureClass, Provider, ProviderFailure,
    ProviderType, Reach, Setup,
};
use crate::assembler::{Answer, excerpt};

pub use entry::{Closed, HumanAnswer, InboxEntry, Line};
use waiting::Waiting;

/// What stands where others name a model.
pub const MODEL: &str = "a-person";

/// `type: human`.
pub const TYPE: ProviderType = ProviderType {
    name: "human",
    demo: false,
    // Whoever runs Nexus says who may look into its inbox.
    local: true,
    default_model: MODEL,
    embedding_model: None,
    base_url: None,
    api_key_env: None,
    build,
};

struct Human {
    name: String,
    /// How long a person has.
    total: Duration,
    reach: Option<Reach>,
}

fn build(setup: &Setup<'_>) -> Result<Arc<dyn Provider>, ProviderFailure> {
    let settings = setup.settings;
    let model = settings.model.as_deref();
    let foreign = [
        ("base_url", settings.base_url.is_some()),
        ("api_key_env", settings.api_key_env.is_some()),
        ("proxy", settings.proxy.is_some()),
        ("headers", !settings.headers.is_empty()),
        ("model", model.is_some_and(|model| model != MODEL)),
        ("models", !settings.models.is_empty()),
        ("delay_ms_per_token", settings.delay_ms_per_token > 0),
    ];
    if let Some((key, _)) = foreign.iter().find(|(_, set)| *set) {
        let detail = format!(
            "`{key}` means nothing to the type `human`: a person answers, through `nexus inbox`"
        );
        return Err(ProviderFailure::new(FailureClass::BadRequest, detail));
    }
    Ok(Arc::new(Human {
        name: setup.name.to_owned(),
        total: settings.timeouts.total,
        reach: setup.reach.cloned(),
    }))
}

impl Human {
    fn failure(&self, class: FailureClass, what: impl std::fmt::Display) -> ProviderFailure {
        ProviderFailure::new(class, format!("{}: {what}", self.name))
    }

    /// Final: whoever did not answer in all this time is not asked again at once.
    fn nobody(&self) -> ProviderFailure {
        let total = self.total;
        let what = format!("nobody answered within {total:?}; see `timeouts.total`");
        self.failure(FailureClass::DeadlineExceeded, what)
    }

    /// Whether a person can be asked this at all.
    fn check(&self, request: &ChatRequest) -> Result<(), ProviderFailure> {
        if request.model != MODEL {
            let (name, model) = (&self.name, excerpt(&request.model));
            let detail = format!("{name} has no model `{model}`, only `{MODEL}`");
            return Err(ProviderFailure::new(FailureClass::UnknownModel, detail));
        }
        if request.is_shaped() {
            let what = "a person answers in words, and `response_format` asks for a shape";
            return Err(self.failure(FailureClass::Unsupported, what));
        }
        Ok(())
    }
}

#[async_trait]
impl Provider for Human {
    async fn chat(
        &self,
        request: &ChatRequest,
        sink: &mut dyn DeltaSink,
    ) -> Result<Answer, ProviderFailure> {
        self.check(request)?;
        let Some(reach) = &self.reach else {
            let what = "a person is asked through a running node; start one with `nexus up`";
            return Err(self.failure(FailureClass::Unreachable, what));
        };
        let waiter = reach.clock.new_id().to_string();
        let now = reach.clock.now();
        let entry = InboxEntry::asking(&self.name, request, waiter, now, self.total);
        let entry = entry.ok_or_else(|| {
            let what = "the command belongs to no organisation, so nobody could see the question";
            self.failure(FailureClass::BadRequest, what)
        })?;
        let mut waiting = Waiting::new(reach, entry);
        let closed = match timeout(self.total, waiting.closed()).await {
            Ok(closed) => closed,
            Err(_elapsed) => waiting.withdraw().await.ok_or_else(|| self.nobody())?,
        };
        match closed {
            Closed::Answered(answer) => {
                if !answer.text.is_empty() {
                    sink.delta(&answer.text).await;
                }
                Ok(answered(answer))
            }
            Closed::Declined(why) => {
                let what = format!("a person declined to answer: {}", excerpt(&why));
                Err(self.failure(FailureClass::BadRequest, what))
            }
            Closed::Erased => {
                let what = "the conversation was deleted while the question waited";
                Err(self.failure(FailureClass::Cancelled, what))
            }
        }
    }

    async fn embed(&self, _: &EmbedRequest) -> Result<Embedded, ProviderFailure> {
        let what = "a person answers in words, and turns no texts into vectors";
        Err(self.failure(FailureClass::Unsupported, what))
    }

    async fn probe(&self) -> Result<String, ProviderFailure> {
        let Some(reach) = &self.reach else {
            let found = "a person answers, through a running node; `nexus inbox` shows what waits";
            return Ok(found.to_owned());
        };
        let waiting = table::waiting(&reach.bus, reach.clock.now()).await;
        let waiting = waiting.map_err(|error| self.failure(FailureClass::Unreachable, error))?;
        let ours = waiting.iter().filter(|one| one.provider == self.name);
        let count = ours.count();
        Ok(format!(
            "a person answers; `nexus inbox` shows what waits: {count}"
        ))
    }
}

/// What a person wrote, as an answer like any other.
fn answered(answer: HumanAnswer) -> Answer {
    let mut metadata = Extra::new();
    if let Some(by) = answer.by {
        metadata.insert("human".to_owned(), json!({ "by": by }));
    }
    Answer {
        message: ChatMessage::text(Role::Assistant, answer.text),
        finish_reason: FinishReason::Stop,
        usage: Usage::default(),
        model: Some(MODEL.to_owned()),
        metadata,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nexus_contracts::Timestamp;
    use nexus_contracts::chat::{ChatMessage, Role};
    use nexus_contracts::events::ModelParameters;
    use serde_json::json;

    use super::super::{
        ChatRequest, EmbedRequest, FailureClass, Nobody, Origin, Provider, ProviderFailure, Setup,
    };
    use super::{HumanAnswer, MODEL, answered};
    use crate::registry::file::ProvidersFile;

    fn built(settings: &str) -> Result<Arc<dyn Provider>, ProviderFailure> {
        let yaml = format!("providers: {{people: {{type: human{settings}}}}}");
        let file = ProvidersFile::parse(&yaml, "providers.yaml").unwrap();
        let settings = &file.providers["people"];
        (settings.kind.0.build)(&Setup {
            name: "people",
            settings,
            api_keys: Vec::new(),
            reach: None,
        })
    }

    fn request() -> ChatRequest {
        ChatRequest {
            id: "c1".to_owned(),
            model: MODEL.to_owned(),
            messages: vec![ChatMessage::text(Role::User, "Hi")],
            tools: Vec::new(),
            parameters: ModelParameters::default(),
            origin: Origin::default(),
        }
    }

    #[test]
    fn settings_that_mean_nothing_are_refused() {
        for (settings, key) in [
            (", base_url: 'http://x'", "base_url"),
            (", api_key_env: X", "api_key_env"),
            (", proxy: 'http://x'", "proxy"),
            (", headers: {a: b}", "headers"),
            (", model: gpt", "`model`"),
            (", models: [gpt]", "`models`"),
            (", delay_ms_per_token: 1", "delay_ms_per_token"),
        ] {
            let failure = built(settings).err().unwrap();
            assert_eq!(failure.class, FailureClass::BadRequest, "{settings}");
            assert!(failure.detail.contains(key), "{failure}");
        }
        for settings in ["", ", model: a-person", ", timeouts: {total: 2h}"] {
            assert!(built(settings).is_ok(), "{settings}");
        }
    }

    #[tokio::test]
    async fn what_no_person_can_answer_is_refused() {
        let person = built("").unwrap();
        let mut other = request();
        other.model = "gpt".to_owned();
        let mut shaped = request();
        let json = json!({ "type": "json_object" });
        let extra = &mut shaped.parameters.extra;
        extra.insert("response_format".to_owned(), json);
        for (request, class, word) in [
            (other, FailureClass::UnknownModel, MODEL),
            (shaped, FailureClass::Unsupported, "response_format"),
            (request(), FailureClass::Unreachable, "running node"),
        ] {
            let failure = person.chat(&request, &mut Nobody).await.unwrap_err();
            assert_eq!(failure.class, class, "{failure}");
            assert!(failure.detail.contains(word), "{failure}");
        }
        assert!(person.probe().await.unwrap().contains("running node"));
        let texts = EmbedRequest {
            id: "c1".to_owned(),
            model: MODEL.to_owned(),
            input: vec!["Hi".to_owned()],
            dimensions: None,
            origin: Origin::default(),
        };
        let failure = person.embed(&texts).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Unsupported);
        assert!(failure.detail.contains("people: a person"), "{failure}");
    }

    #[test]
    fn an_answer_says_who_gave_it_where_that_is_known() {
        let said = |by: Option<&str>| {
            answered(HumanAnswer {
                text: "Yes".to_owned(),
                by: by.map(str::to_owned),
                at: Timestamp::from_millis(1),
            })
        };
        assert_eq!(said(Some("Ann")).metadata["human"], json!({ "by": "Ann" }));
        assert!(said(None).metadata.is_empty());
        assert_eq!(said(None).model.as_deref(), Some(MODEL));
        assert_eq!(said(None).message.content, "Yes");
    }
}
