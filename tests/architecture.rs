//! The rules of the layout: who may know whom. A rule that is broken names the file and the line.

use std::fs;
use std::path::{Path, PathBuf};

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a source folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Lines of code (not comments) in files below `places` that name one of `words`.
fn naming(places: &[&str], but_not: &[&str], words: &[&str]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for place in places {
        let path = root.join(place);
        if path.is_dir() {
            rust_files(&path, &mut files);
        } else {
            files.push(path);
        }
    }
    let mut found = Vec::new();
    for file in files {
        let name = file.strip_prefix(root).expect("below the root").display().to_string();
        if but_not.iter().any(|place| name.starts_with(place)) {
            continue;
        }
        let text = fs::read_to_string(&file).expect("a source file");
        for (i, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if words.iter().any(|word| code.contains(word)) {
                found.push(format!("{name}:{}: {}", i + 1, line.trim()));
            }
        }
    }
    found
}

fn assert_none(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}\n{}", found.join("\n"));
}

#[test]
fn the_core_knows_nothing_of_the_world() {
    let world = [
        "rdkafka",
        "rusqlite",
        "reqwest",
        "tokio",
        "axum",
        "prometheus",
        "tracing",
        "std::fs",
        "TcpStream",
        "UdpSocket",
        "std::thread",
        "std::env",
        "Instant",
        "SystemTime",
        "Timestamp::now",
        "Zoned::now",
        "crate::log",
        "crate::stage",
        "crate::metrics",
        "crate::config",
        "println!",
    ];
    let pure = ["src/triage", "src/desk", "src/playbook", "src/resolve"];
    assert_none("triage, desk, playbook and resolve are pure", &naming(&pure, &[], &world));
}

#[test]
fn the_log_knows_nothing_of_triage() {
    let found = naming(
        &["src/log"],
        &[],
        &["crate::triage", "crate::desk", "crate::playbook", "crate::resolve", "crate::stage"],
    );
    assert_none("a log moves bytes, it does not judge them", &found);
}

#[test]
fn each_client_library_has_one_home() {
    // Messages may speak of librdkafka.
    let found = naming(&["src"], &["src/log/kafka/"], &["rdkafka::", "rdkafka_sys"]);
    assert_none("only src/log/kafka names rdkafka", &found);
    let found = naming(&["src"], &["src/log/embedded"], &["rusqlite"]);
    assert_none("only src/log/embedded names rusqlite", &found);
    let found = naming(&["src"], &["src/train/"], &["linfa"]);
    assert_none("only src/train names linfa", &found);
    let found = naming(&["src"], &["src/admin", "src/runbooks.rs"], &["axum"]);
    assert_none("only src/admin and the demonstration's runbooks serve HTTP", &found);
    let found = naming(&["src"], &["src/stage/runbook"], &["reqwest", "rustls", "governor"]);
    assert_none("only src/stage/runbook calls out by HTTP", &found);
}

#[test]
fn metrics_are_made_in_one_place() {
    let makers = ["Opts::new", "HistogramOpts", "register!", "default_registry"];
    let found = naming(&["src"], &["src/metrics.rs", "src/metrics"], &makers);
    assert_none("only src/metrics.rs makes metrics", &found);
}

#[test]
fn the_caller_knows_nothing_of_triage_and_configuration() {
    let places = ["caller", "attempt", "client", "host", "dns", "tls", "credential", "settings"];
    let files = places.map(|name| format!("src/stage/runbook/{name}.rs"));
    let files: Vec<_> = files.iter().map(String::as_str).collect();
    let others = ["crate::triage", "crate::config", "crate::metrics", "crate::log", "prometheus"];
    assert_none("the caller is given plain data", &naming(&files, &[], &others));
    let invalid = naming(&["src"], &[], &["danger_accept", "dangerous()"]);
    assert_none("certificates are always checked", &invalid);
}

#[test]
fn the_rules_find_what_they_forbid() {
    assert!(!naming(&["src/log/kafka"], &[], &["rdkafka"]).is_empty());
    assert!(!naming(&["src/metrics.rs", "src/metrics"], &[], &["Opts::new"]).is_empty());
}
