//! Why the model chose as it did: what each word added to the winner's lead.
//!
//! A naive Bayes score is a sum over the text, so the lead of the winner over the runner-up
//! splits exactly into the words' parts and the prior's.

use crate::triage::text::pieces::BagWord;

/// Words listed with a judgement.
pub const SHOWN: usize = 8;

/// The winner's lead over the runner-up in calibrated log-odds, that is
/// `ln(p_best / p_runner_up)`, and its parts: `words + other + prior = total`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Explanation {
    /// The words with the greatest weight on either side, the greatest first.
    pub words: Vec<WordWeight>,
    /// All other words together.
    pub other: f64,
    /// How much more frequent the winner is in the training data.
    pub prior: f64,
    pub total: f64,
}

/// What one word added over all its occurrences; below 0 it spoke for the runner-up.
#[derive(Clone, Debug, PartialEq)]
pub struct WordWeight {
    /// Lower-cased, from the redacted text.
    pub word: String,
    pub weight: f64,
    pub count: u32,
}

impl Explanation {
    /// Splits `total` into the prior's part, that of the `shown` weightiest words (all when
    /// `None`) and the rest. Of equal weights the word that came first goes first.
    pub(super) fn new<'a>(
        words: impl Iterator<Item = (BagWord<'a>, f64)>,
        prior: f64,
        total: f64,
        shown: Option<usize>,
    ) -> Self {
        let limit = shown.unwrap_or(usize::MAX);
        let mut top: Vec<(BagWord<'a>, f64)> = Vec::with_capacity(SHOWN + 1);
        if shown.is_some() {
            for (word, weight) in words {
                // Most words are too light to be listed: one comparison tells.
                if top.len() == limit && top.last().is_some_and(|(_, w)| w.abs() >= weight.abs()) {
                    continue;
                }
                let at = top.partition_point(|(_, w)| w.abs() >= weight.abs());
                if at < limit {
                    top.insert(at, (word, weight));
                    top.truncate(limit);
                }
            }
        } else {
            top.extend(words);
            top.sort_by(|(_, a), (_, b)| b.abs().total_cmp(&a.abs()));
        }
        let listed: f64 = top.iter().map(|(_, weight)| weight).sum();
        let other = total - prior - listed;
        let words = top
            .into_iter()
            .map(|(w, weight)| WordWeight { word: w.word.to_owned(), weight, count: w.count })
            .collect();
        Self { words, other, prior, total }
    }
}
