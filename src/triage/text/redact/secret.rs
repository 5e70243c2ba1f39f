//! Passwords, keys and tokens: by what is written before them, by their known shapes, and long
//! strings that look random.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use regex::Regex;

use super::{Found, MaskKind, word_byte};

/// The shortest string that is taken for random.
const RANDOM_LEN: usize = 32;

/// What a word that announces a secret tells to look for.
#[derive(Clone, Copy)]
enum Sign {
    /// A word for a secret: what is assigned to it is one.
    Name,
    /// `Bearer` and such: the next word is one, if it looks like one.
    Scheme,
    /// The secret itself starts here; the number is that of its shape in [`SHAPES`].
    Shape(usize),
    /// A PEM block starts here.
    Pem,
}

const NAMES: &[&str] = &[
    "password",
    "passwd",
    "passcode",
    "passphrase",
    "pwd",
    "secret",
    "api key",
    "apikey",
    "api_key",
    "api-key",
    "access key",
    "access_key",
    "token",
    "비밀번호",
    "패스워드",
    "비번",
    "암호",
    "인증키",
];

/// Published prefixes of tokens, each with the rest of its shape.
const SHAPES: &[(&str, &str)] = &[
    ("AKIA", r"^AKIA[0-9A-Z]{16}"),
    ("ASIA", r"^ASIA[0-9A-Z]{16}"),
    ("AIza", r"^AIza[0-9A-Za-z_-]{30,}"),
    ("ghp_", r"^ghp_[0-9A-Za-z]{20,}"),
    ("gho_", r"^gho_[0-9A-Za-z]{20,}"),
    ("ghs_", r"^ghs_[0-9A-Za-z]{20,}"),
    ("github_pat_", r"^github_pat_[0-9A-Za-z_]{20,}"),
    ("glpat-", r"^glpat-[0-9A-Za-z_-]{16,}"),
    ("xox", r"^xox[abeoprs]-[0-9A-Za-z-]{8,}"),
    ("eyJ", r"^eyJ[0-9A-Za-z_-]{6,}\.[0-9A-Za-z_-]{6,}(?:\.[0-9A-Za-z_-]*)?"),
    ("sk-", r"^sk-[0-9A-Za-z_-]{20,}"),
    ("sk_live_", r"^sk_live_[0-9A-Za-z]{10,}"),
];

struct Signs {
    finder: AhoCorasick,
    meaning: Vec<Sign>,
    shapes: Vec<Regex>,
    assigned: Regex,
    told: Regex,
    scheme: Regex,
}

static SIGNS: LazyLock<Signs> = LazyLock::new(|| {
    let mut words: Vec<&str> = NAMES.to_vec();
    let mut meaning = vec![Sign::Name; NAMES.len()];
    words.extend(["bearer", "basic"]);
    meaning.extend([Sign::Scheme; 2]);
    words.push("-----begin");
    meaning.push(Sign::Pem);
    let prefixes: Vec<String> = SHAPES.iter().map(|(p, _)| p.to_ascii_lowercase()).collect();
    words.extend(prefixes.iter().map(String::as_str));
    meaning.extend((0..SHAPES.len()).map(Sign::Shape));
    // The patterns are constants of this file; a test builds them.
    #[allow(clippy::expect_used)]
    let regex = |pattern: &str| Regex::new(pattern).expect("a constant pattern");
    #[allow(clippy::expect_used)]
    let finder = AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostLongest)
        .kind(Some(AhoCorasickKind::DFA))
        .build(&words)
        .expect("constant patterns");
    Signs {
        finder,
        meaning,
        shapes: SHAPES.iter().map(|(_, pattern)| regex(pattern)).collect(),
        // After the name: `: value`, `= value`, quoted or not. `(?-u:…)` keeps the steps small.
        assigned: regex(
            r#"^["'`)*\]]{0,3}(?:는|은|가|이)?[ \t]{0,4}(?:is[ \t]{0,2})?(?::=|=>|[:=：])[ \t]{0,4}(?:"([^"\n]{1,128})"|'([^'\n]{1,128})'|([^\s"']\S{0,255}))"#,
        ),
        // After the name, told in a sentence: `is value`, `는 value`.
        told: regex(
            r#"^(?:[ \t]{1,3}(?:is|was|to|as)[ \t]{1,3}|(?:는|은|가|이|를|을)?[ \t]{1,3})["'`]?([!-~]{4,64})"#,
        ),
        scheme: regex(r"^[ \t]{1,3}([0-9A-Za-z._~+/=-]{12,})"),
    }
});

pub(super) fn find(text: &str, found: &mut Vec<Found>) {
    let signs = &*SIGNS;
    let bytes = text.as_bytes();
    let mut from = 0;
    // In lower case, so that the finder may skip through the text many bytes at a time.
    let lower = text.to_ascii_lowercase();
    for hit in signs.finder.find_iter(&lower) {
        if hit.start() < from {
            continue;
        }
        let span = match signs.meaning[hit.pattern().as_usize()] {
            Sign::Name => named(signs, text, hit.end()),
            Sign::Scheme => scheme(signs, text, hit.end()),
            Sign::Pem => Some((hit.start(), pem_end(text, hit.end()))),
            Sign::Shape(i) => {
                let glued = word_byte(hit.start().checked_sub(1).and_then(|i| bytes.get(i)));
                let shape = &signs.shapes[i];
                let end = || shape.find(&text[hit.start()..]).map(|m| hit.start() + m.end());
                if glued { None } else { end().map(|end| (hit.start(), end)) }
            }
        };
        if let Some((start, end)) = span {
            found.push(Found { start, end, kind: MaskKind::Secret });
            from = end;
        }
    }
    random(text, found);
}

/// The value that is assigned to, or told of, a name that ends at `end`.
fn named(signs: &Signs, text: &str, end: usize) -> Option<(usize, usize)> {
    let rest = &text[end..];
    if let Some(c) = signs.assigned.captures(rest) {
        let value = c.get(1).or_else(|| c.get(2)).or_else(|| c.get(3))?;
        let trimmed =
            value.as_str().trim_end_matches(['.', ',', ';', ')', ']', '}', '"', '\'', '>']);
        let whole = if trimmed.is_empty() { value.as_str() } else { trimmed };
        let start = end + value.start();
        let masked = MaskKind::mask_len(value.as_str().as_bytes()).is_some();
        return (whole.chars().count() >= 3 && !masked).then_some((start, start + whole.len()));
    }
    let value = signs.told.captures(rest)?.get(1)?;
    let trimmed = value.as_str().trim_end_matches(['.', ',', ';', ')', '"', '\'', '!', '?']);
    let start = end + value.start();
    (looks_chosen(trimmed)).then_some((start, start + trimmed.len()))
}

/// Whether a word looks like a password and not like a word: letters with digits, and no shape of
/// a link, a path or a date.
fn looks_chosen(word: &str) -> bool {
    let bytes = word.as_bytes();
    let letters = bytes.iter().any(u8::is_ascii_alphabetic);
    let digits = bytes.iter().any(u8::is_ascii_digit);
    bytes.len() >= 6
        && letters
        && digits
        && !word.contains("://")
        && MaskKind::mask_len(bytes).is_none()
        && bytes[0] != b'['
}

fn scheme(signs: &Signs, text: &str, end: usize) -> Option<(usize, usize)> {
    let value = signs.scheme.captures(&text[end..])?.get(1)?;
    value
        .as_str()
        .bytes()
        .any(|b| b.is_ascii_digit())
        .then_some((end + value.start(), end + value.end()))
}

/// Where a PEM block ends: after its last line, or with the text.
fn pem_end(text: &str, from: usize) -> usize {
    let rest = &text[from..];
    let Some(end) = memchr::memmem::find(rest.as_bytes(), b"-----END") else { return text.len() };
    let tail = from + end + "-----END".len();
    let close = memchr::memmem::find(&text.as_bytes()[tail..], b"-----");
    close.map_or(text.len(), |i| tail + i + "-----".len())
}

/// What a long string that looks random is made of.
const JOINED: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < 128 {
        table[b] = (b as u8).is_ascii_alphanumeric() || matches!(b as u8, b'+' | b'=' | b'_');
        b += 1;
    }
    table
};

/// Long strings of letters and digits that no person types: hexadecimal, or all of lower case,
/// upper case and digits, with high entropy. Words cannot be that long without being joined by
/// characters that end a run here.
fn random(text: &str, found: &mut Vec<Found>) {
    let bytes = text.as_bytes();
    let inside = |b: &u8| JOINED[usize::from(*b)];
    let mut from = 0;
    // A run of 32 covers one of every 32 positions: look at those only.
    let mut probe = RANDOM_LEN - 1;
    while probe < bytes.len() {
        if probe >= from && inside(&bytes[probe]) {
            let start = probe - bytes[from..probe].iter().rev().take_while(|b| inside(b)).count();
            let end = probe + bytes[probe..].iter().take_while(|b| inside(b)).count();
            from = end;
            if end - start >= RANDOM_LEN && looks_random(&bytes[start..end]) {
                found.push(Found { start, end, kind: MaskKind::Secret });
            }
        }
        probe += RANDOM_LEN;
    }
}

fn looks_random(run: &[u8]) -> bool {
    let has = |class: fn(&u8) -> bool| run.iter().any(class);
    let digit = has(u8::is_ascii_digit);
    let hex = run.iter().all(u8::is_ascii_hexdigit) && has(u8::is_ascii_alphabetic);
    let mixed = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    digit && ((hex && entropy(run) >= 3.0) || (mixed && entropy(run) >= 4.0))
}

/// Shannon entropy of the bytes, in bits each.
fn entropy(run: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    for b in run {
        counts[usize::from(*b)] += 1;
    }
    let n = run.len() as f64;
    counts.iter().filter(|c| **c > 0).map(|c| f64::from(*c) / n).map(|p| -p * p.log2()).sum()
}
