//! Which tickets fit, calibrate and test. By the text's hash, so that identical texts stand on
//! one side; label by label, so that small labels are in every part.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::data::Example;
use super::recipe;
use crate::triage::model::Target;

/// Indices into the examples, each list in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    pub fit: Vec<usize>,
    pub calibrate: Vec<usize>,
    pub test: Vec<usize>,
}

/// Splits by category. The same examples and seed give the same parts, in whatever order the
/// examples come.
pub fn split(examples: &[Example], settings: &recipe::Split) -> Parts {
    // Key of a text -> its examples; a text with two categories goes with the lesser one.
    let mut texts: BTreeMap<[u8; 32], Vec<usize>> = BTreeMap::new();
    for (i, example) in examples.iter().enumerate() {
        texts.entry(key(example, settings.seed)).or_default().push(i);
    }
    let mut by_label: BTreeMap<&str, Vec<&[usize]>> = BTreeMap::new();
    for members in texts.values() {
        let labels = members.iter().filter_map(|i| examples[*i].label(Target::Category));
        by_label.entry(labels.min().unwrap_or_default()).or_default().push(members);
    }
    let mut parts = Parts::default();
    for groups in by_label.values() {
        let n = groups.len() as f64;
        let test = (n * settings.test).round() as usize;
        let calibrate = (n * settings.calibrate).round() as usize;
        for (i, members) in groups.iter().enumerate() {
            let part = if i < test {
                &mut parts.test
            } else if i < test + calibrate {
                &mut parts.calibrate
            } else {
                &mut parts.fit
            };
            part.extend_from_slice(members);
        }
    }
    for part in [&mut parts.fit, &mut parts.calibrate, &mut parts.test] {
        part.sort_unstable();
    }
    parts
}

fn key(example: &Example, seed: u64) -> [u8; 32] {
    let mut sum = Sha256::new();
    sum.update(seed.to_le_bytes());
    sum.update(example.subject.as_bytes());
    sum.update([0]);
    sum.update(example.body.as_bytes());
    sum.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::triage::text::language::Language;

    fn example(i: usize) -> Example {
        let label = Arc::from(if i.is_multiple_of(10) { "rare" } else { "common" });
        Example {
            id: i.to_string(),
            subject: String::new(),
            // Every text is there twice.
            body: format!("text {}", i / 2 * 2 % 2000),
            labels: [Some(label), None, None, None],
            language: Language::En,
        }
    }

    #[test]
    fn parts_are_disjoint_stratified_and_keep_equal_texts_together() {
        let examples: Vec<Example> = (0..2000).map(example).collect();
        let settings = recipe::Split::default();
        let parts = split(&examples, &settings);
        let mut all = [parts.fit.clone(), parts.calibrate.clone(), parts.test.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..2000).collect::<Vec<_>>());
        assert_eq!((parts.calibrate.len(), parts.test.len()), (200, 200));
        for part in [&parts.fit, &parts.calibrate, &parts.test] {
            assert!(part.chunks(2).all(|pair| examples[pair[0]].body == examples[pair[1]].body));
        }
        assert_eq!(split(&examples, &settings), parts);
        assert_ne!(split(&examples, &recipe::Split { seed: 8, ..settings }), parts);
    }
}
