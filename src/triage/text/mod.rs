//! From a ticket's text to features. Training and serving both come through here.

pub mod bag;
pub mod definition;
pub mod fields;
pub mod keys;
pub mod language;
pub mod lexicon;
pub mod redact;
pub mod tokens;

/// What a model reads of a ticket.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    pub subject: &'a str,
    pub body: &'a str,
    /// Entries of the vocabulary, as [`fields::entry`] writes them. Those that a model does not
    /// know change nothing.
    pub fields: &'a [String],
}

impl<'a> Text<'a> {
    /// Of a ticket whose fields are not read.
    pub fn new(subject: &'a str, body: &'a str) -> Self {
        Self { subject, body, fields: &[] }
    }
}

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
