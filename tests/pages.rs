//! The pages that `train`, `evaluate` and `explain` write.

#[path = "support/command.rs"]
mod command;

use std::fs;
use std::path::Path;

use serde_json::Value;

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
    good(dir.path(), &["explain", "--html", "page.html", "--text", text]);
    let page = read(&dir.path().join("page.html"));
    assert!(page.contains("Why Network/VPN?") && page.contains("the model says"), "{page}");
    assert!(page.contains(">VPN</mark>") && page.contains("[EMAIL]"), "{page}");
    assert!(!page.contains("kim@") && !page.contains("<b>again"), "{page}");
}
