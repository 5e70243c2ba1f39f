//! From a ticket's text to features. Training and serving both come through here.

pub mod bag;
pub mod definition;
pub mod keys;
pub mod language;
pub mod lexicon;
pub mod redact;
pub mod tokens;

/// Characters kept from a text's beginning and from its end: what a ticket is about stands in
/// its first lines, and what was said last at its end; a log file pasted between is noise.
const HEAD: usize = 16_000;
const TAIL: usize = 4_000;

/// The parts of a redacted text that are read: all of it, or its head and its tail where it is
/// very long.
pub fn window(text: &str) -> (&str, &str) {
    if text.len() <= HEAD + TAIL {
        return (text, "");
    }
    let Some((head_end, _)) = text.char_indices().nth(HEAD) else { return (text, "") };
    let Some((tail_start, _)) = text.char_indices().nth_back(TAIL - 1) else { return (text, "") };
    if tail_start <= head_end {
        return (text, "");
    }
    (&text[..head_end], &text[tail_start..])
}
