//! Personal data and secrets out of a text, before anything else reads it.
//!
//! Each finder looks for a byte that its kind cannot do without (`@`, `:`, a digit, a known
//! prefix) and only then looks closer, so that a text with none of them costs little more than
//! reading it. Every finder is linear in the text's length, whatever the text, and reads it as it
//! looks to people. What is found is replaced by the kind's mask (`[EMAIL]`); masks are never
//! found again, so redacting twice changes nothing more.

mod number;
mod plain;
mod secret;
mod url;

use std::borrow::Cow;
use std::net::Ipv6Addr;

use plain::Plain;

/// What was found. The declaration's order is that of [`MaskCounts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MaskKind {
    Email,
    /// Telephone numbers as people write them: Korean, North American, national with a leading
    /// zero, international with `+`.
    Phone,
    /// Payment cards: 13 to 19 digits that pass the Luhn check.
    Card,
    /// Korean resident registration numbers. The check digit is not used: numbers issued since
    /// October 2020 have none.
    KrRrn,
    /// IPv4 and IPv6 addresses.
    Ip,
    /// Passwords, keys, tokens.
    Secret,
}

impl MaskKind {
    pub const ALL: [Self; 6] =
        [Self::Email, Self::Phone, Self::Card, Self::KrRrn, Self::Ip, Self::Secret];

    /// The kind's name in metrics and outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Card => "card",
            Self::KrRrn => "kr_rrn",
            Self::Ip => "ip",
            Self::Secret => "secret",
        }
    }

    /// What stands in the text instead.
    pub fn mask(self) -> &'static str {
        match self {
            Self::Email => "[EMAIL]",
            Self::Phone => "[PHONE]",
            Self::Card => "[CARD]",
            Self::KrRrn => "[KR_RRN]",
            Self::Ip => "[IP]",
            Self::Secret => "[SECRET]",
        }
    }

    /// The length in bytes of the mask that `text` starts with, if it starts with one.
    pub(crate) fn mask_len(text: &[u8]) -> Option<usize> {
        if text.first() != Some(&b'[') {
            return None;
        }
        Self::ALL
            .iter()
            .map(|kind| kind.mask())
            .find(|m| text.starts_with(m.as_bytes()))
            .map(str::len)
    }
}

/// How many of each kind were masked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaskCounts([u32; 6]);

impl MaskCounts {
    pub fn get(&self, kind: MaskKind) -> u32 {
        self.0[kind as usize]
    }

    pub fn add(&mut self, kind: MaskKind, n: u32) {
        let count = &mut self.0[kind as usize];
        *count = count.saturating_add(n);
    }

    /// Every kind with its count, zeros included.
    pub fn iter(&self) -> impl Iterator<Item = (MaskKind, u32)> + '_ {
        MaskKind::ALL.into_iter().map(|kind| (kind, self.get(kind)))
    }

    pub fn total(&self) -> u32 {
        self.0.iter().fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// The sum of both, kind by kind.
    #[must_use]
    pub fn plus(mut self, other: Self) -> Self {
        for (kind, n) in other.iter() {
            self.add(kind, n);
        }
        self
    }
}

/// A piece of the text to mask: byte positions on character boundaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    start: usize,
    end: usize,
    kind: MaskKind,
}

/// `text` with every find replaced by its mask, and how many of each kind there were. Borrows
/// where nothing was found.
pub fn redact(text: &str) -> (Cow<'_, str>, MaskCounts) {
    let mut counts = MaskCounts::default();
    let mut now = Cow::Borrowed(text);
    // Masking one thing can bare the next (a number that was glued to an address). The bound
    // keeps hostile texts linear; ordinary ones are done after one round and a look.
    for _ in 0..4 {
        let Some(next) = pass(&now, &mut counts) else { break };
        now = Cow::Owned(next);
    }
    (now, counts)
}

/// One round over the text; `None` when nothing was found.
fn pass(text: &str, counts: &mut MaskCounts) -> Option<String> {
    let plain = Plain::of(text);
    let mut found = Vec::new();
    url::find(&plain.text, &mut found);
    emails(&plain.text, &mut found);
    secret::find(&plain.text, &mut found);
    number::find(&plain.text, &mut found);
    ipv6(&plain.text, &mut found);
    if found.is_empty() {
        return None;
    }
    for f in &mut found {
        (f.start, f.end) = (plain.origin(f.start), plain.origin(f.end));
    }
    found.sort_by_key(|f| (f.start, std::cmp::Reverse(f.end)));

    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    let mut rest = found.into_iter().peekable();
    while let Some(mut f) = rest.next() {
        // Overlapping finds become one mask over all of them: nothing of either may stay.
        while let Some(next) = rest.next_if(|next| next.start < f.end) {
            f.end = f.end.max(next.end);
        }
        out.push_str(&text[done..f.start]);
        out.push_str(f.kind.mask());
        counts.add(f.kind, 1);
        done = f.end;
    }
    out.push_str(&text[done..]);
    Some(out)
}

/// Whether an ASCII letter, digit or underscore is next to a position: the find would be a part
/// of a longer name. Korean letters do not count: particles are glued to what they follow.
fn word_byte(byte: Option<&u8>) -> bool {
    byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
}

/// Finds addresses; `found` has the credentials in links, and nothing else yet.
fn emails(text: &str, found: &mut Vec<Found>) {
    // Behind these is a host, not a person's address.
    let hosts: Vec<usize> = found.iter().map(|credentials| credentials.end).collect();
    let mut from = 0;
    for at in memchr::memchr_iter(b'@', text.as_bytes()) {
        if at < from {
            continue;
        }
        // Bounded, and never back over what an earlier `@` has used: linear.
        let back = local_len(&text[from..at]);
        from = at + 1;
        if back == 0 || hosts.binary_search(&at).is_ok() {
            continue;
        }
        let Some(len) = domain_len(&text[from..]) else { continue };
        from += len;
        found.push(Found { start: at - back, end: from, kind: MaskKind::Email });
    }
}

/// Whether a letter is of a script that is written together with Latin words: `메일은kim@…`,
/// `…@example.com으로`.
fn is_glued(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{11ff}' | '\u{2e80}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}')
}

/// How many bytes at the end of `text` can be what stands before an `@`.
fn local_len(text: &str) -> usize {
    let (mut len, mut latin) = (0, false);
    for c in text.chars().rev().take(64) {
        let inside = c.is_alphanumeric() || "._%+-'".contains(c);
        if !inside || (latin && is_glued(c)) {
            break;
        }
        latin |= c.is_ascii_alphabetic();
        len += c.len_utf8();
    }
    len
}

/// The length of the domain name that `text` begins with: in Latin letters, so that nothing glued to
/// it counts, or else in any.
fn domain_len(text: &str) -> Option<usize> {
    let any = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-');
    let latin = |c: char| any(c) && !is_glued(c);
    top_level(run(text, latin)).or_else(|| top_level(run(text, any)))
}

fn run(text: &str, inside: impl Fn(char) -> bool) -> &str {
    let chars = text.chars().take(255).take_while(|c| inside(*c));
    &text[..chars.map(char::len_utf8).sum::<usize>()]
}

/// The length of the longest beginning of `name` that ends in a top-level domain.
fn top_level(name: &str) -> Option<usize> {
    let mut end = name.len();
    while let Some(dot) = name[..end].rfind('.') {
        let label = &name[dot + 1..end];
        // `회사.com으로`: behind Latin letters others are glued on.
        let latin = label.find(is_glued).filter(|latin| *latin >= 2).unwrap_or(label.len());
        let label = label[..latin].trim_end_matches('-');
        let letters = label.starts_with(char::is_alphabetic) && label.chars().nth(1).is_some();
        if dot > 0 && letters {
            return Some(dot + 1 + label.len());
        }
        end = dot;
    }
    None
}

fn ipv6(text: &str, found: &mut Vec<Found>) {
    let bytes = text.as_bytes();
    let inside = |b: &u8| b.is_ascii_hexdigit() || *b == b':' || *b == b'.';
    let mut from = 0;
    for colon in memchr::memchr_iter(b':', bytes) {
        if colon < from {
            continue;
        }
        // Most colons end a word or stand in a time or a link: one look tells.
        if !bytes.get(colon + 1).is_some_and(inside) {
            continue;
        }
        let start = colon - bytes[from..colon].iter().rev().take_while(|b| inside(b)).count();
        let end = colon + bytes[colon..].iter().take_while(|b| inside(b)).count();
        from = end;
        let mut run = &text[start..end];
        // The sentence's own stop or colon.
        if let Some(rest) = run.strip_suffix(['.', ':']).filter(|r| !r.ends_with(':')) {
            run = rest;
        }
        let end = start + run.len();
        // What ends in the first colon may be a label's last letters: `addr:fe80::1`.
        let label = run.find(':').map_or(0, |i| i + 1);
        if let Some(start) = [start, start + label].into_iter().find(|s| is_ipv6(text, *s, end)) {
            found.push(Found { start, end, kind: MaskKind::Ip });
        }
    }
}

fn is_ipv6(text: &str, start: usize, end: usize) -> bool {
    let bytes = text.as_bytes();
    let run = &text[start..end];
    let alone =
        !word_byte(start.checked_sub(1).and_then(|i| bytes.get(i))) && !word_byte(bytes.get(end));
    let plausible = run.len() >= 3
        && run.len() <= 45
        && run.bytes().filter(|b| *b == b':').count() >= 2
        && run.bytes().any(|b| b.is_ascii_digit());
    alone && plausible && run.parse::<Ipv6Addr>().is_ok()
}

#[cfg(test)]
mod tests;
