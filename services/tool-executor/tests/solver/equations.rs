//! Equations with known solutions, and random ones that are built from theirs.

use std::collections::BTreeMap;

use anyhow::Result;
use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Zero};
use proptest::prelude::{
    ProptestConfig, Strategy, any, prop, prop_assert_eq, prop_assume, proptest,
};
use serde_json::{Value, json};

use super::{answer, refused, result, run};

#[tokio::test]
async fn polynomials_have_their_known_roots() -> Result<()> {
    for (equation, solution) in [
        ("2x + 3 = 7", "x = 2"),
        ("3x = 1", "x = 1/3"),
        ("x^2 - 5x + 6 = 0", "x = 2 or x = 3"),
        ("x² = 2", "x = -sqrt(2) or x = sqrt(2)"),
        // The golden ratio.
        ("x^2 = x + 1", "x = (1 - sqrt(5))/2 or x = (1 + sqrt(5))/2"),
        ("x^2 + 1 = 0", "x = -i or x = i"),
        ("x^2 + 2x + 5 = 0", "x = -1 - 2*i or x = -1 + 2*i"),
        ("4x^2 = 12", "x = -sqrt(3) or x = sqrt(3)"),
        (
            "x^2 + x + 1 = 0",
            "x = (-1 - sqrt(3)*i)/2 or x = (-1 + sqrt(3)*i)/2",
        ),
        ("(x - 1)^3 (x + 2) = 0", "x = -2 or x = 1"),
        ("6x^3 - 11x^2 + 6x - 1 = 0", "x = 1/3 or x = 0.5 or x = 1"),
        // Cube roots of unity times the real one: 2^(1/3) = 1.2599210498948732 (OEIS A002580).
        (
            "x^3 = 2",
            "x ≈ 1.25992104989487 or x ≈ -0.629960524947 + 1.09112363597*i or \
             x ≈ -0.629960524947 - 1.09112363597*i",
        ),
        (
            "x^4 = 4",
            "x ≈ -1.4142135623731 or x ≈ 1.4142135623731 or x ≈ 1.41421356237*i or x ≈ -1.41421356237*i",
        ),
        ("6/x = 3", "x = 2"),
        ("x^2/x = 0", "no solution"),
        ("1/x = 1/x", "every x for which both sides have a value"),
        ("x = x", "every x"),
        ("x = x + 1", "no solution"),
        ("(x^2 - 1)/(x - 1) = 0", "x = -1"),
        ("0.1x + 0.2 = 0.3", "x = 1"),
        ("sqrt(16) x = 2^10", "x = 256"),
        ("1,000 x = 5", "x = 0.005"),
        (
            "x^2 = 10^40",
            "x = -100000000000000000000 or x = 100000000000000000000",
        ),
    ] {
        assert_eq!(
            result(&json!({"equations": [equation]})).await?,
            solution,
            "{equation}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_solution_says_what_it_is() -> Result<()> {
    let told = answer(&json!({"equations": ["(x - 1)^2 (x^2 - 2) (x - 1/3) = 0"]})).await?;
    let root = |index: usize| told["solutions"][index].clone();
    assert_eq!(
        root(1),
        json!({"exact": "1/3", "approx": "0.333333333333333", "kind": "real"})
    );
    assert_eq!(
        root(2),
        json!({"exact": "1", "kind": "real", "multiplicity": 2})
    );
    assert_eq!(root(3)["exact"], "sqrt(2)");
    assert_eq!(root(3)["approx"], "1.4142135623731");
    // Wilkinson's polynomial: in doubles its roots are lost.
    let factors: Vec<String> = (1..=20).map(|root| format!("(x - {root})")).collect();
    let told = result(&json!({"equations": [format!("{} = 0", factors.concat())]})).await?;
    let roots: Vec<String> = (1..=20).map(|root| format!("x = {root}")).collect();
    assert_eq!(told, roots.join(" or "));
    // Two roots that lie 2e-21 apart are two, and real (Mignotte's kind of polynomial).
    let told = answer(&json!({"equations": ["x^5 = (1000000 x - 1)^2"]})).await?;
    let real = told["solutions"].as_array().into_iter().flatten();
    assert_eq!(real.filter(|root| root["kind"] == "real").count(), 3);
    Ok(())
}

#[tokio::test]
async fn linear_systems_are_solved_exactly() -> Result<()> {
    for (equations, unknowns, solution) in [
        (
            json!(["x + y = 3", "x - y = 1"]),
            json!(null),
            "x = 2, y = 1",
        ),
        (
            json!(["2x + 3y = 1", "x - y = 1/2"]),
            json!(["y", "x"]),
            "y = 0, x = 0.5",
        ),
        (
            json!(["x + y = 3", "2x + 2y = 7"]),
            json!(null),
            "no solution",
        ),
        (
            json!(["x + y = 3", "2x + 2y = 6"]),
            json!(null),
            "infinitely many: x = 3 - y; y free",
        ),
        (
            json!(["a + b + c = 6", "a - b = 1/3"]),
            json!(["a", "b", "c"]),
            "infinitely many: a = 19/6 - 0.5*c; b = 17/6 - 0.5*c; c free",
        ),
        (json!(["x/y = 2", "x + y = 3"]), json!(null), "x = 2, y = 1"),
        (json!(["x/y = 2", "x = 0*y"]), json!(null), "no solution"),
        (json!(["x = 1", "x = 2"]), json!(null), "no solution"),
        (json!(["x^2 = 1", "x^3 = 1"]), json!(null), "x = 1"),
        (
            json!(["(x+1)(y+2) = xy + 5", "x = y"]),
            json!(["x", "y"]),
            "x = 1, y = 1",
        ),
        (
            json!(["price + tax = 119", "tax = 19% price"]),
            json!(null),
            "",
        ),
    ] {
        let mut arguments = json!({"equations": equations});
        if !unknowns.is_null() {
            arguments["unknowns"] = unknowns;
        }
        if solution.is_empty() {
            assert!(
                refused(&arguments)
                    .await?
                    .to_string()
                    .contains("not understood")
            );
            continue;
        }
        assert_eq!(result(&arguments).await?, solution, "{arguments}");
    }
    Ok(())
}

#[tokio::test]
async fn other_equations_are_searched_within_a_range() -> Result<()> {
    for (equation, range, solution) in [
        // The Dottie number (OEIS A003957).
        ("cos(x) = x", json!([0, 1]), "x ≈ 0.739085133215"),
        ("exp(x) = 5", json!([-10, 10]), "x ≈ 1.60943791243"),
        ("tan(x) = 1", json!([0, 3]), "x ≈ 0.785398163397"),
        (
            "sin(x) = 0",
            json!(["0.5", "7"]),
            "x ≈ 3.14159265359 or x ≈ 6.28318530718",
        ),
        (
            "1/sin(x) = 0",
            json!([-1, 1]),
            "no solution found in `range`",
        ),
        (
            "floor(x) = 1/2",
            json!([-3, 3]),
            "no solution found in `range`",
        ),
        ("2 pi x = 1", json!([0, 1]), "x ≈ 0.159154943092"),
        ("2^x = 8", json!([0, 10]), "x ≈ 3"),
        ("x! = 120", json!([0, 4000]), "x ≈ 5"),
        // A polynomial is solved exactly, within a range too.
        ("x^2 = 4", json!([0, 10]), "x = 2"),
        ("x^2 = 4", json!([3, 10]), "no solution"),
    ] {
        let arguments = json!({"equations": [equation], "range": range});
        assert_eq!(result(&arguments).await?, solution, "{equation}");
    }
    let told = answer(&json!({"equations": ["cos(x) = x"], "range": [0, 1]})).await?;
    assert!(
        told["notes"][0]
            .as_str()
            .is_some_and(|note| note.contains("approximate"))
    );
    assert_eq!(
        told["solutions"],
        json!([{"approx": "0.739085133215", "kind": "real"}])
    );
    Ok(())
}

#[tokio::test]
async fn what_is_not_solved_is_refused_in_words() -> Result<()> {
    for (arguments, word) in [
        (json!({"equations": []}), "1 to 32"),
        (json!({"equations": ["2x + 3"]}), "one `=`"),
        (json!({"equations": ["x < 3"]}), "one `=`"),
        (json!({"equations": ["x <= 3"]}), "not understood"),
        (json!({"equations": ["1 = 1"]}), "no unknown"),
        (json!({"equations": ["cos(x) = x"]}), "give a `range`"),
        (
            json!({"equations": ["cos(x) = x"], "range": [1]}),
            "two numbers",
        ),
        (
            json!({"equations": ["cos(x) = x"], "range": [2, 1]}),
            "smaller one first",
        ),
        (
            json!({"equations": ["ln(x) = 1"], "range": [-2, -1]}),
            "no value",
        ),
        (
            json!({"equations": ["x^2 + y^2 = 1", "x = y"]}),
            "only linear",
        ),
        (
            json!({"equations": ["x + pi y = 1", "x = y"]}),
            "several unknowns",
        ),
        (
            json!({"equations": ["xy = 1", "x = 2"]}),
            "list all `unknowns`",
        ),
        (
            json!({"equations": ["x = 1"], "unknowns": ["x", "x"]}),
            "twice",
        ),
        (
            json!({"equations": ["x = 1"], "unknowns": ["2"]}),
            "no name",
        ),
        (
            json!({"equations": ["x = 1"], "expression": "1"}),
            "exactly one",
        ),
        (json!({"expression": "1", "range": [0, 1]}), "exactly one"),
        (json!({"equations": ["x = 2i"]}), "imaginary"),
        (json!({"equations": ["1/0 = x"]}), "division by zero"),
    ] {
        let error = refused(&arguments).await?.to_string();
        assert!(error.contains(word), "{arguments}: {error}");
    }
    Ok(())
}

fn fraction() -> impl Strategy<Value = BigRational> {
    (-30_i64..=30, 1_i64..=12)
        .prop_map(|(above, below)| BigRational::new(above.into(), below.into()))
}

/// The exact value of one solution.
fn exact(value: &Value) -> Option<BigRational> {
    value["exact"].as_str()?.parse().ok()
}

/// Coefficients of the product of `x - root`, from the constant up.
fn product(roots: &[BigRational]) -> Vec<BigRational> {
    let mut coefficients = vec![BigRational::one()];
    for root in roots {
        let zero = || std::iter::once(BigRational::zero());
        let shifted = zero().chain(coefficients.iter().cloned());
        let scaled = coefficients.iter().map(|value| value * root).chain(zero());
        let next = shifted.zip(scaled).map(|(high, low)| high - low).collect();
        coefficients = next;
    }
    coefficients
}

fn polynomial(coefficients: &[BigRational]) -> String {
    let terms = coefficients.iter().enumerate();
    let terms: Vec<String> = terms
        .map(|(power, value)| format!("({value})*x^{power}"))
        .collect();
    terms.join(" + ")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_polynomial_gives_back_the_roots_it_was_built_from(
        roots in prop::collection::vec(fraction(), 1..8),
        scale in fraction(),
        offset in 1_u32..50,
    ) {
        prop_assume!(!scale.is_zero());
        // Times x^2 + offset, whose roots are not real.
        let mut coefficients = product(&roots);
        let mut shifted = vec![BigRational::zero(); 2];
        shifted.extend(coefficients.iter().cloned());
        coefficients.extend([BigRational::zero(), BigRational::zero()]);
        let offset = BigRational::from(BigInt::from(offset));
        let all: Vec<BigRational> = coefficients
            .iter()
            .zip(&shifted)
            .map(|(low, high)| (low * &offset + high) * &scale)
            .collect();
        let told = run(answer(&json!({"equations": [format!("{} = 0", polynomial(&all))]})))?;
        let mut expected: BTreeMap<BigRational, u64> = BTreeMap::new();
        for root in roots {
            *expected.entry(root).or_default() += 1;
        }
        let solutions = told["solutions"].as_array().cloned().unwrap_or_default();
        let real = solutions.iter().filter(|root| root["kind"] == "real");
        let found: BTreeMap<BigRational, u64> = real
            .filter_map(|root| Some((exact(root)?, root["multiplicity"].as_u64().unwrap_or(1))))
            .collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(solutions.iter().filter(|root| root["kind"] == "complex").count(), 2);
    }

    #[test]
    fn a_linear_system_gives_back_the_values_it_was_built_from(
        values in prop::collection::vec(fraction(), 2..6),
        noise in prop::collection::vec(fraction(), 36),
    ) {
        let count = values.len();
        let names: Vec<String> = (0..count).map(|index| format!("u{index}")).collect();
        let mut equations = Vec::new();
        for row in 0..count {
            // A diagonal that outweighs the rest of its row: there is exactly one solution.
            let heavy = BigRational::from(BigInt::from(200 + row));
            let factors: Vec<BigRational> = (0..count)
                .map(|column| if row == column { heavy.clone() } else { noise[row * 6 + column].clone() })
                .collect();
            let total: BigRational = factors.iter().zip(&values).map(|(a, b)| a * b).sum();
            let terms = factors.iter().zip(&names);
            let terms: Vec<String> = terms.map(|(factor, name)| format!("({factor})*{name}")).collect();
            equations.push(format!("{} = {total}", terms.join(" + ")));
        }
        let told = run(answer(&json!({"equations": equations, "unknowns": names})))?;
        for (name, value) in names.iter().zip(&values) {
            prop_assert_eq!(exact(&told["solutions"][0][name]), Some(value.clone()));
        }
    }

    #[test]
    fn every_real_root_is_confined(
        coefficients in prop::collection::vec(-50_i32..50, 3..9),
        lead in any::<bool>(),
    ) {
        let mut exact: Vec<BigRational> =
            coefficients.iter().map(|value| BigRational::from(BigInt::from(*value))).collect();
        exact.push(BigRational::from(BigInt::from(if lead { 7 } else { -3 })));
        let told = run(answer(&json!({"equations": [format!("{} = 0", polynomial(&exact))]})))?;
        let count: u64 = told["solutions"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|root| root["multiplicity"].as_u64().unwrap_or(1))
            .sum();
        let missing = told["notes"][0].as_str().is_some_and(|note| note.contains("could not"));
        // The fundamental theorem of algebra.
        prop_assert_eq!(count == u64::try_from(coefficients.len()).unwrap_or(0), !missing);
    }
}
