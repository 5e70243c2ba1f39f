//! From which share of known words on a ticket is one that the model was made for.

use std::collections::BTreeMap;

use super::data::Example;
use crate::triage::model::scope::{Scope, familiarity};
use crate::triage::model::{Model, Scratch};
use crate::triage::text::language::Language;

/// Fewer tickets of a language say nothing about its rarest hundredth.
const ENOUGH: usize = 300;
/// Where all tickets are alike, every name would be too much: a fifth of new words is not.
const MOST: f64 = 0.8;

/// The bounds below which at most this share of the tickets lies, in each language that has tickets
/// enough. The model must not have seen these tickets: their words would all be known.
pub fn bounds(model: &Model, tickets: &[Example], share: f64) -> Scope {
    let mut by_language: BTreeMap<Language, Vec<f64>> = BTreeMap::new();
    let mut scratch = Scratch::default();
    for ticket in tickets {
        let (_, language) = model.read(&mut scratch, &ticket.text());
        let (listed, words) = scratch.words();
        by_language.entry(language).or_default().push(familiarity(listed, words));
    }
    let bound = |mut all: Vec<f64>| {
        all.sort_unstable_by(f64::total_cmp);
        let at = (all.len() as f64 * share) as usize;
        all[at.min(all.len() - 1)].min(MOST)
    };
    let enough = by_language.into_iter().filter(|(_, all)| share > 0.0 && all.len() >= ENOUGH);
    enough.map(|(language, all)| (language, bound(all))).collect()
}
