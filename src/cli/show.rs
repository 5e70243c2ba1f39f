//! Decisions for people: colour on a terminal, plain text elsewhere. What a ticket says steers no
//! terminal.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use crate::train::render::one_line;

/// Styles, or none of them where the output is no terminal.
#[derive(Clone, Copy, Default)]
pub struct Palette {
    pub label: Style,
    pub good: Style,
    pub doubt: Style,
    pub against: Style,
    pub faint: Style,
}

impl Palette {
    pub fn new(colour: bool) -> Self {
        if !colour {
            return Self::default();
        }
        let fg = |c: AnsiColor| Style::new().fg_color(Some(c.into()));
        Self {
            label: Style::new().bold(),
            good: fg(AnsiColor::Green),
            doubt: fg(AnsiColor::Yellow),
            against: fg(AnsiColor::Red),
            faint: Style::new().dimmed(),
        }
    }
}

/// How many of an event's words stand on its line.
const WORDS: usize = 4;

/// One decision event on one line: outcome, id, category, confidence, priority, queue, and the
/// words that decided.
pub fn line(event: &Value, p: Palette) -> String {
    let text =
        |pointer: &str| one_line(event.pointer(pointer).and_then(Value::as_str).unwrap_or("-"));
    let confidence = event.pointer("/category/confidence").and_then(Value::as_f64);
    let outcome = text("/outcome");
    let style = if outcome == "routed" { p.good } else { p.doubt };
    let words = event.pointer("/explanation/words").and_then(Value::as_array);
    let words: Vec<String> = words.into_iter().flatten().take(WORDS).map(|w| word(w, p)).collect();
    let mut line = String::new();
    let l = p.label;
    // Writing to a string cannot fail.
    let _ = write!(
        line,
        "{style}{outcome:<6}{style:#} {:<10} {l}{:<26}{l:#} {:>3.0}%  {:<3} {:<18} {}",
        text("/ticket_id"),
        text("/category/label"),
        confidence.unwrap_or(0.0) * 100.0,
        text("/priority/label"),
        text("/queue"),
        words.join(", ")
    );
    if outcome == "review" {
        let _ = write!(line, " {}({}){:#}", p.doubt, text("/review/reason"), p.doubt);
    }
    line
}

fn word(word: &Value, p: Palette) -> String {
    let weight = word["weight"].as_f64().unwrap_or(0.0);
    let style = if weight < 0.0 { p.against } else { p.faint };
    let word = one_line(word["word"].as_str().unwrap_or("-"));
    format!("{word} {style}{weight:+.1}{style:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_does_not_steer_a_terminal() {
        let hostile = "a\u{1b}[31m\nb\u{202e}";
        let event = serde_json::json!({
            "outcome": "review", "ticket_id": hostile, "queue": hostile,
            "category": { "label": hostile, "confidence": 0.5 }, "priority": { "label": hostile },
            "review": { "reason": hostile },
            "explanation": { "words": [{ "word": hostile, "weight": 1.0 }] },
        });
        let line = line(&event, Palette::default());
        assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
        assert!(line.contains("a [31m b "), "{line}");
    }

    fn event(outcome: &str) -> Value {
        serde_json::json!({
            "outcome": outcome, "ticket_id": "T-1", "queue": "network",
            "category": { "label": "Network/VPN", "confidence": 0.974 },
            "priority": { "label": "P3" }, "review": { "reason": "too_close" },
            "explanation": { "words": [
                { "word": "vpn", "weight": 2.5 }, { "word": "printer", "weight": -1.5 },
            ] },
        })
    }

    /// A piece of a line in a style, as terminals take it.
    fn styled(style: &str, piece: &str) -> String {
        format!("\u{1b}[{style}m{piece}\u{1b}[0m")
    }

    #[test]
    fn on_a_terminal_outcome_category_reason_and_weights_have_colours() {
        let (green, yellow, red, bold, faint) = ("32", "33", "31", "1", "2");
        let category = styled(bold, &format!("{:<26}", "Network/VPN"));
        let routed = line(&event("routed"), Palette::new(true));
        let weights = format!("vpn {}, printer {}", styled(faint, "+2.5"), styled(red, "-1.5"));
        for piece in [&styled(green, "routed"), &category, &weights] {
            assert!(routed.contains(piece.as_str()), "{piece:?} is not in {routed:?}");
        }
        assert!(!routed.contains("too_close"), "{routed:?}");
        let review = line(&event("review"), Palette::new(true));
        for piece in [&styled(yellow, "review"), &category, &styled(yellow, "(too_close)")] {
            assert!(review.contains(piece.as_str()), "{piece:?} is not in {review:?}");
        }
    }

    #[test]
    fn elsewhere_the_same_line_is_plain_text() {
        for outcome in ["routed", "review"] {
            let plain = line(&event(outcome), Palette::new(false));
            assert!(!plain.contains('\u{1b}'), "{plain:?}");
            let mut coloured = line(&event(outcome), Palette::new(true));
            for code in ["0", "1", "2", "31", "32", "33"] {
                coloured = coloured.replace(&format!("\u{1b}[{code}m"), "");
            }
            assert_eq!(coloured, plain);
        }
        let plain = line(&event("review"), Palette::default());
        let words: Vec<&str> = plain.split_whitespace().collect();
        let expected = "review T-1 Network/VPN 97% P3 network vpn +2.5, printer -1.5 (too_close)";
        assert_eq!(words.join(" "), expected);
    }
}
