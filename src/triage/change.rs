//! What would have changed an answer: words and fields without which the model says something else.
//!
//! Nothing is estimated. The model is asked again about the ticket without some words, so that
//! the ticket's new length, pairs that fall away or come about, and a third category that gets
//! ahead are all in the answer.

use std::collections::HashSet;

use super::model::{Explanation, Model, Scratch, Target};
use super::text::Text;
use super::text::fields::{is_shown, shown};
use super::text::lexicon::shape;
use super::text::redact::redact;
use super::text::tokens::Words;

/// Words that are tried at most, those that speak most for the answer.
const TRIED: usize = 64;
/// Words that are struck at most: a list that is longer explains nothing.
const STRUCK: usize = 12;

/// What the model says of a ticket without some of its words.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The words, fields among them, in the order in which they were found. If the answer is another one, none of
    /// them can be put back without the old answer.
    pub without: Vec<String>,
    /// The category then; the same as before where that many words did not change it.
    pub label: String,
    pub confidence: f64,
}

/// Looks for few words without which the category is another one.
///
/// Of all words that speak for the category, the one is struck without which its lead is
/// smallest, then the next, until another category is ahead; then those are put back that are not
/// needed. So one word is found wherever one is enough; where it takes more, there may be another
/// set that is as good. None where the model has one category or fewer.
pub fn change(model: &Model, scratch: &mut Scratch, text: &Text<'_>) -> Option<Change> {
    let judgement = model.explain_all(scratch, text);
    let best = judgement.head(Target::Category).filter(|head| head.runner_up.is_some())?.best;
    let texts = [redact(text.subject).0, redact(text.body).0];
    let listed: HashSet<&str> =
        judgement.explanation.words.iter().map(|w| w.word.as_str()).collect();
    let mut ask = |without: &[&str]| {
        let [subject, body] = [&texts[0], &texts[1]].map(|text| strike(text, without, &listed));
        let left = |entry: &&String| !without.contains(&shown(entry).as_str());
        let fields: Vec<String> = text.fields.iter().filter(left).cloned().collect();
        let text = Text { subject: &subject, body: &body, fields: &fields };
        Asked::new(model, scratch, best, &text)
    };
    let candidates = candidates(&judgement.explanation);
    let mut struck: Vec<&str> = Vec::new();
    let mut last = ask(&struck)?;
    while last.best == best && struck.len() < STRUCK {
        let left = candidates.iter().filter(|word| !struck.contains(word));
        let tried = left.filter_map(|word| Some((ask(&[&struck[..], &[word]].concat())?, *word)));
        let Some((least, word)) = tried.min_by(|(a, _), (b, _)| a.lead.total_cmp(&b.lead)) else {
            break;
        };
        struck.push(word);
        last = least;
    }
    let mut i = 0;
    while last.best != best && i < struck.len() {
        let mut fewer = struck.clone();
        fewer.remove(i);
        match ask(&fewer)? {
            asked if asked.best != best => (struck, last) = (fewer, asked),
            _ => i += 1,
        }
    }
    let label = model.head(Target::Category)?.labels.get(last.best)?.to_string();
    let without = struck.into_iter().map(str::to_owned).collect();
    Some(Change { without, label, confidence: last.confidence })
}

/// An answer, and how far the first answer's category is ahead in it.
struct Asked {
    best: usize,
    confidence: f64,
    lead: f64,
}

impl Asked {
    fn new(model: &Model, scratch: &mut Scratch, first: usize, text: &Text<'_>) -> Option<Self> {
        let judgement = model.judge(scratch, text);
        let head = judgement.head(Target::Category)?;
        let log = |i: usize| head.probabilities.get(i).copied().unwrap_or(0.0).ln();
        let next = if head.best == first { head.runner_up? } else { head.best };
        Some(Self { best: head.best, confidence: head.confidence(), lead: log(first) - log(next) })
    }
}

/// The words that speak for the answer with the pairs that they are in, and the fields, the
/// weightiest first.
fn candidates(explanation: &Explanation) -> Vec<&str> {
    let (pairs, words): (Vec<_>, Vec<_>) =
        explanation.words.iter().partition(|w| w.word.contains(' ') && !is_shown(&w.word));
    let pull = |word: &str| -> f64 {
        let is_in = |pair: &str| pair.split(' ').any(|part| part == word);
        pairs.iter().filter(|pair| is_in(&pair.word)).map(|pair| pair.weight).sum()
    };
    let mut found: Vec<(f64, &str)> =
        words.iter().map(|w| (w.weight + pull(&w.word), w.word.as_str())).collect();
    found.retain(|(pull, _)| *pull > 0.0);
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.truncate(TRIED);
    found.into_iter().map(|(_, word)| word).collect()
}

/// The text without all occurrences of some of the `listed` words. Chunks between blanks that
/// hold none of them stay as they are; of the others the words that remain.
fn strike(text: &str, without: &[&str], listed: &HashSet<&str>) -> String {
    let is_struck = |word: &str| {
        without.contains(&word)
            || (!listed.contains(word)
                && shape(word).is_some_and(|shape| without.contains(&shape.as_str())))
    };
    let (mut out, mut words, mut kept) = (String::new(), Words::default(), String::new());
    for chunk in text.split_ascii_whitespace() {
        let mut is_whole = true;
        kept.clear();
        words.read(chunk);
        for word in words.iter() {
            if is_struck(word) {
                is_whole = false;
            } else {
                kept.push_str(word);
                kept.push(' ');
            }
        }
        out.push_str(if is_whole { chunk } else { kept.trim_end() });
        out.push(' ');
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::triage::model::{Calibration, Head, ModelId, Parts};
    use crate::triage::text::lexicon::Lexicon;

    /// Weights of Network over Printing, by word.
    fn model(words: &[(&str, f32)], bias: f64) -> Model {
        let entries = [("[UNK]", 0.0)].into_iter().chain(words.iter().copied());
        let weights = entries.clone().flat_map(|(_, weight)| [weight, 0.0]).collect();
        let head = Head {
            target: Target::Category,
            labels: ["Network", "Printing"].map(Arc::from).to_vec(),
            thresholds: vec![0.5; 2],
            calibration: Calibration::NONE.into(),
            bias: vec![bias, 0.0],
        };
        Model::new(Parts {
            id: ModelId::new("m"),
            version: "1".to_owned(),
            lexicon: Lexicon::new(entries.map(|(word, _)| word)).unwrap(),
            subject_weight: 1.0,
            heads: vec![head],
            scales: vec![1.0; words.len() + 1],
            weights,
        })
        .unwrap()
    }

    fn found(model: &Model, body: &str) -> Change {
        change(model, &mut Scratch::default(), &Text::new("", body)).unwrap()
    }

    const WORDS: [(&str, f32); 5] =
        [("000", 0.5), ("gateway", 1.0), ("printer", -1.5), ("slow", 0.1), ("vpn", 2.0)];

    #[test]
    fn one_word_where_one_is_enough() {
        let change = found(&model(&WORDS, 0.0), "VPN printer");
        assert_eq!((change.without, change.label.as_str()), (vec!["vpn".to_owned()], "Printing"));
        // What the model says of the rest.
        let rest = model(&WORDS, 0.0).judge(&mut Scratch::default(), &Text::new("", "printer"));
        assert_eq!(change.confidence, rest.head(Target::Category).unwrap().confidence());
    }

    #[test]
    fn no_word_more_than_needed() {
        let words = [("gateway", 1.0), ("printer", -0.5), ("slow", 0.1), ("vpn", 1.2)];
        let model = model(&words, 0.0);
        let text = "slow vpn-gateway, printer";
        let change = found(&model, text);
        assert_eq!((change.without.len(), change.label.as_str()), (2, "Printing"));
        for word in &change.without {
            let others: Vec<&str> =
                change.without.iter().filter(|w| *w != word).map(String::as_str).collect();
            let text = strike(text, &others, &HashSet::new());
            let judged = model.judge(&mut Scratch::default(), &Text::new("", &text));
            assert_eq!(judged.head(Target::Category).unwrap().best, 0, "without {others:?}");
        }
    }

    #[test]
    fn where_nothing_helps_it_says_so() {
        let change = found(&model(&WORDS, 5.0), "vpn gateway slow");
        assert_eq!((change.without.len(), change.label.as_str()), (3, "Network"));
    }

    #[test]
    fn a_field_is_taken_out_whole() {
        let words = [("printer", -1.5), ("vpn", 0.5), ("@site=vpn hall", 2.0)];
        let (model, fields) = (model(&words, 0.0), ["@site=vpn hall".to_owned()]);
        let text = Text { subject: "", body: "vpn printer", fields: &fields };
        let change = change(&model, &mut Scratch::default(), &text).unwrap();
        assert_eq!(change.without, ["site: vpn hall"]);
        let rest = model.judge(&mut Scratch::default(), &Text::new("", "vpn printer"));
        let judged = rest.head(Target::Category).unwrap();
        assert_eq!((change.label.as_str(), judged.best), ("Printing", 1));
        assert_eq!(change.confidence, judged.confidence());
    }

    #[test]
    fn numbers_go_by_the_word_that_they_were_read_as() {
        let listed = HashSet::from(["000", "691"]);
        assert_eq!(strike("Error 812, 691 x-814", &["000"], &listed), "Error  691 x ");
        assert_eq!(strike("a (vpn)-b [EMAIL],c", &["vpn", "c"], &listed), "a b  ");
    }
}
