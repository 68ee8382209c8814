//! Answers with citations.

use nexus_web::search::{AnswerEngine, PerplexityAnswers, SearchLimits};
use serde_json::json;

use crate::searches::{base, client, engine, key, query};

async fn answered(
    body: serde_json::Value,
) -> Result<nexus_web::search::Answer, nexus_web::search::SearchError> {
    let (server, _) = engine(200, &[], body.to_string()).await;
    let client = client(SearchLimits::default());
    PerplexityAnswers::new(client, base(&server, "/"), key(), "sonar".into())
        .answer(&query())
        .await
}

#[tokio::test]
async fn an_answer_keeps_the_numbers_of_its_citations() {
    let body = json!({
        "id": "1", "model": "sonar", "object": "chat.completion",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "It rose [1][3]."}}],
        "citations": ["https://a.example/1", "not a url", "https://c.example/3"],
        "search_results": [
            {"title": "C", "url": "https://c.example/3", "date": "2026-11-20"},
            {"title": "A", "url": "https://a.example/1", "date": null}
        ],
        "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}
    });
    let (server, asked) = engine(200, &[], body.to_string()).await;
    let client = client(SearchLimits::default());
    let sonar = PerplexityAnswers::new(client, base(&server, "/"), key(), "sonar".into());
    let answer = sonar.answer(&query()).await.unwrap();
    assert_eq!(
        (answer.text.as_str(), answer.model.as_str()),
        ("It rose [1][3].", "sonar")
    );
    let cited: Vec<_> = answer
        .citations
        .iter()
        .map(|c| {
            (
                c.number,
                c.url.as_str(),
                c.title.as_deref(),
                c.date.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        cited,
        [
            (1, "https://a.example/1", Some("A"), None),
            (3, "https://c.example/3", Some("C"), Some("2026-11-20")),
        ]
    );
    let (path, _, sent) = asked.lock().take().unwrap();
    assert_eq!(path, "/chat/completions");
    assert_eq!(
        sent,
        json!({
            "model": "sonar", "stream": false, "messages": [{"role": "user", "content": "high water"}],
            "search_recency_filter": "week", "search_language_filter": ["en"],
            "web_search_options": {"user_location": {"country": "GB"}}
        })
    );
}

#[tokio::test]
async fn citations_may_come_as_search_results_alone() {
    let answer = answered(json!({
        "choices": [{"finish_reason": "length", "message": {"content": "x [1]"}}],
        "search_results": [{"title": "A", "url": "https://a.example/1"}]
    }))
    .await
    .unwrap();
    assert!(answer.truncated);
    assert_eq!(
        (
            answer.citations[0].number,
            answer.citations[0].title.as_deref()
        ),
        (1, Some("A"))
    );
}

#[tokio::test]
async fn an_answer_without_text_is_none() {
    for body in [
        json!({}),
        json!({"choices": []}),
        json!({"choices": [{"message": {"content": " "}}]}),
    ] {
        assert_eq!(answered(body).await.unwrap_err().code(), "bad_answer");
    }
}
