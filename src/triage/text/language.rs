//! Which language a text is in, by the scripts of its letters.

use serde::{Deserialize, Serialize};

use super::redact::MaskKind;
use super::tokens::begins_syllable;

/// A guess by script alone: cheap, and enough to tell the two languages of a Korean desk apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Mostly Latin letters.
    En,
    /// At least 30 % of the letters or of the words are Hangul. Korean tickets are full of English
    /// product names, and those have more letters than the Korean words beside them.
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
    let byte = |i: usize| bytes.get(i).copied().unwrap_or(0);
    let last = bytes.len().saturating_sub(2)..bytes.len();
    let last = last.filter(|i| so(byte(*i), byte(i + 1), byte(i + 2))).count();
    whole.sum::<usize>() + last
}

const BLOCK: usize = 128;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Script {
    Latin,
    Hangul,
    Other,
}

impl Script {
    /// The script of a letter; none of what is no letter.
    fn of(c: char) -> Option<Self> {
        match c {
            'a'..='z' | 'A'..='Z' => Some(Self::Latin),
            '\0'..='\u{7f}' => None,
            // Syllables, jamo, compatibility jamo, half-width jamo.
            '\u{ac00}'..='\u{d7a3}'
            | '\u{1100}'..='\u{11ff}'
            | '\u{3131}'..='\u{318e}'
            | '\u{a960}'..='\u{a97c}'
            | '\u{d7b0}'..='\u{d7fb}'
            | '\u{ffa1}'..='\u{ffdc}' => Some(Self::Hangul),
            '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' | '\u{ff21}'..='\u{ff5a}' => {
                Some(Self::Latin)
            }
            c => c.is_alphabetic().then_some(Self::Other),
        }
    }
}

/// Letters of a script, and its words: how many runs of them there are.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    letters: usize,
    words: usize,
}

/// Letters of a text in the order of [`Script`]; texts can be counted apart and judged together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Letters([Tally; 3]);

impl Letters {
    /// Of a redacted text: a mask is in no language.
    pub(crate) fn of(text: &str) -> Self {
        // A line with nothing but ASCII and common syllables is counted many bytes at a time.
        let all = text.split_inclusive('\n').map(Self::of_line).fold(Self::default(), Self::plus);
        masks(text).map(Self::of_line).fold(all, Self::minus)
    }

    fn of_line(line: &str) -> Self {
        let bytes = line.as_bytes();
        // A word is counted where it ends.
        let ends = |a: u8, b: u8| a.is_ascii_alphabetic() & !b.is_ascii_alphabetic();
        let latin = Tally {
            letters: count(bytes, |a, _, _| a.is_ascii_alphabetic()),
            words: count(bytes, |a, b, _| ends(a, b)),
        };
        if line.is_ascii() {
            return Self([latin, Tally::default(), Tally::default()]);
        }
        let syllables = count(bytes, begins_syllable);
        if syllables != count(bytes, |a, _, _| a >= 0xc0) {
            return Self::one_by_one(line);
        }
        // All that is not ASCII is Hangul here.
        let words = count(bytes, |a, b, _| (a >= 0x80) & (b < 0x80));
        Self([latin, Tally { letters: syllables, words }, Tally::default()])
    }

    fn one_by_one(text: &str) -> Self {
        let mut letters = Self::default();
        let mut last = None;
        for c in text.chars() {
            let script = Script::of(c);
            if let Some(script) = script {
                let tally = &mut letters.0[script as usize];
                tally.letters += 1;
                tally.words += usize::from(last != Some(script));
            }
            last = script;
        }
        letters
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        self.with(other, |a, b| a + b)
    }

    fn minus(self, other: Self) -> Self {
        self.with(other, usize::saturating_sub)
    }

    fn with(self, other: Self, both: fn(usize, usize) -> usize) -> Self {
        Self(std::array::from_fn(|i| {
            let (a, b) = (self.0[i], other.0[i]);
            Tally { letters: both(a.letters, b.letters), words: both(a.words, b.words) }
        }))
    }

    pub(crate) fn language(self) -> Language {
        let [latin, hangul, other] = self.0;
        let letters = latin.letters + hangul.letters + other.letters;
        let words = latin.words + hangul.words + other.words;
        if letters == 0 {
            Language::Und
        } else if hangul.letters * 10 >= letters * 3 || hangul.words * 10 >= words * 3 {
            Language::Ko
        } else if latin.letters * 2 >= letters {
            Language::En
        } else {
            Language::Und
        }
    }
}

/// The masks in a text.
fn masks(text: &str) -> impl Iterator<Item = &str> {
    let open = memchr::memchr_iter(b'[', text.as_bytes());
    open.filter_map(move |at| {
        let len = MaskKind::mask_len(&text.as_bytes()[at..])?;
        Some(&text[at..at + len])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_by_line_changes_nothing() {
        for c in ('\u{80}'..='\u{33ff}').chain('\u{a900}'..='\u{ffff}') {
            let line = format!("a {c}가나 힣\u{d55c}B{c} bc{c}");
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
            ("VPN 接続できません", Language::Und),
        ] {
            assert_eq!(language(text), expected, "{text}");
        }
    }

    #[test]
    fn long_product_names_and_errors_leave_a_ticket_korean() {
        for text in [
            "SharePoint Online 접속 불가",
            "Microsoft Authenticator 등록 오류",
            "메일 전송이 안 됩니다. 오류는 이렇습니다. \
             The message could not be delivered to the recipient mailbox (550)",
        ] {
            assert_eq!(language(text), Language::Ko, "{text}");
        }
    }

    #[test]
    fn a_korean_name_leaves_a_ticket_english() {
        for text in [
            "Reset password for 김민수",
            "VPN is down for 김민수",
            "Please grant our new colleague 김민수 대리 access to the folder",
        ] {
            assert_eq!(language(text), Language::En, "{text}");
        }
    }

    #[test]
    fn masks_are_in_no_language() {
        for (text, expected) in [
            ("[PHONE] [EMAIL]", Language::Und),
            ("[KR_RRN] [PHONE] [EMAIL] [SECRET] 문의", Language::Ko),
            ("김민수 [PHONE] [EMAIL] [IP] VPN is down today", Language::En),
            ("пароль [SECRET] [CARD] [EMAIL]", Language::Und),
            ("[OTHER] [email]", Language::En),
        ] {
            assert_eq!(language(text), expected, "{text}");
        }
    }
}
