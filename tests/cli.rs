//! The built binary, each time in a directory of its own: what people type and what they get.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/default");
const TICKET: &str = r#"{"ticket_id":"T-1","subject":"VPN","body":"vpn error 691, mail kim@example.com","created_at":"2026-03-04T09:12:00Z","requester":"kim","source":"email","z":{"kept":1}}"#;

fn triaged(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_triaged"));
    command.current_dir(dir).env_clear().env("TRIAGED_MODEL__DIR", MODEL).env("HOSTNAME", "test");
    command
}

fn run(dir: &Path, args: &[&str], input: &str) -> Output {
    let mut child = triaged(dir)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().expect("stdin");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || {
        // The child may rightly end before it read everything.
        let _ = stdin.write_all(input.as_bytes());
    });
    let output = child.wait_with_output().expect("an end");
    writer.join().expect("the writer");
    output
}

fn good(dir: &Path, args: &[&str], input: &str) -> String {
    let output = run(dir, args, input);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {stderr}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn bad(dir: &Path, args: &[&str]) -> String {
    let output = run(dir, args, "");
    assert!(!output.status.success(), "{args:?} should have failed");
    String::from_utf8(output.stderr).expect("UTF-8")
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|l| serde_json::from_str(l).expect("a JSON line")).collect()
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn classify_answers_every_line_and_masks() {
    let dir = folder();
    let input = format!("{TICKET}\n\nnonsense\n[]\n");
    let answers = json_lines(&good(dir.path(), &["classify"], &input));
    assert_eq!(answers.len(), 3);
    assert_eq!(answers[0]["category"]["label"], "Network/VPN");
    assert_eq!(answers[0]["masked"]["email"], 1);
    assert_eq!(answers[0]["ticket"]["z"]["kept"], 1);
    assert_eq!(answers[1]["reason"], "not_json");
    assert_eq!(answers[1]["origin"]["offset"], 3);
    assert_eq!(answers[2]["reason"], "not_an_object");
    let words = answers[0]["explanation"]["words"].to_string();
    assert!(!words.contains("example"), "personal data in the explanation: {words}");
    fs::write(dir.path().join("t.jsonl"), TICKET).expect("a file");
    assert_eq!(json_lines(&good(dir.path(), &["classify", "t.jsonl"], "")).len(), 1);
}

#[test]
fn all_missing_fields_are_named_at_once() {
    let dir = folder();
    let input = "{\"body\":\"secret\",\"requester\":null,\"subjects\":\"secret\"}\n";
    let answers = json_lines(&good(dir.path(), &["classify"], input));
    assert_eq!(answers[0]["reason"], "missing_field");
    assert_eq!(
        answers[0]["message"],
        "the fields ticket_id, subject, created_at, source are missing"
    );
}

#[test]
fn the_reports_place_is_tried_before_the_data_are_read() {
    let dir = folder();
    let here = dir.path();
    fs::write(here.join("file"), "").expect("a file");
    let train = ["train", "--data", "none.jsonl", "--out", "model", "--report"];
    let told = bad(here, &[&train[..], &["file/report"]].concat());
    assert!(told.contains("cannot write the report to file/report"), "{told}");
    let told = bad(here, &[&train[..], &["new/report"]].concat());
    assert!(told.contains("cannot read none.jsonl"), "{told}");
    assert_eq!(fs::read_dir(here).expect("a folder").count(), 1, "nothing is left behind");
}

#[test]
fn explain_shows_every_word_and_adds_up() {
    let dir = folder();
    let page = good(dir.path(), &["explain"], TICKET);
    for part in ["Network/VPN", "vpn", "in all", "why Network/VPN and not"] {
        assert!(page.contains(part), "{part} is missing in\n{page}");
    }
    let json: Value =
        serde_json::from_str(&good(dir.path(), &["explain", "--json"], TICKET)).expect("JSON");
    let explanation = &json["explanation"];
    let words = explanation["words"].as_array().expect("words");
    let number = |v: &Value| v.as_f64().expect("a number");
    let sum: f64 = words.iter().map(|w| number(&w["weight"])).sum::<f64>()
        + number(&explanation["other"])
        + number(&explanation["prior"]);
    assert!((sum - number(&explanation["total"])).abs() < 1e-9);
    // What is said to change the answer changes it: the ticket is asked about without the words.
    let struck = json["change"]["without"].as_array().expect("words");
    let mut text = "vpn error 691, mail".to_owned();
    for word in struck.iter().filter_map(Value::as_str) {
        text = text.replace(word, "");
    }
    let after: Value =
        serde_json::from_str(&good(dir.path(), &["explain", "--json", "--text", &text], ""))
            .expect("JSON");
    assert_ne!(json["category"]["label"], json["change"]["category"]["label"]);
    assert_eq!(after["category"]["label"], json["change"]["category"]["label"], "{text}");
    assert!(page.contains("what would have changed it") && page.contains("Without “"), "{page}");
    assert!(bad(dir.path(), &["explain", "--text", "x", "file"]).contains("cannot be used with"));
}

#[test]
fn check_names_every_problem_and_what_does_not_fit() {
    let dir = folder();
    assert!(good(dir.path(), &["check"], "").contains("ok:"));
    fs::write(
        dir.path().join("bad.toml"),
        "[kafka]\nworker = 1\n[batch]\nrecords = \"many\"\n[[policy.routes]]\nqueue = 1\n",
    )
    .expect("a file");
    let problems = bad(dir.path(), &["check", "--config", "bad.toml"]);
    for path in ["kafka.worker:", "batch.records:", "policy.routes[0].queue:"] {
        assert!(problems.contains(path), "{path} is missing in\n{problems}");
    }
    fs::write(
        dir.path().join("gaps.toml"),
        "[[policy.routes]]\ncategory = [\"Network/*\", \"No/such\"]\nqueue = \"q\"\n",
    )
    .expect("a file");
    let gaps = bad(dir.path(), &["check", "--config", "gaps.toml"]);
    assert!(gaps.contains("Printing/Printer") && gaps.contains("No/such"), "{gaps}");
    assert!(!gaps.contains("Network/VPN"), "{gaps}");
    for (setting, problem) in [
        ("nosuch.property=1", "kafka.properties.nosuch.property: is refused"),
        // Both are properties, and do not go together.
        ("socket.timeout.ms=60000", "kafka.properties: `socket.timeout.ms`"),
    ] {
        let set = format!("kafka.properties.{setting}");
        let told = bad(dir.path(), &["check", "--set", &set]);
        assert!(told.contains(problem), "{told}");
    }
    let missing = bad(dir.path(), &["check", "--config", "none.toml"]);
    assert!(
        missing.contains("none.toml") && missing.matches("os error 2").count() == 1,
        "{missing}"
    );
    let damaged = bad(dir.path(), &["check", "--set", "model.dir=nowhere"]);
    assert_eq!(damaged.matches("nowhere/manifest.json: No such file").count(), 1, "{damaged}");
    let tried = fs::canonicalize(dir.path()).expect("the folder").join("nowhere/manifest.json");
    assert!(damaged.contains(&format!("cannot read {}", tried.display())), "{damaged}");
    assert!(damaged.contains("set model.dir") && damaged.contains("give --model"), "{damaged}");
}

#[test]
fn a_secret_comes_from_the_variable_that_the_configuration_names() {
    let dir = folder();
    fs::write(
        dir.path().join("sasl.toml"),
        "[kafka.properties]\nsecurity.protocol = \"SASL_PLAINTEXT\"\nsasl.mechanism = \"PLAIN\"\n\
         sasl.username = \"desk\"\n[kafka.secrets]\nsasl.password = { env = \"DESK_PASSWORD\" }\n",
    )
    .expect("a file");
    let check = |variable: Option<&str>| {
        let mut command = triaged(dir.path());
        command.args(["check", "--config", "sasl.toml"]);
        command.envs(variable.map(|value| ("DESK_PASSWORD", value)));
        let output = command.output().expect("the binary starts");
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).expect("UTF-8"))
    };
    // It gets to librdkafka, which refuses this mechanism without a password.
    let (taken, said) = check(Some("hunter2"));
    assert!(taken && said.contains("ok:"), "{said}");
    assert!(!said.contains("hunter2"), "a secret was printed: {said}");
    let (taken, said) = check(None);
    let unset = "kafka.secrets.sasl.password: the environment variable DESK_PASSWORD is not set";
    assert!(!taken && said.contains(unset), "{said}");
}

#[test]
fn schema_is_what_is_published() {
    let dir = folder();
    for contract in ["ticket", "decision", "outcome", "came-back"] {
        let file = contract.replace('-', "_");
        let file = format!("{}/docs/schema/{file}.json", env!("CARGO_MANIFEST_DIR"));
        let published = fs::read_to_string(file).expect("the published schema");
        assert_eq!(good(dir.path(), &["schema", contract], ""), published);
    }
}

#[test]
fn training_twice_gives_the_same_bytes_and_evaluation_reads_them() {
    let dir = folder();
    let here = dir.path();
    let mut csv = String::from("no,summary,text,group\n");
    let groups = [
        ("network", "the vpn tunnel drops and wifi is slow"),
        ("printing", "the printer on floor two has no toner and paper jams"),
        ("account", "my account is locked and the password expired"),
    ];
    for i in 0..240 {
        let (group, words) = groups[i % 3];
        let words: Vec<&str> = words.split(' ').collect();
        // Not nearly the same text every time: such tickets would all stay in one part.
        let some = |k: u32| words[i * 7_919 / 5usize.pow(k) % words.len()];
        let text: Vec<&str> = (0..6).map(some).collect();
        csv.push_str(&format!("{i},{},\"{}, ticket {i}\",{group}\n", some(7), text.join(" ")));
    }
    fs::write(here.join("t.csv"), csv).expect("a file");
    let columns = [
        "--data",
        "t.csv",
        "--id-column",
        "no",
        "--subject-column",
        "summary",
        "--body-column",
        "text",
        "--category-column",
        "group",
    ];
    for out in ["a", "b"] {
        let report = good(here, &[&["train", "--out", out][..], &columns].concat(), "");
        assert!(report.contains("written to"), "{report}");
    }
    for file in
        ["manifest.json", "tokenizer.json", "weights.safetensors", "probes.jsonl", "README.md"]
    {
        let read = |out: &str| fs::read(here.join(out).join(file)).expect("a bundle's file");
        assert!(read("a") == read("b"), "{file} differs");
    }
    let json = good(here, &[&["evaluate", "--model", "a", "--json"][..], &columns].concat(), "");
    let evaluation: Value = serde_json::from_str(&json).expect("JSON");
    assert!(evaluation["heads"][0]["accuracy"].as_f64().expect("a number") > 0.9);
    let missing = bad(here, &["train", "--out", "c", "--data", "t.csv"]);
    assert!(missing.contains("column"), "{missing}");
}
