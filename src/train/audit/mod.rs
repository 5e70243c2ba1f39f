//! What the data can carry: a look at the labelled tickets before anything is learnt from them.

pub mod duplicates;
pub mod ids;
pub mod labels;
pub mod leaks;
pub mod noise;
pub mod renames;
pub mod render;

use std::collections::BTreeMap;

use serde::Serialize;

use super::data::{Data, Example, Rejection};
use duplicates::Duplicates;
use ids::Repeated;
use labels::{Conflicts, Size, Spelling};
use leaks::Leak;
use renames::Rename;

/// Characters of a ticket's text shown at most.
const EXCERPT: usize = 120;

/// What was found. Only categories are looked at; excerpts are redacted.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Audit {
    pub tickets: u64,
    /// Rows that are not used, as a label of theirs has a control character.
    pub broken_labels: u64,
    pub repeated_ids: Repeated,
    pub duplicates: Duplicates,
    /// Of equal texts.
    pub conflicts: Conflicts,
    /// Of nearly equal texts, but for those of equal ones.
    pub near_conflicts: Conflicts,
    /// Categories that differ in case, blanks or punctuation only.
    pub variants: Vec<Vec<Spelling>>,
    /// Categories that rows spell in several ways which blanks and aliases made one.
    pub merged: BTreeMap<String, Vec<Spelling>>,
    /// The recipe's aliases with the tickets that each renamed, zeros included.
    pub aliases: BTreeMap<String, u64>,
    /// Categories that were probably renamed, where the tickets have dates.
    pub renames: Vec<Rename>,
    /// Every category, in byte order.
    pub labels: Vec<Size>,
    /// Those of the greatest coverage first.
    pub leaks: Vec<Leak>,
}

/// Looks the data over. `duplicates` is what [`duplicates::find`] says of its examples;
/// `min_tickets` is the recipe's bar for a label to be learnt.
pub fn audit(data: &Data, duplicates: Duplicates, min_tickets: u64) -> Audit {
    let examples = &data.examples;
    Audit {
        tickets: examples.len() as u64,
        broken_labels: data.rejected.get(&Rejection::ControlCharacter).copied().unwrap_or_default(),
        repeated_ids: ids::repeated(examples),
        conflicts: labels::conflicts(examples, &duplicates),
        near_conflicts: labels::near_conflicts(examples, &duplicates),
        variants: labels::variants(&data.spellings),
        merged: labels::merged(&data.spellings),
        aliases: data.aliases.clone(),
        renames: renames::renames(examples),
        labels: labels::sizes(examples, &duplicates, min_tickets),
        leaks: leaks::leaks(examples),
        duplicates,
    }
}

/// The beginning of a ticket's redacted text in one line.
fn excerpt(example: &Example) -> String {
    let words = [&example.subject, &example.body].into_iter().flat_map(|t| t.split_whitespace());
    let mut out = String::new();
    let mut left = EXCERPT;
    for word in words {
        if !out.is_empty() {
            out.push(' ');
            left -= 1;
        }
        // What steers a terminal has no place in a report.
        out.extend(word.chars().filter(|c| !c.is_control()).take(left));
        left = left.saturating_sub(word.chars().count());
        if left < 2 {
            break;
        }
    }
    out
}

#[cfg(test)]
pub(in crate::train) mod tests;
