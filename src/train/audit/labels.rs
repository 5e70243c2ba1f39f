//! What is wrong with the labels themselves: equal texts with different ones, spellings of the
//! same one, and labels with too few tickets.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::duplicates::Duplicates;
use super::excerpt;
use crate::train::data::Example;
use crate::triage::model::Target;

/// Conflicts listed at most, and tickets named for each of their labels.
const CONFLICTS: usize = 10;
const IDS: usize = 3;
/// Distinct texts that a label needs to be usable: with fewer, neither its threshold nor its
/// numbers in the report mean much.
pub const USABLE: u64 = 30;

/// Equal texts with different categories.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Conflicts {
    pub texts: u64,
    /// Tickets with those texts.
    pub tickets: u64,
    /// Tickets among them whose category is not the text's most frequent one: what a model that
    /// reads no numbers must get wrong.
    pub wrong: u64,
    /// Those with the most tickets, 10 at most.
    pub shown: Vec<Conflict>,
}

/// One text with its categories.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// Redacted, cut to 120 characters.
    pub excerpt: String,
    /// In byte order.
    pub labels: Vec<Claim>,
}

/// A category that tickets with this text have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Claim {
    pub label: String,
    pub tickets: u64,
    /// Of the first tickets, 3 at most.
    pub ids: Vec<String>,
}

/// Finds equal texts with different categories.
pub(super) fn conflicts(examples: &[Example], duplicates: &Duplicates) -> Conflicts {
    let mut texts: BTreeMap<u32, BTreeMap<&str, Vec<usize>>> = BTreeMap::new();
    for (i, (example, text)) in examples.iter().zip(&duplicates.texts).enumerate() {
        if let Some(label) = example.label(Target::Category) {
            texts.entry(*text).or_default().entry(label).or_default().push(i);
        }
    }
    let tickets = |labels: &BTreeMap<&str, Vec<usize>>| labels.values().map(Vec::len).sum();
    let mut found: Vec<(usize, BTreeMap<&str, Vec<usize>>)> = texts
        .into_values()
        .filter(|labels| labels.len() > 1)
        .map(|labels| (tickets(&labels), labels))
        .collect();
    found.sort_by_key(|(tickets, _)| std::cmp::Reverse(*tickets));
    let most = |labels: &BTreeMap<&str, Vec<usize>>| labels.values().map(Vec::len).max();
    let tickets: usize = found.iter().map(|(tickets, _)| tickets).sum();
    let right: usize = found.iter().filter_map(|(_, labels)| most(labels)).sum();
    let claim = |(label, members): (&&str, &Vec<usize>)| Claim {
        label: (*label).to_owned(),
        tickets: members.len() as u64,
        ids: members.iter().take(IDS).map(|i| examples[*i].id.clone()).collect(),
    };
    let show = |(_, labels): &(usize, BTreeMap<&str, Vec<usize>>)| {
        let first = labels.values().flatten().min()?;
        let excerpt = excerpt(&examples[*first]);
        Some(Conflict { excerpt, labels: labels.iter().map(claim).collect() })
    };
    Conflicts {
        texts: found.len() as u64,
        tickets: tickets as u64,
        wrong: (tickets - right) as u64,
        shown: found.iter().take(CONFLICTS).filter_map(show).collect(),
    }
}

/// One way to write a category.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Spelling {
    /// As the rows have it, blanks included.
    pub label: String,
    pub tickets: u64,
}

/// Spellings that differ in case, blanks or punctuation only, several in each list, in byte order.
pub(super) fn variants(spellings: &BTreeMap<String, u64>) -> Vec<Vec<Spelling>> {
    let mut by_key: BTreeMap<String, Vec<Spelling>> = BTreeMap::new();
    for (label, tickets) in spellings {
        let spelling = Spelling { label: label.clone(), tickets: *tickets };
        by_key.entry(bare(label)).or_default().push(spelling);
    }
    by_key.retain(|key, spellings| !key.is_empty() && spellings.len() > 1);
    by_key.into_values().collect()
}

/// Letters and numbers in lower case. A point stays between two digits: `1.1` is not `11`.
fn bare(label: &str) -> String {
    let mut out = String::new();
    let mut skipped = false;
    for c in label.chars() {
        if !c.is_alphanumeric() {
            skipped = true;
            continue;
        }
        if skipped && c.is_numeric() && out.ends_with(char::is_numeric) {
            out.push('.');
        }
        skipped = false;
        out.extend(c.to_lowercase());
    }
    out
}

/// What can be done with a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Use {
    Usable,
    /// Fewer than [`USABLE`] distinct texts.
    Weak,
    /// Fewer tickets than the recipe's `fit.min_tickets`.
    NotLearnt,
}

impl Use {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Usable => "usable",
            Self::Weak => "weak: fewer than 30",
            Self::NotLearnt => "not learnt",
        }
    }
}

/// A category and what it has to learn from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Size {
    pub label: String,
    pub tickets: u64,
    /// Tickets but for those that nearly repeat another of this label.
    pub texts: u64,
    pub is: Use,
}

/// The categories in byte order.
pub(super) fn sizes(examples: &[Example], duplicates: &Duplicates, min_tickets: u64) -> Vec<Size> {
    let mut labels: BTreeMap<&str, (u64, BTreeSet<u32>)> = BTreeMap::new();
    for (example, group) in examples.iter().zip(&duplicates.groups) {
        if let Some(label) = example.label(Target::Category) {
            let (tickets, groups) = labels.entry(label).or_default();
            *tickets += 1;
            groups.insert(*group);
        }
    }
    let size = |(label, (tickets, groups)): (&str, (u64, BTreeSet<u32>))| {
        let texts = groups.len() as u64;
        let is = match () {
            () if tickets < min_tickets => Use::NotLearnt,
            () if texts < USABLE => Use::Weak,
            () => Use::Usable,
        };
        Size { label: label.to_owned(), tickets, texts, is }
    };
    labels.into_iter().map(size).collect()
}

#[cfg(test)]
mod tests {
    use super::super::duplicates::find;
    use super::super::tests::example;
    use super::*;

    #[test]
    fn equal_texts_with_different_labels() {
        let examples = [
            example(0, "VPN drops, error 691", "Network"),
            example(1, "vpn drops: ERROR 809", "Network"),
            example(2, "VPN drops error 1", "Remote access"),
            example(3, "printer jam", "Printing"),
            example(4, "printer jam", "Printing"),
        ];
        let found = conflicts(&examples, &find(&examples));
        assert_eq!((found.texts, found.tickets, found.wrong), (1, 3, 1));
        let conflict = &found.shown[0];
        assert_eq!(conflict.excerpt, "VPN drops, error 691");
        assert_eq!(conflict.labels[0].ids, ["0", "1"]);
        assert_eq!(conflict.labels[1].label, "Remote access");
        assert_eq!(conflicts(&examples[3..], &find(&examples[3..])), Conflicts::default());
    }

    #[test]
    fn spellings_of_one_label() {
        let count = |labels: &[&str]| labels.iter().map(|l| ((*l).to_owned(), 2)).collect();
        let found = variants(&count(&["VPN ", "vpn", "Wi-Fi", "wifi", "1.1", "11", "??", "!"]));
        let labels: Vec<Vec<&str>> =
            found.iter().map(|list| list.iter().map(|s| s.label.as_str()).collect()).collect();
        assert_eq!(labels, [["VPN ", "vpn"], ["Wi-Fi", "wifi"]]);
        assert_eq!(variants(&count(&["Network/VPN", "Network/Wi-Fi", "1.1"])), [] as [Vec<_>; 0]);
    }

    #[test]
    fn small_labels_are_told_apart() {
        let mut examples: Vec<Example> =
            (0..40).map(|i| example(i, &format!("{} stuck", "x".repeat(i + 1)), "Big")).collect();
        examples.extend((0..40).map(|i| example(i, "all the same", "Copies")));
        examples.push(example(0, "alone", "Alone"));
        let sizes = sizes(&examples, &find(&examples), 2);
        let told: Vec<_> = sizes.iter().map(|s| (s.label.as_str(), s.tickets, s.is)).collect();
        let expected =
            [("Alone", 1, Use::NotLearnt), ("Big", 40, Use::Usable), ("Copies", 40, Use::Weak)];
        assert_eq!(told, expected);
    }
}
