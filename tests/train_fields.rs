//! Models that read a ticket's fields, from the training data to a decision and its explanation.

#[path = "support/command.rs"]
mod command;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use triaged::bundle::{self, Bundle};
use triaged::train::recipe::Recipe;
use triaged::train::{TrainError, TrainReport, train};
use triaged::triage::model::{Judgement, Model, Scratch, Target};
use triaged::triage::text::{Text, fields};

use command::{bad, good};

const RECIPE: &str = "[[fields]]\nname = \"department\"\nfrom = \"/requester/department\"\n";

/// The text says nothing of the label, the department all.
fn tickets(n: usize) -> Vec<Value> {
    let words = ["slow", "again", "please", "monday", "help", "down", "since", "broken"];
    let departments = [("Human  Resources", "Payroll"), ("sales", "CRM"), ("IT", "Network")];
    let ticket = |i: usize| {
        let body: Vec<&str> = (0..5).map(|k| words[(i * 7 + k * k * (i % 11)) % 8]).collect();
        let (department, label) = departments[i * 5 % 7 % 3];
        json!({
            "ticket_id": i.to_string(), "subject": format!("case {}", words[i % 8]),
            "body": body.join(" "), "created_at": "2026-03-04T09:12:00Z", "source": "portal",
            "requester": {"department": department}, "category": label,
        })
    };
    (0..n).map(ticket).collect()
}

fn write_lines(dir: &Path, rows: &[Value]) -> PathBuf {
    let path = dir.join("tickets.jsonl");
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    fs::write(&path, lines.join("\n")).expect("writes");
    path
}

fn write_csv(dir: &Path, rows: &[Value], column: &str) -> PathBuf {
    let path = dir.join("tickets.csv");
    let mut lines = format!("ticket_id,subject,body,{column},category\n");
    for row in rows {
        let text = |pointer: &str| row.pointer(pointer).and_then(Value::as_str).expect("a text");
        let places = ["/ticket_id", "/subject", "/body", "/requester/department", "/category"];
        lines.push_str(&places.map(text).join(","));
        lines.push('\n');
    }
    fs::write(&path, lines).expect("writes");
    path
}

fn trained(file: &Path, recipe: &str) -> (Bundle, TrainReport) {
    let recipe = Recipe::parse(recipe).expect("a recipe");
    train(&[file.to_owned()], &recipe, &mut |_| {}).expect("trains")
}

fn judge(model: &Model, ticket: &Value) -> Judgement {
    let text = |key: &str| ticket[key].as_str().unwrap_or_default();
    let fields = fields::entries(model.fields(), ticket);
    let text = Text { subject: text("subject"), body: text("body"), fields: &fields };
    model.judge(&mut Scratch::default(), &text)
}

#[test]
fn a_field_alone_tells_the_label() {
    let dir = tempfile::tempdir().expect("a folder");
    let rows = tickets(400);
    let file = write_lines(dir.path(), &rows);
    let (made, report) = trained(&file, RECIPE);
    assert!(report.evaluation.heads[0].accuracy > 0.99, "{}", report.evaluation.heads[0].accuracy);
    let (_, without) = trained(&file, "");
    assert!(without.evaluation.heads[0].accuracy < 0.6);
    // It says so, as such a field may have been filled in by who knew the label.
    let leak = report.audit.leaks.iter().find(|leak| leak.word == "department: human resources");
    assert_eq!(leak.map(|leak| leak.label.as_str()), Some("Payroll"));
    assert!(made.card.contains("**department** (`/requester/department`)"), "{}", made.card);

    let out = dir.path().join("model");
    bundle::write(&out, &made).expect("writes");
    let model = bundle::open(&out).expect("opens");
    let label = |ticket: &Value| {
        let judgement = judge(&model, ticket);
        let best = judgement.head(Target::Category).expect("a category").best;
        model.head(Target::Category).expect("a category").labels[best].to_string()
    };
    assert!(rows.iter().all(|row| label(row) == row["category"].as_str().expect("a label")));

    // What is no value, or none that was learnt, is as if nothing were there.
    let mut ticket = rows[0].clone();
    ticket["requester"] = json!(null);
    let absent = judge(&model, &ticket);
    for requester in [
        json!("sales"),
        json!({"department": "catering"}),
        json!({"department": ["sales"]}),
        json!({"department": {"name": "sales"}}),
        json!({"department": null}),
        json!({"department": "sales".repeat(20)}),
    ] {
        ticket["requester"] = requester;
        assert_eq!(judge(&model, &ticket), absent, "{}", ticket["requester"]);
    }
    ticket["requester"] = json!({"department": "\tSALES "});
    assert_eq!(label(&ticket), "CRM");
}

#[test]
fn csv_gives_the_same_model() {
    let dir = tempfile::tempdir().expect("a folder");
    let rows = tickets(200);
    let of_lines = trained(&write_lines(dir.path(), &rows), RECIPE).0;
    let of_csv = trained(&write_csv(dir.path(), &rows, "department"), RECIPE).0;
    let column = format!("{RECIPE}column = \"Dept.\"");
    let of_column = trained(&write_csv(dir.path(), &rows, "Dept."), &column).0;
    for made in [of_csv, of_column] {
        assert_eq!(made.tokenizer, of_lines.tokenizer);
        assert_eq!(
            (made.weights, made.probes),
            (of_lines.weights.clone(), of_lines.probes.clone())
        );
        assert_eq!(made.manifest.fields, of_lines.manifest.fields);
    }
    assert!(of_lines.probes.iter().any(|probe| probe.fields == ["@department=human resources"]));
    let recipe = Recipe::parse(RECIPE).expect("a recipe");
    let file = write_csv(dir.path(), &rows, "Dept.");
    let error = train(&[file], &recipe, &mut |_| {}).expect_err("no such column");
    assert!(
        matches!(&error, TrainError::NoColumn { column, .. } if column == "department"),
        "{error}"
    );
}

#[test]
fn a_column_that_is_switched_off_is_not_learnt() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut rows = tickets(200);
    let plain = trained(&write_lines(dir.path(), &rows), RECIPE).0;
    for row in &mut rows {
        row["impact"] = row["category"].clone();
    }
    let file = write_lines(dir.path(), &rows);
    let targets = |made: &Bundle| made.manifest.heads.iter().map(|h| h.target).collect::<Vec<_>>();
    assert_eq!(targets(&trained(&file, RECIPE).0), [Target::Category, Target::Impact]);
    let (off, report) = trained(&file, &format!("[columns]\nimpact = \"\"\n{RECIPE}"));
    assert_eq!(targets(&off), [Target::Category]);
    assert_eq!((off.weights, off.probes), (plain.weights, plain.probes));
    let asked_for = report.warnings.iter().any(|w| w.contains("which was asked for"));
    assert!(!asked_for, "{:?}", report.warnings);

    fs::write(dir.path().join("recipe.toml"), RECIPE).expect("writes");
    let flags = ["--data", "tickets.jsonl", "--recipe", "recipe.toml", "--impact-column", ""];
    good(dir.path(), &[&["train", "--out", "off"][..], &flags].concat());
    let (written, _) = bundle::read(&dir.path().join("off")).expect("a bundle");
    assert_eq!(targets(&written), [Target::Category]);
}

#[test]
fn rare_values_and_personal_data_are_not_learnt() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut rows = tickets(200);
    for (i, row) in rows.iter_mut().enumerate() {
        row["requester"]["department"] = match i % 4 {
            0 => json!("kim@example.com"),
            1 => json!(format!("desk of {i}")),
            2 => json!("Desk of Kim"),
            _ => json!(null),
        };
    }
    let (made, report) = trained(&write_lines(dir.path(), &rows), RECIPE);
    assert!(made.tokenizer.contains("\"@department=desk of kim\""));
    assert_eq!(made.tokenizer.matches("\"@").count(), 1);
    assert!(!made.probes.iter().flat_map(|p| &p.fields).any(|entry| !entry.ends_with(" kim")));
    assert_eq!(report.warnings.iter().filter(|w| w.contains("department")).count(), 0);
    let (_, report) =
        trained(&write_lines(dir.path(), &tickets(200)), &RECIPE.replace("/req", "/x"));
    assert!(report.warnings.iter().any(|w| w.contains("field department tells nothing")));
}

#[test]
fn the_program_reads_and_explains_fields() {
    let dir = tempfile::tempdir().expect("a folder");
    let here = dir.path();
    let rows = tickets(300);
    write_lines(here, &rows);
    let recipe = "[columns]\nid = \"ticket_id\"\n".to_owned() + RECIPE;
    fs::write(here.join("recipe.toml"), recipe).expect("writes");
    let data = ["--data", "tickets.jsonl"];
    good(here, &[&["train", "--out", "mine", "--recipe", "recipe.toml"][..], &data].concat());

    // The model says which fields it reads; no recipe is needed.
    let json = good(here, &[&["evaluate", "--model", "mine", "--json"][..], &data].concat());
    let evaluation: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(evaluation["heads"][0]["accuracy"].as_f64(), Some(1.0));
    // Not the very file that it was trained on, which a comparison refuses.
    let written = fs::read_to_string(here.join("tickets.jsonl")).expect("reads");
    let (but_one, _) = written.trim_end().rsplit_once('\n').expect("lines");
    fs::write(here.join("most.jsonl"), but_one).expect("writes");
    good(here, &["model", "compare", "mine", "mine", "--data", "most.jsonl"]);
    let elsewhere = "[[fields]]\nname = \"department\"\nfrom = \"/dept\"";
    fs::write(here.join("other.toml"), elsewhere).expect("writes");
    let other = ["evaluate", "--model", "mine", "--recipe", "other.toml"];
    let told = bad(here, &[&other[..], &data].concat());
    assert!(told.contains("/dept") && told.contains("/requester/department"), "{told}");

    fs::write(here.join("ticket.json"), rows[0].to_string()).expect("writes");
    let config = "[model]\ndir = \"mine\"\n[[policy.routes]]\ncategory = [\"*\"]\nqueue = \"desk\"";
    fs::write(here.join("triaged.toml"), config).expect("writes");
    let explain = ["explain", "--model", "mine", "--config", "triaged.toml"];
    let json = good(here, &[&explain[..], &["--json", "ticket.json"]].concat());
    let explained: Value = serde_json::from_str(&json).expect("JSON");
    let label = &rows[0]["category"];
    assert_eq!(explained["category"]["label"], *label);
    assert_eq!(explained["explanation"]["words"][0]["word"], "department: human resources");
    assert_eq!(explained["change"]["without"][0], "department: human resources");
    let shown = good(here, &[&explain[..], &["--html", "page.html", "ticket.json"]].concat());
    let page = fs::read_to_string(here.join("page.html")).expect("a page");
    for text in [shown, page] {
        assert!(text.contains("department: human resources"), "{text}");
    }
}
