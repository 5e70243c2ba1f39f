//! The model that ships is what its recorded command makes: the corpus is generated again, the
//! model trained again, and compared with what is checked in.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn run(program: &Path, args: &[&str]) {
    let output = Command::new(program).args(args).output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn json(path: PathBuf) -> Value {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}

#[test]
fn the_default_model_is_what_make_model_makes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let triaged = Path::new(env!("CARGO_BIN_EXE_triaged"));
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name).display().to_string();
    let corpus = ["run", "--locked", "--quiet", "--example", "corpus", "--", "--out"];
    run(Path::new(env!("CARGO")), &[&corpus[..], &[&at("corpus"), "--seed", "7"]].concat());
    let recipe = root.join("training/default.toml").display().to_string();
    let tickets = at("corpus/tickets.jsonl");
    run(triaged, &["train", "--data", &tickets, "--recipe", &recipe, "--out", &at("model")]);

    let shipped = root.join("models/default");
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
