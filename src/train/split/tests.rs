use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::triage::text::language::Language;

fn example(i: usize, label: &str, created_at: Option<i64>) -> Example {
    Example {
        id: i.to_string(),
        subject: String::new(),
        body: format!("text {i}"),
        fields: vec![],
        labels: [Some(Arc::from(label)), None, None, None],
        language: Language::En,
        created_at,
    }
}

fn alone(examples: &[Example]) -> Vec<u32> {
    (0..examples.len() as u32).collect()
}

fn by(by: By) -> recipe::Split {
    recipe::Split { by, ..recipe::Split::default() }
}

#[test]
fn at_random_parts_are_stratified_and_keep_groups() {
    let label = |i: usize| if i.is_multiple_of(10) { "rare" } else { "common" };
    let examples: Vec<Example> = (0..2_000).map(|i| example(i, label(i), None)).collect();
    let pairs: Vec<u32> = (0..2_000).map(|i| i % 1_000).collect();
    let Split { parts, summary } = split(&examples, &pairs, &by(By::Auto)).unwrap();
    assert_eq!((parts.calibrate.len(), parts.test.len()), (200, 200));
    for part in [&parts.calibrate, &parts.test] {
        assert_eq!(part.iter().filter(|i| label(**i) == "rare").count(), 20);
    }
    assert_eq!((summary.by, summary.groups, summary.near_duplicates), (By::Random, 1_000, 1_000));
    let other = split(&examples, &pairs, &recipe::Split { seed: 8, ..by(By::Auto) }).unwrap();
    assert_ne!(other.parts, parts);
}

#[test]
fn groups_are_tested_no_more_often_than_single_tickets() {
    // A third of the tickets stand in groups of ten.
    let examples: Vec<Example> = (0..1_500).map(|i| example(i, "A", None)).collect();
    let ids: Vec<u32> = (0..1_500).map(|i| if i < 1_000 { i } else { 1_000 + i / 10 }).collect();
    let grouped = |seed| {
        let settings = recipe::Split { seed, ..by(By::Random) };
        let test = split(&examples, &ids, &settings).unwrap().parts.test;
        test.iter().filter(|i| **i >= 1_000).count() as f64 / test.len() as f64
    };
    let share = (0..20).map(grouped).sum::<f64>() / 20.0;
    assert!((0.25..0.42).contains(&share), "{share}");
}

#[test]
fn by_time_the_newest_are_tested() {
    // One ticket an hour, the newest first in the file.
    let examples: Vec<Example> =
        (0..100).map(|i| example(i, "A", Some(3_600 * (99 - i as i64)))).collect();
    let Split { parts, summary } = split(&examples, &alone(&examples), &by(By::Auto)).unwrap();
    assert_eq!(parts.test, (0..10).collect::<Vec<_>>());
    assert_eq!(parts.calibrate, (10..20).collect::<Vec<_>>());
    assert_eq!(summary.by, By::Time);
    assert_eq!(summary.test_from.as_deref(), Some("1970-01-04T18:00:00Z"));
    assert_eq!(summary.calibrate_from.as_deref(), Some("1970-01-04T08:00:00Z"));

    // The newest repeats the oldest: it was seen before, so it is no test.
    let mut ids = alone(&examples);
    ids[0] = ids[99];
    let parts = split(&examples, &ids, &by(By::Auto)).unwrap().parts;
    assert!(parts.fit.contains(&0));
    assert_eq!(parts.test, (1..11).collect::<Vec<_>>());

    // A storm of copies at the end is no test either.
    let ids: Vec<u32> = (0..100).map(|i| if i < 30 { 0 } else { i }).collect();
    let parts = split(&examples, &ids, &by(By::Auto)).unwrap().parts;
    assert_eq!(parts.test, (30..40).collect::<Vec<_>>());
}

#[test]
fn without_dates_there_is_no_split_by_time() {
    let dated = |n: usize, step: i64| -> Vec<Example> {
        let date = |i: usize| (i < n).then_some(step * i as i64);
        (0..100).map(|i| example(i, "A", date(i))).collect()
    };
    let used = |examples: &[Example]| split(examples, &alone(examples), &by(By::Auto)).unwrap();
    assert_eq!(used(&dated(94, 3_600)).summary.by, By::Random);
    assert_eq!(used(&dated(100, 60)).summary.by, By::Random, "all of one day");
    let Split { parts, summary } = used(&dated(95, 3_600));
    assert_eq!((summary.by, summary.undated), (By::Time, 5));
    assert!((95..100).all(|i| parts.fit.contains(&i)));
    let few = dated(50, 3_600);
    let error = split(&few, &alone(&few), &by(By::Time)).unwrap_err();
    assert!(matches!(error, TrainError::NoDates { dated: 50, tickets: 100 }), "{error}");
}

#[test]
fn dates_without_a_time_are_split_within_the_day() {
    let examples: Vec<Example> =
        (0..100).map(|i| example(i, "A", Some(DAY * (i as i64 % 2)))).collect();
    let parts = split(&examples, &alone(&examples), &by(By::Time)).unwrap().parts;
    assert_eq!((parts.fit.len(), parts.calibrate.len(), parts.test.len()), (80, 10, 10));
}

#[test]
fn small_labels_are_in_every_part() {
    let labels = ["three", "three", "three", "two", "two", "copies", "copies", "copies", "copies"];
    let examples: Vec<Example> =
        labels.iter().enumerate().map(|(i, label)| example(i, label, None)).collect();
    let ids = [0, 1, 2, 3, 4, 5, 5, 6, 7];
    let Split { parts, summary } = split(&examples, &ids, &by(By::Auto)).unwrap();
    for (name, part) in parts.named() {
        assert!(part.iter().any(|i| labels[*i] == "three"), "{name}");
        assert!(part.iter().any(|i| labels[*i] == "copies"), "{name}");
    }
    assert!([3, 4, 5, 6].iter().all(|i| parts.fit.contains(i)));
    assert!(summary.labels_missing.values().all(|n| *n == 0));
}

/// Up to 80 tickets with groups, labels and, mostly, dates.
fn tickets() -> impl Strategy<Value = (Vec<Example>, Vec<u32>)> {
    let date = prop::option::weighted(0.97, 0i64..20 * DAY);
    let ticket = (0u32..40, 0usize..4, date);
    prop::collection::vec(ticket, 1..80).prop_map(|tickets| {
        let labels = ["A", "B", "C", "D"];
        let examples = tickets.iter().enumerate();
        let examples = examples.map(|(i, (_, label, date))| example(i, labels[*label], *date));
        (examples.collect(), tickets.iter().map(|(id, ..)| *id).collect())
    })
}

fn ids_of<'a>(examples: &'a [Example], part: &[usize]) -> BTreeSet<&'a str> {
    part.iter().map(|i| examples[*i].id.as_str()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parts_are_whole_honest_and_the_same_in_any_order(
        (examples, ids) in tickets(),
        turn in 0usize..80,
        random: bool,
    ) {
        let settings = by(if random { By::Random } else { By::Auto });
        let found = split(&examples, &ids, &settings).unwrap();
        let parts = &found.parts;
        let mut all = [parts.fit.clone(), parts.calibrate.clone(), parts.test.clone()].concat();
        all.sort_unstable();
        prop_assert_eq!(all, (0..examples.len()).collect::<Vec<_>>());
        let mut sides: BTreeMap<u32, &str> = BTreeMap::new();
        for (name, part) in parts.named() {
            for i in part {
                prop_assert_eq!(*sides.entry(ids[*i]).or_insert(name), name);
            }
        }
        // In time, what is tested on is newer than what it is calibrated on.
        if found.summary.by == By::Time {
            let dates = |part: &[usize]| -> Vec<i64> {
                let first = |i: &usize| {
                    let group = (0..ids.len()).filter(|j| ids[*j] == ids[*i]);
                    group.filter_map(|j| examples[j].created_at).min()
                };
                part.iter().filter_map(first).collect()
            };
            let (calibrate, test) = (dates(&parts.calibrate), dates(&parts.test));
            prop_assert!(calibrate.iter().max() <= test.iter().min() || test.is_empty());
        }
        // As read from another file.
        let (mut turned, mut turned_ids) = (examples.clone(), ids.clone());
        let turn = turn % examples.len();
        turned.rotate_left(turn);
        turned_ids.rotate_left(turn);
        let again = split(&turned, &turned_ids, &settings).unwrap();
        prop_assert_eq!(&again.summary, &found.summary);
        for ((_, a), (_, b)) in again.parts.named().into_iter().zip(parts.named()) {
            prop_assert_eq!(ids_of(&turned, a), ids_of(&examples, b));
        }
    }

    #[test]
    fn folds_keep_groups_and_spread_labels(
        (examples, ids) in tickets(),
        turn in 0usize..80,
        k in 0u8..7,
    ) {
        let found = folds(&examples, &ids, k, 3);
        prop_assert_eq!(found.len(), examples.len());
        prop_assert!(found.iter().all(|fold| *fold < k.max(1)));
        for (i, j) in (0..ids.len()).flat_map(|i| (0..i).map(move |j| (i, j))) {
            prop_assert!(ids[i] != ids[j] || found[i] == found[j]);
        }
        let (mut turned, mut turned_ids, mut expected) = (examples.clone(), ids, found);
        let turn = turn % examples.len();
        turned.rotate_left(turn);
        turned_ids.rotate_left(turn);
        expected.rotate_left(turn);
        prop_assert_eq!(folds(&turned, &turned_ids, k, 3), expected);
        // Alone, tickets of a label are in every fold, give or take one.
        let spread = folds(&examples, &alone(&examples), k, 3);
        for label in ["A", "B", "C", "D"] {
            let mut counts = vec![0usize; usize::from(k.max(1))];
            for (fold, example) in spread.iter().zip(&examples) {
                counts[usize::from(*fold)] += usize::from(example.label(Target::Category) == Some(label));
            }
            prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1);
        }
    }
}
