//! A text as it looks: word processors and chats write blanks, dashes and full-width letters that
//! no pattern knows, and put invisible characters inside words.

use std::borrow::Cow;

/// What the finders read of a text.
pub(super) struct Plain<'a> {
    pub(super) text: Cow<'a, str>,
    /// For each character that was changed: the place behind it in `text` and in the original.
    behind: Vec<(usize, usize)>,
}

impl<'a> Plain<'a> {
    pub(super) fn of(original: &'a str) -> Self {
        if !may_differ(original.as_bytes()) {
            return Self { text: Cow::Borrowed(original), behind: Vec::new() };
        }
        let mut text = String::with_capacity(original.len());
        let mut behind = Vec::new();
        for (at, c) in original.char_indices() {
            let shown = look(c);
            if let Some(shown) = shown {
                text.push(shown);
            }
            if shown != Some(c) {
                behind.push((text.len(), at + c.len_utf8()));
            }
        }
        Self { text: Cow::Owned(text), behind }
    }

    /// The place in the original of a place in the text.
    pub(super) fn origin(&self, at: usize) -> usize {
        let passed = self.behind.partition_point(|(plain, _)| *plain <= at);
        match self.behind[..passed].last() {
            Some((plain, original)) => original + (at - plain),
            None => at,
        }
    }
}

/// Whether there is a byte that what [`look`] changes begins with; ASCII and Hangul have none.
fn may_differ(bytes: &[u8]) -> bool {
    let lead = |b: u8| (b == 0xc2) | (b == 0xe2) | (b == 0xe3) | (b == 0xef);
    // No early exit: this form is vectorised.
    bytes.iter().fold(0u8, |any, b| any | u8::from(lead(*b))) != 0
}

/// What a reader takes a character for; none where it is not seen.
fn look(c: char) -> Option<char> {
    match c {
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => Some(' '),
        '\u{2010}'..='\u{2015}' | '\u{2212}' => Some('-'),
        // The full-width forms stand in the order of ASCII.
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0),
        // Soft hyphen, zero-width characters, marks of direction.
        '\u{ad}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2064}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}' => None,
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_lead_back_to_the_original() {
        let original = "가\u{200b}\u{feff}pa\u{ad}ss\u{a0}＠–é x";
        let plain = Plain::of(original);
        assert_eq!(plain.text, "가pass @-é x");
        let (mut from, mut shown) = (0, String::new());
        for (at, c) in plain.text.char_indices() {
            let (start, end) = (plain.origin(at), plain.origin(at + c.len_utf8()));
            assert!(from <= start && start < end, "{c}");
            shown.extend(original[start..end].chars().filter_map(look));
            from = end;
        }
        assert_eq!((shown.as_str(), from), (&*plain.text, original.len()));
    }

    #[test]
    fn whatever_is_changed_is_noticed() {
        for c in (' '..=char::MAX).filter(|c| look(*c) != Some(*c)) {
            assert!(may_differ(c.to_string().as_bytes()), "{c:?}");
        }
    }

    #[test]
    fn plain_text_is_borrowed() {
        assert!(matches!(Plain::of("비밀번호: abc").text, Cow::Borrowed(_)));
    }
}
