//! Hostile arguments: each is answered or refused in time, and never breaks the calculator.

use anyhow::Result;
use proptest::prelude::{ProptestConfig, any, prop, prop_assert, proptest};
use proptest::test_runner::TestCaseError;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{SOON, answer, ask, refused, run};

#[tokio::test]
async fn what_would_grow_without_bound_is_refused_at_once() -> Result<()> {
    let nested = format!("{}x{} = 1", "(".repeat(400), ")".repeat(400));
    let many: Vec<String> = (0..17).map(|index| format!("v{index}")).collect();
    for (arguments, word) in [
        (json!({"equations": ["9^9^9^9 x = 1"]}), "too large"),
        (json!({"equations": ["x^(9^9^9) = 1"]}), "too large"),
        (
            json!({"equations": ["x^99999999999999999999 = 1"]}),
            "above 32",
        ),
        (json!({"equations": ["((x+1)^9)^9 = 1"]}), "above 32"),
        (json!({"equations": ["(a+b+c+d+f+g+h+k)^16 = 1"]}), "terms"),
        (json!({"equations": ["1e999999999 x = 1"]}), "too large"),
        (json!({"equations": ["(10^9)! x = 1"]}), "too large"),
        (json!({"equations": ["x = 3!!!!!!"]}), "too large"),
        (json!({"equations": [nested]}), "deeper"),
        (
            json!({"equations": [format!("{}x = 1", "-+".repeat(600))]}),
            "bytes",
        ),
        (json!({"equations": vec!["x = 1"; 33]}), "1 to 32"),
        (
            json!({"equations": [format!("{} = 1", many.join(" + "))]}),
            "at most 16",
        ),
        (json!({"expression": "gcd(9^9^9, 2)"}), "too large"),
        (json!({"expression": "binomial(10^9, 5*10^8)"}), "too large"),
        (json!({"expression": "modpow(2, 9^9^9, 7)"}), "too large"),
        (json!({"data": ["1e999999999"]}), "no number"),
        (json!({"data": vec![1; 100_001]}), "1 to 100000"),
    ] {
        let begun = Instant::now();
        let error = refused(&arguments).await?.to_string();
        assert!(error.contains(word), "{error}");
        assert!(error.len() < 2000, "{error}");
        assert!(begun.elapsed() < SOON, "{:?} for {error}", begun.elapsed());
    }
    Ok(())
}

/// A semiprime of two primes near 2^100, roots that are far apart, denominators that share nothing:
/// the work runs out, or the call's time.
#[tokio::test]
async fn what_takes_for_ever_ends() -> Result<()> {
    let primes: Vec<u32> = (2_u32..60_000)
        .filter(|n| (2..).take_while(|d| d * d <= *n).all(|d| n % d != 0))
        .collect();
    let data: Vec<String> = primes.iter().map(|prime| format!("1/{prime}")).collect();
    for arguments in [
        json!({"expression": "factor((2^100 + 277) * (2^101 + 81))"}),
        json!({"equations": ["10^9000 x^32 = x^31 + 7^9000 x + 1"]}),
        json!({"data": data}),
        json!({"data": vec!["1e-1000"; 100_000]}),
    ] {
        // The end of the call's time is an end too.
        if let Ok(Ok(told)) = ask(&arguments).await {
            assert!(!told.is_null());
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_largest_allowed_is_answered() -> Result<()> {
    let data: Vec<u32> = (0..100_000).collect();
    let told = answer(&json!({"data": data, "statistics": ["mean", "median"]})).await?;
    // Of 0 to n - 1: (n - 1) / 2.
    assert_eq!(told["result"]["mean"]["decimal"], "49999.5");
    assert_eq!(told["result"]["median"]["decimal"], "49999.5");
    let names: Vec<String> = (0..16).map(|index| format!("v{index}")).collect();
    // Hilbert's matrix, and the row sums as the other side: every unknown is 1.
    let equations: Vec<String> = (0..16)
        .map(|row| {
            let terms = names.iter().enumerate();
            let left: Vec<String> = terms
                .map(|(at, name)| format!("(1/{})*{name}", row + at + 1))
                .collect();
            let right: Vec<String> = (0..16).map(|at| format!("1/{}", row + at + 1)).collect();
            format!("{} = {}", left.join(" + "), right.join(" + "))
        })
        .collect();
    let told = answer(&json!({"equations": equations, "unknowns": names})).await?;
    for name in &names {
        assert_eq!(told["solutions"][0][name], json!({"exact": "1"}), "{name}");
    }
    Ok(())
}

fn check(arguments: &Value) -> Result<(), TestCaseError> {
    let outcome = run(async { Ok(ask(arguments).await) })?;
    // The end of the call's time is none of the calculator's breaking.
    if let Ok(Err(error)) = outcome {
        prop_assert!(
            !error.to_string().contains("broke"),
            "{}: {}",
            arguments,
            error
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn any_equations_are_answered_or_refused(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "1", "23", "0.5", "(", ")", "+", "-", "*", "/", "^", "!", ",", " ", "x", "y", "e", "=",
                "sqrt(", "gcd(", "sin(", "pi", "²", "x^2", " = ", "3x", "x = 1", "1e9",
            ]),
            0..30,
        ),
        ranged in any::<bool>(),
    ) {
        let mut arguments = json!({"equations": [parts.concat(), "x = 1"]});
        if ranged {
            arguments = json!({"equations": [parts.concat()], "range": [-3, 5.5]});
        }
        check(&arguments)?;
    }

    #[test]
    fn any_text_is_answered_or_refused(text in ".{0,80}") {
        for arguments in [
            json!({"equations": [text, format!("{text} = x")], "unknowns": ["x", text]}),
            json!({"equations": [format!("{text} = x")]}),
            json!({"expression": format!("gcd({text})")}),
            json!({"data": [text], "statistics": [text], "quantiles": [text]}),
            json!({"data": [1], "y": [text], "statistics": [text]}),
        ] {
            check(&arguments)?;
        }
    }
}
