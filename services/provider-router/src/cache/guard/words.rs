//! What single words mean to the guard.
//!
//! Lists, on purpose short: a word that is missing here is a word of content, and those have to agree
//! as well.

use super::grammar::is_grammar;

/// What a word means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A number, in digits.
    Number(&'static str),
    /// A unit or a currency, by one of its names.
    Unit(&'static str),
    /// A word of which there are few, and that changes what is asked; by the one it counts as.
    Closed(&'static str),
    /// How, and what ought to be: changes what is asked, but not what it is about.
    Manner(&'static str),
    /// From, before, than: what comes next is there.
    Direction,
    /// The same, where an article, a name or a number comes next.
    To,
    /// The, my: what comes next is no verb.
    Article,
    /// Says nothing by itself.
    Grammar,
    /// Anything else.
    Content,
}

/// What this word, in small letters, means.
pub(super) fn meaning(word: &str) -> Meaning {
    if let Some(number) = number(word) {
        return Meaning::Number(number);
    }
    if let Some(same) = closed(word).or_else(|| degree(word)) {
        return Meaning::Closed(same);
    }
    if let Some(same) = manner(word) {
        return Meaning::Manner(same);
    }
    if let Some(unit) = known_unit(word) {
        return Meaning::Unit(unit);
    }
    match word {
        "from" | "into" | "onto" | "than" | "by" | "von" | "vom" | "nach" | "bis" | "als"
        | "durch" | "vers" | "depuis" | "desde" | "hasta" | "hacia" => Meaning::Direction,
        "to" | "à" | "au" | "al" | "zu" | "zum" | "zur" => Meaning::To,
        "the" | "a" | "an" | "my" | "your" | "his" | "her" | "its" | "our" | "their" | "this"
        | "that" | "der" | "die" | "das" | "den" | "dem" | "ein" | "eine" | "einem" | "einen"
        | "einer" | "le" | "la" | "les" | "un" | "une" | "el" | "los" | "las" | "una" => {
            Meaning::Article
        }
        _ if is_grammar(word) => Meaning::Grammar,
        _ => Meaning::Content,
    }
}

/// What says nothing by itself, and whose place among the words of content says much.
pub(super) fn beside_content(word: &str) -> Option<&'static str> {
    match word {
        "and" | "und" | "et" | "y" => Some("and"),
        "he" | "him" | "his" | "er" | "ihn" | "ihm" | "il" | "él" => Some("he"),
        "she" | "her" | "hers" | "elle" | "ella" => Some("she"),
        "they" | "them" | "their" | "theirs" | "ihnen" | "ils" | "elles" => Some("they"),
        _ => None,
    }
}

/// A word without the s of many, in English.
pub(super) fn stem(word: &str) -> &str {
    let many =
        word.len() > 3 && !word.ends_with("ss") && !word.ends_with("us") && !word.ends_with("is");
    word.strip_suffix('s').filter(|_| many).unwrap_or(word)
}

/// A unit by one of its names; what is not known, and what differs by its capitals, as it is.
pub(super) fn unit(written: &str) -> &str {
    if has_cased_twin(written) {
        return written;
    }
    known_unit(&written.to_lowercase()).unwrap_or(written)
}

/// Whether this unit is another one in other capitals: bits and bytes.
pub(super) fn has_cased_twin(written: &str) -> bool {
    matches!(
        written,
        "KB" | "Kb" | "MB" | "Mb" | "GB" | "Gb" | "TB" | "Tb" | "MW" | "GW"
    )
}

/// A number written as a word.
fn number(word: &str) -> Option<&'static str> {
    Some(match word {
        "one" | "eins" => "1",
        "two" | "zwei" | "deux" | "dos" => "2",
        "three" | "drei" | "trois" | "tres" => "3",
        "four" | "vier" | "quatre" | "cuatro" => "4",
        "five" | "fünf" | "cinq" | "cinco" => "5",
        "six" | "sechs" | "seis" => "6",
        "seven" | "sieben" | "sept" | "siete" => "7",
        "eight" | "acht" | "huit" | "ocho" => "8",
        "nine" | "neun" | "neuf" | "nueve" => "9",
        "ten" | "zehn" | "dix" | "diez" => "10",
        "eleven" | "elf" | "onze" => "11",
        "twelve" | "zwölf" | "douze" | "doce" => "12",
        "thirteen" => "13",
        "fourteen" => "14",
        "fifteen" => "15",
        "sixteen" => "16",
        "seventeen" => "17",
        "eighteen" => "18",
        "nineteen" => "19",
        "twenty" => "20",
        "thirty" | "dreißig" => "30",
        "forty" | "vierzig" => "40",
        "fifty" | "fünfzig" => "50",
        "sixty" | "sechzig" => "60",
        "seventy" | "siebzig" => "70",
        "eighty" | "achtzig" => "80",
        "ninety" | "neunzig" => "90",
        "hundred" | "hundert" | "cent" | "cien" => "100",
        "thousand" | "tausend" | "mille" | "mil" => "1000",
        "million" | "millions" | "millionen" => "million",
        "billion" | "billions" | "milliarde" | "milliarden" => "billion",
        "dozen" | "dutzend" => "dozen",
        "half" | "halb" | "halbe" => "1/2",
        "first" | "erste" | "ersten" | "premier" | "première" | "primero" | "primera" => "1st",
        "second" | "zweite" | "zweiten" => "2nd",
        "third" | "dritte" | "dritten" => "3rd",
        "fourth" => "4th",
        "fifth" => "5th",
        "sixth" => "6th",
        "seventh" => "7th",
        "eighth" => "8th",
        "ninth" => "9th",
        "tenth" => "10th",
        _ => return None,
    })
}

/// A unit, a currency, or a span of time.
fn known_unit(word: &str) -> Option<&'static str> {
    Some(match word {
        "km" | "kilometre" | "kilometres" | "kilometer" | "kilometers" => "km",
        "m" | "metre" | "metres" | "meter" | "meters" => "m",
        "cm" | "centimetre" | "centimetres" | "centimeter" | "centimeters" => "cm",
        "mm" | "millimetre" | "millimetres" | "millimeter" | "millimeters" => "mm",
        "mi" | "mile" | "miles" | "meile" | "meilen" => "mi",
        "yard" | "yards" => "yd",
        "ft" | "foot" | "feet" | "fuß" => "ft",
        "inch" | "inches" | "zoll" => "inch",
        "kg" | "kilo" | "kilos" | "kilogram" | "kilograms" | "kilogramm" => "kg",
        "gram" | "grams" | "gramm" => "g",
        "mg" | "milligram" | "milligrams" => "mg",
        "lb" | "lbs" | "pound" | "pounds" | "pfund" => "lb",
        "oz" | "ounce" | "ounces" => "oz",
        "tonne" | "tonnes" | "ton" | "tons" => "t",
        "litre" | "litres" | "liter" | "liters" => "l",
        "ml" | "millilitre" | "millilitres" | "milliliter" | "milliliters" => "ml",
        "gallon" | "gallons" => "gal",
        "celsius" | "centigrade" => "C",
        "fahrenheit" => "F",
        "kelvin" => "K",
        "ms" | "millisecond" | "milliseconds" => "ms",
        "sec" | "secs" | "seconds" | "sekunde" | "sekunden" => "s",
        "min" | "minute" | "minutes" | "minuten" => "min",
        "hr" | "hrs" | "hour" | "hours" | "stunde" | "stunden" | "heure" | "heures" | "hora"
        | "horas" => "h",
        "day" | "days" | "daily" | "tag" | "tage" | "jour" | "jours" | "día" | "días" => "day",
        "week" | "weeks" | "weekly" | "woche" | "wochen" | "semaine" | "semaines" | "semana"
        | "semanas" => "week",
        "month" | "months" | "monthly" | "monat" | "monate" | "mois" | "mes" | "meses" => "month",
        "quarter" | "quarters" | "quartal" => "quarter",
        "year" | "years" | "yearly" | "annual" | "jahr" | "jahre" | "année" | "años" | "año" => {
            "year"
        }
        "euro" | "euros" | "eur" => "EUR",
        "dollar" | "dollars" | "usd" => "USD",
        "gbp" | "sterling" => "GBP",
        "yen" | "jpy" => "JPY",
        "franken" | "chf" | "francs" => "CHF",
        "percent" | "percentage" | "prozent" => "%",
        "kilobyte" | "kilobytes" => "kB",
        "megabyte" | "megabytes" => "MB",
        "gigabyte" | "gigabytes" => "GB",
        _ => return None,
    })
}

/// A word of which there are few and that changes what is asked.
fn closed(word: &str) -> Option<&'static str> {
    Some(match word {
        "not" | "no" | "none" | "never" | "neither" | "nor" | "nothing" | "nobody" | "nicht"
        | "kein" | "keine" | "keinen" | "keinem" | "keiner" | "nie" | "niemals" | "non" | "pas"
        | "jamais" | "aucun" | "aucune" | "nunca" | "ningún" | "ninguna" | "nada" => "not",
        "without" | "excluding" | "except" | "ohne" | "außer" | "sans" | "sauf" | "sin"
        | "excepto" => "without",
        "all" | "every" | "each" | "always" | "alle" | "jeder" | "jede" | "jedes" | "tout"
        | "tous" | "toutes" | "todo" | "todos" | "todas" => "all",
        "any" | "anyone" | "anything" => "any",
        "some" | "several" | "few" | "einige" | "quelques" | "algunos" | "algunas" => "some",
        "many" | "much" | "viele" | "viel" | "beaucoup" | "muchos" | "muchas" => "many",
        "or" | "oder" | "ou" | "o" => "or",
        "both" | "beide" => "both",
        "either" => "either",
        "only" | "nur" | "seulement" | "solo" | "sólo" => "only",
        "also" | "too" | "auch" | "aussi" | "también" => "also",
        "other" | "another" | "else" | "andere" | "otro" | "otra" | "autre" => "other",
        "who" | "whom" | "whose" | "wer" | "wem" | "wen" | "qui" | "quién" | "quien" => "who",
        "where" | "wo" | "wohin" | "woher" | "où" | "dónde" | "donde" => "where",
        "when" | "wann" | "quand" | "cuándo" | "cuando" => "when",
        "why" | "warum" | "weshalb" | "pourquoi" => "why",
        "was" | "were" | "did" | "had" | "war" | "waren" | "hatte" | "était" | "fue" | "era" => {
            "past"
        }
        "will" | "going" | "gonna" | "shall" | "wird" | "werden" | "werde" | "sera" | "será" => {
            "will"
        }
        "if" | "wenn" | "falls" | "si" => "if",
        "unless" => "unless",
        "until" | "till" => "until",
        "while" | "during" | "während" | "pendant" | "durante" => "while",
        "before" | "vor" | "avant" | "antes" => "before",
        "after" | "après" | "después" => "after",
        "since" | "seit" => "since",
        _ => return None,
    })
}

/// More and less, now and then, up and down.
fn degree(word: &str) -> Option<&'static str> {
    Some(match word {
        "more" | "mehr" | "plus" | "más" => "more",
        "less" | "fewer" | "weniger" | "moins" | "menos" => "less",
        "most" | "meisten" => "most",
        "least" => "least",
        "better" | "besser" | "mieux" | "mejor" => "better",
        "best" | "beste" | "besten" => "best",
        "worse" | "schlechter" => "worse",
        "worst" | "schlechteste" => "worst",
        "larger" | "bigger" | "greater" | "größer" => "larger",
        "smaller" | "kleiner" => "smaller",
        "largest" | "biggest" | "greatest" | "größte" | "größten" => "largest",
        "smallest" | "kleinste" => "smallest",
        "longer" => "longer",
        "shorter" => "shorter",
        "longest" | "längste" => "longest",
        "shortest" | "kürzeste" => "shortest",
        "higher" => "higher",
        "lower" => "lower",
        "highest" | "höchste" => "highest",
        "lowest" => "lowest",
        "cheaper" => "cheaper",
        "dearer" => "dearer",
        "cheapest" => "cheapest",
        "faster" | "quicker" => "faster",
        "slower" => "slower",
        "fastest" | "quickest" => "fastest",
        "slowest" => "slowest",
        "older" => "older",
        "younger" | "newer" => "younger",
        "oldest" | "earliest" => "oldest",
        "newest" | "latest" | "youngest" => "newest",
        "maximum" | "maximal" | "max" => "max",
        "minimum" | "minimal" => "min",
        "today" | "heute" | "hoy" => "today",
        "tomorrow" | "morgen" | "demain" | "mañana" => "tomorrow",
        "yesterday" | "gestern" | "ayer" => "yesterday",
        "now" | "currently" | "jetzt" | "maintenant" | "ahora" => "now",
        "last" | "previous" | "letzte" | "letzten" | "dernier" | "dernière" => "last",
        "next" | "following" | "nächste" | "nächsten" | "prochain" | "próximo" => "next",
        "ago" => "ago",
        "pm" => "pm",
        "above" | "over" | "über" => "above",
        "below" | "under" | "unter" => "below",
        "up" => "up",
        "down" => "down",
        "out" => "out",
        "off" => "off",
        _ => return None,
    })
}

/// How, and what ought to be.
fn manner(word: &str) -> Option<&'static str> {
    Some(match word {
        "how" | "wie" | "comment" | "cómo" => "how",
        "should" | "ought" | "soll" | "sollte" | "devrais" | "debería" => "should",
        "must" | "muss" | "müssen" | "doit" | "debe" => "must",
        "may" | "might" | "darf" | "dürfen" => "may",
        "would" | "würde" => "would",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Meaning, meaning, stem, unit};

    #[test]
    fn words_mean_what_they_mean() {
        for (word, means) in [
            ("fifty", Meaning::Number("50")),
            ("kilometres", Meaning::Unit("km")),
            ("nicht", Meaning::Closed("not")),
            ("fewer", Meaning::Closed("less")),
            ("from", Meaning::Direction),
            ("to", Meaning::To),
            ("the", Meaning::Article),
            ("please", Meaning::Grammar),
            ("sourdough", Meaning::Content),
        ] {
            assert_eq!(meaning(word), means, "{word}");
        }
        assert_eq!(
            (stem("cats"), stem("glass"), stem("bus")),
            ("cat", "glass", "bus")
        );
        assert_eq!(
            (unit("Miles"), unit("Mb"), unit("xyz")),
            ("mi", "Mb", "xyz")
        );
    }
}
