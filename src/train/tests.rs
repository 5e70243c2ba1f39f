//! Training from a file to what is told of it.

use std::fs;

use tempfile::TempDir;

use super::audit::tests::numbers;
use super::evaluate::Use;
use super::report::Report;
use super::*;

/// Tickets of eight words out of sixty; `label` is told the ticket's number and its words' numbers.
fn tickets(n: usize, label: impl Fn(usize, &[usize]) -> &'static str) -> (TempDir, PathBuf) {
    let mut below = numbers(3);
    let mut lines = String::new();
    for i in 0..n {
        let words: Vec<usize> = (0..8).map(|_| below(60)).collect();
        let text: Vec<String> = words.iter().map(|word| format!("w{}", word_of(*word))).collect();
        let row = serde_json::json!({
            "id": format!("T-{i}"), "body": text.join(" "), "category": label(i, &words),
        });
        lines.push_str(&format!("{row}\n"));
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tickets.jsonl");
    fs::write(&file, lines).unwrap();
    (dir, file)
}

/// A word for a number, without digits.
fn word_of(n: usize) -> String {
    [n / 8, n % 8].map(|digit| char::from(b'a' + digit as u8)).iter().collect()
}

#[test]
fn without_a_signal_nothing_is_decided_alone_and_nothing_is_called_wrong() {
    let mut random = numbers(11);
    let labels: Vec<usize> = (0..600).map(|_| random(3)).collect();
    let rare = tickets(600, |i, _| if i % 50 == 7 { "B" } else { "A" });
    let shuffled = tickets(600, |i, _| ["A", "B", "C"][labels[i]]);
    for (_dir, file) in [rare, shuffled] {
        let (made, run) = train(&[file], &Recipe::default(), &mut |_| ()).unwrap();
        assert!(run.no_signal, "{:?}", run.warnings);
        assert!(made.manifest.heads[0].thresholds.iter().all(|t| *t > 1.0));
        assert_eq!(run.evaluation.heads[0].decided(), (0, 0));
        let alone = [Use::Always, Use::WhenSure, Use::WhenSureTogether, Use::WhenSureBelow];
        let held_out = run.held_out.as_ref().unwrap();
        for label in held_out.labels.iter().chain(&run.evaluation.heads[0].labels) {
            assert!(!alone.contains(&label.use_for), "{label:?}");
        }
        assert!(run.suspects.is_empty() && !run.learning.is_empty());
        let text = render::report(&run);
        assert!(text.contains(report::words::NO_SIGNAL), "{text}");
        assert!(!text.contains("0.0% of those right"), "{text}");
        assert!(made.card.contains(report::words::NO_SIGNAL), "{}", made.card);
        let page = Report::of_training("id", &made.manifest, &run).html();
        assert!(page.contains(report::words::NO_SIGNAL));
        assert!(!page.contains("More tickets") && !page.contains("each doubling"), "{page}");
    }
}

#[test]
fn progress_is_counted_in_what_takes_the_time() {
    let (_dir, file) = tickets(300, |_, words| if words[0] < 30 { "Low" } else { "High" });
    let mut told: Vec<Progress> = Vec::new();
    let recipe = Recipe::default();
    train(&[file], &recipe, &mut |progress| told.push(progress)).unwrap();
    let mut steps: Vec<Step> = told.iter().map(|p| p.step).collect();
    steps.dedup();
    let expected = [
        Step::Audit,
        Step::Count,
        Step::Vocabulary,
        Step::Fit,
        Step::Final,
        Step::Evaluate,
        Step::Refit,
        Step::Report,
    ];
    assert_eq!(steps, expected);
    for step in steps {
        let of: Vec<&Progress> = told.iter().filter(|p| p.step == step).collect();
        assert!(of.is_sorted_by_key(|p| p.done), "{of:?}");
        // It is announced before it begins, and its end is known from then on.
        assert!(of[0].done == 0 && of.iter().all(|p| p.total == of[0].total), "{of:?}");
        assert!(of.iter().all(|p| p.total.is_some_and(|total| p.done <= total)), "{of:?}");
    }
    let last = |step| told.iter().rfind(|p| p.step == step).unwrap();
    let total = select::steps(&recipe.fit, 5) as u64;
    assert_eq!((last(Step::Fit).done, last(Step::Fit).total), (total, Some(total)));
    for step in [Step::Final, Step::Evaluate, Step::Report] {
        assert_eq!(Some(last(step).done), last(step).total);
    }
}

#[test]
fn steps_are_what_is_tried_and_what_is_fitted() {
    let fit = |kind| recipe::Fit { kind, ..recipe::Fit::default() };
    let (alphas, lambdas) =
        (fit(recipe::Kind::Auto).alpha.len(), fit(recipe::Kind::Auto).lambda.len());
    let steps = |kind| select::steps(&fit(kind), 1);
    // Three powers of the first penalty, then the other penalties; three fits on more tickets.
    assert_eq!(steps(recipe::Kind::NaiveBayes), alphas + 3);
    assert_eq!(steps(recipe::Kind::Sharpened), 3 + lambdas - 1 + 3);
    assert_eq!(steps(recipe::Kind::Auto), 2 * alphas + 3 + lambdas - 1 + 3);
    assert_eq!(select::steps(&fit(recipe::Kind::NaiveBayes), 5), alphas + 3 + 4);
}

#[test]
fn tickets_of_mostly_new_words_are_out_of_scope() {
    let (_dir, file) = tickets(800, |_, words| if words[0] < 30 { "Low" } else { "High" });
    let recipe = |share: &str| {
        let toml = format!("[split]\ntest = 0.45\n[threshold]\nout_of_scope = {share}");
        Recipe::parse(&toml).unwrap()
    };
    let known: Vec<String> = (0..6).map(|n| format!("w{}", word_of(n))).collect();
    let body = format!("{} waxy whale wicker", known.join(" "));
    let mixed = [&*body, &known.join(" "), &format!("{} waxy", known.join(" "))];
    for (share, outside) in [("0.01", [true, false, false]), ("0.0", [false; 3])] {
        let (made, _) = train(std::slice::from_ref(&file), &recipe(share), &mut |_| ()).unwrap();
        let model = made.model().unwrap();
        let mut scratch = crate::triage::model::Scratch::default();
        let judged = mixed.map(|body| {
            let text = crate::triage::text::Text { subject: "", body, fields: &[] };
            model.judge(&mut scratch, &text).out_of_scope
        });
        assert_eq!(judged, outside, "{share}: {:?}", made.manifest.scope);
    }
}
