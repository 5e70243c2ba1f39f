//! The models that ship are what their recorded commands make: the corpus is generated again, the
//! model trained again, and compared with what is checked in.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use serde_json::Value;
use triaged::triage::model::Scratch;
use triaged::triage::requests::{Limits, Requests};
use triaged::triage::text::Text;

fn run(program: &Path, args: &[&str]) {
    let output = Command::new(program).args(args).output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn json(path: PathBuf) -> Value {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}

#[test]
fn the_default_model_is_what_make_model_makes() {
    holds("default", "training/default.toml", "tickets.jsonl", &[]);
}

#[test]
fn the_request_model_is_what_make_request_model_makes() {
    let train = ["--requests", "train"];
    holds("requests", "training/requests.toml", "requests.jsonl", &train);
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/requests");
    let files = fs::read_dir(&shipped).expect("a folder").map(|entry| entry.expect("an entry"));
    let size: u64 = files.map(|file| file.metadata().expect("a size").len()).sum();
    assert!(size < 3_000_000, "{size} bytes: it is read at every start");
    let model = triaged::bundle::open(&shipped).expect("a bundle");
    let requests = Requests::new(Arc::new(model), Limits::default()).expect("of requests");
    let mut scratch = Scratch::default();
    let known =
        requests.known(&mut scratch, &Text::new("", "Please unlock my account, it got locked."));
    assert_eq!(known.request.as_deref(), Some("unlock_account"), "{known:?}");
    let known =
        requests.known(&mut scratch, &Text::new("", "Who may unlock accounts in our team?"));
    assert_eq!(known.request, None, "{known:?}");
}

/// Makes the corpus and the model again.
fn holds(name: &str, recipe: &str, tickets: &str, more: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let triaged = Path::new(env!("CARGO_BIN_EXE_triaged"));
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name).display().to_string();
    let corpus = ["run", "--locked", "--quiet", "--example", "corpus", "--", "--out"];
    run(Path::new(env!("CARGO")), &[&corpus[..], &[&at("corpus"), "--seed", "7"], more].concat());
    let recipe = root.join(recipe).display().to_string();
    let tickets = at(&format!("corpus/{tickets}"));
    run(triaged, &["train", "--data", &tickets, "--recipe", &recipe, "--out", &at("model")]);

    let shipped = root.join("models").join(name);
    let made = dir.path().join("model");
    // Words and counts are exact on any machine; the last digit of a logarithm may not be.
    let tokenizer = |dir: &Path| fs::read(dir.join("tokenizer.json")).expect("a file");
    assert!(tokenizer(&shipped) == tokenizer(&made), "the vocabulary differs");
    let (shipped, made) = (json(shipped.join("manifest.json")), json(made.join("manifest.json")));
    for (a, b) in [(&shipped, &made), (&made, &shipped)] {
        for (key, value) in a.as_object().expect("an object") {
            assert!(b.get(key).is_some(), "{key} is in one manifest only: {value}");
        }
    }
    let facts = |manifest: &Value| {
        let mut facts = manifest.clone();
        close_numbers(&mut facts);
        facts
    };
    assert_eq!(facts(&shipped), facts(&made));
}

/// Rounds numbers to six digits and forgets checksums, which the last digit of one would change.
fn close_numbers(value: &mut Value) {
    match value {
        Value::Number(n) => {
            let rounded = (n.as_f64().unwrap_or_default() * 1e6).round() / 1e6;
            *value = rounded.into();
        }
        Value::Array(values) => values.iter_mut().for_each(close_numbers),
        Value::Object(fields) => {
            fields.remove("files");
            fields.values_mut().for_each(close_numbers);
        }
        _ => {}
    }
}
