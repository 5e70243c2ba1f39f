//! Words of a text: lower-cased runs of letters, marks and numbers.
//!
//! The rules are those of `tokenizer.json` (see [`super::definition`]), in its order: masks
//! become spaces, invisible characters go, NFKC, lower case, runs of `\p{L}\p{M}\p{N}`. ASCII
//! white space is a boundary that none of these steps reaches across, so a text is done chunk
//! by chunk: one of ASCII and precomposed Hangul needs a table only, any other takes the steps
//! one by one. A test holds the words equal to those of the `tokenizers` crate.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, HirKind};
use unicode_normalization_alignments::UnicodeNormalization;

use super::redact::MaskKind;

/// What a word is made of, as the definition writes it.
pub(crate) const WORD: &str = r"[\p{L}\p{M}\p{N}]+";

const LOWER: u8 = 1;
const UPPER: u8 = 2;
const PUNCTUATION: u8 = 4;
const BRACKET: u8 = 8;
/// First byte of a three-byte character that may be a Hangul syllable.
const HANGUL: u8 = 16;
/// Needs the steps one by one.
const OTHER: u8 = 32;
const SPACE: u8 = 64;

const BYTES: [u8; 256] = {
    let mut table = [OTHER; 256];
    let mut b = 0;
    while b < 128 {
        table[b] = match b as u8 {
            b'\t'..=b'\r' | b' ' => SPACE,
            b'a'..=b'z' | b'0'..=b'9' => LOWER,
            b'A'..=b'Z' => UPPER,
            b'[' => BRACKET,
            0..=0x1f | 0x7f => OTHER,
            _ => PUNCTUATION,
        };
        b += 1;
    }
    let mut lead = 0xea;
    while lead <= 0xed {
        table[lead] = HANGUL;
        lead += 1;
    }
    table
};

/// Calls `each` with every word of `text`, in order. `buffer` is scratch space.
pub fn words(text: &str, buffer: &mut String, mut each: impl FnMut(&str)) {
    let bytes = text.as_bytes();
    let mut start = 0;
    while start < bytes.len() {
        let mut seen = 0;
        let mut end = start;
        while end < bytes.len() {
            let class = BYTES[usize::from(bytes[end])];
            if class == SPACE {
                break;
            }
            seen |= class;
            end += 1;
            if class == HANGUL {
                // Two more bytes of the character; they would count as `OTHER`.
                if !is_hangul(&bytes[end - 1..]) {
                    seen |= OTHER;
                }
                end += 2;
            }
        }
        if seen & BRACKET == 0 {
            chunk(&text[start..end], seen, buffer, &mut each);
        } else {
            bracketed(&text[start..end], seen, buffer, &mut each);
        }
        start = end + 1;
    }
}

/// Whether the three-byte character at the start of `bytes` is a precomposed syllable
/// (U+AC00 to U+D7A3).
fn is_hangul(bytes: &[u8]) -> bool {
    let [a, b, c, ..] = *bytes else { return false };
    let code = (u32::from(a & 0x0f) << 12) | (u32::from(b & 0x3f) << 6) | u32::from(c & 0x3f);
    (0xac00..=0xd7a3).contains(&code)
}

/// A chunk with a `[` in it: masks are cut out, what stands between them is read apart.
fn bracketed(text: &str, seen: u8, buffer: &mut String, each: &mut impl FnMut(&str)) {
    let bytes = text.as_bytes();
    let mut start = 0;
    for open in memchr::memchr_iter(b'[', bytes) {
        if let Some(len) = MaskKind::mask_len(&bytes[open..]) {
            chunk(&text[start..open], seen, buffer, each);
            start = open + len;
        }
    }
    chunk(&text[start..], seen, buffer, each);
}

/// A chunk without ASCII white space and masks. `seen` tells what kinds of byte are in it.
fn chunk(text: &str, seen: u8, buffer: &mut String, each: &mut impl FnMut(&str)) {
    if seen & OTHER != 0 {
        slow(text, buffer, each);
    } else if seen & UPPER != 0 {
        buffer.clear();
        buffer.push_str(text);
        buffer.make_ascii_lowercase();
        plain(buffer, seen, each);
    } else {
        plain(text, seen, each);
    }
}

/// Lower-case ASCII and Hangul: split at ASCII punctuation.
fn plain(text: &str, seen: u8, each: &mut impl FnMut(&str)) {
    if seen & (PUNCTUATION | BRACKET) == 0 {
        if !text.is_empty() {
            each(text);
        }
        return;
    }
    let bytes = text.as_bytes();
    let mut start = 0;
    for (i, b) in bytes.iter().enumerate() {
        if matches!(BYTES[usize::from(*b)], PUNCTUATION | BRACKET) {
            if start < i {
                each(&text[start..i]);
            }
            start = i + 1;
        }
    }
    if start < bytes.len() {
        each(&text[start..]);
    }
}

/// The definition's steps as they stand.
fn slow(text: &str, buffer: &mut String, each: &mut impl FnMut(&str)) {
    buffer.clear();
    let kept = text.chars().filter(|c| !is_invisible(*c));
    for (c, _) in kept.nfkc() {
        for lower in c.to_lowercase() {
            if is_word(lower) {
                buffer.push(lower);
            } else if !buffer.is_empty() {
                each(buffer);
                buffer.clear();
            }
        }
    }
    if !buffer.is_empty() {
        each(buffer);
    }
}

/// A text as the definition's normalizer leaves it, not cut into words.
pub(super) fn normal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut push = |part: &str, end: &str| {
        let kept = part.chars().filter(|c| !is_invisible(*c));
        out.extend(kept.nfkc().flat_map(|(c, _)| c.to_lowercase()));
        out.push_str(end);
    };
    let mut start = 0;
    for (open, _) in text.match_indices('[') {
        if let Some(len) = MaskKind::mask_len(&text.as_bytes()[open..]) {
            push(&text[start..open], " ");
            start = open + len;
        }
    }
    push(&text[start..], "");
    out
}

/// Ranges of characters that nobody sees and that split or disguise words: controls other than
/// white space, soft hyphen, zero-width and bidirectional characters, byte order mark.
pub(crate) const INVISIBLE: [(char, char); 9] = [
    ('\0', '\u{8}'),
    ('\u{e}', '\u{1f}'),
    ('\u{7f}', '\u{84}'),
    ('\u{86}', '\u{9f}'),
    ('\u{ad}', '\u{ad}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{feff}', '\u{feff}'),
];

fn is_invisible(c: char) -> bool {
    INVISIBLE.iter().any(|(from, to)| (*from..=*to).contains(&c))
}

fn is_word(c: char) -> bool {
    let code = c as usize;
    WORD_CHARS[code / 64] >> (code % 64) & 1 == 1
}

/// One bit a character: from the same tables as the regex engines use.
static WORD_CHARS: LazyLock<Box<[u64]>> = LazyLock::new(|| {
    let mut bits = vec![0u64; 0x11_0000 / 64];
    // A constant pattern; without its tables no word would be found and every test would fail.
    if let Ok(hir) = regex_syntax::parse(WORD.trim_end_matches('+'))
        && let HirKind::Class(Class::Unicode(class)) = hir.kind()
    {
        for range in class.iter() {
            for code in range.start() as usize..=range.end() as usize {
                bits[code / 64] |= 1 << (code % 64);
            }
        }
    }
    bits.into()
});

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let mut out = Vec::new();
        words(text, &mut String::new(), |w| out.push(w.to_owned()));
        out
    }

    #[test]
    fn words_of_both_languages() {
        assert_eq!(
            all("VPN won't connect (error 0x80070005)!"),
            ["vpn", "won", "t", "connect", "error", "0x80070005"]
        );
        assert_eq!(
            all("Outlook이 안 열려요.\n메일,전송"),
            ["outlook이", "안", "열려요", "메일", "전송"]
        );
    }

    #[test]
    fn masks_are_gone_and_nothing_else_in_brackets() {
        assert_eq!(
            all("from[EMAIL]to [IP], [UNK] [email] x[PHONE]"),
            ["from", "to", "unk", "email", "x"]
        );
    }

    #[test]
    fn disguised_characters_are_seen_through() {
        assert_eq!(
            all("pass\u{200b}word ＶＰＮ ﬁle e\u{301}t\u{e9}"),
            ["password", "vpn", "file", "\u{e9}t\u{e9}"]
        );
        // Conjoining jamo become syllables.
        assert_eq!(all("\u{1112}\u{1161}\u{11ab}글"), ["한글"]);
    }
}
