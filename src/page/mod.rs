//! Pages for people: one HTML file each, that loads nothing and runs nothing.

pub mod chart;
pub mod explanation;

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Forbids a browser to load or run anything, whatever a ticket's text holds.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
const STYLE: &str = include_str!("style.css");

/// A whole page around `body`. Control characters and those that turn the direction of writing
/// become U+FFFD, wherever they come from.
pub fn document(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    };
    page.into_string().chars().map(|c| if is_hostile(c) { '\u{fffd}' } else { c }).collect()
}

/// Whether a character steers a terminal or turns the direction of writing.
pub(crate) fn is_hostile(c: char) -> bool {
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (c.is_control() && !matches!(c, '\n' | '\t'))
}

/// A share as a whole percentage. Nothing but all is 100 %, nothing but none is 0 %.
pub fn percent(share: f64) -> String {
    let rounded = (share * 100.0).round();
    if rounded >= 100.0 && share < 1.0 {
        "over 99\u{a0}%".to_owned()
    } else if rounded <= 0.0 && share > 0.0 {
        "under 1\u{a0}%".to_owned()
    } else {
        format!("{rounded:.0}\u{a0}%")
    }
}

/// A share as a percentage with one decimal.
pub fn exact(share: f64) -> String {
    format!("{:.1}\u{a0}%", share * 100.0)
}

/// A number with commas between its thousands.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `n` and the right one of the two words.
pub fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Texts that try to get out of where they are put.
    pub(crate) fn hostile() -> impl Strategy<Value = String> {
        let parts = [
            "<script>alert(1)</script>",
            "</style>",
            "</title>",
            "<!--",
            "-->",
            "]]>",
            "\"",
            "'",
            "`",
            "&",
            "&lt;",
            "&#60;",
            "<img src=x onerror=y>",
            "\" onload=\"x",
            "<",
            ">",
            "=",
            "/",
            "\0",
            "\u{1b}",
            "\u{7f}",
            "\u{85}",
            "\u{202e}",
            "\r\n",
            "가",
            "\u{feff}",
        ];
        let part = prop_oneof![
            prop::sample::select(parts.to_vec()).prop_map(str::to_owned),
            any::<String>()
        ];
        prop::collection::vec(part, 1..5).prop_map(|parts| parts.concat())
    }

    /// All tags of a page with the names of their attributes, read as a browser would; what is
    /// between the quotes of an attribute is left out.
    pub(crate) fn tags(page: &str) -> Vec<String> {
        let mut tags = Vec::new();
        let mut chars = page.chars();
        while chars.by_ref().any(|c| c == '<') {
            let (mut tag, mut quoted) = (String::new(), false);
            for c in chars.by_ref() {
                match c {
                    '"' => quoted = !quoted,
                    '>' if !quoted => break,
                    _ if !quoted => tag.push(c),
                    _ => {}
                }
            }
            tags.push(tag);
        }
        tags
    }

    #[test]
    fn tags_tell_markup_from_text() {
        assert_eq!(tags("a<b c=\"<i>\">&lt;</b>"), ["b c=", "/b"]);
    }

    #[test]
    fn numbers_for_people() {
        assert_eq!(
            [count(0), count(999), count(1_234), count(1_234_567)],
            ["0", "999", "1,234", "1,234,567"]
        );
        assert_eq!(percent(0.845), "85\u{a0}%");
        assert_eq!([percent(1.0), percent(0.999)], ["100\u{a0}%", "over 99\u{a0}%"]);
        assert_eq!([percent(0.0), percent(0.001)], ["0\u{a0}%", "under 1\u{a0}%"]);
        assert_eq!(exact(0.845_6), "84.6\u{a0}%");
        assert_eq!(
            [counted(1, "ticket", "tickets"), counted(2, "ticket", "tickets")],
            ["1 ticket", "2 tickets"]
        );
    }

    #[test]
    fn nothing_is_loaded_and_nothing_hostile_is_left() {
        let page = document("<\u{202e}", &html! { p { "a\u{0}b\u{1b}[31m\u{2066}c\nd" } });
        assert!(page.contains("<title>&lt;\u{fffd}</title>"));
        assert!(page.contains("<p>a\u{fffd}b\u{fffd}[31m\u{fffd}c\nd</p>"));
        assert!(page.contains("default-src 'none'"));
    }
}
