//! Statistics with known values, and random lists against the definitions.

use anyhow::Result;
use num_bigint::BigInt;
use num_rational::BigRational;
use proptest::prelude::{ProptestConfig, prop, prop_assert, prop_assert_eq, proptest};
use serde_json::{Value, json};

use super::{answer, refused, run};

#[tokio::test]
async fn statistics_are_exact() -> Result<()> {
    // The list that explains the standard deviation in many textbooks: mean 5, deviation 2.
    let data = json!([2, 4, 4, 4, 5, 5, 7, 9]);
    let told = answer(&json!({"data": data})).await?["result"].clone();
    for (name, value) in [
        ("count", json!(8)),
        ("sum", json!({"exact": "40"})),
        ("mean", json!({"exact": "5"})),
        ("median", json!({"exact": "9/2", "decimal": "4.5"})),
        ("mode", json!({"values": [{"exact": "4"}], "times": 3})),
        ("min", json!({"exact": "2"})),
        ("max", json!({"exact": "9"})),
        ("range", json!({"exact": "7"})),
    ] {
        assert_eq!(told[name], value, "{name}");
    }
    assert_eq!(told["variance"]["population"], json!({"exact": "4"}));
    assert_eq!(told["variance"]["sample"]["exact"], "32/7");
    assert_eq!(told["stdev"]["population"], json!({"exact": "2"}));
    assert_eq!(
        told["stdev"]["sample"],
        json!({"exact": "sqrt(32/7)", "approx": "2.1380899352994"})
    );
    assert!(
        told["quantiles"]["method"]
            .as_str()
            .is_some_and(|text| text.contains("type 7"))
    );
    assert!(told.get("regression").is_none());
    Ok(())
}

#[tokio::test]
async fn numbers_are_read_as_they_were_written() -> Result<()> {
    for (data, sum) in [
        (
            json!([0.1, 0.2]),
            json!({"exact": "3/10", "decimal": "0.3"}),
        ),
        (
            json!(["1/3", "1/6"]),
            json!({"exact": "1/2", "decimal": "0.5"}),
        ),
        (json!(["1e20", 1, -1e20]), json!({"exact": "1"})),
        (
            json!(["1e-25"]),
            json!({"exact": "1/10000000000000000000000000", "approx": "1e-25"}),
        ),
        (
            json!(["123456789012345678901", "1"]),
            json!({"exact": "123456789012345678902", "approx": "1.23456789012346e20"}),
        ),
    ] {
        let told = answer(&json!({"data": data, "statistics": ["sum"]})).await?;
        assert_eq!(told["result"], json!({"sum": sum}), "{data}");
    }
    let told = answer(&json!({"data": [0.12345678901234567], "statistics": ["n"]})).await?;
    assert!(
        told["notes"][0]
            .as_str()
            .is_some_and(|note| note.contains("rounded"))
    );
    Ok(())
}

#[tokio::test]
async fn pairs_have_their_line() -> Result<()> {
    // Anscombe's first quartet (1973): y = 3 + 0.5 x nearly, r nearly 0.816.
    let x = json!([10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5]);
    let y = json!([
        8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68
    ]);
    let asked = json!(["correlation", "regression", "covariance"]);
    let told = answer(&json!({"data": x, "y": y, "statistics": asked})).await?["result"].clone();
    let near = |value: &Value, wanted: &str| {
        let text = value.get("decimal").or_else(|| value.get("approx"));
        text.and_then(Value::as_str)
            .is_some_and(|text| text.starts_with(wanted))
    };
    assert!(near(&told["correlation"], "0.81642051634"), "{told}");
    assert!(
        near(&told["regression"]["slope"], "0.50009090909"),
        "{told}"
    );
    assert!(
        near(&told["regression"]["intercept"], "3.00009090909"),
        "{told}"
    );
    assert!(
        near(&told["regression"]["r_squared"], "0.66654245950"),
        "{told}"
    );
    assert!(near(&told["covariance"]["sample"], "5.501"), "{told}");
    let line = json!({"data": [1, 2, 3], "y": [-2, -4, -6], "statistics": ["correlation"]});
    assert_eq!(
        answer(&line).await?["result"]["correlation"],
        json!({"exact": "-1"})
    );
    Ok(())
}

#[tokio::test]
async fn quantiles_name_their_place() -> Result<()> {
    let asked = json!({"data": [15, 20, 35, 40, 50], "statistics": ["quantiles"], "quantiles": [0.4, 0, 1]});
    let told = answer(&asked).await?["result"]["quantiles"]["values"].clone();
    assert_eq!(
        told,
        json!([
            {"at": "0.4", "exact": "29"}, {"at": "0", "exact": "15"}, {"at": "1", "exact": "50"}
        ])
    );
    Ok(())
}

#[tokio::test]
async fn what_is_not_defined_says_so() -> Result<()> {
    let told = answer(&json!({"data": [3], "y": [4]})).await?["result"].clone();
    assert_eq!(told["variance"]["population"], json!({"exact": "0"}));
    for value in [
        &told["variance"]["sample"],
        &told["stdev"]["sample"],
        &told["covariance"]["sample"],
        &told["correlation"],
        &told["regression"],
    ] {
        assert!(value["undefined"].is_string(), "{told}");
    }
    let asked = json!({"data": [1, 2], "statistics": ["mode"]});
    assert!(answer(&asked).await?["result"]["mode"]["undefined"].is_string());
    for (arguments, word) in [
        (json!({"data": []}), "1 to 100000"),
        (json!({"data": ["one"]}), "no number"),
        (json!({"data": ["1,5"]}), "no number"),
        (json!({"data": ["1/0"]}), "divides by zero"),
        (json!({"data": [1], "statistics": ["mood"]}), "no statistic"),
        (
            json!({"data": [1], "statistics": ["regression"]}),
            "needs `y`",
        ),
        (json!({"data": [1], "y": [1, 2]}), "paired"),
        (json!({"data": [1], "quantiles": [90]}), "between 0 and 1"),
        (json!({"data": [1], "unknowns": ["x"]}), "exactly one"),
    ] {
        let error = refused(&arguments).await?.to_string();
        assert!(error.contains(word), "{arguments}: {error}");
    }
    Ok(())
}

fn exact(value: &Value) -> Option<BigRational> {
    value["exact"].as_str()?.parse().ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn moments_and_order_follow_their_definitions(
        parts in prop::collection::vec((-1000_i64..1000, 1_i64..30), 2..40)
    ) {
        let number = |value: i64| BigRational::from(BigInt::from(value));
        let list: Vec<BigRational> =
            parts.iter().map(|(above, below)| BigRational::new((*above).into(), (*below).into())).collect();
        let texts: Vec<String> = list.iter().map(ToString::to_string).collect();
        let told = run(answer(&json!({"data": texts, "y": texts})))?["result"].clone();
        let count = number(i64::try_from(list.len()).unwrap_or(0));
        let mean = list.iter().sum::<BigRational>() / &count;
        let squares: BigRational = list.iter().map(|value| (value - &mean) * (value - &mean)).sum();
        prop_assert_eq!(exact(&told["mean"]), Some(mean));
        prop_assert_eq!(exact(&told["variance"]["population"]), Some(&squares / &count));
        let sample = squares / (&count - number(1));
        prop_assert_eq!(exact(&told["variance"]["sample"]), Some(sample.clone()));
        prop_assert_eq!(exact(&told["covariance"]["sample"]), Some(sample.clone()));
        let mut sorted = list;
        sorted.sort();
        let half = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[half].clone()
        } else {
            (&sorted[half - 1] + &sorted[half]) / number(2)
        };
        prop_assert_eq!(exact(&told["median"]), Some(median));
        if sorted.first() != sorted.last() {
            prop_assert_eq!(exact(&told["correlation"]), Some(number(1)));
            prop_assert_eq!(exact(&told["regression"]["slope"]), Some(number(1)));
            prop_assert_eq!(exact(&told["regression"]["intercept"]), Some(number(0)));
        }
        // The square of the rounded deviation is the variance, to its digits.
        let deviation = &told["stdev"]["sample"];
        let text = deviation.get("approx").or_else(|| deviation.get("decimal")).or_else(|| deviation.get("exact"));
        let rounded: f64 = text.and_then(Value::as_str).unwrap_or_default().parse().unwrap_or(f64::NAN);
        let variance = num_traits::ToPrimitive::to_f64(&sample).unwrap_or(f64::NAN);
        prop_assert!((rounded * rounded - variance).abs() <= 1e-12 * variance, "{} {}", deviation, variance);
    }
}
