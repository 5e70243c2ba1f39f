//! The pages that `train`, `evaluate` and `explain` write.

#[path = "support/command.rs"]
mod command;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use command::{MODEL, SAMPLE, good};

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("a file")
}

#[test]
fn training_leaves_a_report_beside_the_model() {
    let dir = tempfile::tempdir().expect("a folder");
    let here = dir.path();
    let json = good(here, &[&["train", "--out", "mine", "--json"][..], &SAMPLE].concat());
    let run: Value = serde_json::from_str(&json).expect("JSON");
    assert!(run.get("mistakes").is_none(), "no ticket's text on standard output");
    let written: Value =
        serde_json::from_str(&read(&here.join("mine.report/report.json"))).expect("JSON");
    assert_eq!(written["evaluation"]["heads"], run["evaluation"]["heads"]);
    let tested = run["evaluation"]["heads"][0]["tickets"].as_u64().expect("a number");
    let page = read(&here.join("mine.report/report.html"));
    assert!(page.contains(&format!("On {tested} tickets it had not seen")), "{tested}");
    let id = written["evaluation"]["model"].as_str().expect("an id");
    assert!(page.contains(id));

    let elsewhere = ["train", "--out", "again", "--report", "pages"];
    good(here, &[&elsewhere[..], &SAMPLE].concat());
    assert_eq!(read(&here.join("pages/report.html")), page, "same data, same page");
    assert!(!here.join("again.report").exists());
}

#[test]
fn evaluation_writes_a_page_for_any_tickets() {
    let dir = tempfile::tempdir().expect("a folder");
    let args = ["evaluate", "--model", MODEL, "--json", "--html", "page.html"];
    let json: Value =
        serde_json::from_str(&good(dir.path(), &[&args[..], &SAMPLE].concat())).expect("JSON");
    let page = read(&dir.path().join("page.html"));
    let accuracy = json["heads"][0]["accuracy"].as_f64().expect("a number");
    assert!(page.contains(&format!("<b>{:.1}\u{a0}%</b>", accuracy * 100.0)), "{accuracy}");
    assert!(page.contains("all numbers are too good"));
}

#[test]
fn an_explained_ticket_is_masked_and_marked() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = "VPN error 691 <b>again</b>, mail kim@example.com";
    let printed = good(dir.path(), &["explain", "--html", "page.html", "--text", text]);
    assert!(printed.contains("█ vpn") && !printed.contains('\u{1b}'), "{printed:?}");
    let page = read(&dir.path().join("page.html"));
    assert!(page.contains("Why Network/VPN?") && page.contains("the model says"), "{page}");
    assert!(page.contains(">VPN</mark>") && page.contains("[EMAIL]"), "{page}");
    assert!(!page.contains("kim@") && !page.contains("<b>again"), "{page}");
}

/// Tickets of two kinds with personal data in subject and body. The newest, which are the test, have
/// the other kind's label.
fn mislabelled() -> String {
    let kinds = [
        ("Printing", ["printer", "paper", "jam", "toner", "tray", "queue", "scanner", "ink"]),
        ("Network", ["vpn", "tunnel", "gateway", "remote", "timeout", "router", "cable", "signal"]),
    ];
    let ticket = |i: usize| {
        let (_, words) = kinds[i % 2];
        let (label, _) = kinds[if i < 180 { i % 2 } else { (i + 1) % 2 }];
        let body: Vec<&str> = (0..8).map(|k| words[i * 7_919 / 5usize.pow(k) % 8]).collect();
        let body = format!("{} or mail kim.lee@example.com", body.join(" "));
        json!({
            "id": i, "subject": "call 010-1234-5678", "body": body, "category": label,
            "created_at": 1_772_582_400 + i * 86_400,
        })
        .to_string()
    };
    (0..200).map(ticket).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_worst_mistakes_are_shown_masked() {
    let dir = tempfile::tempdir().expect("a folder");
    let here = dir.path();
    fs::write(here.join("tickets.jsonl"), mislabelled()).expect("writes");
    let data = ["--data", "tickets.jsonl"];
    good(here, &[&["train", "--out", "mine"][..], &data].concat());
    good(here, &[&["evaluate", "--model", "mine", "--html", "evaluated.html"][..], &data].concat());
    let report: Value =
        serde_json::from_str(&read(&here.join("mine.report/report.json"))).expect("JSON");
    let mistakes = report["mistakes"].as_array().expect("a list");
    assert!(mistakes.len() > 10, "{report:#}");
    for mistake in mistakes {
        let excerpt = mistake["excerpt"].as_str().expect("a text");
        assert!(excerpt.starts_with("call [PHONE] ") && excerpt.ends_with(" mail [EMAIL]"));
    }
    for page in ["mine.report/report.html", "evaluated.html"] {
        assert!(read(&here.join(page)).matches("call [PHONE] ").count() > 10, "{page}");
    }
    let mut written = vec![here.join("evaluated.html")];
    for folder in ["mine", "mine.report"] {
        let files = fs::read_dir(here.join(folder)).expect("a folder");
        written.extend(files.map(|file| file.expect("a file").path()));
    }
    for file in written {
        let bytes = fs::read(&file).expect("a file");
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("kim.lee") && !text.contains("1234-5678"), "{}", file.display());
    }
}
