//! Which language a text is in, by the scripts of its letters.

use serde::{Deserialize, Serialize};

use super::tokens::begins_syllable;

/// A guess by script alone: cheap, and enough to tell the two languages of a Korean desk apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Mostly Latin letters.
    En,
    /// At least 30 % of the letters are Hangul: Korean tickets are full of English product names.
    Ko,
    /// No letters, or mostly those of other scripts.
    Und,
}

impl Language {
    pub const ALL: [Self; 3] = [Self::En, Self::Ko, Self::Und];

    /// The language's BCP 47 tag.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Ko => "ko",
            Self::Und => "und",
        }
    }
}

/// The language of `text`.
pub fn language(text: &str) -> Language {
    Letters::of(text).language()
}

/// How many of the bytes are so, each seen with the two behind it.
fn count(bytes: &[u8], so: impl Fn(u8, u8, u8) -> bool) -> usize {
    // Blocks too short for the byte to overflow; without its check this is vectorised.
    let block = |block: &[u8]| {
        let places = block.iter().zip(block.get(1..)?).zip(block.get(2..)?);
        let ones = places.map(|((a, b), c)| u8::from(so(*a, *b, *c)));
        Some(usize::from(ones.fold(0u8, u8::wrapping_add)))
    };
    let blocks = (0..bytes.len()).step_by(BLOCK);
    let whole = blocks.filter_map(|at| block(&bytes[at..bytes.len().min(at + BLOCK + 2)]));
    let last = bytes.len().saturating_sub(2);
    let last = bytes[last..].iter().filter(|b| so(**b, 0, 0)).count();
    whole.sum::<usize>() + last
}

const BLOCK: usize = 128;

/// Letters of a text by script; texts can be counted apart and judged together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Letters {
    latin: usize,
    hangul: usize,
    other: usize,
}

impl Letters {
    pub(crate) fn of(text: &str) -> Self {
        // A line with nothing but ASCII and common syllables is counted many bytes at a time.
        text.split_inclusive('\n').map(Self::of_line).fold(Self::default(), Self::plus)
    }

    fn of_line(line: &str) -> Self {
        let bytes = line.as_bytes();
        let latin = count(bytes, |b, _, _| b.is_ascii_alphabetic());
        let mut letters = Self { latin, ..Self::default() };
        if line.is_ascii() {
            return letters;
        }
        letters.hangul = count(bytes, begins_syllable);
        if letters.hangul == count(bytes, |b, _, _| b >= 0xc0) {
            return letters;
        }
        Self::one_by_one(line)
    }

    fn one_by_one(text: &str) -> Self {
        let mut letters = Self::default();
        for c in text.chars() {
            match c {
                'a'..='z' | 'A'..='Z' => letters.latin += 1,
                '\0'..='\u{7f}' => {}
                // Syllables, jamo, compatibility jamo, half-width jamo.
                '\u{ac00}'..='\u{d7a3}'
                | '\u{1100}'..='\u{11ff}'
                | '\u{3131}'..='\u{318e}'
                | '\u{a960}'..='\u{a97c}'
                | '\u{d7b0}'..='\u{d7fb}'
                | '\u{ffa1}'..='\u{ffdc}' => letters.hangul += 1,
                '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' | '\u{ff21}'..='\u{ff5a}' => {
                    letters.latin += 1;
                }
                c if c.is_alphabetic() => letters.other += 1,
                _ => {}
            }
        }
        letters
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            latin: self.latin + other.latin,
            hangul: self.hangul + other.hangul,
            other: self.other + other.other,
        }
    }

    pub(crate) fn language(self) -> Language {
        let all = self.latin + self.hangul + self.other;
        if all == 0 {
            Language::Und
        } else if self.hangul * 10 >= all * 3 {
            Language::Ko
        } else if self.latin * 2 >= all {
            Language::En
        } else {
            Language::Und
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_by_line_changes_nothing() {
        for c in ('\u{80}'..='\u{33ff}').chain('\u{a900}'..='\u{ffff}') {
            let line = format!("a {c}가나 힣\u{d55c}B{c}");
            let (fast, slow) = (Letters::of(&line), Letters::one_by_one(&line));
            assert_eq!(format!("{fast:?}"), format!("{slow:?}"), "{line}");
        }
    }

    #[test]
    fn scripts_decide() {
        for (text, expected) in [
            ("", Language::Und),
            ("12345 !?", Language::Und),
            ("VPN does not connect", Language::En),
            ("café naïve", Language::En),
            ("VPN 접속이 안 됩니다", Language::Ko),
            ("Outlook 메일 안됨", Language::Ko),
            ("ㅋㅋㅋ", Language::Ko),
            ("please translate 안녕 for the customer meeting", Language::En),
            ("пароль не работает", Language::Und),
            ("密码", Language::Und),
        ] {
            assert_eq!(language(text), expected, "{text}");
        }
    }
}
