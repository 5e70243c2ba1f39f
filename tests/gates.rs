//! `triaged simulate`, `triaged model compare` and `triaged test` as a pipeline calls them: numbers,
//! files and exit codes.

#[path = "support/command.rs"]
mod command;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use command::{MODEL, SAMPLE, bad, good, run};

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn simulate<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["simulate", "--model", MODEL, "--precision", "0.9"], &SAMPLE[..], more].concat()
}

#[test]
fn recommended_thresholds_written_and_read_do_what_was_simulated() {
    let dir = tempfile::tempdir().expect("a folder");
    let here = dir.path();
    let page = good(here, &simulate(&["--per-day", "1000"]));
    for part in ["recommended", "in force", "Network/VPN", "misroutes/day", "1000 tickets a day"] {
        assert!(page.contains(part), "{part} is missing in\n{page}");
    }
    let before = json(&good(here, &simulate(&["--json", "--write-policy", "mine.toml"])));
    let after = json(&good(here, &simulate(&["--json", "--config", "mine.toml"])));
    assert_ne!(before["in_force"], before["recommended"]);
    assert_eq!(after["in_force"], before["recommended"], "to the last digit");
    assert!(before["recommended"]["all"]["precision_lower"].as_f64().expect("a number") > 0.9);
    let set = format!("model.dir={MODEL}");
    assert!(good(here, &["check", "--config", "mine.toml", "--set", &set]).contains("ok:"));

    good(here, &simulate(&["--write-policy", "mine.toml"]));
    fs::write(here.join("kept.toml"), "[policy]\nversion = \"2\"\n").expect("a file");
    assert!(bad(here, &simulate(&["--write-policy", "kept.toml"])).contains("another name"));
    fs::write(here.join("odd.toml"), "[policy.thresholds]\n\"No/such\" = 0.5\n").expect("a file");
    assert!(bad(here, &simulate(&["--config", "odd.toml"])).contains("No/such"));
    let check = bad(here, &["check", "--config", "odd.toml", "--set", &set]);
    assert!(check.contains("[policy.thresholds]") && check.contains("No/such"), "{check}");
}

#[test]
fn one_threshold_for_all_is_recommended_written_and_read() {
    let dir = tempfile::tempdir().expect("a folder");
    let here = dir.path();
    let one = simulate(&["--json", "--one-threshold", "--write-policy", "one.toml"]);
    let before = json(&good(here, &one));
    let thresholds = before["recommended"]["thresholds"].as_object().expect("thresholds");
    let first = thresholds["Network/VPN"].as_f64().expect("a number");
    assert!(first < 1.0 && thresholds.len() > 30, "{first}");
    assert!(thresholds.values().all(|threshold| threshold.as_f64() == Some(first)));
    let each = json(&good(here, &simulate(&["--json"])));
    assert_ne!(each["recommended"], before["recommended"]);
    let after = json(&good(here, &simulate(&["--json", "--config", "one.toml"])));
    assert_eq!(after["in_force"], before["recommended"], "to the last digit");
    let written = fs::read_to_string(here.join("one.toml")).expect("a file");
    assert!(written.contains("# One threshold for all categories together."), "{written}");
    let page = good(here, &simulate(&["--one-threshold"]));
    let told = page.lines().find(|line| line.trim_start().starts_with("recommended"));
    let told = told.expect("what it would automate");
    let all = &before["recommended"]["all"];
    let automation = 100.0 * all["automation"].as_f64().expect("a share");
    assert!(told.contains(&format!("{first:.3}")), "{told}");
    assert!(told.contains(&format!("{automation:.1}%")), "{told}");
}

#[test]
fn floors_decide_the_exit_code() {
    let dir = tempfile::tempdir().expect("a folder");
    let here = dir.path();
    good(here, &simulate(&["--floor-precision", "0.9", "--floor-automation", "0.5"]));
    let both = simulate(&["--floor-precision", "0.999", "--floor-automation", "0.999"]);
    let message = bad(here, &both);
    assert!(message.contains("below the floor") && message.contains("decided alone"), "{message}");
    assert!(!run(here, &simulate(&["--floor-precision", "95"])).status.success());
}

/// What comes of a command whose output nobody reads, as of `triaged … | head`; where it is `mute`,
/// nobody reads what it complains about either.
fn unread(dir: &Path, args: &[&str], mute: bool) -> Output {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_triaged"));
    command.current_dir(dir).env_clear().env("HOSTNAME", "test");
    command.env("TRIAGED_MODEL__DIR", MODEL).args(args);
    if mute {
        command.stderr(writer.try_clone().expect("the same pipe"));
    }
    command.stdout(writer).output().expect("the binary starts")
}

#[test]
fn a_reader_that_leaves_early_opens_no_gate() {
    let dir = tempfile::tempdir().expect("a folder");
    let here = dir.path();
    for mute in [false, true] {
        for json in [&["--json"][..], &[]] {
            let floors = ["--floor-precision", "0.999", "--floor-automation", "0.999"];
            let gate = [&floors[..], &["--write-policy", "p.toml"], json].concat();
            let failed = unread(here, &simulate(&gate), mute);
            assert_eq!(failed.status.code(), Some(1), "mute: {mute}, {json:?}");
            let said = String::from_utf8(failed.stderr).expect("UTF-8");
            assert!(mute || said.contains("below the floor"), "{said}");
            fs::remove_file(here.join("p.toml")).expect("it was written all the same");

            let gate = ["--floor-precision", "0.9", "--write-policy", "p.toml"];
            let passed = unread(here, &simulate(&[&gate[..], json].concat()), mute);
            assert_eq!(passed.status.code(), Some(0), "mute: {mute}, {json:?}");
            fs::remove_file(here.join("p.toml")).expect("it was written");

            // Without the model some of them are not tried, which does not pass.
            let playbooks = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/playbooks");
            let test = [&["test", "--playbooks", playbooks][..], json].concat();
            assert_eq!(unread(here, &test, mute).status.code(), Some(1));
            let untried = [&test[..], &["--untried"]].concat();
            assert_eq!(unread(here, &untried, mute).status.code(), Some(0));
        }
    }
}

/// Labelled tickets about three things, one of them under a name of choice.
fn tickets(dir: &Path, file: &str, printing: &str) {
    let groups = [
        ("network", "the vpn tunnel drops and wifi is slow"),
        (printing, "the printer on floor two has no toner and paper jams"),
        ("account", "my account is locked and the password expired"),
    ];
    let mut csv = String::from("id,subject,body,category\n");
    for i in 0..240 {
        let (group, words) = groups[i % 3];
        let words: Vec<&str> = words.split(' ').collect();
        // Not nearly the same text every time: such tickets would all stay in one part.
        let some = |k: u32| words[i * 7_919 / 5usize.pow(k) % words.len()];
        let text: Vec<&str> = (0..6).map(some).collect();
        csv.push_str(&format!("T-{i},{},\"{}, ticket {i}\",{group}\n", some(7), text.join(" ")));
    }
    fs::write(dir.join(file), csv).expect("a file");
}

#[test]
fn a_model_that_loses_a_class_does_not_pass() {
    let dir = tempfile::tempdir().expect("a folder");
    let here = dir.path();
    for (file, printing, out) in [("a.csv", "printing", "a"), ("b.csv", "printers", "b")] {
        tickets(here, file, printing);
        good(here, &["train", "--data", file, "--out", out]);
    }
    // The same tickets in a file of its own: a comparison refuses what the new model was trained on.
    let text = fs::read_to_string(here.join("a.csv")).expect("a file");
    fs::write(here.join("c.csv"), text + "\n").expect("a file");
    let compare = |more: &[&'static str]| {
        [&["model", "compare", "a", "b", "--data", "c.csv"][..], more].concat()
    };
    let message = bad(here, &compare(&[]));
    assert!(message.contains("does not pass"), "{message}");
    assert!(message.contains("printing: recall falls"), "{message}");
    let allowed = bad(here, &compare(&["--allow-class", "printing"]));
    assert!(!allowed.contains("recall falls") && allowed.contains("not chance"), "{allowed}");
    assert!(bad(here, &compare(&["--allow-class", "plumbing"])).contains("plumbing"));
    assert!(!run(here, &compare(&["--max-drop", "nan"])).status.success());

    let wrong = bad(here, &compare(&["--category-column", "id"]));
    assert!(wrong.contains("neither model has any of these tickets' categories"), "{wrong}");

    let output = run(here, &compare(&["--json", "--examples", "3"]));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(!text.contains("toner"), "ticket text in {text}");
    let found = json(&text);
    assert_eq!(found["new"]["unknown_labels"]["printing"], 80);
    assert_eq!(found["flipped"].as_array().map(Vec::len), Some(3));
    assert_eq!(found["flips"][0]["new"], "printers");
    assert_eq!(found["failures"][0]["kind"], "worse");

    let unread = |mute: bool| unread(here, &compare(&[]), mute);
    assert_eq!(unread(true).status.code(), Some(1), "nobody reads why");
    let message = unread(false).stderr;
    assert!(String::from_utf8_lossy(&message).contains("does not pass"), "{message:?}");

    let page = good(here, &["model", "compare", "b", "a", "--data", "c.csv"]);
    assert!(page.contains("the new model passes"), "{page}");
    assert!(page.contains("the old model does not have these categories"), "{page}");
}

#[test]
fn simulate_asks_the_model_of_the_configuration_or_of_the_flag() {
    let dir = tempfile::tempdir().expect("a folder");
    let here = dir.path();
    tickets(here, "a.csv", "printing");
    good(here, &["train", "--data", "a.csv", "--out", "a", "--version-name", "mine"]);
    let shipped = good(here, &[&["simulate"][..], &SAMPLE].concat());
    assert!(shipped.contains("Model default-"), "{shipped}");
    for named in [&["--set", "model.dir=a"][..], &["--model", "a"]] {
        let page = good(here, &[&["simulate", "--data", "a.csv"][..], named].concat());
        assert!(page.contains("Model mine "), "{page}");
    }
    let missing = bad(here, &["simulate", "--data", "a.csv", "--set", "model.dir=b"]);
    assert!(missing.contains("the model in b cannot be used"), "{missing}");

    let wrong = ["simulate", "--data", "a.csv", "--model", "a", "--category-column", "id"];
    let wrong = bad(here, &[&wrong[..], &["--write-policy", "p.toml"]].concat());
    assert!(wrong.contains("the model has none of these tickets' categories"), "{wrong}");
    assert!(!here.join("p.toml").exists());
}

#[test]
fn tickets_that_a_model_was_trained_on_are_noticed() {
    let dir = tempfile::tempdir().expect("a folder");
    let here = dir.path();
    for (file, printing, out) in [("a.csv", "printing", "a"), ("b.csv", "printers", "b")] {
        tickets(here, file, printing);
        good(here, &["train", "--data", file, "--out", out]);
    }
    let warnings = |args: &[&str], file: &str| {
        let output = run(here, &[args, &["--data", file]].concat());
        let stderr = String::from_utf8(output.stderr).expect("UTF-8");
        ["a", "b"].map(|model| {
            stderr.contains(&format!("the model in {model} was trained on these very tickets"))
        })
    };
    for args in [&["evaluate", "--model", "a"][..], &["simulate", "--model", "a"]] {
        assert_eq!(warnings(args, "a.csv"), [true, false], "{args:?}");
        assert_eq!(warnings(args, "b.csv"), [false, false], "{args:?}");
    }
    let compare = ["model", "compare", "a", "b"];
    assert_eq!(warnings(&compare, "a.csv"), [true, false]);
    assert_eq!(warnings(&compare, "b.csv"), [false, true]);
    // The new model must not be judged by what it learnt; that the old one knows it is no favour.
    let own = bad(here, &["model", "compare", "a", "b", "--data", "b.csv"]);
    assert!(own.contains("a comparison needs tickets that it has not seen"), "{own}");
    good(here, &["evaluate", "--model", "a", "--data", "a.csv"]);
    let gate = ["simulate", "--model", "a", "--data", "a.csv", "--floor-precision", "0.5"];
    assert!(bad(here, &gate).contains("need tickets that it has not seen"));
    let write = ["simulate", "--model", "a", "--data", "a.csv", "--write-policy", "p.toml"];
    assert!(bad(here, &write).contains("trained on these very tickets"));
    assert!(!here.join("p.toml").exists());
    // The same tickets under another name of a category: known by their ids.
    let copy = run(here, &["evaluate", "--model", "a", "--data", "b.csv"]);
    let told = String::from_utf8(copy.stderr).expect("UTF-8");
    assert!(told.contains("have the ids of tickets that the model in a was fitted on"), "{told}");
}
