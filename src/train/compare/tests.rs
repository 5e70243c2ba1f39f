use proptest::prelude::*;

use super::*;

fn answer(label: &str) -> Answer<'_> {
    Answer { label, decided: true, knows_truth: true }
}

/// So many tickets of a class with these answers.
fn times<'a>(n: usize, truth: &'a str, old: &'a str, new: &'a str) -> Vec<Row<'a>> {
    vec![Row { id: "T-1", truth, old: answer(old), new: answer(new), copy: false }; n]
}

fn gate(allowed: &[String]) -> Gate<'_> {
    Gate { max_drop: 10.0, allowed, listed: 2 }
}

#[test]
fn mid_p_by_hand() {
    // Of ten tickets nine or more: (10 + 1) / 1024; half of those with nine do not count.
    assert!((mid_p(9, 1) - 6.0 / 1024.0).abs() < 1e-12);
    assert!((mid_p(3, 0) - 1.0 / 16.0).abs() < 1e-12);
    assert!((mid_p(0, 0) - 0.5).abs() < 1e-12);
    assert!((mid_p(5_000, 5_000) - 0.5).abs() < 1e-9);
    assert!(mid_p(6_000, 5_000) < 1e-9);
}

#[test]
fn wins_losses_and_flips_are_counted() {
    let rows = [
        times(60, "A", "A", "A"),
        times(3, "A", "B", "A"),
        times(2, "B", "B", "A"),
        times(1, "B", "A", "C"),
        times(1, "B", "C", "C"),
    ]
    .concat();
    let c = compare(&rows, &gate(&[]));
    assert_eq!((c.tickets, c.wins, c.losses), (67, 3, 2));
    assert!((c.old.accuracy - 62.0 / 67.0).abs() < 1e-12 && c.failures.is_empty());
    let flips: Vec<_> =
        c.flips.iter().map(|f| (f.old.as_str(), f.new.as_str(), f.tickets, f.wins)).collect();
    assert_eq!(flips, [("B", "A", 5, 3), ("A", "C", 1, 0)]);
    assert_eq!(c.flipped.len(), 2);
    assert_eq!((c.classes[1].label.as_str(), c.classes[1].old_recall), ("B", 0.5));
}

#[test]
fn a_worse_model_fails_and_chance_does_not() {
    let chance = [times(100, "A", "A", "A"), times(3, "A", "A", "B")].concat();
    assert!(compare(&chance, &gate(&[])).failures.is_empty(), "p = 1/16");
    let worse = [times(100, "A", "A", "A"), times(4, "A", "A", "B")].concat();
    assert!(matches!(compare(&worse, &gate(&[])).failures[..], [Failure::Worse { .. }]));
    let better = [times(100, "A", "A", "A"), times(4, "A", "B", "A")].concat();
    assert!(compare(&better, &gate(&[])).failures.is_empty());
    assert!(compare(&[], &gate(&[])).failures.is_empty());
}

#[test]
fn copies_are_neither_chance_nor_proof() {
    let copies = |rows: Vec<Row<'static>>| {
        let copy =
            |row: Row<'static>| vec![row, Row { copy: true, ..row }, Row { copy: true, ..row }];
        rows.into_iter().flat_map(copy).collect::<Vec<_>>()
    };
    let once = [times(100, "A", "A", "A"), times(3, "A", "A", "B")].concat();
    let (one, three) = (compare(&once, &gate(&[])), compare(&copies(once), &gate(&[])));
    assert_eq!((three.tickets, three.copies, three.losses), (309, 206, 9));
    assert_eq!((three.p_worse, three.old.accuracy), (one.p_worse, one.old.accuracy));
    assert!(three.failures.is_empty(), "p = 1/16");
    // Twenty texts are too few to tell of a class, however often each is there.
    let few = [times(15, "A", "A", "A"), times(5, "A", "A", "B"), times(9, "B", "A", "B")].concat();
    let few = compare(&copies(few), &gate(&[]));
    assert_eq!((few.classes[0].tickets, few.classes[0].copies), (60, 40));
    assert!(few.failures.is_empty());
}

#[test]
fn no_chance_is_told_as_none_or_as_certain() {
    let told = [0.0, 0.000_04, 0.0312, 0.5, 0.999_96, 1.0].map(p_value);
    assert_eq!(told, ["< 0.0001", "< 0.0001", "= 0.0312", "= 0.5000", "> 0.9999", "> 0.9999"]);
    let worse = [times(100, "A", "A", "A"), times(40, "A", "A", "B")].concat();
    let says = compare(&worse, &gate(&["A".to_owned()])).failures[0].to_string();
    assert!(says.ends_with("that is not chance (p < 0.0001)"), "{says}");
}

#[test]
fn a_class_may_not_fall_behind_the_whole() {
    let rows = |lost: usize, class: usize| {
        [times(class - lost, "A", "A", "A"), times(lost, "A", "A", "B"), times(40, "B", "A", "B")]
            .concat()
    };
    let dropped =
        |rows: &[Row<'_>], allowed: &[String]| !compare(rows, &gate(allowed)).failures.is_empty();
    assert!(dropped(&rows(6, 50), &[]));
    assert!(!dropped(&rows(5, 50), &[]), "ten points are allowed");
    assert!(!dropped(&rows(20, 49), &[]), "too few tickets to tell");
    assert!(!dropped(&rows(6, 50), &["A".to_owned()]));
    let message = compare(&rows(6, 50), &gate(&[])).failures[0].to_string();
    assert!(message.starts_with("A: recall falls from 100.0% to 88.0% on 50 tickets"), "{message}");
}

#[test]
fn a_label_that_one_model_does_not_have_counts_as_wrong_and_is_said() {
    let mut rows = times(20, "Renamed", "Old name", "Renamed");
    for row in &mut rows {
        row.old.knows_truth = false;
        row.old.decided = false;
    }
    let c = compare(&rows, &gate(&[]));
    assert_eq!((c.old.accuracy, c.new.accuracy), (0.0, 1.0));
    assert_eq!((c.old.unknown_labels["Renamed"], c.new.unknown_labels.len()), (20, 0));
    assert_eq!((c.old.precision, c.new.precision), (None, Some(1.0)));
}

proptest! {
    #[test]
    fn the_other_way_round_wins_are_losses(
        drawn in prop::collection::vec((0usize..3, 0usize..3, 0usize..3), 0..200),
    ) {
        let labels = ["A", "B", "C"];
        let row = |(t, a, b): (usize, usize, usize)| Row {
            id: "T", truth: labels[t], old: answer(labels[a]), new: answer(labels[b]), copy: false,
        };
        let there: Vec<Row<'_>> = drawn.iter().copied().map(row).collect();
        let back: Vec<Row<'_>> = drawn.iter().map(|&(t, a, b)| row((t, b, a))).collect();
        let (there, back) = (compare(&there, &gate(&[])), compare(&back, &gate(&[])));
        prop_assert_eq!((there.wins, there.losses), (back.losses, back.wins));
        prop_assert_eq!(there.p_worse, back.p_better);
        prop_assert!((there.p_worse + there.p_better - 1.0).abs() < 1e-9);
        prop_assert_eq!(there.classes.iter().map(|c| c.wins).sum::<u64>(), there.wins);
        let gained = there.wins as f64 - there.losses as f64;
        let change = (there.new.accuracy - there.old.accuracy) * there.tickets as f64;
        prop_assert!((gained - change).abs() < 1e-6);
    }
}
