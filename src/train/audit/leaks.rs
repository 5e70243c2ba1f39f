//! Words that give the label away: a queue's name in the text, a number of the form that the
//! ticket came in by. A model that reads them is right in the test and lost in use.
//!
//! A suspect is in many tickets, nearly all of one label, and in a good part of that label's
//! tickets; and it either looks like no word of a person, or explains nearly the whole label.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::FixedState;
use serde::Serialize;

use super::EXCERPT;
use crate::train::data::Example;
use crate::triage::model::Target;

/// A suspect is in so many tickets or more,
const TICKETS: u64 = 20;
/// this share of them or more has one label,
const SHARE: f64 = 0.98;
/// and this share or more of the label's tickets has it;
const COVERAGE: f64 = 0.3;
/// from this on even a plain word is one.
const NEARLY_ALL: f64 = 0.9;
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
}

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subject => "is a whole subject",
            Self::Label => "is part of the label's name",
            Self::Code => "looks like a code",
            Self::NearlyAll => "is in nearly all of its tickets",
        }
    }
}

/// A word, or a whole subject, that gives its label away.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Leak {
    /// Redacted, in lower case, cut to 120 characters.
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

/// A word or, where `whole`, a subject.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Token {
    whole: bool,
    text: String,
}

/// Suspects, those of the greatest coverage first, 20 at most.
pub(super) fn leaks(examples: &[Example]) -> Vec<Leak> {
    let mut labels: BTreeMap<&str, u32> = BTreeMap::new();
    for label in examples.iter().filter_map(|e| e.label(Target::Category)) {
        let next = labels.len() as u32;
        labels.entry(label).or_insert(next);
    }
    let names: BTreeMap<u32, &str> = labels.iter().map(|(name, label)| (*label, *name)).collect();
    let mut sizes = vec![0u64; labels.len()];
    // The numbers of the tokens decide nothing, so neither does the hash.
    let mut tokens: HashMap<Token, u32, FixedState> = HashMap::default();
    let mut seen: Vec<(u32, u32)> = Vec::new();
    let mut of_one: Vec<u32> = Vec::new();
    for example in examples {
        let Some(label) = example.label(Target::Category).and_then(|l| labels.get(l)) else {
            continue;
        };
        sizes[*label as usize] += 1;
        of_one.clear();
        each_token(example, |token| {
            let next = tokens.len() as u32;
            of_one.push(match tokens.get(token) {
                Some(number) => *number,
                None => *tokens.entry(token.clone()).or_insert(next),
            });
        });
        of_one.sort_unstable();
        of_one.dedup();
        seen.extend(of_one.iter().map(|token| (*token, *label)));
    }
    seen.sort_unstable();
    let found: HashMap<u32, (u32, u64, u64)> = seen
        .chunk_by(|a, b| a.0 == b.0)
        .filter(|of_token| of_token.len() as u64 >= TICKETS)
        .filter_map(|of_token| {
            let most = of_token.chunk_by(|a, b| a.1 == b.1).max_by_key(|run| run.len())?;
            let (token, label) = *most.first()?;
            let (of_label, tickets) = (most.len() as u64, of_token.len() as u64);
            let enough = of_label as f64 >= SHARE * tickets as f64
                && of_label as f64 >= COVERAGE * sizes[label as usize] as f64;
            enough.then_some((token, (label, of_label, tickets)))
        })
        .collect();
    let mut leaks: Vec<Leak> = tokens
        .into_iter()
        .filter_map(|(token, number)| {
            let (label, of_label, tickets) = found.get(&number)?;
            let name = *names.get(label)?;
            let coverage = *of_label as f64 / sizes[*label as usize] as f64;
            let share = *of_label as f64 / *tickets as f64;
            let why = reason(&token, name, coverage)?;
            let word = token.text.chars().take(EXCERPT).collect();
            let label = name.to_owned();
            Some(Leak { word, label, tickets: *tickets, share, coverage, why })
        })
        .collect();
    // A label that is all there is cannot be given away.
    if labels.len() < 2 {
        leaks.clear();
    }
    leaks.sort_by(|a, b| {
        let order = b.coverage.total_cmp(&a.coverage);
        order.then_with(|| (a.why, &a.word).cmp(&(b.why, &b.word)))
    });
    leaks.truncate(SHOWN);
    leaks
}

/// The subject, and every run of other than blanks in subject and body without the punctuation
/// around it: `[queue=NET_01]` is `queue=net_01`.
fn each_token(example: &Example, mut each: impl FnMut(&Token)) {
    let mut token = Token { whole: true, text: example.subject.trim().to_lowercase() };
    if !token.text.is_empty() {
        each(&token);
    }
    token.whole = false;
    for word in [&example.subject, &example.body].into_iter().flat_map(|t| t.split_whitespace()) {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        if !word.is_empty() {
            token.text.clear();
            if word.is_ascii() {
                token.text.push_str(word);
                token.text.make_ascii_lowercase();
            } else {
                token.text.extend(word.chars().flat_map(char::to_lowercase));
            }
            each(&token);
        }
    }
}

fn reason(token: &Token, label: &str, coverage: f64) -> Option<Reason> {
    if token.whole {
        return Some(Reason::Subject);
    }
    let word = token.text.as_str();
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
    fn clean_tickets_have_none() {
        assert_eq!(leaks(&clean(400)), []);
        let one_label: Vec<Example> = (0..50).map(|i| example(i, "same 1", "Only")).collect();
        assert_eq!(leaks(&one_label), []);
        assert_eq!(leaks(&[]), []);
    }
}
