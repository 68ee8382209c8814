//! What `math_solver` answers, and that hostile input does no harm.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nexus_contracts::{MessageId, OrgId, Timestamp, derive_id};
use nexus_tool_executor::tools::MathSolver;
use nexus_tool_executor::tools::math_solver::{MAX_DEPTH, MAX_EXPRESSION_BYTES};
use nexus_tool_executor::{AnyTool, Tool, ToolContext, ToolError};
use proptest::prelude::{ProptestConfig, prop, proptest};
use serde_json::{Value, json};
use tokio::time::Instant;

fn context() -> Result<ToolContext> {
    let org = OrgId(derive_id([b"org".as_slice()]));
    let now = Timestamp::from_millis(0);
    Ok(ToolContext::new(org, MessageId::new("call")?, now))
}

/// Asks as the executor does: with the tool's own time limit. `None`: it was reached.
async fn ask(expression: &str) -> Result<Option<Result<String, ToolError>>> {
    let (tool, ctx) = (MathSolver::new(), context()?);
    let arguments = json!({ "expression": expression }).to_string();
    let limit = MathSolver::TIMEOUT.context("the tool has a limit")?;
    let Ok(answer) = tokio::time::timeout(limit, tool.invoke(&arguments, &ctx)).await else {
        return Ok(None);
    };
    Ok(Some(match answer {
        Err(error) => Err(error),
        Ok(value) => {
            let told = |key: &str| {
                value
                    .value
                    .get(key)
                    .and_then(Value::as_str)
                    .map(str::to_owned)
            };
            assert_eq!(told("expression").as_deref(), Some(expression));
            Ok(told("result").context("the result is text")?)
        }
    }))
}

async fn refused(expression: &str) -> Result<ToolError> {
    match ask(expression).await? {
        Some(Err(error)) => Ok(error),
        other => bail!("`{expression}` was not refused: {other:?}"),
    }
}

#[tokio::test]
async fn results_are_exact_plain_text() -> Result<()> {
    for (expression, result) in [
        ("37 * 43", "1591"),
        ("37 * 43 =", "1591"),
        ("37 × 43", "1591"),
        ("3·4", "12"),
        ("1,000,000 / 8", "125000"),
        (
            "2^200",
            "1606938044258990275541962092341162602522202993782792835301376",
        ),
        ("0.1 + 0.2", "0.3"),
        ("(1/3 + 1/7) to fraction", "10/21"),
        ("1/3", "approx. 0.3333333333"),
        ("1/3 to 3 dp", "approx. 0.333"),
        ("25!/23!", "600"),
        ("5 km + 3 miles to m", "9828.032 m"),
        ("sin(30 degrees)", "0.5"),
        ("cos(60°)", "0.5"),
        ("30 °C to °F", "86 °F"),
        ("15% of 80", "12"),
        ("255 to hex", "ff"),
        ("sqrt(16)", "4"),
        ("a = 2; 5a", "10"),
    ] {
        assert_eq!(
            ask(expression).await?,
            Some(Ok(result.to_owned())),
            "{expression}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn what_would_be_misread_or_cannot_be_calculated_is_refused_in_words() -> Result<()> {
    for (expression, code, word) in [
        ("7,5 + 1", "bad_arguments", "comma"),
        ("mean(1,2)", "bad_arguments", "comma"),
        ("mean(1,200)", "bad_arguments", "comma"),
        ("sqrt((1,000))", "bad_arguments", "comma"),
        ("1,0000", "bad_arguments", "comma"),
        ("sin 30 degrees", "bad_arguments", "brackets"),
        ("1 << 10^12", "bad_arguments", "2^n"),
        ("(\\x. x x) (\\x. x x)", "bad_arguments", "functions"),
        ("f = x: f x; f 1", "bad_arguments", "functions"),
        ("f = (x => x x); f f", "bad_arguments", "functions"),
        ("100d100", "bad_arguments", "dice"),
        ("roll d6", "bad_arguments", "dice"),
        ("@2000-01-01 + 10^18 days", "bad_arguments", "dates"),
        (
            "'2000-01-01' to date + 10^12 days",
            "bad_arguments",
            "dates",
        ),
        ("", "bad_arguments", "empty"),
        ("  = ", "bad_arguments", "empty"),
        ("1\u{0}2", "bad_arguments", "control"),
        ("1/0", "failed", "division by zero"),
        ("What is 37 * 43", "failed", "without words"),
        ("100 USD to EUR", "failed", "exchange rates"),
        ("pi to 100000 dp", "failed", "smaller"),
    ] {
        let error = refused(expression).await?;
        assert_eq!(error.code(), code, "{expression}: {error}");
        assert!(error.to_string().contains(word), "{expression}: {error}");
    }
    Ok(())
}

#[tokio::test]
async fn size_and_depth_are_bounded() -> Result<()> {
    let deep = |depth: usize| format!("{}1{}", "1-(".repeat(depth), ")".repeat(depth));
    assert!(matches!(ask(&deep(MAX_DEPTH)).await?, Some(Ok(_))));
    assert!(
        refused(&deep(MAX_DEPTH + 1))
            .await?
            .to_string()
            .contains("nested")
    );
    assert!(
        refused(&"(".repeat(900))
            .await?
            .to_string()
            .contains("nested")
    );
    let long = format!("1{}", "+1".repeat(MAX_EXPRESSION_BYTES / 2));
    assert!(refused(&long).await?.to_string().contains("bytes"));
    Ok(())
}

#[tokio::test]
async fn what_takes_for_ever_is_stopped_with_the_call() -> Result<()> {
    let endless = [
        "10^10^10",
        "9^9^9",
        "(10^6)!",
        "1e1000000000",
        "10^7 choose 5*10^6",
    ];
    let begun = Instant::now();
    for ended in futures::future::join_all(endless.map(ask)).await {
        assert_eq!(ended?, None);
    }
    assert!(begun.elapsed() < Duration::from_secs(10));
    Ok(())
}

#[tokio::test]
async fn given_up_calculations_make_room_for_others() -> Result<()> {
    let (tool, ctx) = (Arc::new(MathSolver::new()), context()?);
    let endless = json!({ "expression": "10^10^10" }).to_string();
    // Far more than there are processors, all given up at once.
    let calls = (0..200).map(|_| tool.invoke(&endless, &ctx));
    let all = futures::future::join_all(calls);
    assert!(
        tokio::time::timeout(Duration::from_millis(100), all)
            .await
            .is_err()
    );
    let small = json!({ "expression": "6 * 7" }).to_string();
    let answer = tokio::time::timeout(Duration::from_secs(20), tool.invoke(&small, &ctx)).await??;
    assert_eq!(answer.value["result"], "42");
    Ok(())
}

/// Long chains of every operator: recursion stays within the thread's stack. A stack overflow
/// would end this process.
#[tokio::test]
async fn long_chains_end() -> Result<()> {
    let links = [
        "-", "1^", "1^-", "1+", "1/", "sin ", "a=", "1;", "1 to ", "not ", "1!", "%", "!",
    ];
    for link in links {
        let expression = link.repeat(MAX_EXPRESSION_BYTES / link.len() - 1) + "1";
        // Whatever it says, and be it nothing in time: it is here to say it.
        drop(ask(&expression).await?);
    }
    assert_eq!(ask("1 + 1").await?, Some(Ok("2".to_owned())));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_answered_or_refused(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "1", "23", "0.5", "(", ")", "+", "-", "*", "/", "^", "!", "%", ",", ",000", " ", "x",
                "kg", " to ", "sqrt", "pi", "=", ";", "\"", "'", "é", "°", "mod", "e", "0x", "#", ".",
            ]),
            0..40,
        )
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let expression = parts.concat();
        let outcome = runtime.block_on(ask(&expression));
        let outcome = outcome.map_err(|error| proptest::test_runner::TestCaseError::fail(error.to_string()))?;
        if let Some(Err(ToolError::Failed(reason))) = outcome {
            assert!(!reason.contains("broke"), "{expression}: {reason}");
        }
    }
}
