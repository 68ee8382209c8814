//! Where a page gets deeper than any page is.
//!
//! The HTML Standard's parser looks through the open elements again and again, so a page of nothing
//! but `<div>` costs the square of its length. This counts, roughly and before parsing, how many
//! elements are open. Elements whose end tags may be left out are not counted: honest pages leave
//! them out, and they do not nest in themselves.

use std::collections::HashMap;

/// Most elements that are open at once. Pages have tens; browsers stop at 512.
const MAX_OPEN: usize = 1000;

/// Not counted: without content, or closed by what follows.
const UNCOUNTED: [&str; 31] = [
    "area", "base", "body", "br", "col", "colgroup", "dd", "dt", "embed", "head", "hr", "html",
    "img", "input", "li", "link", "meta", "optgroup", "option", "p", "param", "rp", "rt", "source",
    "tbody", "td", "tfoot", "th", "thead", "tr", "track",
];

/// The page up to where too many elements are open.
pub(super) fn shallow(html: &str) -> &str {
    let mut open: HashMap<String, usize> = HashMap::new();
    let mut depth = 0_usize;
    let mut rest = html;
    while let Some((before, after)) = rest.split_once('<') {
        let at = html.len() - rest.len() + before.len();
        rest = after;
        let (closes, named) = match after.strip_prefix('/') {
            Some(named) => (true, named),
            None => (false, after),
        };
        let end = named.find(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        let name = named
            .get(..end.unwrap_or(named.len()).min(32))
            .unwrap_or_default();
        let name = name.to_ascii_lowercase();
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) || UNCOUNTED.contains(&&*name) {
            continue;
        }
        let count = open.entry(name).or_default();
        if closes {
            // What is not open cannot be closed.
            depth -= usize::from(*count > 0);
            *count = count.saturating_sub(1);
        } else {
            *count += 1;
            depth += 1;
        }
        if depth > MAX_OPEN {
            return html.get(..at).unwrap_or_default();
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stays_open_counts() {
        for piece in [
            "<div></div>",
            "<p>a",
            "<br>",
            "<ul><li>a<li>b</ul>",
            "<td>",
            "a < b",
            "</b>",
            "<é>",
        ] {
            let html = piece.repeat(5000);
            assert_eq!(shallow(&html).len(), html.len(), "{piece}");
        }
        for piece in ["<div>", "<B x=y>", "<div></x>", "<x><div></x>"] {
            let html = piece.repeat(5000);
            assert!(
                shallow(&html).len() <= piece.len() * (MAX_OPEN + 1),
                "{piece}"
            );
        }
    }
}
