//! `triaged train` and `triaged evaluate`.

use std::ffi::OsStr;
use std::io::{Write as _, stderr, stdout};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;

use super::progress::Steps;
use crate::bundle;
use crate::files;
use crate::train::data::Data;
use crate::train::evaluate::predict;
use crate::train::recipe::Recipe;
use crate::train::report::Report;
use crate::train::{data, render, train as fit};

/// Where labelled tickets are, and which columns matter.
#[derive(Args)]
pub(super) struct DataArgs {
    /// Labelled tickets: JSON lines, CSV or Parquet by the name's end (.csv, .parquet); may be given
    /// more than once
    #[arg(long = "data", value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// A recipe, such as training/default.toml; the flags below override it
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    #[arg(long, value_name = "NAME")]
    id_column: Option<String>,
    #[arg(long, value_name = "NAME")]
    subject_column: Option<String>,
    #[arg(long, value_name = "NAME")]
    body_column: Option<String>,
    /// More than once for the levels of one taxonomy, from the top
    #[arg(long, value_name = "NAME")]
    category_column: Vec<String>,
    #[arg(long, value_name = "NAME")]
    priority_column: Option<String>,
    #[arg(long, value_name = "NAME")]
    impact_column: Option<String>,
    #[arg(long, value_name = "NAME")]
    urgency_column: Option<String>,
    /// When tickets were made: with it the newest are held out
    #[arg(long, value_name = "NAME")]
    created_at_column: Option<String>,
}

impl DataArgs {
    pub(super) fn recipe(&self) -> Result<Recipe> {
        let mut recipe = match &self.recipe {
            Some(path) => Recipe::read(path)?,
            None => Recipe::default(),
        };
        let columns = &mut recipe.columns;
        for (column, flag) in [
            (&mut columns.id, &self.id_column),
            (&mut columns.subject, &self.subject_column),
            (&mut columns.body, &self.body_column),
            (&mut columns.priority, &self.priority_column),
            (&mut columns.impact, &self.impact_column),
            (&mut columns.urgency, &self.urgency_column),
            (&mut columns.created_at, &self.created_at_column),
        ] {
            if flag.is_some() {
                column.clone_from(flag);
            }
        }
        if !self.category_column.is_empty() {
            columns.category.clone_from(&self.category_column);
        }
        Ok(recipe)
    }
}

/// Labelled tickets as the flags say, to ask the models in these directories about. Rows that cannot
/// be used are counted on standard error, and it is said there which model was trained on the tickets.
pub(super) fn labelled(
    args: &DataArgs,
    recipe: &Recipe,
    models: &[&Path],
    bar: &Steps,
) -> Result<Data> {
    let data = data::read(&args.files, recipe, &mut |p| bar.show(p))?;
    for (rejection, rows) in &data.rejected {
        bar.suspend(|| writeln!(stderr(), "{rows} rows left out: {}", rejection.as_str()))?;
    }
    for column in &data.absent {
        bar.suspend(|| writeln!(stderr(), "warning: no row has the column {column}"))?;
    }
    for model in models {
        if bundle::trained_on(model)? == data.sha256 {
            let warning = format!(
                "warning: the model in {} was trained on these very tickets; the numbers are too good",
                model.display()
            );
            bar.suspend(|| writeln!(stderr(), "{warning}"))?;
        }
    }
    Ok(data)
}

#[derive(Args)]
pub struct TrainArgs {
    #[command(flatten)]
    data: DataArgs,
    /// The directory for the model; a model that is there already is replaced
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The model's name and version, which every decision carries
    #[arg(long, value_name = "TEXT")]
    version_name: Option<String>,
    /// The directory for the report, as a page and as JSON [default: OUT.report]
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Decides which tickets are held out
    #[arg(long)]
    seed: Option<u64>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

pub fn train(args: &TrainArgs) -> Result<()> {
    let mut recipe = args.data.recipe()?;
    if let Some(version) = &args.version_name {
        recipe.version.clone_from(version);
    }
    if let Some(seed) = args.seed {
        recipe.split.seed = seed;
    }
    let bar = Steps::new();
    let (bundle, report) = fit(&args.data.files, &recipe, &mut |p| bar.show(p))?;
    bar.done();
    let id = bundle::write(&args.out, &bundle)?;
    // What serves must be able to open it: find out now, not at three in the morning.
    bundle::open(&args.out)?;
    let pages = args.report.clone().unwrap_or_else(|| beside(&args.out));
    Report::of_training(&id.to_string(), &bundle.manifest, &report)
        .write(&pages)
        .with_context(|| format!("cannot write the report to {}", pages.display()))?;
    let mut out = stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", render::report(&report))?;
        writeln!(out, "model {} {id} written to {}", recipe.version, args.out.display())?;
        writeln!(out, "report written to {}", pages.join("report.html").display())?;
    }
    Ok(())
}

/// `models/mine.report` for `models/mine`: a bundle holds its own files only.
fn beside(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or(OsStr::new("model")).to_owned();
    name.push(".report");
    out.with_file_name(name)
}

#[derive(Args)]
pub struct EvaluateArgs {
    /// The model's bundle
    #[arg(long, value_name = "DIR", default_value = "models/default")]
    model: PathBuf,
    #[command(flatten)]
    data: DataArgs,
    /// Print the numbers as JSON
    #[arg(long)]
    json: bool,
    /// Write the report as a page, too
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub fn evaluate(args: &EvaluateArgs) -> Result<()> {
    let mut recipe = args.data.recipe()?;
    let model = bundle::open(&args.model)?;
    recipe.add_fields(model.fields())?;
    let bar = Steps::new();
    let data = labelled(&args.data, &recipe, &[args.model.as_path()], &bar)?;
    let predictions = predict(&model, &data.examples, bar.judging(data.examples.len()));
    bar.done();
    let report = Report::of_evaluation(&model, &data, &predictions);
    if let Some(file) = &args.html {
        files::replace(file, report.html().as_bytes())
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    let mut out = stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &report.evaluation)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", render::evaluation(&report.evaluation))?;
    }
    Ok(())
}
