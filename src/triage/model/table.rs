//! The weights as they are scored: what a word adds, its n-grams included, is one row.

use super::ModelError;
use crate::triage::text::bag::{Bag, BagWord};
use crate::triage::text::lexicon::Lexicon;

/// One row for each entry of the vocabulary.
///
/// A ticket's features are the words in it, the n-grams of those words and the pairs of
/// neighbours. A word that occurs with weight `t` counts `g = 1 + ln t`. It brings its own
/// feature with the value `g * scale`, and each of its `n` known n-grams with
/// `g * scale / sqrt(n)`, so that a long word does not outweigh a short one; a pair brings
/// `g * scale`. All values are divided by the square root of the sum, over words and pairs, of
/// their squares. That length treats n-grams that two words share as if they were apart, which
/// is what lets a word's whole part be computed once.
pub struct Table {
    columns: usize,
    /// `[entry][column]`, multiplied by the scales; a word's row holds its n-grams too.
    rows: Vec<f32>,
    /// Sum of the squares of the values that the entry brings at `g = 1`.
    squares: Vec<f32>,
}

/// What a ticket's features add up to.
#[derive(Default)]
pub struct Sums {
    /// By column.
    pub scores: Vec<f32>,
    /// One by the length of the ticket's features; 0 without features.
    pub inverse_length: f64,
}

impl Table {
    /// Folds the weights of `[entry][column]`, the `scales` of entries and the n-grams of words.
    pub(super) fn new(
        lexicon: &Lexicon,
        columns: usize,
        scales: &[f32],
        weights: &[f32],
    ) -> Result<Self, ModelError> {
        let entries = lexicon.len();
        if weights.len() != entries * columns || scales.len() != entries {
            let (found, scales) = (weights.len(), scales.len());
            return Err(ModelError::Weights { found, scales, entries, labels: columns });
        }
        if let Some(i) = weights.iter().position(|w| !w.is_finite()) {
            return Err(ModelError::NotANumber { entry: i / columns, label: i % columns });
        }
        if let Some(entry) = scales.iter().position(|s| !(0.0..=1e6).contains(s)) {
            return Err(ModelError::Scale { entry });
        }
        let mut rows = weights.to_vec();
        let mut squares: Vec<f32> = scales.iter().map(|s| s * s).collect();
        for (row, scale) in rows.chunks_mut(columns.max(1)).zip(scales) {
            row.iter_mut().for_each(|w| *w *= scale);
        }
        let mut ids = Vec::new();
        for word in lexicon.word_ids() {
            ids.clear();
            lexicon.grams(lexicon.word_text(word), &mut ids);
            // N-grams come after words, so their rows are untouched.
            let (words, grams) = rows.split_at_mut(lexicon.word_ids().end as usize * columns);
            let row = &mut words[word as usize * columns..][..columns];
            let share = shared(ids.len());
            for id in &ids {
                let gram = (*id as usize - lexicon.word_ids().end as usize) * columns;
                add(row, share, &grams[gram..][..columns]);
                squares[word as usize] += share * share * squares[*id as usize];
            }
        }
        Ok(Self { columns, rows, squares })
    }

    fn row(&self, id: u32) -> &[f32] {
        &self.rows[id as usize * self.columns..][..self.columns]
    }

    /// Adds up the ticket in `bag`, all columns at once.
    pub(super) fn sum(&self, bag: &Bag, sums: &mut Sums) {
        let Sums { scores, inverse_length } = sums;
        scores.clear();
        scores.resize(self.columns, 0.0);
        let mut squares = 0.0;
        for word in bag.words() {
            let g = dampened(word.weight);
            if let Some(id) = word.id {
                squares += g * g * self.squares[id as usize];
                add(scores, g, self.row(id));
            } else {
                let share = g * shared(word.grams.len());
                for id in word.grams {
                    squares += share * share * self.squares[*id as usize];
                    add(scores, share, self.row(*id));
                }
            }
        }
        for pair in bag.pairs() {
            let g = dampened(pair.weight);
            squares += g * g * self.squares[pair.id as usize];
            add(scores, g, self.row(pair.id));
        }
        *inverse_length = if squares > 0.0 { f64::from(squares).sqrt().recip() } else { 0.0 };
    }

    /// What a word adds to one column's lead over another, before the division by the length.
    pub(super) fn lead_of_word(&self, word: &BagWord<'_>, best: usize, second: usize) -> f64 {
        let lead = |id: u32| {
            let row = self.row(id);
            f64::from(row[best]) - f64::from(row[second])
        };
        let g = dampened(word.weight);
        match word.id {
            Some(id) => lead(id) * f64::from(g),
            None => {
                let sum: f64 = word.grams.iter().map(|id| lead(*id)).sum();
                sum * f64::from(g * shared(word.grams.len()))
            }
        }
    }

    /// As [`Self::lead_of_word`], of a pair.
    pub(super) fn lead_of_pair(&self, id: u32, weight: f32, best: usize, second: usize) -> f64 {
        let row = self.row(id);
        (f64::from(row[best]) - f64::from(row[second])) * f64::from(dampened(weight))
    }
}

/// How much a feature counts that occurs with this weight (sublinear term frequency; Manning,
/// Raghavan and Schütze 2008, 6.4.1).
pub fn dampened(weight: f32) -> f32 {
    if weight > 1.0 { 1.0 + weight.ln() } else { weight }
}

/// The share of each of a word's `n` n-grams.
pub fn shared(n: usize) -> f32 {
    (n.max(1) as f32).sqrt().recip()
}

fn add(sums: &mut [f32], by: f32, row: &[f32]) {
    for (sum, weight) in sums.iter_mut().zip(row) {
        *sum += by * weight;
    }
}
