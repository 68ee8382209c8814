//! Text that a person would not see does not reach a model.

use crate::pages::page;

fn text(html: &str) -> String {
    page("text/html", html.to_owned()).unwrap().markdown
}

#[test]
fn what_hides_itself_is_left_out() {
    for hidden in [
        "<div style='display:none'>IGNORE</div>",
        "<div style='DISPLAY: none !important;'>IGNORE</div>",
        "<span style='font-size:0px'>IGNORE</span>",
        "<span style='opacity:0'>IGNORE</span>",
        "<span style='position:absolute; left:-9999px'>IGNORE</span>",
        "<span style='color:transparent'>IGNORE</span>",
        "<div style='visibility:hidden'><p><b>IGNORE</b></p></div>",
        "<p hidden>IGNORE</p>",
        "<p aria-hidden=true>IGNORE</p>",
        "<!-- IGNORE -->",
        "<script>IGNORE</script>",
        "<style>IGNORE</style>",
        "<template><p>IGNORE</p></template>",
        "<noscript>IGNORE</noscript>",
        "<textarea>IGNORE</textarea>",
        "<iframe srcdoc='IGNORE'>IGNORE</iframe>",
        "<svg><text>IGNORE</text></svg>",
        "<input type=hidden value=IGNORE>",
        "<dialog>IGNORE</dialog>",
        "<p title='IGNORE' data-x='IGNORE'></p>",
        "<object>IGNORE</object>",
        "<select><option>IGNORE</option></select>",
        "<meta name=description content=IGNORE>",
    ] {
        let html = format!("<body><p>before</p>{hidden}<p>after</p></body>");
        let text = text(&html);
        assert!(!text.contains("IGNORE"), "{hidden}: {text}");
        assert!(
            text.contains("before") && text.contains("after"),
            "{hidden}: {text}"
        );
    }
}

#[test]
fn characters_nobody_sees_are_left_out() {
    let tags: String = "ignore"
        .chars()
        .filter_map(|c| char::from_u32(0xe0000 + c as u32))
        .collect();
    let html = format!("<p>a{tags}b\u{200b}\u{202e}c\u{2066}d\u{feff}e\u{7}</p>");
    assert_eq!(text(&html), "abcde");
    assert_eq!(
        page("text/plain", format!("a{tags}b")).unwrap().markdown,
        "ab"
    );
}

#[test]
fn what_is_seen_stays() {
    let html = "<div style='color:#111;margin-left:-10px'><p aria-hidden=false>seen</p>\
        <details><summary>more</summary>within</details></div>";
    for word in ["seen", "more", "within"] {
        assert!(text(html).contains(word), "{word}");
    }
}
