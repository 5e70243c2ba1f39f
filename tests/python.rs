//! A model can be read without this program: the script in `training/` computes the same scores
//! with public Python libraries, and the notebook the same decision.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use triaged::bundle;
use triaged::train::recipe::Recipe;
use triaged::train::train;
use triaged::triage::model::Scratch;
use triaged::triage::text::redact::redact;
use triaged::triage::text::{Text, fields};

/// `TRIAGED_PYTHON`, or `python3`, if it has the libraries.
fn python() -> Option<String> {
    let python = std::env::var("TRIAGED_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let libraries = ["-c", "import numpy, safetensors, tokenizers"];
    let status = Command::new(&python).args(libraries).stderr(Stdio::null()).status();
    let found = status.is_ok_and(|s| s.success());
    if !found {
        eprintln!("skipped: no Python with tokenizers, safetensors and numpy (TRIAGED_PYTHON)");
    }
    found.then_some(python)
}

/// Who asks how a model is read is shown a page, not a program.
#[test]
fn the_python_script_is_short() {
    let script = include_str!("../training/read_model.py");
    assert!(script.lines().count() <= 40, "{} lines", script.lines().count());
    assert!(script.lines().all(|line| line.len() <= 100));
}

#[test]
fn the_python_script_gives_the_same_scores() {
    let Some(python) = python() else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let demo = std::fs::read_to_string(root.join("training/corpus/demo.jsonl")).expect("reads");
    let mut tickets: Vec<Value> = demo
        .lines()
        .take(60)
        .map(|line| {
            let ticket: Value = serde_json::from_str(line).expect("JSON");
            let text = |field: &str| redact(ticket[field].as_str().unwrap_or("")).0.into_owned();
            json!({"subject": text("subject"), "body": text("body")})
        })
        .collect();
    tickets.push(json!({"subject": "", "body": "zzzq 4711-ab 0x8007000E 446655440ABC e29b effacedbead VPN접속 VPN VPN ﬁle"}));
    tickets.push(json!({"subject": "", "body": ""}));
    agree(&python, &root.join("models/default"), &tickets);
}

#[test]
fn the_python_script_reads_fields_too() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let (file, out) = (dir.path().join("tickets.jsonl"), dir.path().join("model"));
    let offices =
        [json!("Haupt\u{a0}Büro"), json!("ＳＥＯＵＬ 2"), json!(7), json!(true), json!(null)];
    let ticket = |i: usize| {
        json!({
            "subject": format!("case {}", ["vpn", "mail", "disk"][i % 3]),
            "body": format!("it is {} again", ["slow", "down"][i / 3 % 2]),
            "requester": {"site/office": offices[i % 5]}, "source": (["E-Mail", "portal"][i % 2]),
            "category": (["A", "B"][usize::from(i % 5 > 1)]),
        })
    };
    let rows: Vec<String> = (0..300).map(|i| ticket(i).to_string()).collect();
    std::fs::write(&file, rows.join("\n")).expect("writes");
    let recipe = "[[fields]]\nname = \"office\"\nfrom = \"/requester/site~1office\"\n\
                  [[fields]]\nname = \"source\"\nfrom = \"/source\"";
    let recipe = Recipe::parse(recipe).expect("a recipe");
    let made = train(&[file], &recipe, &mut |_| {}).expect("trains").0;
    bundle::write(&out, &made).expect("writes");
    let mut tickets: Vec<Value> = (0..10).map(ticket).collect();
    tickets.push(json!({"body": "vpn", "source": " PORTAL\n", "requester": "no object"}));
    tickets
        .push(json!({"body": "", "source": "portal", "requester": {"site/office": ["seoul 2"]}}));
    tickets.push(json!({"body": "vpn", "source": "unheard of"}));
    agree(&python, &out, &tickets);
}

/// Holds the script's scores of redacted tickets against the model's own.
fn agree(python: &str, folder: &Path, tickets: &[Value]) {
    let input: Vec<String> = tickets.iter().map(Value::to_string).collect();
    let mut child = Command::new(python)
        .arg("training/read_model.py")
        .arg(folder)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.join("\n").as_bytes()).expect("writes");
    drop(stdin);
    let output = child.wait_with_output().expect("ends");
    assert!(output.status.success());
    let theirs: Vec<Value> = String::from_utf8(output.stdout)
        .expect("UTF-8")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(theirs.len(), tickets.len());

    let model = bundle::open(folder).expect("opens");
    let mut scratch = Scratch::default();
    for (ticket, theirs) in tickets.iter().zip(&theirs) {
        let text = |field: &str| ticket[field].as_str().unwrap_or("");
        let fields = fields::entries(model.fields(), ticket);
        let text = Text { subject: text("subject"), body: text("body"), fields: &fields };
        let ours = model.scores(&mut scratch, &text);
        let columns = model.heads().iter().flat_map(|h| h.labels.iter().map(|l| (h.target, l)));
        for ((target, label), ours) in columns.zip(ours) {
            let theirs = theirs[target.as_str()][&**label].as_f64().expect("a score");
            assert!((ours - theirs).abs() < 1e-3 * ours.abs().max(1.0), "{label}: {ours} {theirs}");
        }
    }
}

/// The notebook itself compares its decision with the program's.
#[test]
fn the_notebook_comes_to_the_same_decision() {
    let Some(python) = python() else { return };
    let training = Path::new(env!("CARGO_MANIFEST_DIR")).join("training");
    let text = std::fs::read_to_string(training.join("read_model.ipynb")).expect("reads");
    let notebook: Value = serde_json::from_str(&text).expect("JSON");
    let cells = notebook["cells"].as_array().expect("cells").iter();
    let code = cells.filter(|cell| cell["cell_type"] == "code").map(|cell| {
        let lines = cell["source"].as_array().expect("lines").iter();
        lines.map(|line| line.as_str().expect("a line")).collect::<String>()
    });
    let code: Vec<String> = code.collect();
    assert!(code.iter().any(|cell| cell.contains("assert ")), "the notebook compares");
    let status = Command::new(python)
        .args(["-c", &code.join("\n")])
        .current_dir(training)
        .env("TRIAGED", env!("CARGO_BIN_EXE_triaged"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdout(Stdio::null())
        .status()
        .expect("starts");
    assert!(status.success());
}
