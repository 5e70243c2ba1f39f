//! Tickets that stay together, as both splits and folds see them.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::train::data::Example;
use crate::triage::model::Target;

/// Tickets of one group.
pub(super) struct Group<'a> {
    /// Looks random, and depends on the seed and the texts alone.
    pub key: [u8; 32],
    /// The most frequent category among them; of equals the first in byte order.
    pub label: &'a str,
    /// When the oldest of those with a date was made.
    pub oldest: Option<i64>,
    /// Indices into the examples, ascending.
    pub members: Vec<usize>,
}

/// The groups in the order of their keys, which is that of no file. `ids` has one for each
/// example; examples with equal ones are a group.
pub(super) fn groups<'a>(examples: &'a [Example], ids: &[u32], seed: u64) -> Vec<Group<'a>> {
    let mut by_id: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (i, id) in ids.iter().enumerate().take(examples.len()) {
        by_id.entry(*id).or_default().push(i);
    }
    let group = |members: Vec<usize>| {
        let each = || members.iter().map(|i| &examples[*i]);
        let mut labels: BTreeMap<&str, usize> = BTreeMap::new();
        for label in each().filter_map(|e| e.label(Target::Category)) {
            *labels.entry(label).or_default() += 1;
        }
        let most = labels.iter().rev().max_by_key(|(_, n)| **n);
        Group {
            key: fair(each().map(|e| key(e, seed)).min().unwrap_or_default()),
            label: most.map(|(label, _)| *label).unwrap_or_default(),
            oldest: each().filter_map(|e| e.created_at).min(),
            members,
        }
    };
    let mut groups: Vec<Group<'a>> = by_id.into_values().map(group).collect();
    groups.sort_unstable_by_key(|group| group.key);
    groups
}

/// The least of many keys is smaller than that of one; hashed again, groups of any size have the same
/// chance to come first.
fn fair(least: [u8; 32]) -> [u8; 32] {
    Sha256::digest(least).into()
}

fn key(example: &Example, seed: u64) -> [u8; 32] {
    let mut sum = Sha256::new();
    sum.update(seed.to_le_bytes());
    sum.update(example.subject.as_bytes());
    sum.update([0]);
    sum.update(example.body.as_bytes());
    sum.finalize().into()
}
