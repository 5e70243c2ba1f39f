//! Tickets as features, in two layers: a ticket is a list of units, which are its distinct words,
//! pairs and fields, and a unit is a list of features: a word's own and those of its n-grams. Sums over
//! a whole corpus are done a unit at a time, which is some ten times less work than a feature at
//! a time; the values are those of [`crate::triage::model::table::Table`].

mod levels;

use self::levels::Levels;
use super::fit::Sparse;
use super::texts::{BREAK, Map, Texts};
use super::vocabulary::Vocabulary;
use crate::triage::model::table::{dampened, shared};
use crate::triage::text::lexicon::{each_gram, half_known};

/// The features of some tickets over one vocabulary.
pub struct Documents {
    pub features: usize,
    pub scales: Vec<f32>,
    pub units: Units,
    /// For each ticket, where its units begin in `unit_of`; one more for the end.
    starts: Vec<usize>,
    unit_of: Vec<u32>,
    /// Beside `unit_of`: how much the unit counts in the ticket, as a place in `levels`.
    counts: Vec<u16>,
    levels: Levels,
    /// For each ticket, how many of its words the model knows, repetitions included.
    pub known: Vec<u32>,
}

/// Words, pairs and fields, each as a list of features.
#[derive(Default)]
pub struct Units {
    /// The word's, pair's or field's own feature; 0 where it has none.
    pub own: Vec<u32>,
    /// For each unit, where its n-grams begin in `grams`; one more for the end.
    gram_starts: Vec<u32>,
    grams: Vec<u32>,
}

impl Units {
    pub fn len(&self) -> usize {
        self.own.len()
    }

    /// Where each unit's n-grams begin among all; one more for the end.
    pub fn gram_starts(&self) -> &[u32] {
        if self.gram_starts.is_empty() { &[0] } else { &self.gram_starts }
    }

    pub fn grams(&self, unit: usize) -> &[u32] {
        &self.grams[self.gram_starts[unit] as usize..self.gram_starts[unit + 1] as usize]
    }

    fn push(&mut self, own: u32, grams: &[u32]) -> u32 {
        if self.gram_starts.is_empty() {
            self.gram_starts.push(0);
        }
        self.own.push(own);
        self.grams.extend_from_slice(grams);
        self.gram_starts.push(self.grams.len() as u32);
        (self.own.len() - 1) as u32
    }

    /// What a unit brings where it occurs once, as features with their values, among the
    /// features that are `active`.
    pub fn values<'a>(
        &'a self,
        unit: usize,
        scales: &'a [f32],
        active: &'a [bool],
    ) -> impl Iterator<Item = (u32, f32)> + 'a {
        let own = Some(self.own[unit]).filter(|id| active[*id as usize]);
        let grams = move || self.grams(unit).iter().copied().filter(|id| active[*id as usize]);
        let share = shared(grams().count());
        own.map(|id| (id, scales[id as usize]))
            .into_iter()
            .chain(grams().map(move |id| (id, share * scales[id as usize])))
    }
}

impl Documents {
    /// The tickets `of` the texts.
    pub fn new(texts: &Texts, of: &[usize], vocabulary: &Vocabulary, subject_weight: f32) -> Self {
        let mut new = Self {
            features: vocabulary.entries.len(),
            scales: vocabulary.scales.clone(),
            units: Units::default(),
            starts: vec![0],
            unit_of: Vec::new(),
            counts: Vec::new(),
            levels: Levels::default(),
            known: Vec::with_capacity(of.len()),
        };
        let mut words: Map<u32, (Option<u32>, bool)> = Map::default();
        let mut by_id: Map<u32, u32> = Map::default();
        let mut bag: Vec<(u32, f32)> = Vec::new();
        for ticket in of {
            bag.clear();
            let mut all_known = 0;
            let (subject, body) = texts.ticket(*ticket);
            for (weight, part) in [(subject_weight, subject), (1.0, body)] {
                for number in part.iter().filter(|n| **n != BREAK) {
                    let word = vocabulary.read_as[*number as usize];
                    let (unit, known) = *words
                        .entry(word)
                        .or_insert_with(|| new.units.push_word(vocabulary, word as usize));
                    bag.extend(unit.map(|unit| (unit, weight)));
                    all_known += u32::from(known);
                }
            }
            vocabulary.each_pair(texts, *ticket, |in_subject, first, second| {
                if let Some(id) = vocabulary.pair_ids.get(&(first, second)) {
                    let unit = by_id.entry(*id).or_insert_with(|| new.units.push(*id, &[]));
                    bag.push((*unit, if in_subject { subject_weight } else { 1.0 }));
                }
            });
            for number in texts.fields(*ticket) {
                let id = vocabulary.field_ids[*number as usize];
                if id != 0 {
                    let unit = by_id.entry(id).or_insert_with(|| new.units.push(id, &[]));
                    bag.push((*unit, 1.0));
                }
            }
            bag.sort_unstable_by_key(|(unit, _)| *unit);
            for same in bag.chunk_by(|a, b| a.0 == b.0) {
                new.unit_of.push(same[0].0);
                let g = dampened(same.iter().map(|(_, weight)| weight).sum());
                new.counts.push(new.levels.place(g));
            }
            new.starts.push(new.unit_of.len());
            new.known.push(all_known);
        }
        new
    }

    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// The units of a ticket with how much each counts.
    pub fn ticket(&self, i: usize) -> impl Iterator<Item = (usize, f32)> + '_ {
        let range = self.starts[i]..self.starts[i + 1];
        let units = self.unit_of[range.clone()].iter().map(|unit| *unit as usize);
        units.zip(self.counts[range].iter().map(|place| self.levels.at(*place)))
    }

    /// For each unit the sum of its values' squares, over active features.
    pub fn squares(&self, active: &[bool]) -> Vec<f32> {
        let of = |unit| self.units.values(unit, &self.scales, active).map(|(_, v)| v * v).sum();
        (0..self.units.len()).map(of).collect()
    }

    /// One by the length of a ticket's features; 0 without features.
    pub fn inverse_length(&self, i: usize, squares: &[f32]) -> f32 {
        let sum: f32 = self.ticket(i).map(|(unit, g)| g * g * squares[unit]).sum();
        if sum > 0.0 { sum.sqrt().recip() } else { 0.0 }
    }

    /// Some of the tickets, over the units and features that occur in them; their numbers are new.
    pub fn some(&self, of: impl Iterator<Item = usize> + Clone) -> Self {
        let tickets: Vec<usize> = of.collect();
        let active = self.active(&tickets);
        let mut features = vec![0u32; self.features];
        let mut scales = vec![0.0];
        for (id, _) in active.iter().enumerate().filter(|(_, active)| **active) {
            features[id] = scales.len() as u32;
            scales.push(self.scales[id]);
        }
        let mut new = Self {
            features: scales.len(),
            scales,
            units: Units::default(),
            starts: vec![0],
            unit_of: Vec::new(),
            counts: Vec::new(),
            levels: self.levels.clone(),
            known: Vec::with_capacity(tickets.len()),
        };
        let mut units: Vec<Option<u32>> = vec![None; self.units.len()];
        let mut grams = Vec::new();
        for ticket in tickets {
            let range = self.starts[ticket]..self.starts[ticket + 1];
            new.counts.extend_from_slice(&self.counts[range.clone()]);
            for unit in &self.unit_of[range] {
                let unit = *unit as usize;
                let place = *units[unit].get_or_insert_with(|| {
                    grams.clear();
                    grams.extend(self.units.grams(unit).iter().map(|id| features[*id as usize]));
                    new.units.push(features[self.units.own[unit] as usize], &grams)
                });
                new.unit_of.push(place);
            }
            new.starts.push(new.unit_of.len());
            new.known.push(self.known[ticket]);
        }
        new
    }

    /// Which features occur in the tickets `of`: the others are no features to a model that was
    /// fitted on those.
    pub fn active(&self, of: &[usize]) -> Vec<bool> {
        let mut seen = vec![false; self.units.len()];
        of.iter().flat_map(|i| self.ticket(*i)).for_each(|(unit, _)| seen[unit] = true);
        let mut active = vec![false; self.features];
        for unit in (0..self.units.len()).filter(|unit| seen[*unit]) {
            active[self.units.own[unit] as usize] = true;
            self.units.grams(unit).iter().for_each(|id| active[*id as usize] = true);
        }
        active[0] = false;
        active
    }

    /// A ticket's features, in the order of their ids.
    pub fn sparse(&self, i: usize, active: &[bool], squares: &[f32]) -> Sparse {
        let by = f64::from(self.inverse_length(i, squares));
        let mut features: Sparse = Vec::new();
        for (unit, g) in self.ticket(i) {
            let values = self.units.values(unit, &self.scales, active);
            features.extend(values.map(|(id, v)| (id, f64::from(v * g) * by)));
        }
        features.sort_unstable_by_key(|(id, _)| *id);
        features.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        features
    }
}

impl Units {
    /// A word as a unit, if it or one of its n-grams is in the vocabulary; and whether it counts
    /// as known.
    fn push_word(&mut self, vocabulary: &Vocabulary, word: usize) -> (Option<u32>, bool) {
        let own = vocabulary.word_ids[word];
        let mut grams = Vec::new();
        let mut all = 0;
        each_gram(&vocabulary.words[word], |gram| {
            all += 1;
            grams.extend(vocabulary.gram_ids.get(gram));
        });
        let known = own != 0 || half_known(grams.len(), all);
        grams.sort_unstable();
        grams.dedup();
        ((own != 0 || !grams.is_empty()).then(|| self.push(own, &grams)), known)
    }
}
