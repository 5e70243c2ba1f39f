//! The report on a model for those who decide about it: one page, and the same numbers as JSON.

mod classes;
mod page;
mod top;
pub(super) mod words;

use std::fs;
use std::path::Path;

use serde::Serialize;

use super::TrainReport;
use super::audit::noise::{Suspect, number, to_csv};
use super::audit::render::findings;
use super::data::{Data, Example};
use super::evaluate::{Evaluation, HeadEvaluation, HeadPredictions, Predicted, Predictions};
use super::render::listed;
use crate::bundle::Manifest;
use crate::files;
use crate::page::counted;
use crate::triage::model::{Model, Target};
use crate::triage::text::language::Language;

pub use top::top_words;

/// The file for a person who looks labels over.
pub const SUSPECTS: &str = "suspects.csv";
/// Mistakes listed.
const MISTAKES: usize = 20;
/// Characters of a ticket's text that are shown.
const EXCERPT: usize = 300;

/// Everything on the page. Shares are from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Whether neither fitting nor calibrating saw the tickets.
    pub unseen: bool,
    /// What speaks against using the model at all, a sentence each.
    pub warnings: Vec<String>,
    pub evaluation: Evaluation,
    /// Of the category, on the tickets that were held out to choose and calibrate it.
    pub held_out: Option<HeadEvaluation>,
    /// The text does not tell the category, so nothing is said of single labels and of more data.
    pub no_signal: bool,
    /// In the order of tickets; empty where nothing was tried.
    pub learning: Vec<LearningPoint>,
    /// Empty where nothing is known of them.
    pub top_words: Vec<LabelWords>,
    /// Of the category, the surest first.
    pub mistakes: Vec<Mistake>,
    /// Held-out tickets whose category is probably wrong, the surest first; their number here,
    /// all of them in `suspects.csv`.
    #[serde(serialize_with = "number")]
    pub suspects: Vec<Suspect>,
    /// What to know about the data, a sentence each.
    pub notes: Vec<String>,
    pub facts: Vec<Fact>,
}

/// How good a model is that was fitted on so many tickets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LearningPoint {
    pub tickets: u64,
    pub accuracy: f64,
    pub macro_f1: f64,
}

/// The words that speak most for a label, with their mean weights, the weightiest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabelWords {
    pub label: String,
    pub words: Vec<(String, f64)>,
}

/// A ticket that the model was sure and wrong about.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mistake {
    pub id: String,
    pub truth: String,
    pub answer: String,
    pub confidence: f64,
    pub language: Language,
    /// The beginning of the redacted text, on one line.
    pub excerpt: String,
}

/// A line of the table about the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    pub name: String,
    pub value: String,
}

impl Fact {
    pub fn new(name: &str, value: impl Into<String>) -> Self {
        Self { name: name.to_owned(), value: value.into() }
    }
}

impl Report {
    /// The report on a training run that made the bundle `id`.
    pub fn of_training(id: &str, manifest: &Manifest, run: &TrainReport) -> Self {
        let facts = &manifest.training;
        let mut notes: Vec<String> =
            facts.rejected.iter().map(|(why, n)| rejected(*n, why)).collect();
        notes.extend(findings(&run.audit).into_iter().map(|finding| format!("{finding}.")));
        for (target, labels) in &run.too_small {
            let list = listed(labels.iter().map(|(l, n)| format!("{l} ({n})")));
            notes.push(format!(
                "Labels of the {target} with too few tickets to learn: {list}. Those tickets were not used."
            ));
        }
        notes.extend(
            run.omitted.iter().map(|(target, why)| format!("The {target} is not told: {why}.")),
        );
        let again = facts.recipe["split"]["refit"].as_bool() == Some(true);
        let written = if again { "all of them" } else { "the same tickets" };
        let mut table = vec![
            Fact::new("Version", &manifest.version),
            Fact::new("Model", id),
            Fact::new("Rows read", facts.rows.to_string()),
            Fact::new("Measured model fitted on", counted(facts.fitted_on, "ticket", "tickets")),
            Fact::new(
                "Of these held out to choose and calibrate",
                counted(facts.calibrated_on, "ticket", "tickets"),
            ),
            Fact::new("Tested on", counted(facts.tested_on, "ticket", "tickets")),
            Fact::new("Written model fitted on", written),
        ];
        for head in &manifest.heads {
            let name = format!("Labels of the {}", head.target);
            table.push(Fact::new(&name, head.labels.len().to_string()));
        }
        table.push(Fact::new("SHA-256 of the data", &facts.data_sha256));
        Self {
            unseen: true,
            warnings: run.warnings.iter().map(|warning| format!("{warning}.")).collect(),
            evaluation: Evaluation { model: id.to_owned(), ..run.evaluation.clone() },
            held_out: run.held_out.clone(),
            no_signal: run.no_signal,
            learning: run.learning.clone(),
            top_words: run.top_words.clone(),
            mistakes: run.mistakes.clone(),
            suspects: run.suspects.clone(),
            notes,
            facts: table,
        }
    }

    /// The report on a model and tickets of which nobody knows whether it was fitted on them.
    pub fn of_evaluation(model: &Model, data: &Data, predictions: &Predictions) -> Self {
        let category = predictions.head(Target::Category);
        let mut facts = vec![
            Fact::new("Version", &model.version),
            Fact::new("Model", model.id.as_str()),
            Fact::new("Rows read", data.rows.to_string()),
        ];
        for head in model.heads() {
            let name = format!("Labels of the {}", head.target);
            facts.push(Fact::new(&name, head.labels.len().to_string()));
        }
        facts.push(Fact::new("SHA-256 of the data", &data.sha256));
        Self {
            unseen: false,
            warnings: Vec::new(),
            evaluation: predictions.evaluation(model.id.as_str(), &model.version),
            held_out: None,
            no_signal: false,
            learning: Vec::new(),
            top_words: top_words(model, &data.examples),
            mistakes: category.map(|c| mistakes(c, &data.examples)).unwrap_or_default(),
            suspects: Vec::new(),
            notes: data.rejected.iter().map(|(why, n)| rejected(*n, why.as_str())).collect(),
            facts,
        }
    }

    /// The page: HTML that loads nothing and runs nothing.
    pub fn html(&self) -> String {
        page::page(self)
    }

    /// Writes `report.html`, `report.json` and `suspects.csv` into a directory, which is made if
    /// it is missing.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&self, dir: &Path) -> std::io::Result<()> {
        fs::create_dir_all(dir)?;
        files::replace(&dir.join("report.html"), self.html().as_bytes())?;
        files::replace(&dir.join("report.json"), &serde_json::to_vec_pretty(self)?)?;
        files::replace(&dir.join(SUSPECTS), &to_csv(&self.suspects)?)
    }
}

fn rejected(n: u64, why: &str) -> String {
    // A reason that names a column is in words already.
    let why = if why.contains('`') { why.to_owned() } else { why.replace('_', " ") };
    format!("{} could not be used: {why}.", counted(n, "row", "rows"))
}

/// The tickets that a head was surest and wrong about. `examples` are those that were predicted.
pub fn mistakes(head: &HeadPredictions, examples: &[Example]) -> Vec<Mistake> {
    let mut wrong: Vec<&Predicted> = head.tickets.iter().filter(|t| !t.is_right()).collect();
    // The sort keeps the data's order among equals.
    wrong.sort_by(|a, b| b.confidence().total_cmp(&a.confidence()));
    let label = |i: usize| head.label(i).map(ToString::to_string).unwrap_or_default();
    let show = |ticket: &Predicted| {
        let example = examples.get(ticket.ticket)?;
        Some(Mistake {
            id: example.id.clone(),
            truth: label(ticket.truth),
            answer: label(ticket.best),
            confidence: ticket.confidence(),
            language: ticket.language,
            excerpt: excerpt(&example.subject, &example.body),
        })
    };
    wrong.into_iter().filter_map(show).take(MISTAKES).collect()
}

/// Subject and body on one line, cut where they are long.
fn excerpt(subject: &str, body: &str) -> String {
    let words: Vec<&str> = subject.split_whitespace().chain(body.split_whitespace()).collect();
    let text = words.join(" ");
    match text.char_indices().nth(EXCERPT) {
        None => text,
        Some(_) => text.chars().take(EXCERPT - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests;
