//! Functions of integers.

use anyhow::Result;
use proptest::prelude::{any, prop_assert_eq, proptest};
use serde_json::json;

use super::{refused, result, run};

#[tokio::test]
async fn integers_have_their_known_values() -> Result<()> {
    for (expression, value) in [
        ("gcd(12, 18)", "6"),
        ("gcd(12,180)", "12"),
        ("gcd(0, 5, 10)", "5"),
        ("lcm(4, 6, 10)", "60"),
        ("2*gcd(12, 18) + 1/4", "12.25"),
        ("gcd(12, 18)/9", "2/3"),
        ("binomial(52, 5)", "2598960"),
        ("choose(5, 2) =", "10"),
        ("nCr(5, 7)", "0"),
        ("permutations(10, 3)", "720"),
        ("5 choose 2", "10"),
        // Fermat's little theorem.
        ("modpow(3, 10^9 + 6, 10^9 + 7)", "1"),
        ("modpow(2, -1, 7)", "4"),
        ("modinv(3, 11)", "4"),
        ("factor(360)", "2^3 * 3^2 * 5"),
        // The fifth Fermat number (Euler, 1732).
        ("factor(2^32 + 1)", "641 * 6700417"),
        // 2^59 - 1 (Landry, 1869).
        ("factor(2^59 - 1)", "179951 * 3203431780337"),
        // Two primes of 31 bits, beyond trial division.
        ("factor(2147483647 * 2147483629)", "2147483629 * 2147483647"),
        ("is_prime(97)", "true"),
        ("is_prime(1)", "false"),
        // A Carmichael number, and a strong pseudoprime to the bases up to 31 (Jaeschke, 1993).
        ("is_prime(561)", "false"),
        ("is_prime(3825123056546413051)", "false"),
        ("is_prime(2^61 - 1)", "true"),
        (
            "is_prime(2^127 - 1)",
            "true (probably: it passes the Miller-Rabin test with 40 bases)",
        ),
    ] {
        assert_eq!(
            result(&json!({"expression": expression})).await?,
            value,
            "{expression}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn what_is_not_defined_is_refused_in_words() -> Result<()> {
    for (expression, word) in [
        ("gcd(12)", "two or more"),
        ("gcd(1,000, 250)", "spaces"),
        ("gcd(1/2, 3)", "integers"),
        ("is_prime(1,009)", "comma"),
        ("factor(0)", "above 1"),
        ("factor(2^2000)", "bits"),
        ("binomial(-1, 2)", "negative"),
        ("modinv(2, 4)", "no inverse"),
        ("modpow(2, 3, 0)", "positive"),
        ("gcd(2, 4) * x", "not known"),
        ("1 + factor(12)", "stands alone"),
        ("gcd(2 km, 4)", "not known"),
    ] {
        let error = refused(&json!({"expression": expression}))
            .await?
            .to_string();
        assert!(error.contains(word), "{expression}: {error}");
    }
    Ok(())
}

proptest! {
    #[test]
    fn factors_are_prime_and_multiply_to_the_number(number in any::<u32>()) {
        let number = u64::from(number) + 2;
        let text = run(result(&json!({"expression": format!("factor({number})")})))?;
        let mut product = 1_u64;
        for part in text.split(" * ") {
            let (prime, power) = part.split_once('^').unwrap_or((part, "1"));
            let (prime, power): (u64, u32) = (prime.parse()?, power.parse()?);
            let divisors = (2..).take_while(|divisor| divisor * divisor <= prime);
            prop_assert_eq!(divisors.filter(|divisor| prime % divisor == 0).count(), 0);
            product *= prime.pow(power);
        }
        prop_assert_eq!(product, number);
    }
}
