//! Why the model chose as it did: what each word added to the winner's lead.
//!
//! A score is a sum over the text, so the lead of the winner over the runner-up splits into the
//! parts of the words, n-grams folded back into them, of the pairs, and of the bias.

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

/// A word or a pair, before it is known whether it will be listed.
pub(super) struct Part<'a> {
    pub words: (&'a str, Option<&'a str>),
    pub weight: f64,
    pub count: u32,
}

impl Explanation {
    /// Splits `total` into the prior's part, that of the `shown` weightiest words (all when
    /// `None`) and the rest. Of equal weights the word that came first goes first.
    pub(super) fn new<'a>(
        parts: impl Iterator<Item = Part<'a>>,
        prior: f64,
        total: f64,
        shown: Option<usize>,
    ) -> Self {
        let limit = shown.unwrap_or(usize::MAX);
        let mut top: Vec<Part<'a>> = Vec::with_capacity(SHOWN + 1);
        if shown.is_some() {
            for part in parts {
                // Most words are too light to be listed: one comparison tells.
                let lighter = |p: &Part<'_>| p.weight.abs() >= part.weight.abs();
                if top.len() == limit && top.last().is_some_and(lighter) {
                    continue;
                }
                let at = top.partition_point(lighter);
                if at < limit {
                    top.insert(at, part);
                    top.truncate(limit);
                }
            }
        } else {
            top.extend(parts);
            top.sort_by(|a, b| b.weight.abs().total_cmp(&a.weight.abs()));
        }
        let listed: f64 = top.iter().map(|part| part.weight).sum();
        let other = total - prior - listed;
        let word = |words: (&str, Option<&str>)| match words {
            (word, None) => word.to_owned(),
            (first, Some(second)) => format!("{first} {second}"),
        };
        let words = top
            .into_iter()
            .map(|p| WordWeight { word: word(p.words), weight: p.weight, count: p.count })
            .collect();
        Self { words, other, prior, total }
    }
}
