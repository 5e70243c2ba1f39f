//! Labels that were probably renamed: one stops when another begins, and their words are alike.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::FixedState;
use serde::Serialize;

use crate::train::data::Example;
use crate::train::dates;
use crate::triage::model::Target;
use crate::triage::text::tokens::Words;

/// Dated tickets that a label needs before anything is said of it.
const TICKETS: usize = 20;
/// Share of a label's tickets, at its end or beginning, that may be out of time: a late correction,
/// an early trial.
const STRAY: f64 = 0.02;
/// A label has stopped, or begun, when for this share of the whole time there is nothing of it.
const SILENT: f64 = 0.1;
/// So much of the whole time both names may be in use.
const OVERLAP: f64 = 0.02;
/// Least likeness of the words, from 0 to 1.
const ALIKE: f64 = 0.6;
/// Tickets of a label whose words are read, and the share of them that must have a word.
const SAMPLE: usize = 400;
const SHARE: f64 = 0.02;

/// Two labels that are probably one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rename {
    pub old: String,
    pub old_tickets: u64,
    /// When the old label stops, RFC 3339 in UTC.
    pub until: String,
    pub new: String,
    pub new_tickets: u64,
    pub from: String,
    /// How alike their words are: the cosine of what sets them apart from all labels.
    pub alike: f64,
}

/// When a label is in use, but for strays.
struct Span<'a> {
    label: &'a str,
    tickets: Vec<usize>,
    from: i64,
    until: i64,
}

/// What sets a label apart: by word, how much more frequent it is there than on average.
type Profile = HashMap<u32, f64, FixedState>;

/// Pairs of labels that are probably one, in byte order of the old one. Nothing without dates.
pub(super) fn renames(examples: &[Example]) -> Vec<Rename> {
    let spans = spans(examples);
    let dates = || examples.iter().filter_map(|e| e.created_at);
    let (Some(first), Some(last)) = (dates().min(), dates().max()) else { return Vec::new() };
    let of_all = |share: f64| ((last - first) as f64 * share) as i64;
    let follows = |old: &Span<'_>, new: &Span<'_>| {
        last - old.until >= of_all(SILENT).max(1)
            && new.from - first >= of_all(SILENT).max(1)
            && old.until <= new.from + of_all(OVERLAP)
    };
    let pairs: Vec<(usize, usize)> = (0..spans.len())
        .flat_map(|old| (0..spans.len()).map(move |new| (old, new)))
        .filter(|(old, new)| follows(&spans[*old], &spans[*new]))
        .collect();
    if pairs.is_empty() {
        return Vec::new();
    }
    let profiles = profiles(examples, &spans);
    // Of all labels, those in use at other times too.
    let most_alike = |label: usize| {
        let others = (0..spans.len()).filter(move |other| *other != label);
        let alike = others.map(|other| (cosine(&profiles[label], &profiles[other]), other));
        alike.max_by(|a, b| a.0.total_cmp(&b.0))
    };
    let mut nearest_of: HashMap<usize, Option<(f64, usize)>, FixedState> = HashMap::default();
    let one = |(old, new): (usize, usize)| {
        let (alike, nearest) = (*nearest_of.entry(old).or_insert_with(|| most_alike(old)))?;
        let (from, until) = (dates::format(spans[new].from)?, dates::format(spans[old].until)?);
        (nearest == new && alike >= ALIKE).then(|| Rename {
            old: spans[old].label.to_owned(),
            old_tickets: spans[old].tickets.len() as u64,
            until,
            new: spans[new].label.to_owned(),
            new_tickets: spans[new].tickets.len() as u64,
            from,
            alike,
        })
    };
    pairs.into_iter().filter_map(one).collect()
}

/// The labels with enough dated tickets, in byte order.
fn spans(examples: &[Example]) -> Vec<Span<'_>> {
    let mut labels: BTreeMap<&str, Vec<(i64, usize)>> = BTreeMap::new();
    for (i, example) in examples.iter().enumerate() {
        if let (Some(label), Some(at)) = (example.label(Target::Category), example.created_at) {
            labels.entry(label).or_default().push((at, i));
        }
    }
    labels.retain(|_, dated| dated.len() >= TICKETS);
    let span = |(label, mut dated): (_, Vec<(i64, usize)>)| {
        dated.sort_unstable();
        let stray = (dated.len() as f64 * STRAY) as usize;
        Span {
            label,
            from: dated[stray].0,
            until: dated[dated.len() - 1 - stray].0,
            tickets: dated.into_iter().map(|(_, i)| i).collect(),
        }
    };
    labels.into_iter().map(span).collect()
}

fn profiles(examples: &[Example], spans: &[Span<'_>]) -> Vec<Profile> {
    let mut numbers: HashMap<Box<str>, u32, FixedState> = HashMap::default();
    let (mut words, mut of_one) = (Words::default(), Vec::new());
    let mut profiles: Vec<Profile> = Vec::new();
    let mut mean = Profile::default();
    for span in spans {
        let sample = span.tickets.iter().step_by(span.tickets.len().div_ceil(SAMPLE));
        let share = 1.0 / sample.len() as f64;
        let mut profile = Profile::default();
        for i in sample {
            of_one.clear();
            for text in [&examples[*i].subject, &examples[*i].body] {
                words.read(text);
                for word in words.iter() {
                    let next = numbers.len() as u32;
                    of_one.push(match numbers.get(word) {
                        Some(number) => *number,
                        None => *numbers.entry(word.into()).or_insert(next),
                    });
                }
            }
            of_one.sort_unstable();
            of_one.dedup();
            for word in &of_one {
                *profile.entry(*word).or_default() += share;
            }
        }
        profile.retain(|_, share| *share >= SHARE);
        for (word, share) in &profile {
            *mean.entry(*word).or_default() += share / spans.len() as f64;
        }
        profiles.push(profile);
    }
    for profile in &mut profiles {
        profile.retain(|word, share| {
            *share -= mean.get(word).copied().unwrap_or_default();
            *share > 0.0
        });
    }
    profiles
}

fn cosine(a: &Profile, b: &Profile) -> f64 {
    // Summed in the order of the words: the order of a map must not show in the last digit.
    let dot = |a: &Profile, b: &Profile| -> f64 {
        let mut shared: Vec<(u32, f64)> =
            a.iter().filter_map(|(word, x)| Some((*word, x * b.get(word)?))).collect();
        shared.sort_unstable_by_key(|(word, _)| *word);
        shared.iter().map(|(_, product)| product).sum()
    };
    let length = (dot(a, a) * dot(b, b)).sqrt();
    if length > 0.0 { dot(a, b) / length } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::tests::clean;
    use super::*;

    const DAY: i64 = 86_400;

    /// A ticket a day, of five labels in turn; `rename` may change a label by the day.
    fn dated(days: usize, rename: impl Fn(&str, usize) -> Option<&'static str>) -> Vec<Example> {
        let mut examples = clean(days);
        for (day, example) in examples.iter_mut().enumerate() {
            example.created_at = Some(1_772_582_400 + day as i64 * DAY);
            let label = example.label(Target::Category).unwrap_or_default();
            if let Some(new) = rename(label, day) {
                example.labels[0] = Some(Arc::from(new));
            }
        }
        examples
    }

    #[test]
    fn a_label_that_stops_when_one_like_it_begins() {
        let renamed = dated(1_000, |label, day| (label == "Mail" && day >= 500).then_some("Post"));
        let found = renames(&renamed);
        assert_eq!(found.len(), 1, "{found:?}");
        let r = &found[0];
        assert_eq!((r.old.as_str(), r.new.as_str()), ("Mail", "Post"));
        assert_eq!((r.old_tickets, r.new_tickets), (100, 100));
        assert!(r.until < r.from && r.alike > 0.7, "{r:?}");
    }

    #[test]
    fn no_rename_without_both_signs() {
        assert_eq!(renames(&dated(1_000, |_, _| None)), []);
        // In use side by side.
        let both = dated(1_000, |label, day| (label == "Mail" && day % 2 == 0).then_some("Post"));
        assert_eq!(renames(&both), []);
        // One ends and another begins, but they are about different things.
        let unlike = dated(1_000, |label, day| match label {
            "Mail" if day >= 500 => Some("Network"),
            "Printing" if day < 500 => Some("Access"),
            _ => None,
        });
        assert_eq!(renames(&unlike), []);
        let mut undated = dated(1_000, |label, day| (label == "Mail" && day >= 500).then_some("P"));
        undated.iter_mut().for_each(|e| e.created_at = None);
        assert_eq!(renames(&undated), []);
    }
}
