//! Words that give the label away: a queue's name in the text, a number of the form that the
//! ticket came in by, the value of a field that somebody filled in who knew the answer. A model that reads them is right in the test and lost in use.
//!
//! A suspect is in many tickets, nearly all of one label, and in a good part of that label's
//! tickets; and it either looks like no word of a person, or explains nearly the whole label.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::FixedState;
use serde::Serialize;

use super::EXCERPT;
use crate::train::data::Example;
use crate::triage::model::Target;
use crate::triage::text::fields::{FIELD, shown};

/// A suspect is in so many tickets or more,
const TICKETS: u64 = 20;
/// this share of them or more has one label,
const SHARE: f64 = 0.98;
/// and this share or more of the label's tickets has it;
const COVERAGE: f64 = 0.3;
/// from this on even a plain word is one.
const NEARLY_ALL: f64 = 0.9;
/// Tickets of a label that candidates come from, and the part of each share that a candidate must
/// reach there.
const SAMPLE: usize = 400;
const LOOSE: f64 = 0.75;
/// Suspects listed at most.
const SHOWN: usize = 20;

/// Why it is a suspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The whole subject is the same: a form or a machine wrote it.
    Subject,
    /// It is part of the label's name.
    Label,
    /// It has digits or signs in it, as the names of queues and forms do.
    Code,
    /// Nearly every ticket of the label has it.
    NearlyAll,
    /// It is the value of a field that the recipe reads.
    Field,
}

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subject => "is a whole subject",
            Self::Label => "is part of the label's name",
            Self::Code => "looks like a code",
            Self::NearlyAll => "is in nearly all of its tickets",
            Self::Field => "is a field: was it filled in before anybody had looked?",
        }
    }
}

/// A word, a whole subject, or the value of a field, that gives its label away.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Leak {
    /// Redacted, in lower case, cut to 120 characters; a field as `department: sales`.
    pub word: String,
    pub label: String,
    /// Tickets that have it.
    pub tickets: u64,
    /// Share of those with this label.
    pub share: f64,
    /// Share of the label's tickets that have it.
    pub coverage: f64,
    pub why: Reason,
}

/// Begins a token that is a whole subject. No word holds it.
const WHOLE: char = '\n';

/// By word or whole subject. The order of the tokens decides nothing, so neither does the hash.
type Tokens<T> = HashMap<Box<str>, T, FixedState>;

/// Suspects, those of the greatest coverage first, 20 at most.
///
/// Candidates come from a sample with so many tickets of each label that a suspect cannot be
/// missed but by great chance; they are then counted in all tickets.
pub(super) fn leaks(examples: &[Example]) -> Vec<Leak> {
    let mut labels: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (i, example) in examples.iter().enumerate() {
        if let Some(label) = example.label(Target::Category) {
            labels.entry(label).or_default().push(i);
        }
    }
    // A label that is all there is cannot be given away.
    if labels.len() < 2 {
        return Vec::new();
    }
    let (names, tickets): (Vec<&str>, Vec<Vec<usize>>) = labels.into_iter().unzip();
    let candidates = candidates(examples, &names, &tickets);
    let mut leaks: Vec<Leak> = counted(examples, &tickets, candidates)
        .into_iter()
        .filter_map(|(token, by_label)| leak(&token, &by_label, &names, &tickets))
        .collect();
    leaks.sort_by(|a, b| {
        let order = b.coverage.total_cmp(&a.coverage);
        order.then_with(|| (a.why, &a.word).cmp(&(b.why, &b.word)))
    });
    leaks.truncate(SHOWN);
    leaks
}

/// Tokens that may be suspects by a sample of each label's tickets.
fn candidates(examples: &[Example], names: &[&str], tickets: &[Vec<usize>]) -> Vec<Box<str>> {
    let mut numbers: Tokens<u32> = Tokens::default();
    let mut seen: Vec<(u32, u32)> = Vec::new();
    let mut of_one: Vec<u32> = Vec::new();
    let mut sampled = vec![0.0; tickets.len()];
    for (label, of_label) in tickets.iter().enumerate() {
        for i in of_label.iter().step_by(of_label.len().div_ceil(SAMPLE)) {
            sampled[label] += 1.0;
            of_one.clear();
            each_token(&examples[*i], |token| {
                let next = numbers.len() as u32;
                of_one.push(match numbers.get(token) {
                    Some(number) => *number,
                    None => *numbers.entry(token.into()).or_insert(next),
                });
            });
            of_one.sort_unstable();
            of_one.dedup();
            seen.extend(of_one.iter().map(|token| (*token, label as u32)));
        }
    }
    seen.sort_unstable();
    // For each token the label that it may give away, and the share of its tickets that have it.
    let mut gives_away = vec![None; numbers.len()];
    for of_token in seen.chunk_by(|a, b| a.0 == b.0) {
        let share = |run: &[(u32, u32)]| run.len() as f64 / sampled[run[0].1 as usize];
        let all = |run: &[(u32, u32)]| share(run) * tickets[run[0].1 as usize].len() as f64;
        let by_label = || of_token.chunk_by(|a, b| a.1 == b.1);
        let total: f64 = by_label().map(all).sum();
        let likely = |run: &&[(u32, u32)]| {
            share(run) >= COVERAGE * LOOSE && all(run) >= SHARE * LOOSE * total
        };
        gives_away[of_token[0].0 as usize] =
            by_label().find(likely).map(|run| (run[0].1 as usize, share(run)));
    }
    numbers.retain(|token, number| {
        gives_away[*number as usize]
            .is_some_and(|(label, share)| reason(token, names[label], share / LOOSE).is_some())
    });
    numbers.into_keys().collect()
}

/// For each candidate, the tickets of each label that have it.
fn counted(
    examples: &[Example],
    tickets: &[Vec<usize>],
    candidates: Vec<Box<str>>,
) -> Vec<(Box<str>, Vec<u64>)> {
    if candidates.is_empty() {
        return Vec::new();
    }
    let mut places: Tokens<usize> = Tokens::default();
    places.extend(candidates.iter().cloned().zip(0..));
    let mut counts = vec![vec![0u64; tickets.len()]; candidates.len()];
    let mut last = vec![usize::MAX; candidates.len()];
    for (label, of_label) in tickets.iter().enumerate() {
        for i in of_label {
            each_token(&examples[*i], |token| {
                if let Some(place) = places.get(token)
                    && last[*place] != *i
                {
                    last[*place] = *i;
                    counts[*place][label] += 1;
                }
            });
        }
    }
    candidates.into_iter().zip(counts).collect()
}

/// A token as a suspect, if it is one.
fn leak(token: &str, by_label: &[u64], names: &[&str], tickets: &[Vec<usize>]) -> Option<Leak> {
    let all: u64 = by_label.iter().sum();
    let label = (0..by_label.len()).max_by_key(|label| by_label[*label])?;
    let share = by_label[label] as f64 / all as f64;
    let coverage = by_label[label] as f64 / tickets[label].len() as f64;
    if all < TICKETS || share < SHARE || coverage < COVERAGE {
        return None;
    }
    let why = reason(token, names[label], coverage)?;
    let word = shown(token).trim_start_matches(WHOLE).chars().take(EXCERPT).collect();
    Some(Leak { word, label: names[label].to_owned(), tickets: all, share, coverage, why })
}

/// The subject, the fields, and every run of other than blanks in subject and body without the
/// punctuation around it, in lower case: `[queue=NET_01]` is `queue=net_01`.
fn each_token(example: &Example, mut each: impl FnMut(&str)) {
    let subject = example.subject.trim();
    if !subject.is_empty() {
        each(&format!("{WHOLE}{}", subject.to_lowercase()));
    }
    // Their mark tells them from all other tokens, which begin with a letter or a digit.
    example.fields.iter().for_each(|entry| each(entry));
    let mut buffer = String::new();
    for chunk in [&example.subject, &example.body].iter().flat_map(|t| t.split_ascii_whitespace()) {
        if chunk.is_ascii() {
            let word = chunk.trim_matches(|c: char| !c.is_ascii_alphanumeric());
            if word.bytes().any(|b| b.is_ascii_uppercase()) {
                buffer.clear();
                buffer.push_str(word);
                buffer.make_ascii_lowercase();
                each(&buffer);
            } else if !word.is_empty() {
                each(word);
            }
            continue;
        }
        for word in chunk.split_whitespace() {
            let word = word.trim_matches(|c: char| !c.is_alphanumeric());
            if !word.is_empty() {
                buffer.clear();
                buffer.extend(word.chars().flat_map(char::to_lowercase));
                each(&buffer);
            }
        }
    }
}

fn reason(word: &str, label: &str, coverage: f64) -> Option<Reason> {
    if word.starts_with(WHOLE) {
        return Some(Reason::Subject);
    }
    if word.starts_with(FIELD) {
        return Some(Reason::Field);
    }
    let label = label.to_lowercase();
    let mut parts = label.split(|c: char| !c.is_alphanumeric());
    if word == label || parts.any(|part| part == word) {
        return Some(Reason::Label);
    }
    let is_sign =
        |c: char| !c.is_alphanumeric() && !matches!(c, '-' | '\'' | '’' | '.' | ',' | '/');
    if word.contains(|c: char| c.is_numeric() || is_sign(c)) {
        return Some(Reason::Code);
    }
    (coverage >= NEARLY_ALL).then_some(Reason::NearlyAll)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{clean, example};
    use super::*;

    #[test]
    fn planted_leaks_are_found() {
        let mut examples = clean(400);
        for (i, example) in examples.iter_mut().enumerate() {
            match example.label(Target::Category) {
                Some("Network") if i % 3 > 0 => example.body.push_str("\n[queue=NET_01]"),
                Some("Printing") => example.subject = "Form 7".to_owned(),
                Some("Mail") => example.body.push_str(" regards"),
                _ => {}
            }
        }
        let found = leaks(&examples);
        let reason =
            |word| found.iter().find(|l| l.word == word).map(|l| (l.label.as_str(), l.why));
        assert_eq!(reason("queue=net_01"), Some(("Network", Reason::Code)));
        assert_eq!(reason("form 7"), Some(("Printing", Reason::Subject)));
        assert_eq!(reason("regards"), Some(("Mail", Reason::NearlyAll)));
        assert!(found.is_sorted_by(|a, b| a.coverage >= b.coverage) && found.len() <= SHOWN);
        let queue = found.iter().find(|l| l.word == "queue=net_01").unwrap();
        assert!((queue.share - 1.0).abs() < 1e-9 && (0.5..0.8).contains(&queue.coverage));
    }

    #[test]
    fn a_field_that_was_filled_in_too_late_is_found() {
        let mut examples = clean(400);
        for (i, example) in examples.iter_mut().enumerate() {
            let group = match example.label(Target::Category) {
                Some("Mail") if i % 2 == 0 => "mail team",
                _ => "service desk",
            };
            example.fields.push(format!("@group={group}"));
        }
        let found = leaks(&examples);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].word.as_str(), found[0].why), ("group: mail team", Reason::Field));
    }

    #[test]
    fn what_a_sample_shows_is_counted_in_all_tickets() {
        let mut examples = clean(6_000);
        let mut n = 0;
        for example in &mut examples {
            if example.label(Target::Category) == Some("Network") {
                n += 1;
                if n % 5 < 2 {
                    example.body.push_str(" net_01 net_01");
                }
            }
        }
        let found = leaks(&examples);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].word.as_str(), found[0].tickets), ("net_01", 480));
        assert!((found[0].coverage - 0.4).abs() < 1e-9 && found[0].share == 1.0);
    }

    #[test]
    fn clean_tickets_have_none() {
        assert_eq!(leaks(&clean(400)), []);
        let one_label: Vec<Example> = (0..50).map(|i| example(i, "same 1", "Only")).collect();
        assert_eq!(leaks(&one_label), []);
        assert_eq!(leaks(&[]), []);
    }
}
