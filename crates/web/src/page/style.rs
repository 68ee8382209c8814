//! Whether a `style` attribute hides what it is on.

/// Whether a `style` attribute hides an element, or makes it too small, too far off or too pale to
/// be read. Style sheets are not looked at.
pub(super) fn hides(style: &str) -> bool {
    let style = style.to_ascii_lowercase();
    // Nobody needs an escape to say something honest here, and it is read otherwise than it looks.
    if style.contains('\\') {
        return true;
    }
    without_comments(&style).split(';').any(|declaration| {
        let Some((name, value)) = declaration.split_once(':') else {
            return false;
        };
        let value = value.trim().trim_end_matches("!important").trim();
        declaration_hides(name.trim(), value)
    })
}

fn declaration_hides(name: &str, value: &str) -> bool {
    match name {
        "display" => value == "none",
        "visibility" => matches!(value, "hidden" | "collapse"),
        "content-visibility" => value == "hidden",
        "opacity" => number(value).is_some_and(|(share, _)| share < 0.05),
        "font-size" => number(value).is_some_and(|(size, unit)| match unit {
            "px" | "pt" => size < 3.0,
            "%" => size < 10.0,
            _ => size < 0.2,
        }),
        "font" => value.starts_with("0/") || value.starts_with("0 "),
        "width" | "height" | "max-width" | "max-height" => {
            number(value).is_some_and(|(size, unit)| size <= 0.0 || (size <= 1.0 && unit == "px"))
        }
        "text-indent" | "left" | "top" | "right" | "bottom" | "margin" | "margin-left"
        | "margin-top" | "inset" => number(value).is_some_and(|(size, unit)| match unit {
            "em" | "rem" | "vw" | "vh" => size <= -50.0,
            "%" => size <= -100.0,
            _ => size <= -500.0,
        }),
        "clip" => value.starts_with("rect("),
        "clip-path" => {
            value.starts_with("inset(50%")
                || value.starts_with("inset(100%")
                || value.starts_with("circle(0")
        }
        "transform" => value.contains("scale(0") || value.contains("translate(-9"),
        "filter" => value.contains("opacity(0"),
        "color" | "-webkit-text-fill-color" => is_transparent(value),
        _ => false,
    }
}

fn is_transparent(value: &str) -> bool {
    let value: String = value.split_whitespace().collect();
    value == "transparent"
        || (value.starts_with("rgba(") || value.starts_with("hsla("))
            && (value.ends_with(",0)") || value.ends_with(",0.0)") || value.ends_with("/0)"))
}

fn without_comments(style: &str) -> String {
    let mut kept = String::with_capacity(style.len());
    let mut rest = style;
    while let Some((before, after)) = rest.split_once("/*") {
        kept.push_str(before);
        rest = after.split_once("*/").map_or("", |(_, behind)| behind);
    }
    kept.push_str(rest);
    kept
}

/// The number at the beginning of a value, and the unit behind it.
fn number(value: &str) -> Option<(f64, &str)> {
    let end = value
        .find(|c: char| !c.is_ascii_digit() && !matches!(c, '-' | '+' | '.'))
        .unwrap_or(value.len());
    let (number, unit) = value.split_at_checked(end)?;
    let unit = unit.split_whitespace().next().unwrap_or_default();
    Some((number.parse().ok()?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_is_seen() {
        for style in [
            "display:none",
            "color:red; DISPLAY : None !important",
            "display:/**/none",
            "d\\69splay:none",
            "visibility: hidden",
            "opacity:0",
            "opacity: .01",
            "font-size:0",
            "font-size: 1px",
            "font:0/0 a",
            "width:1px;height:1px;overflow:hidden",
            "max-height: 0",
            "text-indent:-9999px",
            "position:absolute;left:-10000px",
            "position:fixed;top:-100vh",
            "clip: rect(0 0 0 0)",
            "clip-path: inset(50%)",
            "transform:scale(0)",
            "color: transparent",
            "color: rgba(0, 0, 0, 0)",
        ] {
            assert!(hides(style), "{style}");
        }
    }

    #[test]
    fn what_does_not_hide_stays() {
        for style in [
            "",
            "display:block",
            "display",
            "opacity:0.9",
            "opacity:1",
            "font-size:12px",
            "font-size:0.8em",
            "width:100%;height:auto",
            "margin-left:-15px",
            "left:-5%",
            "color:#000",
            "color:rgba(0,0,0,0.5)",
            "background:none",
        ] {
            assert!(!hides(style), "{style}");
        }
    }
}
