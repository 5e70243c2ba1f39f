//! Passwords, keys and tokens: by what is written before them, by their known shapes, and long
//! strings that look random.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use regex::{Captures, Regex};

use super::{Found, MaskKind, word_byte};

/// The shortest string that is taken for random.
const RANDOM_LEN: usize = 32;

/// What a word that announces a secret tells to look for.
#[derive(Clone, Copy)]
enum Sign {
    /// A word for a secret: what is assigned to it, or told of it, is one.
    Name,
    /// A word of that length that has other meanings too: only what is assigned to it is one.
    Short(usize),
    /// `Bearer` and such: the next word is one, if it looks like one.
    Scheme,
    /// The secret itself starts here; the number is that of its shape in [`SHAPES`].
    Shape(usize),
    /// A JSON Web Token may start here.
    WebToken,
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

/// `pass` and `pw` with what may follow them: the finder is slow where a pattern has two letters.
const SHORT: &[(&str, usize)] = &[
    ("pass", 4),
    ("pw:", 2),
    ("pw=", 2),
    ("pw ", 2),
    ("pw\"", 2),
    ("pw'", 2),
    ("pw*", 2),
    ("pw)", 2),
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
    ("sk-", r"^sk-[0-9A-Za-z_-]{20,}"),
    ("sk_live_", r"^sk_live_[0-9A-Za-z]{10,}"),
];

struct Signs {
    finder: AhoCorasick,
    meaning: Vec<Sign>,
    shapes: Vec<Regex>,
    suffix: Regex,
    assigned: Regex,
    told: Regex,
    public: Regex,
    scheme: Regex,
    private_key: Regex,
}

static SIGNS: LazyLock<Signs> = LazyLock::new(|| {
    let mut words: Vec<&str> = NAMES.to_vec();
    let mut meaning = vec![Sign::Name; NAMES.len()];
    words.extend(SHORT.iter().map(|(word, _)| *word));
    meaning.extend(SHORT.iter().map(|(_, len)| Sign::Short(*len)));
    words.extend(["bearer", "basic", "eyj", "-----begin"]);
    meaning.extend([Sign::Scheme, Sign::Scheme, Sign::WebToken, Sign::Pem]);
    let prefixes: Vec<String> = SHAPES.iter().map(|(p, _)| p.to_ascii_lowercase()).collect();
    words.extend(prefixes.iter().map(String::as_str));
    meaning.extend((0..SHAPES.len()).map(Sign::Shape));
    #[allow(clippy::expect_used, reason = "constant patterns, which a test builds")]
    let regex = |pattern: &str| Regex::new(pattern).expect("a constant pattern");
    #[allow(clippy::expect_used, reason = "constant patterns, which a test builds")]
    let finder = AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostLongest)
        .kind(Some(AhoCorasickKind::DFA))
        .build(&words)
        .expect("constant patterns");
    Signs {
        finder,
        meaning,
        shapes: SHAPES.iter().map(|(_, pattern)| regex(pattern)).collect(),
        // `secretKey`, `SECRET_KEY`, `token value`.
        suffix: regex(r"^[ _-]?(?i-u:(?:key|value)\b)"),
        // After the name: `: value`, `= value`, quoted or not, or on the next line.
        assigned: regex(
            r#"^["'`)*\]]{0,3}(?:는|은|가|이)?[ \t]{0,4}(?:is[ \t]{0,2})?(:=|=>|[:=])[ \t]{0,4}(\r?\n[ \t]{0,8})?(?:"([^"\n]{1,128})"|'([^'\n]{1,128})'|([^\s"']\S{0,255}))"#,
        ),
        // After the name, told in a sentence: `is value`, `는 value`, or the bare value.
        told: regex(
            r#"^([ \t]{1,3}(?:is|was|to|as)|는|은|가|이|를|을)?[ \t]{1,3}(["'`])?([!-~]{4,64})"#,
        ),
        // Error codes, numbers of tickets and updates, products: `Reset password Office365`. Any
        // other word with a capital and digits may be a password (`Qwer1234`).
        public: regex(
            r"^(?:0[xX][0-9A-Fa-f]{4,16}|[A-Z]{2,6}[0-9]{5,12}|(?i-u:office|windows|outlook|exchange|sharepoint|excel|word|visio|acrobat|autocad|macos|iphone|android|ubuntu)(?:365|[0-9]{1,2}|20[0-9]{2}))$",
        ),
        scheme: regex(r"^[ \t]{1,3}([0-9A-Za-z._~+/=-]{12,})"),
        private_key: regex(r"^(?i-u:[ A-Z0-9]{0,40}PRIVATE KEY)"),
    }
});

pub(super) fn find(text: &str, found: &mut Vec<Found>) {
    let signs = &*SIGNS;
    let bytes = text.as_bytes();
    let mut from = 0;
    // No web token starts before here.
    let mut no_token = 0;
    // In lower case, so that the finder may skip through the text many bytes at a time.
    let lower = text.to_ascii_lowercase();
    for hit in signs.finder.find_iter(&lower) {
        let (start, end) = (hit.start(), hit.end());
        if start < from {
            continue;
        }
        let glued = || word_byte(start.checked_sub(1).and_then(|i| bytes.get(i)));
        let span = match signs.meaning[hit.pattern().as_usize()] {
            Sign::Name if in_mask(bytes, start) => None,
            Sign::Name => named(signs, text, end),
            Sign::Short(len) if begins_word(bytes, start) => {
                let found = signs.assigned.captures(&text[start + len..]);
                found.and_then(|found| assigned(&found, text, start + len))
            }
            Sign::Short(_) => None,
            Sign::Scheme => scheme(signs, text, end),
            Sign::Pem => {
                let private = signs.private_key.is_match(&text[end..]);
                private.then(|| (start, pem_end(text, end)))
            }
            Sign::WebToken if start < no_token || glued() => None,
            Sign::WebToken => match web_token(bytes, start) {
                Ok(end) => Some((start, end)),
                Err(end) => {
                    no_token = end;
                    None
                }
            },
            Sign::Shape(_) if glued() => None,
            Sign::Shape(i) => {
                let shape = signs.shapes[i].find(&text[start..]);
                shape.map(|found| (start, start + found.end()))
            }
        };
        if let Some((start, end)) = span {
            found.push(Found { start, end, kind: MaskKind::Secret });
            from = end;
        }
    }
    random(text, found);
}

/// Whether a name is that of a mask: `[SECRET]: mismatch` tells no secret.
fn in_mask(bytes: &[u8], start: usize) -> bool {
    start.checked_sub(1).is_some_and(|i| MaskKind::mask_len(&bytes[i..]).is_some())
}

/// Whether a word begins at `start`: `DB_PASS` and `dbPass`, but not `compass`.
fn begins_word(bytes: &[u8], start: usize) -> bool {
    let Some(before) = start.checked_sub(1).map(|i| bytes[i]) else { return true };
    let hump = before.is_ascii_lowercase() && bytes[start].is_ascii_uppercase();
    hump || !before.is_ascii_alphabetic()
}

/// The value that is assigned to, or told of, a name that ends at `end`.
fn named(signs: &Signs, text: &str, end: usize) -> Option<(usize, usize)> {
    let end = signs.suffix.find(&text[end..]).map_or(end, |suffix| end + suffix.end());
    match signs.assigned.captures(&text[end..]) {
        Some(found) => assigned(&found, text, end),
        None => told(signs, text, end),
    }
}

/// The value in what `Signs::assigned` found at `end`.
fn assigned(found: &Captures<'_>, text: &str, end: usize) -> Option<(usize, usize)> {
    let quoted = found.get(3).or_else(|| found.get(4));
    let value = quoted.or_else(|| found.get(5))?;
    let trimmed = value.as_str().trim_end_matches(['.', ',', ';', ')', ']', '}', '"', '\'', '>']);
    let whole = if trimmed.is_empty() { value.as_str() } else { trimmed };
    let masked = MaskKind::mask_len(value.as_str().as_bytes()).is_some();
    let asked = quoted.is_none() && &found[1] == ":" && asked(whole);
    let sentence = quoted.is_none()
        && found.get(2).is_some()
        && begins_sentence(value.as_str(), &text[end + value.end()..]);
    let start = end + value.start();
    let fits = whole.chars().count() >= 3 && !masked && !asked && !sentence;
    fits.then_some((start, start + whole.len()))
}

/// Whether a word is what people ask for where the secret would be: `Password: reset please`.
fn asked(word: &str) -> bool {
    const ENGLISH: [&str; 10] = [
        "reset",
        "expired",
        "locked",
        "forgotten",
        "forgot",
        "change",
        "changed",
        "help",
        "unlock",
        "please",
    ];
    const KOREAN: [&str; 10] =
        ["초기화", "만료", "잠김", "잠금", "변경", "분실", "재설정", "오류", "문의", "요청"];
    // Korean has its endings glued on: `변경해주세요`.
    let korean = || word.chars().all(|c| matches!(c, '가'..='힣'));
    ENGLISH.iter().any(|asked| word.eq_ignore_ascii_case(asked))
        || (KOREAN.iter().any(|asked| word.starts_with(asked)) && korean())
}

/// Whether the first word of the line after a sign belongs to that line and not to the sign: it
/// names the next field of a form, or is the first of several plain words.
fn begins_sentence(word: &str, after: &str) -> bool {
    let plain = word.trim_end_matches(['.', ',', ';', '!', '?']);
    let letters = plain.chars().all(|c| c.is_alphabetic() || matches!(c, '\'' | '’'));
    let alone = || after.lines().next().is_none_or(|rest| rest.trim().is_empty());
    word.ends_with(':') || (letters && !alone())
}

/// The value that is told of a name that ends at `end`.
fn told(signs: &Signs, text: &str, end: usize) -> Option<(usize, usize)> {
    let found = signs.told.captures(&text[end..])?;
    let value = found.get(3)?;
    let trimmed = value.as_str().trim_end_matches(['.', ',', ';', ')', '"', '\'', '!', '?']);
    let bare = found.get(1).is_none() && found.get(2).is_none();
    let start = end + value.start();
    let fits = looks_chosen(trimmed) && !(bare && signs.public.is_match(trimmed));
    fits.then_some((start, start + trimmed.len()))
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

/// Where the JSON Web Token ends that starts at `start`: letters of base64url with one or two dots
/// between. If there is none, the end of its first letters: what starts within is none either, so
/// that no text is read twice.
fn web_token(bytes: &[u8], start: usize) -> Result<usize, usize> {
    let letter = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    let run = |from: usize| from + bytes[from..].iter().take_while(|b| letter(b)).count();
    // Any case is found, but `eyJ` only is `{"` in base64.
    if !bytes[start..].starts_with(b"eyJ") {
        return Err(start);
    }
    let header = run(start);
    if header < start + 9 || bytes.get(header) != Some(&b'.') {
        return Err(header);
    }
    let payload = run(header + 1);
    if payload < header + 7 {
        return Err(header);
    }
    let signed = bytes.get(payload) == Some(&b'.');
    Ok(if signed { run(payload + 1) } else { payload })
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
