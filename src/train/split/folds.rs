//! Folds for cross-validation.

use std::collections::BTreeMap;

use super::groups::groups;
use crate::train::data::Example;

/// For each example its fold, from 0 to `k - 1`; at least one fold is made. Groups (`ids` has one
/// for each example) stay whole and every label is spread as evenly as they allow. The same
/// examples, groups and seed give the same folds, in whatever order the examples come.
pub fn folds(examples: &[Example], ids: &[u32], k: u8, seed: u64) -> Vec<u8> {
    let k = usize::from(k.max(1));
    let mut folds = vec![0u8; examples.len()];
    let mut sizes = vec![0usize; k];
    let mut by_label: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for group in groups(examples, ids, seed) {
        let of_label = by_label.entry(group.label).or_insert_with(|| vec![0; k]);
        // The fold with the fewest tickets of this label; of those the smallest.
        let least = (0..k).min_by_key(|fold| (of_label[*fold], sizes[*fold])).unwrap_or(0);
        of_label[least] += group.members.len();
        sizes[least] += group.members.len();
        for i in group.members {
            folds[i] = least as u8;
        }
    }
    folds
}
