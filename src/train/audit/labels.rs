//! What is wrong with the labels themselves: equal and nearly equal texts with different ones,
//! spellings of the same one, and labels with too few tickets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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

/// Equal texts, or groups of nearly equal ones, with different categories.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Conflicts {
    /// Texts, or groups of them.
    pub texts: u64,
    /// Tickets with those texts.
    pub tickets: u64,
    /// Tickets among them whose category is not the most frequent one of their text or group: of
    /// equal texts, what a model that reads no numbers must get wrong.
    pub wrong: u64,
    /// Those with the most tickets, 10 at most.
    pub shown: Vec<Conflict>,
}

/// One text, or the first of a group, with the categories.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// Redacted, cut to 120 characters.
    pub excerpt: String,
    /// In byte order.
    pub labels: Vec<Claim>,
}

/// A category that tickets with this text, or of this group, have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Claim {
    pub label: String,
    pub tickets: u64,
    /// Of the first tickets, 3 at most.
    pub ids: Vec<String>,
}

/// Places of tickets by category.
type Claims<'a> = BTreeMap<&'a str, Vec<usize>>;

/// Equal texts with different categories.
pub(super) fn conflicts(examples: &[Example], duplicates: &Duplicates) -> Conflicts {
    let texts = claims(examples, &duplicates.texts).into_values();
    told(examples, texts.filter(|labels| labels.len() > 1))
}

/// Groups of nearly equal texts with different categories. Where one text has them all, it is told
/// among the equal ones.
pub(super) fn near_conflicts(examples: &[Example], duplicates: &Duplicates) -> Conflicts {
    let Duplicates { groups, texts, .. } = duplicates;
    let of_text = claims(examples, texts);
    let mut most: BTreeMap<u32, usize> = BTreeMap::new();
    for (group, text) in groups.iter().zip(texts) {
        let most = most.entry(*group).or_default();
        *most = (*most).max(of_text.get(text).map_or(0, BTreeMap::len));
    }
    let has_more = |(group, labels): &(u32, Claims<'_>)| Some(&labels.len()) > most.get(group);
    let groups = claims(examples, groups).into_iter().filter(has_more);
    told(examples, groups.map(|(_, labels)| labels))
}

/// By the number that `of` gives each example.
fn claims<'a>(examples: &'a [Example], of: &[u32]) -> BTreeMap<u32, Claims<'a>> {
    let mut claims: BTreeMap<u32, Claims<'a>> = BTreeMap::new();
    for (i, (example, number)) in examples.iter().zip(of).enumerate() {
        if let Some(label) = example.label(Target::Category) {
            claims.entry(*number).or_default().entry(label).or_default().push(i);
        }
    }
    claims
}

fn told<'a>(examples: &'a [Example], found: impl Iterator<Item = Claims<'a>>) -> Conflicts {
    let tickets = |labels: &Claims<'_>| labels.values().map(Vec::len).sum();
    let mut found: Vec<(usize, Claims<'_>)> =
        found.map(|labels| (tickets(&labels), labels)).collect();
    found.sort_by_key(|(tickets, _)| std::cmp::Reverse(*tickets));
    let most = |labels: &Claims<'_>| labels.values().map(Vec::len).max();
    let tickets: usize = found.iter().map(|(tickets, _)| tickets).sum();
    let right: usize = found.iter().filter_map(|(_, labels)| most(labels)).sum();
    let claim = |(label, members): (&&str, &Vec<usize>)| Claim {
        label: (*label).to_owned(),
        tickets: members.len() as u64,
        ids: members.iter().take(IDS).map(|i| examples[*i].id.clone()).collect(),
    };
    let show = |(_, labels): &(usize, Claims<'_>)| {
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
    pub label: String,
    pub tickets: u64,
}

/// How rows spell their categories: by category, spellings with their tickets.
type Spellings = BTreeMap<Arc<str>, BTreeMap<String, u64>>;

/// Categories that are apart and differ in case, blanks or punctuation only, several in each list,
/// in byte order.
pub(super) fn variants(spellings: &Spellings) -> Vec<Vec<Spelling>> {
    let mut by_key: BTreeMap<String, Vec<Spelling>> = BTreeMap::new();
    for (label, written) in spellings {
        let spelling = Spelling { label: label.to_string(), tickets: written.values().sum() };
        by_key.entry(bare(label)).or_default().push(spelling);
    }
    by_key.retain(|key, spellings| !key.is_empty() && spellings.len() > 1);
    by_key.into_values().collect()
}

/// Categories that are one although rows spell them in several ways, which blanks that were trimmed
/// and aliases did.
pub(super) fn merged(spellings: &Spellings) -> BTreeMap<String, Vec<Spelling>> {
    let several = spellings.iter().filter(|(_, written)| written.len() > 1);
    let spelling =
        |(label, tickets): (&String, &u64)| Spelling { label: label.clone(), tickets: *tickets };
    let list = |written: &BTreeMap<String, u64>| written.iter().map(spelling).collect();
    several.map(|(label, written)| (label.to_string(), list(written))).collect()
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
    fn nearly_equal_texts_with_different_labels() {
        let long = |end: &str| {
            format!("the remote gateway of the branch office drops the tunnel and nobody can {end}")
        };
        let labelled = |labels: [&str; 4]| {
            let ends = ["print", "work", "print", "read"];
            let each = labels.iter().zip(ends).enumerate();
            each.map(|(i, (label, end))| example(i, &long(end), label)).collect::<Vec<_>>()
        };
        let of = |examples: &[Example]| {
            let duplicates = find(examples);
            (conflicts(examples, &duplicates), near_conflicts(examples, &duplicates))
        };
        let examples = labelled(["Network", "Remote", "Network", "Network"]);
        let (equal, near) = of(&examples);
        assert_eq!(equal, Conflicts::default());
        assert_eq!((near.texts, near.tickets, near.wrong), (1, 4, 1));
        assert!(near.shown[0].excerpt.ends_with("nobody can print"));
        let claims: Vec<_> = near.shown[0].labels.iter().map(|c| (&*c.label, c.tickets)).collect();
        assert_eq!(claims, [("Network", 3), ("Remote", 1)]);
        assert_eq!(near.shown[0].labels[1].ids, ["1"]);

        // One text has both already; the others add no third.
        let (equal, near) = of(&labelled(["Network", "Remote", "Remote", "Network"]));
        assert_eq!((equal.texts, near), (1, Conflicts::default()));
        let (equal, near) = of(&labelled(["Network", "Desktop", "Remote", "Network"]));
        assert_eq!((equal.texts, near.texts), (1, 1));
        assert_eq!(of(&labelled(["Network"; 4])).1, Conflicts::default());
    }

    #[test]
    fn spellings_of_one_label() {
        let count = |labels: &[&str]| {
            let alone = |label: &str| BTreeMap::from([(label.to_owned(), 2)]);
            labels.iter().map(|label| (Arc::from(*label), alone(label))).collect::<Spellings>()
        };
        let found = variants(&count(&["VPN.", "vpn", "Wi-Fi", "wifi", "1.1", "11", "??", "!"]));
        let labels: Vec<Vec<&str>> =
            found.iter().map(|list| list.iter().map(|s| s.label.as_str()).collect()).collect();
        assert_eq!(labels, [["VPN.", "vpn"], ["Wi-Fi", "wifi"]]);
        assert_eq!(variants(&count(&["Network/VPN", "Network/Wi-Fi", "1.1"])), [] as [Vec<_>; 0]);
        assert_eq!(merged(&count(&["VPN.", "vpn"])), BTreeMap::new());
    }

    #[test]
    fn what_is_one_label_already_is_not_asked_about() {
        let written = [("Access", 115), ("Access ", 69), ("ACCESS", 61)];
        let one = written.map(|(spelling, tickets)| (spelling.to_owned(), tickets));
        let spellings = Spellings::from([(Arc::from("Access"), BTreeMap::from(one.clone()))]);
        assert_eq!(variants(&spellings), [] as [Vec<_>; 0]);
        let list = |spellings: &[Spelling]| -> Vec<(String, u64)> {
            spellings.iter().map(|s| (s.label.clone(), s.tickets)).collect()
        };
        let [a, b, c] = one;
        assert_eq!(list(&merged(&spellings)["Access"]), [c.clone(), a.clone(), b.clone()]);

        // Without the alias: blanks are trimmed, case is not.
        let apart = [("Access", BTreeMap::from([a, b])), ("ACCESS", BTreeMap::from([c]))];
        let spellings = Spellings::from(apart.map(|(label, written)| (Arc::from(label), written)));
        let found = variants(&spellings);
        assert_eq!(list(&found[0]), [("ACCESS".to_owned(), 61), ("Access".to_owned(), 184)]);
        assert_eq!(merged(&spellings).keys().collect::<Vec<_>>(), ["Access"]);
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
