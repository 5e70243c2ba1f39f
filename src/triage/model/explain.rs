//! Why the model chose as it did: what each word added to the winner's lead.
//!
//! A score is a sum over the text, so the lead of the winner over the runner-up splits into the
//! parts of the words, n-grams folded back into them, of the pairs, and of the bias.

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

/// What one word, or a pair of neighbours beyond its two words, added over all occurrences;
/// below 0 it spoke for the runner-up.
#[derive(Clone, Debug, PartialEq)]
pub struct WordWeight {
    /// Lower-cased, from the redacted text.
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
