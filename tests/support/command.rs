//! The binary as a pipeline calls it, and labelled tickets that come with the project.
#![allow(dead_code, reason = "each binary that includes this uses its own part of it")]

use std::path::Path;
use std::process::{Command, Output};

pub const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/default");
pub const SAMPLE: [&str; 4] = [
    "--data",
    concat!(env!("CARGO_MANIFEST_DIR"), "/training/corpus/demo.jsonl"),
    "--recipe",
    concat!(env!("CARGO_MANIFEST_DIR"), "/training/default.toml"),
];

/// Runs it in `dir` with the model that ships as the configured one.
pub fn run(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_triaged"));
    command.current_dir(dir).env_clear().env("HOSTNAME", "test");
    command.env("TRIAGED_MODEL__DIR", MODEL).args(args);
    command.output().expect("the binary starts")
}

/// What it printed, where it succeeds.
pub fn good(dir: &Path, args: &[&str]) -> String {
    let output = run(dir, args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {stderr}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// What it complained about, where it fails as a gate does.
pub fn bad(dir: &Path, args: &[&str]) -> String {
    let output = run(dir, args);
    assert_eq!(output.status.code(), Some(1), "{args:?} should have failed");
    String::from_utf8(output.stderr).expect("UTF-8")
}
