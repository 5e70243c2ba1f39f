//! Which tickets are held out in turn while the rest is fitted on, and what that leaves to learn
//! from.

use std::collections::BTreeMap;

use super::data::Example;
use super::split::{self, Parts};
use crate::triage::model::Target;

/// Held-out tickets that choose and calibrate well enough without cross-validation.
const ENOUGH_HELD_OUT: usize = 2000;
const ROUNDS: u8 = 5;
/// Tickets of a category that is expected in every part of a split.
const IN_ALL: usize = 3;

/// Places in `development` that are held out in turn: the calibration tickets alone where they
/// are many, otherwise every ticket once in five rounds, near-duplicates in the same one.
pub(super) fn rounds(
    development: &[usize],
    parts: &Parts,
    examples: &[Example],
    groups: &[u32],
    seed: u64,
) -> Vec<Vec<usize>> {
    if parts.calibrate.len() >= ENOUGH_HELD_OUT {
        let place = |i: &usize| development.binary_search(i).ok();
        return vec![parts.calibrate.iter().filter_map(place).collect()];
    }
    let folds = split::folds(examples, groups, ROUNDS, seed);
    let of = |round| (0..development.len()).filter(|p| folds[development[*p]] == round).collect();
    (0..ROUNDS).map(of).filter(|round: &Vec<usize>| !round.is_empty()).collect()
}

/// Makes a summary say what holds where all tickets before the test fit and calibrate in turns:
/// nothing calibrates alone, and what calibrates is fitted on too.
pub(super) fn tell(summary: &mut split::Summary, examples: &[Example], development: &[usize]) {
    summary.calibrate_from = None;
    summary.labels_missing.remove("calibrate");
    summary.labels_missing.insert("fit", only_tested(examples, development));
}

/// Categories with tickets enough for every part of which none is left to learn from.
fn only_tested(examples: &[Example], development: &[usize]) -> u64 {
    let mut labels: BTreeMap<&str, (usize, bool)> = BTreeMap::new();
    for (i, example) in examples.iter().enumerate() {
        if let Some(label) = example.label(Target::Category) {
            let (tickets, learnt) = labels.entry(label).or_default();
            *tickets += 1;
            *learnt |= development.binary_search(&i).is_ok();
        }
    }
    labels.values().filter(|(tickets, learnt)| *tickets >= IN_ALL && !learnt).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::audit::tests::example;
    use crate::train::recipe;

    #[test]
    fn in_turns_no_category_lacks_tickets_to_calibrate() {
        // Ten days: one category ends before the calibration, one begins in it, one in the test.
        let label = |i| match i {
            0..70 => "Old",
            70..90 => "New",
            _ => "Newest",
        };
        let ticket = |i: usize| Example {
            created_at: Some(i as i64 * 8_640),
            ..example(i, "text", if i.is_multiple_of(2) { "Usual" } else { label(i) })
        };
        let examples: Vec<Example> = (0..100).map(ticket).collect();
        let alone: Vec<u32> = (0..100).collect();
        let settings = recipe::Split { calibrate: 0.2, ..recipe::Split::default() };
        let split::Split { parts, mut summary } =
            split::split(&examples, &alone, &settings).unwrap();
        let before = summary.to_string();
        assert!(before.contains("labels have no ticket to calibrate"), "{before}");
        assert!(before.contains("labels have no ticket to fit"), "{before}");
        let development = {
            let mut both = [parts.fit, parts.calibrate].concat();
            both.sort_unstable();
            both
        };
        tell(&mut summary, &examples, &development);
        let after = summary.to_string();
        assert!(!after.contains("to calibrate") && after.contains("in turns"), "{after}");
        assert!(after.contains("1 labels have no ticket to fit"), "{after}");
        assert!(after.contains("2 labels have no ticket to test"), "{after}");
    }
}
