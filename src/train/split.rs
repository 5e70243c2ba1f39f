//! Which tickets fit, calibrate and test.
//!
//! By time where the tickets have dates: the model will read tickets that are newer than those it
//! learnt from, so the newest test it and those before them calibrate it. At random otherwise,
//! label by label, so that small labels are in every part.
//!
//! Tickets with equal or nearly equal texts stay together, so that no text of the test has been
//! fitted on. By time such a group stands where its oldest ticket does: one that began before the
//! test is fitted on, all of it.

mod folds;
mod groups;
mod lack;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::data::Example;
use super::recipe::{self, By};
use super::{TrainError, dates};
use crate::triage::model::Target;
pub use folds::folds;
use groups::{Group, groups};
pub use lack::{Lack, check};

/// So many percent of the tickets must have a date to split by time. The others are fitted on.
pub const DATED: usize = 95;
/// Tickets that a label needs to be in all three parts.
const IN_ALL: usize = 3;
const DAY: i64 = 86_400;

/// Indices into the examples, each list in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    pub fit: Vec<usize>,
    pub calibrate: Vec<usize>,
    pub test: Vec<usize>,
}

impl Parts {
    /// The parts with their names.
    fn named(&self) -> [(&'static str, &[usize]); 3] {
        [("fit", &self.fit), ("calibrate", &self.calibrate), ("test", &self.test)]
    }
}

/// The parts, and how they came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    pub parts: Parts,
    pub summary: Summary,
}

/// How the tickets were split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Time or random.
    pub by: By,
    pub seed: u64,
    /// By time: the first moment of the calibration tickets, RFC 3339 in UTC; none where all before
    /// the test are held out in turns.
    pub calibrate_from: Option<String>,
    /// By time: the first moment of the test tickets.
    pub test_from: Option<String>,
    /// Groups of equal and nearly equal texts, those of one ticket included.
    pub groups: u64,
    /// Tickets beyond the first of their group.
    pub near_duplicates: u64,
    /// Tickets without a date that can be read.
    pub undated: u64,
    /// Categories with 3 tickets or more of which a part has none, by part.
    pub labels_missing: BTreeMap<&'static str, u64>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.calibrate_from, &self.test_from) {
            (Some(calibrate), Some(test)) => {
                write!(f, "by time: calibrated on tickets from {calibrate}, tested from {test}")?;
            }
            (None, Some(test)) => {
                write!(
                    f,
                    "by time: tested on tickets from {test}, calibrated on all before in turns"
                )?;
            }
            _ => write!(f, "at random, seed {}, label by label", self.seed)?,
        }
        write!(f, "; {} tickets stand with the one whose text they repeat", self.near_duplicates)?;
        for (part, n) in self.labels_missing.iter().filter(|(_, n)| **n > 0) {
            write!(f, "; {n} labels have no ticket to {part}")?;
        }
        Ok(())
    }
}

/// Splits by the category. `ids` has a group for each example. The same examples, groups and seed
/// give the same parts, in whatever order the examples come. A group with more tickets than a
/// held-out part should have is fitted on where others can be held out instead: such a part would
/// measure one text.
///
/// # Errors
/// [`TrainError::NoDates`] when the recipe asks for a split by time and the tickets do not allow it.
pub fn split(
    examples: &[Example],
    ids: &[u32],
    settings: &recipe::Split,
) -> Result<Split, TrainError> {
    let groups = groups(examples, ids, settings.seed);
    let dates: Vec<i64> = examples.iter().filter_map(|e| e.created_at).collect();
    let days = || dates.iter().map(|date| date.div_euclid(DAY));
    let timed = enough_dates(dates.len(), examples.len()) && days().min() < days().max();
    let by = match settings.by {
        By::Auto if timed => By::Time,
        By::Auto => By::Random,
        By::Time if !timed => {
            return Err(TrainError::NoDates { dated: dates.len(), tickets: examples.len() });
        }
        by => by,
    };
    let number = groups.len();
    let mut parts = if by == By::Time {
        by_time(groups, examples.len(), settings)
    } else {
        at_random(groups, settings)
    };
    for part in [&mut parts.fit, &mut parts.calibrate, &mut parts.test] {
        part.sort_unstable();
    }
    let from = |part: &[usize]| {
        let dates = part.iter().filter_map(|i| examples[*i].created_at);
        dates.min().filter(|_| by == By::Time).and_then(dates::format)
    };
    let summary = Summary {
        by,
        seed: settings.seed,
        calibrate_from: from(&parts.calibrate),
        test_from: from(&parts.test),
        groups: number as u64,
        near_duplicates: (examples.len() - number) as u64,
        undated: (examples.len() - dates.len()) as u64,
        labels_missing: labels_missing(&parts, examples),
    };
    Ok(Split { parts, summary })
}

/// Whether so many of the tickets have a date that they can be split by time.
pub fn enough_dates(dated: usize, tickets: usize) -> bool {
    dated * 100 >= DATED * tickets
}

fn by_time(mut groups: Vec<Group<'_>>, tickets: usize, settings: &recipe::Split) -> Parts {
    // The newest first; of one moment, in the order of the keys.
    groups.sort_by_key(|group| std::cmp::Reverse(group.oldest));
    let test = wanted(tickets, settings.test);
    let calibrate = wanted(tickets, settings.calibrate);
    let mut parts = Parts::default();
    for group in groups {
        let fits = |wanted| group.oldest.is_some() && group.members.len() <= wanted;
        let part = if parts.test.len() < test && fits(test) {
            &mut parts.test
        } else if parts.test.len() >= test && parts.calibrate.len() < calibrate && fits(calibrate) {
            &mut parts.calibrate
        } else {
            &mut parts.fit
        };
        part.extend(group.members);
    }
    parts
}

fn at_random(groups: Vec<Group<'_>>, settings: &recipe::Split) -> Parts {
    let mut by_label: BTreeMap<&str, Vec<Group<'_>>> = BTreeMap::new();
    for group in groups {
        by_label.entry(group.label).or_default().push(group);
    }
    let mut parts = Parts::default();
    for mut groups in by_label.into_values() {
        let tickets: usize = groups.iter().map(|group| group.members.len()).sum();
        let [test, calibrate] = match tickets {
            n if n < IN_ALL => [0, 0],
            n => [wanted(n, settings.test), wanted(n, settings.calibrate)],
        };
        // Large groups last: they are held out only where nothing else is left.
        groups.sort_by_key(|group| group.members.len() > test.max(calibrate));
        let (mut tested, mut calibrated, mut left) = (0, 0, groups.len());
        for group in groups {
            let n = group.members.len();
            // One group each is kept for the parts that come after.
            let part = if tested < test && left > 2 {
                tested += n;
                &mut parts.test
            } else if calibrated < calibrate && left > 1 {
                calibrated += n;
                &mut parts.calibrate
            } else {
                &mut parts.fit
            };
            part.extend(group.members);
            left -= 1;
        }
    }
    parts
}

/// A share of some tickets, at least one.
fn wanted(tickets: usize, share: f64) -> usize {
    ((tickets as f64 * share).round() as usize).max(1)
}

fn labels_missing(parts: &Parts, examples: &[Example]) -> BTreeMap<&'static str, u64> {
    let mut labels: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for (place, (_, part)) in parts.named().into_iter().enumerate() {
        for label in part.iter().filter_map(|i| examples[*i].label(Target::Category)) {
            labels.entry(label).or_default()[place] += 1;
        }
    }
    labels.retain(|_, counts| counts.iter().sum::<usize>() >= IN_ALL);
    let missing = |place: usize| labels.values().filter(|counts| counts[place] == 0).count() as u64;
    let named = parts.named().into_iter().enumerate();
    named.map(|(place, (name, _))| (name, missing(place))).collect()
}

#[cfg(test)]
mod tests;
