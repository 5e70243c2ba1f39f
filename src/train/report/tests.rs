use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::page::exact;
use crate::page::tests::{hostile, tags};

fn predicted(
    ticket: usize,
    truth: usize,
    probabilities: [f64; 3],
    language: Language,
) -> Predicted {
    Predicted { ticket, ..Predicted::example(truth, &probabilities, language) }
}

fn predictions() -> Predictions {
    let tickets = vec![
        predicted(0, 0, [0.8, 0.1, 0.1], Language::En),
        predicted(1, 0, [0.3, 0.6, 0.1], Language::En),
        predicted(2, 1, [0.1, 0.8, 0.1], Language::Ko),
        predicted(3, 2, [0.35, 0.25, 0.4], Language::Ko),
    ];
    let labels = ["A/x", "A/y", "B"].map(Arc::from).to_vec();
    let (target, thresholds) = (Target::Category, vec![0.7, 0.7, 1.01]);
    let head = HeadPredictions { target, labels, thresholds, tickets, unknown: vec![] };
    Predictions { tickets: 6, held_back: 2, unknown_words: 0.1, heads: vec![head] }
}

fn example(id: &str, text: &str) -> Example {
    Example {
        id: id.to_owned(),
        subject: text.to_owned(),
        body: "body".to_owned(),
        fields: vec![],
        labels: [None, None, None, None],
        language: Language::En,
        created_at: None,
    }
}

/// A report with `text` in every place that a text can have.
pub(super) fn report(text: &str) -> Report {
    let predictions = predictions();
    let own = || text.to_owned();
    let mut evaluation = predictions.evaluation(text, text);
    for head in &mut evaluation.heads {
        for label in &mut head.labels {
            label.label.insert_str(0, text);
        }
        for confusion in &mut head.confusions {
            (confusion.truth, confusion.answer) = (own(), own());
        }
        head.unknown_labels = BTreeMap::from([(own(), 2)]);
    }
    let point = |tickets, accuracy| LearningPoint { tickets, accuracy, macro_f1: accuracy / 2.0 };
    let examples = [0, 1, 2, 3].map(|_| example(text, text));
    let mut mistakes = mistakes(&predictions.heads[0], &examples);
    for mistake in &mut mistakes {
        (mistake.truth, mistake.answer) = (own(), own());
    }
    Report {
        unseen: true,
        held_out: evaluation.heads.first().cloned(),
        evaluation,
        no_signal: false,
        learning: vec![point(100, 0.5), point(200, 0.75)],
        top_words: vec![LabelWords { label: own(), words: vec![(own(), 1.5), (own(), 0.5)] }],
        mistakes,
        warnings: vec![own()],
        suspects: vec![Suspect {
            id: own(),
            given: own(),
            suggested: own(),
            given_probability: 0.1,
            suggested_probability: 0.8,
            excerpt: own(),
        }],
        notes: vec![own()],
        facts: vec![Fact::new(text, text)],
    }
}

#[test]
fn every_part_is_there() {
    let html = report("x").html();
    for part in [
        "On 4 tickets it had not seen, the model was right on 75\u{a0}% (95 % interval: 30\u{a0}% to 95\u{a0}%).",
        "4 tickets cannot show whether its confidence can be believed",
        "Left to people by the default policy, however sure the model is",
        "it decides 50\u{a0}% of these tickets alone and is right on 100\u{a0}% of those (on at least ",
        "Category, first level",
        "Can its confidence be believed?",
        "How much can it decide alone?",
        "Label by label",
        "What each category is good for",
        "<td>70.0\u{a0}%</td>",
        "<td>never</td>",
        "What is taken for what",
        "By language",
        "Labels that the model does not know",
        "each doubling brought +25.0 percentage points",
        "What it goes by",
        "Sure and wrong",
        "Labels that are probably wrong",
        "1 ticket: the model, which had not seen them",
        "About the data",
        "The model",
    ] {
        assert!(html.contains(part), "{part} is missing");
    }
    assert!(html.starts_with("<!DOCTYPE html>"));
    for outside in ["<script", "http://", "https://", "src=", "url(", "@import", "<link"] {
        assert!(!html.contains(outside), "{outside}");
    }
}

#[test]
fn parts_without_numbers_are_left_out() {
    let mut report = report("x");
    report.learning.clear();
    report.top_words.clear();
    report.mistakes.clear();
    report.held_out = None;
    report.suspects.clear();
    report.notes.clear();
    report.unseen = false;
    let html = report.html();
    for part in [
        "Is more data",
        "What each category is good for",
        "What it goes by",
        "Sure and wrong",
        "probably wrong",
        "About the data",
        "not seen,",
    ] {
        assert!(!html.contains(part), "{part}");
    }
    assert!(html.contains("all numbers are too good"));
    report.evaluation.heads.clear();
    assert!(report.html().contains("Nothing could be measured"));
}

#[test]
fn where_nothing_is_decided_alone_no_share_of_it_is_told() {
    let mut report = report("x");
    for head in &mut report.evaluation.heads {
        (head.coverage, head.precision) = (0.0, 0.0);
        head.labels.iter_mut().for_each(|label| (label.decided, label.decided_right) = (0, 0));
    }
    let html = report.html();
    assert!(html.contains("<b>-</b><span>of those are right</span>"), "{html}");
    assert!(html.contains("none of the tickets") && html.contains("it decides nothing alone"));
    assert!(!html.contains("of tickets, 0.0\u{a0}% of those right"));
    let text = crate::train::render::evaluation(&report.evaluation);
    assert!(text.contains("decided alone            none of the tickets"), "{text}");
    assert!(!text.contains("0.0% of those right"), "{text}");
}

#[test]
fn without_a_signal_nothing_is_said_of_more_data_and_of_the_labels() {
    let report = Report { no_signal: true, suspects: vec![], ..report("x") };
    let html = report.html();
    for said in ["each doubling brought", "probably wrong</h2>", "the label is what is wrong"] {
        assert!(!html.contains(said), "{said}");
    }
    assert!(html.contains(super::words::NO_SIGNAL) && html.contains("Is more data worth it?"));
}

#[test]
fn labels_do_not_steer_a_terminal() {
    let hostile = report("\u{1b}[31m\u{202e}a\nb\t\u{2028}");
    let text = crate::train::render::evaluation(&hostile.evaluation);
    let stray = |c: char| c.is_control() && c != '\n';
    assert!(!text.contains(stray) && !text.contains(['\u{202e}', '\u{2028}']), "{text:?}");
    let clean = crate::train::render::evaluation(&report("12345678").evaluation);
    assert_eq!(text.lines().count(), clean.lines().count(), "{text}");
}

#[test]
fn the_page_and_the_json_hold_the_same_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("made");
    report("x").write(&dir).unwrap();
    let html = std::fs::read_to_string(dir.join("report.html")).unwrap();
    let json: Value =
        serde_json::from_slice(&std::fs::read(dir.join("report.json")).unwrap()).unwrap();
    for head in json["evaluation"]["heads"].as_array().unwrap() {
        for name in ["accuracy", "majority", "macro_f1"] {
            let row = format!("<td class=\"text\">{}</td>", exact(head[name].as_f64().unwrap()));
            assert!(html.contains(&row), "{name}");
        }
        for label in head["labels"].as_array().unwrap() {
            let (name, support) = (label["label"].as_str().unwrap(), &label["support"]);
            let row = format!("<th class=\"text\">{name}</th><td>{support}</td>");
            assert!(html.contains(&row), "{row}");
        }
        assert_eq!(head["languages"][1]["language"], "ko");
    }
    let confusion = &json["evaluation"]["heads"][0]["confusion"];
    assert_eq!(*confusion, serde_json::json!([[0, 0, 1], [0, 1, 1], [1, 1, 1], [2, 2, 1]]));
    let at = &json["evaluation"]["heads"][0]["coverage_at"][1];
    assert_eq!((&at["precision"], &at["coverage"]), (&0.95.into(), &0.5.into()));
    assert_eq!(json["learning"][1]["tickets"], 200);
    // Texts are in the table only.
    assert_eq!(json["suspects"], 1);
    let table = std::fs::read_to_string(dir.join(SUSPECTS)).unwrap();
    assert_eq!(table.lines().nth(1), Some("x,x,x,0.1000,0.8000,x"));
}

#[test]
fn of_few_tickets_no_calibration_error_is_told() {
    let few = report("x");
    let error = |report: &Report| exact(report.evaluation.heads[0].calibration_error);
    let row = |says: &str| format!("<td class=\"text\">{says}</td>");
    let html = few.html();
    assert!(
        !html.contains(&row(&error(&few)))
            && html.contains(&row("too few tickets (200 are needed)"))
    );
    assert!(html.contains("<td>too few</td>"), "by language");
    let text = crate::train::render::evaluation(&few.evaluation);
    assert!(text.contains("calibration error        too few tickets (200 are needed)"), "{text}");
    // The held-out tickets' number stands in.
    let mut more = report("x");
    let held_out = more.held_out.as_mut().unwrap();
    (held_out.tickets, held_out.calibration_error) = (216, 0.0421);
    assert!(more.html().contains(&row("4.2\u{a0}% on 216 held-out tickets")));
    let mut many = report("x");
    many.evaluation.heads[0].tickets = 900;
    many.evaluation.heads[0].languages[0].tickets = 600;
    assert!(many.html().contains(&row(&error(&many))));
    let of_language = exact(many.evaluation.heads[0].languages[0].calibration_error);
    assert!(many.html().contains(&format!("<td>{of_language}</td>")));
    // Copies make few tickets no more.
    many.evaluation.heads[0].copies = 860;
    assert!(!many.html().contains(&row(&error(&many))));
    assert!(many.html().contains("40 distinct tickets cannot show"));
}

#[test]
fn where_no_label_is_known_no_score_of_probabilities_is_told() {
    let mut some = report("x");
    let text = crate::train::render::evaluation(&some.evaluation);
    assert!(text.contains("(on the 2 tickets whose label it knows)"), "{text}");
    let head = &mut some.evaluation.heads[0];
    (head.log_loss, head.brier, head.unknown_labels) = (None, None, [("y".to_owned(), 4)].into());
    let text = crate::train::render::evaluation(&some.evaluation);
    assert!(text.contains("log loss, Brier score    none: it knows no ticket's label"), "{text}");
    assert!(some.html().contains("none: it knows no ticket's label"));
    let json = serde_json::to_value(&some.evaluation.heads[0]).unwrap();
    assert!(json["log_loss"].is_null() && json["brier"].is_null() && json.get("copies").is_none());
}

#[test]
fn the_surest_mistakes_come_first_and_short() {
    let mut predictions = predictions();
    let head = &mut predictions.heads[0];
    head.tickets.push(predicted(4, 2, [0.95, 0.05, 0.0], Language::En));
    let long = "긴 글 ".repeat(200);
    let examples = ["", "one", "", "", &long].map(|text| example("id", text));
    let found = mistakes(head, &examples);
    let pairs: Vec<_> = found.iter().map(|m| (m.truth.as_str(), m.answer.as_str())).collect();
    assert_eq!(pairs, [("B", "A/x"), ("A/x", "A/y")]);
    assert_eq!(found[0].excerpt.chars().count(), EXCERPT);
    assert!(found[0].excerpt.ends_with('…'));
    assert_eq!((found[1].excerpt.as_str(), found[1].confidence), ("one body", 0.6));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_becomes_markup(text in hostile()) {
        let html = report(&text).html();
        prop_assert_eq!(tags(&html), tags(&report("x").html()));
        let stray = |c: char| c.is_control() && c != '\n' && c != '\t';
        prop_assert!(!html.contains(stray));
    }
}
