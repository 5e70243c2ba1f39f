//! What is wrong with a playbook, and where.

use std::fmt;

/// One problem in one file; all of a folder's are found at once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Problem {
    pub file: String,
    /// Dotted path of the key, such as `steps[0].url`; empty for the file as a whole.
    pub path: String,
    pub what: String,
}

impl Problem {
    pub fn new(file: impl Into<String>, path: impl Into<String>, what: impl Into<String>) -> Self {
        Self { file: file.into(), path: path.into(), what: what.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            write!(f, "{}: {}", self.file, self.what)
        } else {
            write!(f, "{}: {}: {}", self.file, self.path, self.what)
        }
    }
}

/// Problems of a folder, as one error that lists them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the playbooks have {} problem{}:\n{}", .0.len(), if .0.len() == 1 { "" } else { "s" }, list(.0))]
pub struct Problems(pub Vec<Problem>);

fn list(problems: &[Problem]) -> String {
    problems.iter().map(|p| format!("  {p}")).collect::<Vec<_>>().join("\n")
}

/// Problems found so far in one file; reading goes on after each.
pub(super) struct Found<'a> {
    file: &'a str,
    problems: Vec<Problem>,
}

impl<'a> Found<'a> {
    pub fn new(file: &'a str) -> Self {
        Self { file, problems: Vec::new() }
    }

    pub fn add(&mut self, path: impl Into<String>, what: impl Into<String>) {
        self.problems.push(Problem::new(self.file, path, what));
    }

    pub fn into_list(self) -> Vec<Problem> {
        self.problems
    }
}
