//! Words of a text: lower-cased runs of letters, marks and numbers.
//!
//! The rules are those of `tokenizer.json` (see [`super::definition`]), in its order: masks
//! become spaces, invisible characters go, NFKC, lower case, runs of `\p{L}\p{M}\p{N}`. ASCII
//! and precomposed Hangul need a table only; where anything else stands, the part between two
//! ASCII characters that end words takes the steps one by one. A test holds the words equal to
//! those of the `tokenizers` crate.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, HirKind};
use unicode_normalization_alignments::UnicodeNormalization;

use super::keys::Padded;
use super::redact::MaskKind;

/// What a word is made of, as the definition writes it.
pub(crate) const WORD: &str = r"[\p{L}\p{M}\p{N}]+";

/// ASCII letters and digits.
const INSIDE: u8 = 0;
/// ASCII white space and punctuation.
const BETWEEN: u8 = 1;
/// May begin a mask.
const BRACKET: u8 = 2;
/// No ASCII, or an invisible control.
const OTHER: u8 = 3;

const BYTES: [u8; 256] = {
    let mut table = [OTHER; 256];
    let mut b = 0;
    while b < 128 {
        table[b] = match b as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => INSIDE,
            b'[' => BRACKET,
            b'\t'..=b'\r' | b' '..=b'~' => BETWEEN,
            _ => OTHER,
        };
        b += 1;
    }
    table
};

/// Bytes that are looked at together: one bit of a number each.
const BLOCK: usize = 64;

/// The words of a text, in order. Buffers are kept from one text to the next.
#[derive(Default)]
pub struct Words {
    /// The text with its ASCII letters in lower case, then words that it does not hold as they are.
    text: Padded,
    /// Where each word is in it.
    spans: Vec<(u32, u32)>,
    /// Where the word that is being read began.
    open: Option<usize>,
}

impl Words {
    /// Replaces the words by those of `text`.
    pub fn read(&mut self, text: &str) {
        self.spans.clear();
        self.open = None;
        self.text.set_lower(text);
        let bytes = text.as_bytes();
        // The last place from where on a hard part can be read by itself.
        let mut edge = 0;
        let mut at = 0;
        while at < bytes.len() {
            let end = bytes.len().min(at + BLOCK);
            if let Some(inside) = easy_block(&bytes[at..]) {
                let between = !inside << (BLOCK - (end - at)) >> (BLOCK - (end - at));
                if between != 0 {
                    edge = at + between.ilog2() as usize;
                }
                self.block(inside, at);
                at = end;
            } else {
                while at < end {
                    at = self.step(text, at, &mut edge);
                }
            }
        }
        self.close(bytes.len());
        self.text.pad();
    }

    /// Words that begin or end in a block: each bit of `inside` is a byte from `at` on.
    fn block(&mut self, inside: u64, at: usize) {
        let mut changes = inside ^ (inside << 1 | u64::from(self.open.is_some()));
        while changes != 0 {
            let place = at + changes.trailing_zeros() as usize;
            if self.open.is_some() {
                self.close(place);
            } else {
                self.open = Some(place);
            }
            changes &= changes - 1;
        }
    }

    fn close(&mut self, end: usize) {
        if let Some(start) = self.open.take() {
            self.spans.push((start as u32, end as u32));
        }
    }

    /// Reads what is at a place, and returns the next one.
    fn step(&mut self, text: &str, at: usize, edge: &mut usize) -> usize {
        let bytes = text.as_bytes();
        match BYTES[usize::from(bytes[at])] {
            INSIDE => {
                self.open.get_or_insert(at);
                at + 1
            }
            BETWEEN => {
                self.close(at);
                *edge = at;
                at + 1
            }
            BRACKET => {
                self.close(at);
                let mask = MaskKind::mask_len(&bytes[at..]);
                // Nothing reaches across a mask: it becomes a space.
                *edge = at + mask.unwrap_or(0);
                at + mask.unwrap_or(1)
            }
            _ if matches!(bytes[at..], [a, b, c, ..] if begins_syllable(a, b, c)) => {
                self.open.get_or_insert(at);
                at + 3
            }
            _ => {
                let more = |b: &u8| !matches!(BYTES[usize::from(*b)], BETWEEN | BRACKET);
                let end = at + bytes[at..].iter().take_while(|b| more(b)).count();
                self.open = None;
                self.hard(&text[*edge..end]);
                *edge = end;
                end
            }
        }
    }

    /// The definition's steps as they stand. No step reaches back across the place before an ASCII
    /// character, so a part that begins and ends at one can be read by itself.
    fn hard(&mut self, part: &str) {
        let mut start = self.text.len();
        for lower in normalized(part).chain([' ']) {
            if is_word(lower) {
                self.text.push(lower);
            } else if start < self.text.len() {
                self.spans.push((start as u32, self.text.len() as u32));
                start = self.text.len();
            }
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.spans.iter().map(|span| self.text.text(*span))
    }

    /// Where the words are in [`Self::text`].
    pub(super) fn spans(&self) -> &[(u32, u32)] {
        &self.spans
    }

    pub(super) fn text(&self) -> &Padded {
        &self.text
    }
}

/// Which of the first bytes, at most [`BLOCK`], are inside words, one bit each; none where there
/// is a `[` among them, a control that is no white space, or a character that is neither ASCII nor
/// a precomposed Hangul syllable. Each loop does all bytes the same, so that it is vectorised.
fn easy_block(bytes: &[u8]) -> Option<u64> {
    // The last character may reach two bytes beyond.
    let mut block = [b' '; BLOCK + 2];
    let len = bytes.len().min(block.len());
    block[..len].copy_from_slice(&bytes[..len]);
    let ascii = |b: u8, from: u8, to: u8| b.wrapping_sub(from) <= to - from;
    let hard = |a: u8, b: u8, c: u8| {
        let control = !(ascii(a, b' ', 0xff) | ascii(a, b'\t', b'\r'));
        control | (a == 0x7f) | (a == b'[') | (a >= 0xc0) & !begins_syllable(a, b, c)
    };
    let any =
        (0..BLOCK).fold(0, |any, i| any | u8::from(hard(block[i], block[i + 1], block[i + 2])));
    if any != 0 {
        return None;
    }
    let inside = |b: u8| ascii(b | 0x20, b'a', b'z') | ascii(b, b'0', b'9') | (b >= 0x80);
    let ones: [u8; BLOCK] = std::array::from_fn(|i| u8::from(inside(block[i])));
    // The lowest bits of eight bytes side by side, by one multiplication (Warren, Hacker's Delight, 7).
    let gather =
        |eight: &[u8; 8]| u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    let eights = ones.as_chunks().0.iter().enumerate();
    Some(eights.fold(0, |bits, (i, eight)| bits | gather(eight) << (8 * i)))
}

/// Whether a precomposed Hangul syllable (U+AC00 to U+D7A3) begins with the byte `a` of a text, of
/// which `b` and `c` are the next two. Without jumps, so that loops over it are vectorised.
pub(super) fn begins_syllable(a: u8, b: u8, c: u8) -> bool {
    (a == 0xeb)
        | (a == 0xec)
        | (a == 0xea) & (b >= 0xb0)
        | (a == 0xed) & ((b < 0x9e) | (b == 0x9e) & (c <= 0xa3))
}

/// What the steps make of a part without masks.
fn normalized(part: &str) -> impl Iterator<Item = char> {
    let kept = part.chars().filter(|c| !is_invisible(*c));
    kept.nfkc().flat_map(|(c, _)| c.to_lowercase())
}

/// A text as the definition's normalizer leaves it, not cut into words.
pub(super) fn normal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut push = |part: &str, end: &str| {
        out.extend(normalized(part));
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
        let mut words = Words::default();
        words.read(text);
        words.iter().map(str::to_owned).collect()
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
