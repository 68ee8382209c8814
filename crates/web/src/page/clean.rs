//! What no reader of a page would see is taken out of its tree.

use dom_query::{Document, NodeRef};

use super::style::hides;

/// Deeper elements become the text they hold: what reads the tree later calls itself for each
/// level of some of them.
const MAX_DEPTH: usize = 96;

/// Elements that hold no text of the page.
const NO_TEXT: [&str; 25] = [
    "script", "style", "noscript", "template", "iframe", "frame", "frameset", "noframes", "object",
    "embed", "applet", "svg", "canvas", "audio", "video", "input", "select", "datalist",
    "textarea", "button", "noembed", "link", "area", "param", "portal",
];

/// Removes comments, scripts, frames, forms' fields and what hides itself, then flattens what is
/// too deep. Both walks keep their place on the heap.
pub(super) fn clean(document: &Document) {
    let mut open = vec![document.root()];
    while let Some(node) = open.pop() {
        for child in node.children() {
            if child.is_comment() || (child.is_element() && is_unseen(&child)) {
                child.remove_from_parent();
            } else if child.is_element() {
                open.push(child);
            }
        }
    }
    let mut open = vec![(document.root(), 0)];
    while let Some((node, depth)) = open.pop() {
        if depth >= MAX_DEPTH {
            let text = node.text();
            node.set_text(text);
            continue;
        }
        let below = node.element_children().into_iter();
        open.extend(below.map(|child| (child, depth + 1)));
    }
}

fn is_unseen(node: &NodeRef<'_>) -> bool {
    let name = node.node_name().unwrap_or_default();
    NO_TEXT.contains(&&*name)
        || node.has_attr("hidden")
        || (&*name == "dialog" && !node.has_attr("open"))
        || node
            .attr("aria-hidden")
            .is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
        || node.attr("style").is_some_and(|style| hides(&style))
}
