//! The weights as they are scored: what a word adds, its n-grams included, is one row.

use std::sync::LazyLock;

use super::ModelError;
use crate::triage::text::bag::Bag;
use crate::triage::text::lexicon::{Lexicon, Marked};

/// One row for each entry of the vocabulary.
///
/// A ticket's features are the words in it, the n-grams of those words, the pairs of
/// neighbours and the values of fields. A word that occurs with weight `t` counts
/// `g = 1 + ln t`. It brings its own feature with the value `g * scale`, and each of its `n` known
/// n-grams with `g * scale / sqrt(n)`, so that a long word does not outweigh a short one; a pair
/// brings `g * scale`, a field `scale`. All values are divided by the square root of the sum, over
/// words, pairs and fields, of their squares. That length treats n-grams that two words share as if
/// they were apart, which is what lets a word's whole part be computed once.
pub struct Table {
    columns: usize,
    /// Blocks a row.
    width: usize,
    /// `[entry][column]`, multiplied by the scales; a word's row holds its n-grams too. Behind the
    /// columns stands the sum of the squares of the values that the entry brings at `g = 1`.
    rows: Vec<Block>,
}

/// A part of a row: one line of the cache.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Block([f32; LANES]);

const LANES: usize = 16;
/// Blocks that are added up at once.
const WIDEST: usize = 3;

/// What a ticket's features add up to.
#[derive(Default)]
pub struct Sums {
    scores: Vec<Block>,
    /// One by the length of the ticket's features; 0 without features.
    pub inverse_length: f64,
    /// Rows of the words that have none in the table, one after the other.
    strangers: Vec<Block>,
    /// Each word, pair and field, in this order: where its row is, and how much it counts.
    units: Vec<Unit>,
}

#[derive(Clone, Copy)]
struct Unit {
    row: Row,
    g: f32,
}

#[derive(Clone, Copy)]
enum Row {
    /// Of an entry.
    Entry(u32),
    /// Of a word without an id: the first block in [`Sums::strangers`].
    Stranger(u32),
}

impl Sums {
    /// Of one column.
    pub fn score(&self, column: usize) -> f32 {
        value(&self.scores, column)
    }
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
        let width = (columns + 1).div_ceil(LANES);
        let mut rows = vec![Block::default(); entries * width];
        for (entry, scale) in scales.iter().enumerate() {
            let row = &mut rows[entry * width..][..width];
            for (column, weight) in weights[entry * columns..][..columns].iter().enumerate() {
                row[column / LANES].0[column % LANES] = scale * weight;
            }
            row[columns / LANES].0[columns % LANES] = scale * scale;
        }
        let mut new = Self { columns, width, rows };
        let mut row = vec![Block::default(); width];
        let (mut marked, mut ids) = (Marked::default(), Vec::new());
        for word in lexicon.word_ids() {
            ids.clear();
            lexicon.grams(lexicon.word_text(word), &mut marked, &mut ids);
            // N-grams come after words, so their rows are untouched.
            row.fill(Block::default());
            new.fold(&ids, &mut row);
            let own = &mut new.rows[word as usize * width..][..width];
            add(own, 1.0, &row);
        }
        Ok(new)
    }

    /// Adds what a word's n-grams bring to an empty row.
    fn fold(&self, grams: &[u32], row: &mut [Block]) {
        self.add_up(grams.iter().map(|id| (1.0, self.row(*id))), row);
        let share = shared(grams.len());
        let squares = self.squares(row) * share * share;
        row.iter_mut().flat_map(|block| &mut block.0).for_each(|value| *value *= share);
        row[self.columns / LANES].0[self.columns % LANES] = squares;
    }

    fn row(&self, id: u32) -> &[Block] {
        &self.rows[id as usize * self.width..][..self.width]
    }

    fn row_of<'a>(&'a self, unit: &Unit, strangers: &'a [Block]) -> &'a [Block] {
        match unit.row {
            Row::Entry(id) => self.row(id),
            Row::Stranger(first) => &strangers[first as usize..][..self.width],
        }
    }

    fn squares(&self, row: &[Block]) -> f32 {
        value(row, self.columns)
    }

    /// Adds up the ticket in `bag`, all columns at once.
    pub(super) fn sum(&self, bag: &Bag, sums: &mut Sums) {
        sums.units.clear();
        sums.strangers.clear();
        for word in bag.words() {
            let row = match word.id {
                Some(id) => Row::Entry(id),
                None => {
                    let first = sums.strangers.len();
                    sums.strangers.resize(first + self.width, Block::default());
                    self.fold(bag.grams(word), &mut sums.strangers[first..]);
                    Row::Stranger(first as u32)
                }
            };
            sums.units.push(Unit { row, g: dampened(word.weight) });
        }
        for pair in bag.pairs() {
            sums.units.push(Unit { row: Row::Entry(pair.id), g: dampened(pair.weight) });
        }
        for id in bag.fields() {
            sums.units.push(Unit { row: Row::Entry(*id), g: 1.0 });
        }
        let Sums { scores, strangers, units, .. } = sums;
        scores.clear();
        scores.resize(self.width, Block::default());
        let squares = self.add_up(units.iter().map(|u| (u.g, self.row_of(u, strangers))), scores);
        sums.inverse_length = if squares > 0.0 { f64::from(squares).sqrt().recip() } else { 0.0 };
    }

    /// Replaces `sums` by that of the rows, each as often as stands beside it. Returns the sum of
    /// their squares.
    fn add_up<'a>(
        &self,
        rows: impl Iterator<Item = (f32, &'a [Block])> + Clone,
        sums: &mut [Block],
    ) -> f32 {
        let mut squares = 0.0;
        for (i, part) in sums.chunks_mut(WIDEST).enumerate() {
            let rows = rows.clone().map(|(by, row)| (by, &row[i * WIDEST..]));
            // The squares stand in the last block, so the last part has them.
            squares = match part.len() {
                1 => self.add_part::<1>(rows, part),
                2 => self.add_part::<2>(rows, part),
                _ => self.add_part::<WIDEST>(rows, part),
            };
        }
        squares
    }

    /// As many blocks as stay in registers: their number is known here.
    fn add_part<'a, const BLOCKS: usize>(
        &self,
        rows: impl Iterator<Item = (f32, &'a [Block])>,
        sums: &mut [Block],
    ) -> f32 {
        let mut part = [Block::default(); BLOCKS];
        let mut squares = 0.0;
        for (by, row) in rows {
            let row = &row[..BLOCKS];
            add(&mut part, by, row);
            squares += by * by * row[BLOCKS - 1].0[self.columns % LANES];
        }
        sums.copy_from_slice(&part);
        squares
    }

    /// What each word, then each pair, then each field of the last sum adds to one column's lead
    /// over another, before the division by the length.
    pub(super) fn leads(&self, sums: &Sums, best: usize, second: usize) -> Vec<f64> {
        let lead = |unit: &Unit| {
            let row = self.row_of(unit, &sums.strangers);
            (f64::from(value(row, best)) - f64::from(value(row, second))) * f64::from(unit.g)
        };
        sums.units.iter().map(lead).collect()
    }
}

fn value(row: &[Block], column: usize) -> f32 {
    row[column / LANES].0[column % LANES]
}

/// How much a feature counts that occurs with this weight (sublinear term frequency; Manning,
/// Raghavan and Schütze 2008, 6.4.1).
pub fn dampened(weight: f32) -> f32 {
    let whole = weight as usize;
    match DAMPENED.get(whole) {
        Some(of_whole) if whole as f32 == weight => *of_whole,
        _ if weight > 1.0 => 1.0 + weight.ln(),
        _ => weight,
    }
}

/// [`dampened`] of whole weights, which nearly all are.
static DAMPENED: LazyLock<[f32; 32]> = LazyLock::new(|| {
    std::array::from_fn(|weight| match weight as f32 {
        weight if weight > 1.0 => 1.0 + weight.ln(),
        weight => weight,
    })
});

/// The share of each of a word's `n` n-grams.
pub fn shared(n: usize) -> f32 {
    (n.max(1) as f32).sqrt().recip()
}

#[inline]
fn add(sums: &mut [Block], by: f32, row: &[Block]) {
    for (sum, block) in sums.iter_mut().zip(row) {
        // By value, so that nothing can overlap: this form is vectorised.
        let before = sum.0;
        sum.0 = std::array::from_fn(|lane| before[lane] + by * block.0[lane]);
    }
}
