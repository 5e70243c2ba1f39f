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
}
