use std::sync::Arc;

use super::*;
use crate::train::data::Example;
use crate::train::fit::Counts;
use crate::train::recipe::Features;
use crate::train::texts::Texts;
use crate::train::vocabulary;
use crate::triage::text::language::Language;

const LIMITS: Limits = Limits { iterations: 400, tolerance: 1e-9 };
const LAMBDA: f64 = 0.3;

/// Tickets about three things, the last one rare.
fn documents() -> (Documents, Vec<(usize, usize)>) {
    let bodies = [
        ("vpn tunnel drops", 0),
        ("vpn gateway timeout again", 0),
        ("remote vpn drops at home", 0),
        ("the tunnel is slow", 0),
        ("vpn error after update", 0),
        ("printer jams paper", 1),
        ("paper jam in the printer again", 1),
        ("toner is low", 1),
        ("printer error after update", 1),
        ("mailbox is full", 2),
        ("mail is slow at home", 2),
    ];
    read(&bodies)
}

/// Texts with their labels as documents.
fn read(bodies: &[(&str, usize)]) -> (Documents, Vec<(usize, usize)>) {
    let example = |(body, _): &(&str, usize)| Example {
        id: String::new(),
        subject: String::new(),
        body: (*body).to_owned(),
        fields: vec![],
        labels: [const { None }; 4],
        language: Language::En,
        created_at: None,
    };
    let texts = Texts::read(&bodies.iter().map(example).collect::<Vec<_>>(), || {});
    let all: Vec<usize> = (0..bodies.len()).collect();
    let vocabulary = vocabulary::learn(&texts, &all, &Features::default());
    let of = bodies.iter().map(|(_, label)| *label).enumerate().collect();
    (Documents::new(&texts, &all, &vocabulary, 2.0), of)
}

fn labels() -> Vec<Arc<str>> {
    ["mail", "printing", "vpn"].map(Arc::from).to_vec()
}

fn ratios(documents: &Documents, of: &[(usize, usize)], active: &[bool]) -> Vec<f32> {
    Counts::of(labels(), documents, of, active).ratios(0.1)
}

/// Training counts a unit at a time, in single precision; what it must come to are the tickets' own
/// features.
#[test]
fn counts_by_unit_are_the_sums_of_the_tickets_one_by_one() {
    let (documents, of) = read(&[
        ("vpn vpn vpn tunnel drops, the vpn tunnel drops", 0),
        ("the tunnel is slow, slow, slow", 0),
        ("the printer jams and jams", 1),
        ("printer error after update", 1),
        ("the mailbox is full, full", 2),
        ("mail drops after update", 2),
        ("the vpn is slow and the mailbox is full", 2),
    ]);
    // Over the features of some of the tickets: those of the others alone are not active.
    let active = documents.active(&[0, 2, 3, 4]);
    let squares = documents.squares(&active);
    let mut one_by_one = Counts::new(labels(), documents.features);
    for (place, label) in &of {
        one_by_one.add(*label, &documents.sparse(*place, &active, &squares));
    }
    let by_unit = Counts::of(labels(), &documents, &of, &active);
    assert_eq!(by_unit.tickets, [2, 2, 3]);
    assert_eq!(one_by_one.tickets, [2, 2, 3]);
    let mut counted = [0, 0];
    for (by_unit, one_by_one) in by_unit.features.iter().zip(&one_by_one.features) {
        assert_eq!((by_unit.len(), one_by_one.len()), (active.len(), active.len()));
        for ((found, expected), active) in by_unit.iter().zip(one_by_one).zip(&active) {
            assert!((found - expected).abs() <= 1e-5 * expected, "{found} {expected}");
            assert!(*active || *found == 0.0);
            counted[usize::from(*active)] += usize::from(*active == (*found > 0.0));
        }
    }
    // Feature 0, of what is not known, is never active.
    assert!(counted[0] > 3 && counted[1] > 30, "{counted:?}");
}

/// The same problem without units, halves or scaled variables: plain gradient descent in double
/// precision.
fn reference(documents: &Documents, of: &[(usize, usize)], power: f64) -> (Vec<f64>, [f64; 3]) {
    let active = vec![true; documents.features];
    let squares = documents.squares(&active);
    let rows: Vec<_> = of.iter().map(|(i, _)| documents.sparse(*i, &active, &squares)).collect();
    let ratios = ratios(documents, of, &active);
    let scale: Vec<f64> = ratios.iter().map(|r| f64::from(*r).abs().powf(power)).collect();
    let of_label = |label| of.iter().filter(|t| t.1 == label).count() as f64;
    let roots: f64 = (0..3).map(|label| of_label(label).sqrt()).sum();
    let (mut u, mut bias) = (vec![0.0; scale.len()], [0.0; 3]);
    for _ in 0..60_000 {
        let mut gradient: Vec<f64> = u.iter().map(|u| LAMBDA * u).collect();
        let mut by_bias = [0.0; 3];
        for (row, (_, truth)) in rows.iter().zip(of) {
            let count = of.len() as f64 / roots / of_label(*truth).sqrt();
            let score = |k: usize| -> f64 {
                let at = |id: &u32| *id as usize * 3 + k;
                bias[k] + row.iter().map(|(id, v)| v * u[at(id)] * scale[at(id)]).sum::<f64>()
            };
            let scores = [score(0), score(1), score(2)].map(f64::exp);
            for k in 0..3 {
                let p = scores[k] / scores.iter().sum::<f64>();
                let error = count * (p - if k == *truth { 1.0 } else { 0.0 });
                by_bias[k] += error;
                for (id, v) in row {
                    let at = *id as usize * 3 + k;
                    gradient[at] += error * v * scale[at];
                }
            }
        }
        u.iter_mut().zip(&gradient).for_each(|(u, g)| *u -= 0.02 * g);
        bias.iter_mut().zip(&by_bias).for_each(|(b, g)| *b -= 0.02 * g);
    }
    (u.iter().zip(&scale).map(|(u, scale)| u * scale).collect(), bias)
}

#[test]
fn it_finds_the_minimum_that_plain_descent_finds() {
    let (documents, of) = documents();
    let active = documents.active(&(0..of.len()).collect::<Vec<_>>());
    for power in [1.0, 0.5, 0.0] {
        let ratios = ratios(&documents, &of, &active);
        let problem = Problem::new(&documents, &of, &active, ratios, power as f32);
        let (found, parameters) = problem.solve(LAMBDA, None, LIMITS);
        let (weights, biases) = reference(&documents, &of, power);
        // A common shift of all biases changes nothing.
        let lead = |biases: &[f64]| [biases[1] - biases[0], biases[2] - biases[0]];
        for (ours, theirs) in lead(&found.biases).iter().zip(lead(&biases)) {
            assert!((ours - theirs).abs() < 0.02, "{power}: {ours} {theirs}");
        }
        for (feature, (ours, theirs)) in found.weights.iter().zip(&weights).enumerate() {
            let near = (f64::from(*ours) - theirs).abs() < 0.01 + 0.02 * theirs.abs();
            assert!(near, "{power}: {feature}: {ours} {theirs}");
        }
        // From where it ended it does not go on.
        let (again, _) = problem.solve(LAMBDA, Some(&parameters), LIMITS);
        for (ours, again) in found.weights.iter().zip(&again.weights) {
            assert!((ours - again).abs() < 0.01, "{power}: {ours} {again}");
        }
    }
}

#[test]
fn some_tickets_over_their_own_features_are_the_same_problem() {
    let (documents, of) = documents();
    let places: Vec<usize> = vec![0, 1, 2, 5, 6, 9, 10];
    let some: Vec<(usize, usize)> = places.iter().map(|i| of[*i]).collect();
    let renumbered: Vec<(usize, usize)> = some.iter().map(|t| t.1).enumerate().collect();
    let few = documents.some(places.iter().copied());
    assert!(few.features < documents.features);
    let solved = |documents: &Documents, of: &[(usize, usize)], places: &[usize]| {
        let active = documents.active(places);
        let ratios = ratios(documents, of, &active);
        let (weights, _) =
            Problem::new(documents, of, &active, ratios, 0.0).solve(LAMBDA, None, LIMITS);
        let squares = documents.squares(&active);
        let score = |place: &usize| -> f64 {
            let row = documents.sparse(*place, &active, &squares);
            row.iter().map(|(id, v)| v * f64::from(weights.weights[*id as usize * 3])).sum()
        };
        places.iter().map(score).collect::<Vec<_>>()
    };
    let own: Vec<usize> = (0..places.len()).collect();
    let (whole, few) = (solved(&documents, &some, &places), solved(&few, &renumbered, &own));
    for (whole, few) in whole.iter().zip(&few) {
        assert!((whole - few).abs() < 0.01, "{whole} {few}");
    }
}

#[test]
fn rows_are_cut_where_half_of_the_work_is() {
    assert_eq!(middle(&[0]), 0);
    assert_eq!(middle(&[0, 90, 91, 92, 93]), 1);
    assert_eq!(middle(&[0, 10, 20, 30, 40]), 2);
}
