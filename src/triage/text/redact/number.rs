//! Finds that are made of digits: Korean resident numbers, cards, telephone numbers, IPv4.

use std::ops::Range;

use super::{Found, MaskKind, word_byte};

/// The beginnings of Korean numbers that companies have for the whole country: `1588-1234`.
const REPRESENTATIVE: [&[u8; 4]; 22] = [
    b"1522", b"1533", b"1544", b"1566", b"1577", b"1588", b"1599", b"1600", b"1644", b"1660",
    b"1661", b"1666", b"1668", b"1670", b"1688", b"1800", b"1811", b"1833", b"1844", b"1855",
    b"1877", b"1899",
];

/// A run is split into at most this many groups; more digits than that are a table, not a number.
const MAX_GROUPS: usize = 64;

pub(super) fn find(text: &str, found: &mut Vec<Found>) {
    let bytes = text.as_bytes();
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut i = 0;
    while let Some(first) = next_digit(bytes, i) {
        let end = run(bytes, first, &mut groups);
        i = end;
        let digits: usize = groups.iter().map(ExactSizeIterator::len).sum();
        if digits >= 4 {
            classify(bytes, &groups, found);
        }
    }
}

/// The first digit at or after `from`. Whole blocks are skipped at a time.
fn next_digit(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    for block in bytes.get(from..)?.chunks(64) {
        // No early exit inside a block: this form is vectorised.
        let any = block.iter().fold(0u8, |any, b| any | u8::from(b.is_ascii_digit()));
        if any != 0 {
            return block.iter().position(u8::is_ascii_digit).map(|p| at + p);
        }
        at += block.len();
    }
    None
}

/// Splits the run of digits and separators that starts at `first` into its groups of digits and
/// returns where it ends. Between two groups stand one or two of ` -.()`, or ` - `.
fn run(bytes: &[u8], first: usize, groups: &mut Vec<Range<usize>>) -> usize {
    groups.clear();
    let mut at = first;
    loop {
        let len = bytes[at..].iter().take_while(|b| b.is_ascii_digit()).count();
        groups.push(at..at + len);
        at += len;
        let gap = bytes[at..].iter().take(3).take_while(|b| b" -.()".contains(b)).count();
        let next = at + gap;
        let joined = (1..=2).contains(&gap) || bytes[at..next] == *b" - ";
        let more = joined && bytes.get(next).is_some_and(u8::is_ascii_digit);
        if !more || groups.len() == MAX_GROUPS {
            return at;
        }
        at = next;
    }
}

/// Tries every kind from every group on, the strictest first.
fn classify(bytes: &[u8], groups: &[Range<usize>], found: &mut Vec<Found>) {
    let mut i = 0;
    while i < groups.len() {
        let rest = &groups[i..];
        let hit = resident_number(bytes, rest)
            .map(|n| (n, MaskKind::KrRrn))
            .or_else(|| card(bytes, rest).map(|n| (n, MaskKind::Card)))
            .or_else(|| ipv4(bytes, rest).map(|n| (n, MaskKind::Ip)))
            .or_else(|| phone(bytes, rest).map(|n| (n, MaskKind::Phone)));
        let Some((n, kind)) = hit else {
            i += 1;
            continue;
        };
        let (mut start, mut end) = (rest[0].start, rest[n - 1].end);
        if kind == MaskKind::Phone {
            start = opening(bytes, start);
            end = extension(bytes, end);
        }
        // A card's check digit is proof enough, and its brand is often glued to it: `VISA4111…`.
        let alone = !word_byte(before(bytes, start)) && !word_byte(bytes.get(end));
        if alone || kind == MaskKind::Card {
            found.push(Found { start, end, kind });
            i += n;
        } else {
            i += 1;
        }
    }
}

fn before(bytes: &[u8], at: usize) -> Option<&u8> {
    at.checked_sub(1).and_then(|i| bytes.get(i))
}

/// Takes a `+` or `(` before a telephone number into the find.
fn opening(bytes: &[u8], mut start: usize) -> usize {
    for _ in 0..2 {
        if matches!(before(bytes, start), Some(b'+' | b'(')) {
            start -= 1;
        }
    }
    start
}

/// Takes an extension (`x89`) behind a telephone number into the find.
fn extension(bytes: &[u8], end: usize) -> usize {
    let rest = bytes.get(end + 1..).unwrap_or_default();
    match (bytes.get(end), rest.iter().take(7).take_while(|b| b.is_ascii_digit()).count()) {
        (Some(b'x' | b'X'), len @ 1..) => end + 1 + len,
        _ => end,
    }
}

fn gap<'a>(bytes: &'a [u8], groups: &[Range<usize>], i: usize) -> &'a [u8] {
    &bytes[groups[i].end..groups[i + 1].start]
}

/// `YYMMDD-GNNNNNN`, the hyphen optional or a blank. How many groups it takes.
fn resident_number(bytes: &[u8], groups: &[Range<usize>]) -> Option<usize> {
    let (n, digits): (usize, &[u8]) = match groups {
        [all, ..] if all.len() == 13 => (1, &bytes[all.clone()]),
        [date, rest, ..]
            if date.len() == 6
                && rest.len() == 7
                && halves(gap(bytes, groups, 0), bytes[rest.start]) =>
        {
            (2, &bytes[date.clone()])
        }
        _ => return None,
    };
    let month = (digits[2] - b'0') * 10 + digits[3] - b'0';
    let day = (digits[4] - b'0') * 10 + digits[5] - b'0';
    ((1..=12).contains(&month) && (1..=31).contains(&day)).then_some(n)
}

/// Whether the two halves of a resident number stand so, the second with that first digit. With
/// no more than a blank between, it has to be one of those that are given out.
fn halves(gap: &[u8], first: u8) -> bool {
    match gap {
        b"-" | b" -" | b"- " | b" - " => true,
        b" " => (b'1'..=b'8').contains(&first),
        _ => false,
    }
}

/// 13 to 19 digits that start as cards do and pass the Luhn check; the longest that does.
fn card(bytes: &[u8], groups: &[Range<usize>]) -> Option<usize> {
    if !(b'2'..=b'6').contains(&bytes[groups[0].start]) {
        return None;
    }
    let mut digits = [0u8; 19];
    let mut len = 0;
    let mut best = None;
    for (i, group) in groups.iter().enumerate() {
        if i > 0 && !matches!(gap(bytes, groups, i - 1), b" " | b"-" | b" - ") {
            break;
        }
        let Some(room) = digits.get_mut(len..len + group.len()) else { break };
        room.copy_from_slice(&bytes[group.clone()]);
        len += group.len();
        // Cards are written whole or in groups of about four.
        if len >= 13
            && (i == 0 || groups[..=i].iter().all(|g| (2..=7).contains(&g.len())))
            && luhn(&digits[..len])
        {
            best = Some(i + 1);
        }
    }
    best
}

/// ISO/IEC 7812-1, annex B.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, d)| {
            let d = u32::from(d - b'0');
            if i % 2 == 0 { d } else { d * 2 / 10 + d * 2 % 10 }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Four octets with dots, that no more dots follow and no version word precedes.
fn ipv4(bytes: &[u8], groups: &[Range<usize>]) -> Option<usize> {
    let four = groups.get(..4)?;
    let octet = |g: &Range<usize>| {
        g.len() <= 3
            && bytes[g.clone()].iter().fold(0u32, |n, d| n * 10 + u32::from(d - b'0')) <= 255
    };
    if !four.iter().all(octet) || !(0..3).all(|i| gap(bytes, four, i) == b".") {
        return None;
    }
    let next_octet = bytes.get(four[3].end) == Some(&b'.')
        && bytes.get(four[3].end + 1).is_some_and(u8::is_ascii_digit);
    let within = before(bytes, four[0].start) == Some(&b'.');
    (!next_octet && !within && !after_version(&bytes[..four[0].start])).then_some(4)
}

/// Whether the text before a number ends in a word that announces a version.
fn after_version(bytes: &[u8]) -> bool {
    const WORDS: [&str; 8] =
        ["version", "ver", "ver.", "build", "release", "firmware", "driver", "버전"];
    let trimmed = bytes.trim_ascii_end();
    WORDS.iter().any(|word| {
        let Some(start) = trimmed.len().checked_sub(word.len()) else { return false };
        // A whole word: "server" ends in one too.
        trimmed[start..].eq_ignore_ascii_case(word.as_bytes()) && !word_byte(before(trimmed, start))
    })
}

/// Telephone numbers as people write them. How many groups the longest one takes.
fn phone(bytes: &[u8], groups: &[Range<usize>]) -> Option<usize> {
    let plus = bytes[opening(bytes, groups[0].start)..groups[0].start].contains(&b'+');
    let most = groups.len().min(6);
    (1..=most).rev().find(|&n| is_phone(bytes, &groups[..n], plus))
}

fn is_phone(bytes: &[u8], groups: &[Range<usize>], plus: bool) -> bool {
    let lens: Vec<usize> = groups.iter().map(ExactSizeIterator::len).collect();
    let digits: usize = lens.iter().sum();
    let first = &bytes[groups[0].clone()];
    let tail_of =
        |from: usize, least: usize| lens[from..].iter().all(|len| (least..=4).contains(len));
    if plus {
        // +82 10-1234-5678, +442079460958: 8 to 15 digits (ITU-T E.164).
        let room = lens[1..].iter().all(|len| *len >= 1);
        return (8..=15).contains(&digits) && first[0] != b'0' && room && lens[lens.len() - 1] >= 2;
    }
    match lens.as_slice() {
        // 821012345678, 8210-1234-5678
        [11 | 12] | [4, 3 | 4, 4] if first.starts_with(b"82") => {
            first[2] == b'1' && MOBILE.contains(&first[3])
        }
        // 01012345678
        [10 | 11] => first.starts_with(b"01") && MOBILE.contains(&first[2]),
        // 82-10-1234-5678, 82-2-123-4567
        [2, 2, 3 | 4, 4] if first == b"82" => true,
        [2, 1, 3 | 4, 4] if first == b"82" => bytes[groups[1].start] == b'2',
        [4, 4] => is_representative(bytes, groups),
        // 010-1234-5678, 02-123-4567, 031-123-4567, 020 7946 0958, 0151 2345 6789
        [2..=5, _, ..] if first[0] == b'0' && first[1] != b'0' => {
            (9..=12).contains(&digits)
                && lens.len() <= 4
                && lens[1..].iter().all(|len| (3..=8).contains(len))
        }
        // 0082-10-1234-5678
        [4 | 5, 1..=4, _, ..] if first.starts_with(b"00") => {
            (11..=16).contains(&digits) && tail_of(2, 2)
        }
        // 555-123-4567, (555) 123-4567, 1-800-555-1234
        [3, 3, 4] => first[0] >= b'2',
        [1, 3, 3, 4] => first == b"1" && bytes[groups[1].start] >= b'2',
        _ => false,
    }
}

/// What follows `01` in the numbers of Korean mobiles.
const MOBILE: &[u8] = b"016789";

/// `1588-1234`, if it is no part of a longer number and no range.
fn is_representative(bytes: &[u8], groups: &[Range<usize>]) -> bool {
    let [first, last] = groups else { return false };
    let known = REPRESENTATIVE.iter().any(|known| bytes[first.clone()] == **known);
    let joined = |byte: Option<&u8>| matches!(byte, Some(b'-' | b'.'));
    let part = joined(before(bytes, first.start))
        || (joined(bytes.get(last.end)) && word_byte(bytes.get(last.end + 1)));
    known && !part && gap(bytes, groups, 0) == b"-" && !is_range(&bytes[first.start..last.end])
}

/// Whether four digits, a hyphen and four digits are rather two years or two times of day:
/// `1588-1600`, `1800-2030`.
fn is_range(number: &[u8]) -> bool {
    let value = |digits: &[u8]| digits.iter().fold(0, |n, d| n * 10 + u32::from(d - b'0'));
    let (first, last) = (value(&number[..4]), value(&number[5..]));
    let times = first % 100 == 0 && last % 10 == 0 && last <= 2400;
    last > first && (last <= first + 100 || times)
}
