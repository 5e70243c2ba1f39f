//! Where a value in free text begins and ends. Stricter than a word boundary: `kim.minji` is not
//! in `kim.minji@example.com`, and looser where Korean needs it: it is in `kim.minji의`.

use std::ops::Range;

use regex::Regex;

use super::slots::MAX_CHARS;

/// How many pieces of one text are looked at. A text that has more of them is made to be slow,
/// and counts as ambiguous.
const MAX_TRIES: usize = 200_000;

/// The text has more than one value, or too many pieces to say.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Several;

/// Calls `same` with the place of every piece of `text` that stands alone and begins like `begin`,
/// until it says false.
pub(super) fn each_whole(
    text: &str,
    begin: &Regex,
    mut same: impl FnMut(Range<usize>) -> bool,
) -> Result<(), Several> {
    let mut tries = 0;
    let mut before = [None, None];
    for (start, c) in text.char_indices() {
        let [last, first] = [before[1], before[0]];
        before = [before[1], Some(c)];
        if is_inside(last, first, Some(c)) {
            continue;
        }
        let rest = &text[start..];
        if !begin.is_match(rest) {
            continue;
        }
        for (end, last) in rest.char_indices().take(MAX_CHARS) {
            tries += 1;
            if tries > MAX_TRIES {
                return Err(Several);
            }
            let end = end + last.len_utf8();
            let mut after = rest[end..].chars();
            let (next, one_after) = (after.next(), after.next());
            if !is_inside(next, one_after, Some(last)) && !same(start..start + end) {
                return Err(Several);
            }
        }
    }
    Ok(())
}

/// Whether a sentence seems to end inside a piece, without the blank that should follow:
/// `coffee.Could`.
pub(super) fn ends_a_sentence(piece: &str) -> bool {
    let mut three = piece.as_bytes().windows(3);
    three.any(|w| w[0].is_ascii_lowercase() && w[1] == b'.' && w[2].is_ascii_uppercase())
}

/// Whether a value cannot end between its outermost character `edge` and `next`, behind which
/// `beyond` stands: the word goes on, directly or after a joining mark as in `vdi-01-b`.
fn is_inside(next: Option<char>, beyond: Option<char>, edge: Option<char>) -> bool {
    let (Some(next), Some(edge)) = (next, edge) else { return false };
    if !goes_on(edge, edge) {
        // A value that ends with a mark has said so itself.
        return false;
    }
    goes_on(next, edge) || (joins(next) && beyond.is_some_and(|c| goes_on(c, edge)))
}

/// Marks that hold the parts of one name together.
fn joins(c: char) -> bool {
    matches!(c, '.' | '-' | '_' | '@' | '/' | '\\' | ':' | '+' | '#' | '%' | '&' | '=' | '~' | '$')
}

/// Whether `c` beside `edge` belongs to the same word. Korean particles follow a Latin name
/// without a space, so there a word ends; whatever is not known to end one does not.
fn goes_on(c: char, edge: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '_';
    }
    if is_hangul(c) {
        return !edge.is_ascii();
    }
    !(c.is_whitespace() || is_punctuation(c))
}

fn is_hangul(c: char) -> bool {
    matches!(c, '\u{ac00}'..='\u{d7a3}' | '\u{1100}'..='\u{11ff}' | '\u{3131}'..='\u{318e}')
}

/// Quotation marks, dashes, brackets and full stops beyond ASCII; no invisible characters.
fn is_punctuation(c: char) -> bool {
    matches!(c,
        '\u{ab}' | '\u{bb}' | '\u{b7}'
        | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}'
        | '\u{3001}'..='\u{303f}'
        | '\u{ff01}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}'
        | '\u{ff3b}'..='\u{ff40}' | '\u{ff5b}'..='\u{ff65}')
}

/// Whether a character may be in a value: no controls, nothing invisible, nothing that turns the
/// direction of writing.
pub(super) fn is_safe(c: char) -> bool {
    !(c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffd}' | '\u{e0000}'..='\u{e0fff}'))
}
