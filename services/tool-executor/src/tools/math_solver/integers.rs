//! Functions with exact results: of integers, and the few of fractions that give one.

use num_bigint::{BigInt, BigUint};
use num_integer::Integer;
use num_traits::{One, Signed, ToPrimitive, Zero};

use super::number::exact_root;
use super::work::{Halt, Rational, Work, too_large, unfit};

/// Largest number whose factorial is computed; 3,203 has 32,700 bits.
const MAX_FACTORIAL: u32 = 3203;
/// Largest number that is tested for being prime or taken apart, in bits.
const MAX_PRIME_BITS: u64 = 1024;
/// Divisors that are tried one after the other.
const TRIAL_DIVISORS: u32 = 1 << 16;
/// Steps of Pollard's method; factors up to about 2^40 are found within.
const RHO_STEPS: u32 = 1 << 21;
/// The first thirteen primes: as bases of the Miller-Rabin test they prove every number below
/// 3,317,044,064,679,887,385,961,981 (Sorenson and Webster, 2015). Above, the first forty are
/// used, and the answer says "probably".
const BASES: [u32; 40] = [
    2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167, 173,
];
const PROVEN_BELOW: u128 = 3_317_044_064_679_887_385_961_981;

/// The value of a function of numbers.
///
/// # Errors
/// [`Halt::Inexact`] where the value is no fraction.
pub(super) fn call(name: &str, arguments: &[Rational], work: &Work<'_>) -> Result<Rational, Halt> {
    let count = |wanted: &str| -> Result<Rational, Halt> {
        unfit(format!(
            "`{name}` has {} arguments, and takes {wanted}; a comma separates arguments",
            arguments.len()
        ))
    };
    let result = match (name, arguments) {
        ("gcd" | "lcm", [_, _, ..]) => return fold(name, arguments, work),
        ("gcd" | "lcm", _) => return count("two or more"),
        ("factorial", [n]) => factorial(&whole(n, name)?, work)?,
        ("choose" | "binomial" | "ncr", [n, k]) => {
            choose(&whole(n, name)?, &whole(k, name)?, work)?
        }
        ("permute" | "permutations" | "npr", [n, k]) => {
            falling(&whole(n, name)?, &whole(k, name)?, work)?
        }
        ("modpow", [base, power, modulus]) => modpow(base, power, modulus, work)?,
        ("modinv", [number, modulus]) => {
            modpow(number, &Rational::from_integer((-1).into()), modulus, work)?
        }
        ("choose" | "binomial" | "ncr" | "permute" | "permutations" | "npr" | "modinv", _) => {
            return count("two");
        }
        ("modpow", _) => return count("three"),
        ("factor" | "is_prime" | "isprime", _) => {
            return unfit(format!(
                "`{name}` stands alone: give the expression `{name}(…)` and nothing around it"
            ));
        }
        (_, [number]) => return real(name, number),
        _ => return count("one"),
    };
    Ok(result.into())
}

/// Functions of reals, where the value is exact.
fn real(name: &str, number: &Rational) -> Result<Rational, Halt> {
    let root = |degree| exact_root(number, degree);
    let value = match name {
        "abs" => Some(number.abs()),
        "floor" => Some(number.floor()),
        "ceil" => Some(number.ceil()),
        "round" => Some(number.round()),
        "sign" => Some(number.signum()),
        "sqrt" => root(2),
        "cbrt" => root(3),
        "exp" | "cos" | "cosh" if number.is_zero() => Some(Rational::one()),
        "sin" | "tan" | "asin" | "atan" | "sinh" | "tanh" if number.is_zero() => {
            Some(number.clone())
        }
        "ln" | "log2" | "log10" if number.is_one() => Some(Rational::zero()),
        _ => None,
    };
    value.ok_or_else(|| Halt::Inexact(format!("`{name}({number})` is no fraction")))
}

/// The integer an argument must be.
fn whole(number: &Rational, name: &str) -> Result<BigInt, Halt> {
    if number.is_integer() {
        return Ok(number.to_integer());
    }
    unfit(format!("`{name}` takes integers, and {number} is none"))
}

fn fold(name: &str, arguments: &[Rational], work: &Work<'_>) -> Result<Rational, Halt> {
    let mut result: Option<BigInt> = None;
    for argument in arguments {
        let next = whole(argument, name)?;
        let Some(so_far) = result else {
            result = Some(next.abs());
            continue;
        };
        let bits = so_far.bits() + next.bits();
        work.pay(64 * bits, bits)?;
        result = Some(if name == "gcd" {
            so_far.gcd(&next)
        } else {
            so_far.lcm(&next)
        });
    }
    Ok(result.unwrap_or_default().into())
}

/// A number of things: not negative, and small enough to be counted through.
fn amount(number: &BigInt, what: &str) -> Result<u32, Halt> {
    if number.is_negative() {
        return unfit(format!(
            "{what} of the negative number {number} is not defined"
        ));
    }
    number.to_u32().ok_or_else(too_large)
}

fn factorial(n: &BigInt, work: &Work<'_>) -> Result<BigInt, Halt> {
    let n = amount(n, "the factorial")?;
    if n > MAX_FACTORIAL {
        return Err(too_large());
    }
    falling(&n.into(), &n.into(), work)
}

/// `n * (n - 1) * …`, of `k` factors.
fn falling(n: &BigInt, k: &BigInt, work: &Work<'_>) -> Result<BigInt, Halt> {
    let (total, picked) = (amount(n, "a choice out")?, amount(k, "a choice")?);
    if picked > total {
        return Ok(BigInt::zero());
    }
    let mut product = BigInt::one();
    for factor in (total - picked + 1)..=total {
        product = work.times(&product, &factor.into())?;
    }
    Ok(product)
}

/// The number of ways to choose `k` of `n`.
fn choose(n: &BigInt, k: &BigInt, work: &Work<'_>) -> Result<BigInt, Halt> {
    let (total, picked) = (amount(n, "a choice out")?, amount(k, "a choice")?);
    if picked > total {
        return Ok(BigInt::zero());
    }
    let picked = picked.min(total - picked);
    let mut product = BigInt::one();
    for step in 0..picked {
        // After each step the product is itself a binomial coefficient, so the division is exact.
        product = work.times(&product, &(total - step).into())? / (step + 1);
    }
    Ok(product)
}

/// `base ^ power` modulo `modulus`; a negative power is one of the inverse.
fn modpow(
    base: &Rational,
    power: &Rational,
    modulus: &Rational,
    work: &Work<'_>,
) -> Result<BigInt, Halt> {
    let part = |number| whole(number, "modpow");
    let (base, power, modulus) = (part(base)?, part(power)?, part(modulus)?);
    if !modulus.is_positive() {
        return unfit("a modulus is positive");
    }
    let words = modulus.bits() / 64 + 1;
    let steps = power.bits() + 2 * modulus.bits();
    work.spend(steps.saturating_mul(2 * words * words))?;
    work.pay(base.bits(), modulus.bits())?;
    if !power.is_negative() {
        return Ok(base.mod_floor(&modulus).modpow(&power, &modulus));
    }
    let inverse = base.mod_floor(&modulus).modinv(&modulus).ok_or_else(|| {
        Halt::Failed(format!(
            "{base} has no inverse modulo {modulus}: they share a factor"
        ))
    })?;
    Ok(inverse.modpow(&-power, &modulus))
}

/// What is known of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Primality {
    Prime,
    ProbablyPrime,
    Composite,
}

fn testable(number: &Rational, name: &str) -> Result<BigUint, Halt> {
    let number = whole(number, name)?;
    if number.bits() > MAX_PRIME_BITS {
        return unfit(format!(
            "`{name}` takes numbers of up to {MAX_PRIME_BITS} bits"
        ));
    }
    number
        .to_biguint()
        .ok_or_else(|| Halt::Unfit(format!("`{name}` takes no negative number")))
}

/// Tests whether the number is prime.
pub(super) fn is_prime(number: &Rational, work: &Work<'_>) -> Result<Primality, Halt> {
    miller_rabin(&testable(number, "is_prime")?, work)
}

fn miller_rabin(number: &BigUint, work: &Work<'_>) -> Result<Primality, Halt> {
    let one = BigUint::one();
    if *number <= one {
        return Ok(Primality::Composite);
    }
    let below = number - &one;
    let twos = below.trailing_zeros().unwrap_or(0);
    let odd = &below >> twos;
    let proven = *number < BigUint::from(PROVEN_BELOW);
    let words = number.bits() / 64 + 1;
    for base in BASES.iter().take(if proven { 13 } else { 40 }) {
        let base = BigUint::from(*base);
        if (number % &base).is_zero() {
            let prime = *number == base;
            return Ok(if prime {
                Primality::Prime
            } else {
                Primality::Composite
            });
        }
        work.spend(number.bits() * 4 * words * words)?;
        let mut power = base.modpow(&odd, number);
        if power == one || power == below {
            continue;
        }
        let mut witness = true;
        for _ in 1..twos {
            power = &power * &power % number;
            if power == below {
                witness = false;
                break;
            }
        }
        if witness {
            return Ok(Primality::Composite);
        }
    }
    Ok(if proven {
        Primality::Prime
    } else {
        Primality::ProbablyPrime
    })
}

/// The number as a product of primes: `2^3 * 5`.
pub(super) fn factor(number: &Rational, work: &Work<'_>) -> Result<String, Halt> {
    let mut rest = testable(number, "factor")?;
    if rest <= BigUint::one() {
        return unfit("`factor` takes an integer above 1");
    }
    let mut primes: Vec<BigUint> = Vec::new();
    let mut divisor = 2_u32;
    while divisor < TRIAL_DIVISORS && BigUint::from(divisor).pow(2) <= rest {
        work.spend(rest.bits() / 64 + 4)?;
        if (&rest % divisor).is_zero() {
            rest /= divisor;
            primes.push(divisor.into());
        } else {
            divisor += 1 + u32::from(divisor > 2);
        }
    }
    let mut parts = vec![rest];
    while let Some(part) = parts.pop() {
        if part.is_one() {
            continue;
        }
        if miller_rabin(&part, work)? != Primality::Composite {
            primes.push(part);
            continue;
        }
        let found = rho(&part, work)?.ok_or_else(|| {
            Halt::Failed(format!(
                "the factors of {part} are too large to be found; found so far: {}",
                written(&mut primes.clone())
            ))
        })?;
        parts.push(&part / &found);
        parts.push(found);
    }
    Ok(written(&mut primes))
}

/// A divisor of a composite number, by Pollard's rho method (1975) in Brent's form (1980).
fn rho(number: &BigUint, work: &Work<'_>) -> Result<Option<BigUint>, Halt> {
    let root = number.sqrt();
    if &root * &root == *number {
        return Ok(Some(root));
    }
    let words = number.bits() / 64 + 1;
    let mut steps = 0_u32;
    for constant in 1_u32..=20 {
        let next = |x: &BigUint| (x * x + constant) % number;
        let (mut kept, mut moving) = (BigUint::from(2_u8), BigUint::from(2_u8));
        let mut length = 1_u32;
        'search: loop {
            for _ in 0..length {
                moving = next(&moving);
                let apart = if kept > moving {
                    &kept - &moving
                } else {
                    &moving - &kept
                };
                steps += 1;
                work.spend(32 + 128 * words * words)?;
                if steps > RHO_STEPS {
                    return Ok(None);
                }
                let divisor = apart.gcd(number);
                if divisor == *number {
                    break 'search;
                }
                if !divisor.is_one() {
                    return Ok(Some(divisor));
                }
            }
            kept.clone_from(&moving);
            length = length.saturating_mul(2);
        }
    }
    Ok(None)
}

fn written(primes: &mut [BigUint]) -> String {
    primes.sort();
    let powers: Vec<String> = primes
        .chunk_by(|a, b| a == b)
        .filter_map(|equal| Some((equal.first()?, equal.len())))
        .map(|(prime, power)| match power {
            1 => prime.to_string(),
            _ => format!("{prime}^{power}"),
        })
        .collect();
    powers.join(" * ")
}
