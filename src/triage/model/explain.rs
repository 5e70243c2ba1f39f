//! Why the model chose as it did: what each word added to the winner's lead.
//!
//! A score is a sum over the text, so the lead of the winner over the runner-up splits into the
//! parts of the words, n-grams folded back into them, of the pairs, of the fields, and of the bias.

use super::{HeadJudgement, Model, Scratch, Target};
use crate::triage::text::fields;
use crate::triage::text::language::Language;

/// Words listed with a judgement.
pub const SHOWN: usize = 8;

/// The winner's lead over the runner-up in calibrated log-odds, that is `ln(p_best / p_runner_up)`
/// before the calibration's noise, and its parts: `words + other + prior = total`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Explanation {
    /// The words with the greatest weight on either side, the greatest first.
    pub words: Vec<WordWeight>,
    /// All other words together.
    pub other: f64,
    /// The winner's lead before any word is read: how much more frequent it is.
    pub prior: f64,
    pub total: f64,
}

/// What one word, or a pair of neighbours beyond its two words, added over all occurrences, or a
/// field; below 0 it spoke for the runner-up.
#[derive(Clone, Debug, PartialEq)]
pub struct WordWeight {
    /// Lower-cased, from the redacted text; a field with its value as `department: sales`.
    pub word: String,
    pub weight: f64,
    pub count: u32,
}

/// A word or a pair by its place, before it is known whether it will be listed.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub place: usize,
    pub weight: f64,
}

impl Model {
    /// Last step: why the best category beat the runner-up; the `shown` weightiest words,
    /// pairs and fields, or all.
    pub fn explain(
        &self,
        scratch: &Scratch,
        heads: &[Option<HeadJudgement>; 4],
        language: Language,
        shown: Option<usize>,
    ) -> Explanation {
        let judged = heads[Target::Category as usize].as_ref();
        let place = self.places[Target::Category as usize];
        let (Some(judged), Some((i, first))) = (judged, place) else {
            return Explanation::default();
        };
        let Some(runner_up) = judged.runner_up else { return Explanation::default() };
        let (head, bag, sums) = (&self.heads[i], &scratch.bag, &scratch.sums);
        let scale = head.calibration.of(language).scale(bag.occurrences() - bag.unknown());
        let by = sums.inverse_length * scale;
        let (best, second) = (first + judged.best, first + runner_up);
        let words = bag.words();
        let says_nothing = |place: usize| {
            words.get(place).is_some_and(|w| w.id.is_none() && bag.grams(w).is_empty())
        };
        let leads = self.table.leads(sums, best, second).into_iter().enumerate();
        let parts = leads
            .filter(|(place, lead)| *lead != 0.0 || !says_nothing(*place))
            .map(|(place, lead)| Part { place, weight: lead * by });
        let text = |word: u32| bag.text(&self.lexicon, &words[word as usize]);
        let listed = |part: Part| match words.get(part.place) {
            Some(word) => WordWeight {
                word: text(part.place as u32).to_owned(),
                weight: part.weight,
                count: word.count,
            },
            None => {
                let place = part.place - words.len();
                let (word, count) = match bag.pairs().get(place) {
                    Some(pair) => {
                        (format!("{} {}", text(pair.words.0), text(pair.words.1)), pair.count)
                    }
                    None => {
                        let id = bag.fields()[place - bag.pairs().len()];
                        (fields::shown(self.lexicon.field_text(id)), 1)
                    }
                };
                WordWeight { word, weight: part.weight, count }
            }
        };
        let prior = (head.bias[judged.best] - head.bias[runner_up]) * scale;
        let lead = f64::from(sums.score(best)) - f64::from(sums.score(second));
        Explanation::new(parts, prior, prior + lead * by, shown, listed)
    }
}

impl Explanation {
    /// Splits `total` into the prior's part, that of the `shown` weightiest words (all when
    /// `None`), which `listed` names, and the rest. Of equal weights the word that came first goes
    /// first.
    pub(super) fn new(
        parts: impl Iterator<Item = Part>,
        prior: f64,
        total: f64,
        shown: Option<usize>,
        listed: impl Fn(Part) -> WordWeight,
    ) -> Self {
        let mut top: Vec<Part> = Vec::with_capacity(SHOWN + 1);
        if let Some(limit) = shown {
            // Most words are too light to be listed: one comparison tells.
            let mut least = -1.0;
            for part in parts.filter(|_| limit > 0) {
                let weight = part.weight.abs();
                if weight <= least {
                    continue;
                }
                top.truncate(limit - 1);
                let at = top.partition_point(|p| p.weight.abs() >= weight);
                top.insert(at, part);
                if let (true, Some(last)) = (top.len() == limit, top.last()) {
                    least = last.weight.abs();
                }
            }
        } else {
            top.extend(parts);
            top.sort_by(|a, b| b.weight.abs().total_cmp(&a.weight.abs()));
        }
        let sum: f64 = top.iter().map(|part| part.weight).sum();
        let words = top.into_iter().map(listed).collect();
        Self { words, other: total - prior - sum, prior, total }
    }
}
