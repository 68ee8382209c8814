//! Equations: which way each is solved, and how the solutions are told.

use num_traits::ToPrimitive;
use serde_json::{Map, Value, json};

use super::number::{self, Scalar};
use super::polynomial::{Quotient, Reader};
use super::roots;
use super::search::{self, Search};
use super::syntax::{self, Term};
use super::system;
use super::univariate::Univariate;
use super::work::{Halt, Rational, Work, unfit};

/// Most equations of one call.
pub const MAX_EQUATIONS: usize = 32;
/// Most unknowns of one call.
pub const MAX_UNKNOWNS: usize = 16;
/// Significant digits of a root that was searched for in doubles.
const SEARCH_DIGITS: usize = 12;

/// What is asked.
pub(super) struct Question {
    pub(super) equations: Vec<String>,
    pub(super) unknowns: Vec<String>,
    pub(super) range: Option<Vec<Scalar>>,
}

struct Equation {
    left: Term,
    right: Term,
}

/// Solves the equations.
pub(super) fn solve(question: &Question, work: &Work<'_>) -> Result<Value, Halt> {
    let given = &question.unknowns;
    if question.equations.is_empty() || question.equations.len() > MAX_EQUATIONS {
        return unfit(format!("`equations` holds 1 to {MAX_EQUATIONS} equations"));
    }
    check_names(given)?;
    let equations: Result<Vec<Equation>, Halt> = question
        .equations
        .iter()
        .map(|text| read(text, given))
        .collect();
    let equations = equations?;
    let unknowns = all_unknowns(given, &equations)?;
    let range = question.range.as_deref().map(read_range).transpose()?;
    if range.is_some() && unknowns.len() != 1 {
        return unfit("a `range` belongs to one equation in one unknown");
    }
    let reader = Reader {
        unknowns: &unknowns,
        work,
    };
    let quotients: Result<Vec<Quotient>, Halt> = equations
        .iter()
        .map(|equation| reader.quotient(&syntax::difference(&equation.left, &equation.right)))
        .collect();
    match (quotients, unknowns.as_slice()) {
        (Ok(quotients), [unknown]) => in_one_unknown(&quotients, unknown, range.as_ref(), work),
        (Ok(quotients), _) => system::solve(&quotients, &unknowns, work),
        (Err(Halt::Inexact(reason)), [unknown]) => {
            searched(&equations, unknown, range.as_ref(), &reason, work)
        }
        (Err(Halt::Inexact(reason)), _) => unfit(format!(
            "{reason}: in several unknowns only linear equations with numbers that are fractions \
             are solved; replace pi, e and roots by fractions, or solve for one unknown at a time"
        )),
        (Err(halt), _) => Err(halt),
    }
}

fn check_names(unknowns: &[String]) -> Result<(), Halt> {
    for (index, name) in unknowns.iter().enumerate() {
        let mut letters = name.chars();
        let first = letters
            .next()
            .is_some_and(|c| c.is_alphabetic() || c == '_');
        let plain = letters.all(|c| c.is_alphanumeric() || c == '_');
        if !first || !plain || name.len() > 32 || name.contains(['²', '³']) {
            return unfit(format!(
                "`{}` is no name of an unknown: use letters, digits and `_`",
                name.escape_debug()
            ));
        }
        if unknowns.iter().skip(index + 1).any(|other| other == name) {
            return unfit(format!("the unknown `{name}` is given twice"));
        }
    }
    Ok(())
}

fn read(text: &str, unknowns: &[String]) -> Result<Equation, Halt> {
    let sides: Vec<&str> = text.split('=').filter(|side| !side.is_empty()).collect();
    let [left, right] = sides.as_slice() else {
        return unfit(format!(
            "`{}` is not one equation: each has one `=`, such as `2x + 3 = 7`",
            shortened(text)
        ));
    };
    Ok(Equation {
        left: syntax::parse(left, unknowns)?,
        right: syntax::parse(right, unknowns)?,
    })
}

fn shortened(text: &str) -> String {
    text.chars().take(100).collect()
}

/// The unknowns that were given, and then those that are named besides, in order.
fn all_unknowns(given: &[String], equations: &[Equation]) -> Result<Vec<String>, Halt> {
    let mut all = given.to_vec();
    for equation in equations {
        for side in [&equation.left, &equation.right] {
            side.visit_names(&mut |name| {
                let constant = matches!(name, "pi" | "e");
                if !constant && !all.iter().any(|known| known == name) {
                    all.push(name.to_owned());
                }
            });
        }
    }
    let is_letter = |name: &str| all.iter().any(|other| other == name);
    let mixed = |name: &&String| {
        let mut letters = name.chars().map(String::from);
        let word = name.chars().count() > 1 && name.chars().all(char::is_alphabetic);
        word && !given.contains(*name) && letters.any(|letter| is_letter(&letter))
    };
    if let Some(name) = all.iter().find(mixed) {
        return unfit(format!(
            "`{name}` can be read as one unknown or as a product: list all `unknowns`, or write \
             products with `*`"
        ));
    }
    if !given.iter().any(|name| name == "i") && all.iter().any(|name| name == "i") {
        return unfit(
            "`i` can be an unknown or the imaginary unit: list it in `unknowns`, or write the \
             equations of real and imaginary part",
        );
    }
    if all.is_empty() {
        return unfit("the equations hold no unknown; calculate with `expression` instead");
    }
    if all.len() > MAX_UNKNOWNS {
        return unfit(format!("at most {MAX_UNKNOWNS} unknowns are solved for"));
    }
    Ok(all)
}

fn read_range(range: &[Scalar]) -> Result<(Rational, Rational), Halt> {
    let [low, high] = range else {
        return unfit("`range` is two numbers, the smaller one first");
    };
    let (low, high) = (low.exact()?, high.exact()?);
    if low >= high {
        return unfit("`range` is two numbers, the smaller one first");
    }
    Ok((low, high))
}

type Range = (Rational, Rational);

/// The polynomial whose roots solve every equation, or none where all numbers do.
fn common(quotients: &[Quotient], work: &Work<'_>) -> Result<Option<Univariate>, Halt> {
    let mut common: Option<Univariate> = None;
    for quotient in quotients {
        let above = Univariate::of(&quotient.above, work)?;
        common = Some(match common {
            None => above,
            Some(so_far) => so_far.gcd(&above, work)?,
        });
    }
    let Some(mut common) = common.filter(|common| !common.is_zero()) else {
        return Ok(None);
    };
    for quotient in quotients {
        let pole = Univariate::of(&quotient.below, work)?;
        common = common.without_roots_of(&pole, work)?;
    }
    Ok(Some(common))
}

fn in_one_unknown(
    quotients: &[Quotient],
    unknown: &str,
    range: Option<&Range>,
    work: &Work<'_>,
) -> Result<Value, Halt> {
    let unknowns = [unknown.to_owned()];
    let Some(polynomial) = common(quotients, work)? else {
        let mut text = format!("every {unknown}");
        if quotients.iter().any(|quotient| quotient.below.degree() > 0) {
            text.push_str(" for which both sides have a value");
        }
        return Ok(answer(&unknowns, &text, &[], &[]));
    };
    let mut found = roots::Found {
        roots: Vec::new(),
        missing: 0,
    };
    if polynomial.degree() > 0 {
        found = roots::all(&polynomial, work)?;
    }
    let mut notes = Vec::new();
    if let Some((low, high)) = range {
        let inside = |root: &roots::Root| {
            root.place
                .as_ref()
                .is_some_and(|place| place >= low && place <= high)
        };
        found.roots.retain(inside);
        notes.push("only real solutions within `range`".to_owned());
    } else if found.missing > 0 {
        notes.push(format!(
            "{} complex solutions could not be computed precisely enough",
            found.missing
        ));
    }
    let solutions: Vec<Value> = found.roots.iter().map(solution).collect();
    let texts = found.roots.iter().map(|root| equals(unknown, &root.text));
    let texts: Vec<String> = texts.collect();
    let text = if texts.is_empty() && found.missing == 0 {
        "no solution".to_owned()
    } else {
        texts.join(" or ")
    };
    Ok(answer(&unknowns, &text, &solutions, &notes))
}

/// `x = 2`, `x ≈ 1.41`.
fn equals(unknown: &str, text: &str) -> String {
    match text.strip_prefix("≈ ") {
        Some(approx) => format!("{unknown} ≈ {approx}"),
        None => format!("{unknown} = {text}"),
    }
}

fn solution(root: &roots::Root) -> Value {
    let mut value = root.value.clone();
    if let Value::Object(fields) = &mut value {
        let kind = if root.place.is_some() {
            "real"
        } else {
            "complex"
        };
        fields.insert("kind".to_owned(), kind.into());
        if root.multiplicity > 1 {
            fields.insert("multiplicity".to_owned(), root.multiplicity.into());
        }
    }
    value
}

pub(super) fn answer(
    unknowns: &[String],
    text: &str,
    solutions: &[Value],
    notes: &[String],
) -> Value {
    let mut told = Map::new();
    told.insert("unknowns".to_owned(), json!(unknowns));
    told.insert("result".to_owned(), text.into());
    told.insert("solutions".to_owned(), json!(solutions));
    if !notes.is_empty() {
        told.insert("notes".to_owned(), json!(notes));
    }
    told.into()
}

fn searched(
    equations: &[Equation],
    unknown: &str,
    range: Option<&Range>,
    reason: &str,
    work: &Work<'_>,
) -> Result<Value, Halt> {
    let [Equation { left, right }] = equations else {
        return unfit(format!("{reason}: give such an equation alone"));
    };
    let Some((low, high)) = range else {
        return unfit(format!(
            "{reason}, so the equation is not solved exactly: give a `range`, such as [-10, 10], \
             to search it for solutions in decimals; angles are in radians"
        ));
    };
    let double = |end: &Rational| end.to_f64().unwrap_or(f64::NAN);
    let search = Search {
        left,
        right,
        unknown,
    };
    let found = search.run(double(low), double(high), work)?;
    if !found.defined {
        return Err(Halt::Failed(
            "the equation has no value anywhere in `range`: choose another".to_owned(),
        ));
    }
    let texts: Vec<String> = found
        .roots
        .iter()
        .map(|root| number::rounded_float(*root, SEARCH_DIGITS))
        .collect();
    let solutions: Vec<Value> = texts
        .iter()
        .map(|text| json!({ "approx": text, "kind": "real" }))
        .collect();
    let shown: Vec<String> = texts
        .iter()
        .map(|text| format!("{unknown} ≈ {text}"))
        .collect();
    let result = if shown.is_empty() {
        "no solution found in `range`".to_owned()
    } else {
        shown.join(" or ")
    };
    let mut notes = vec![format!(
        "approximate: found by changes of sign at {} places of `range`; solutions closer together, \
         and those where the sides only touch, can be missed",
        search::PLACES
    )];
    if found.more {
        notes.push(format!("only the first {} are told", search::MAX_ROOTS));
    }
    Ok(answer(&[unknown.to_owned()], &result, &solutions, &notes))
}
