//! `triaged train` and `triaged evaluate`.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use super::output::{self, note};
use super::progress::Steps;
use crate::bundle::{self, TrainedOn};
use crate::train::audit::duplicates;
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
    /// A recipe, such as training/recipe.toml; the flags below override it
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// The column with the ticket's id (default: id)
    #[arg(long, value_name = "NAME")]
    id_column: Option<String>,
    /// The column with the subject (default: subject)
    #[arg(long, value_name = "NAME")]
    subject_column: Option<String>,
    /// The column with the text (default: body)
    #[arg(long, value_name = "NAME")]
    body_column: Option<String>,
    /// The column with the category; more than once for the levels of one taxonomy, from the top
    /// (default: category)
    #[arg(long, value_name = "NAME")]
    category_column: Vec<String>,
    /// The column with the priority (default: priority)
    #[arg(long, value_name = "NAME")]
    priority_column: Option<String>,
    /// The column with the impact (default: impact)
    #[arg(long, value_name = "NAME")]
    impact_column: Option<String>,
    /// The column with the urgency (default: urgency)
    #[arg(long, value_name = "NAME")]
    urgency_column: Option<String>,
    /// When tickets were made: with it the newest are held out (default: created_at)
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
        columns.switch_off();
        Ok(recipe)
    }
}

/// What speaks against the numbers of some tickets: a model was fitted on them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// The model's place among those that were asked about.
    pub model: usize,
    /// They are the very same data. Otherwise some of them have the same ids, which is a hint.
    pub certain: bool,
    pub says: String,
}

/// What a model was fitted on of some tickets, as far as its bundle tells.
fn seen(model: (usize, &Path), trained_on: &TrainedOn, data: &Data) -> Option<Seen> {
    let (model, shown) = (model.0, model.1.display());
    if trained_on.data_sha256 == data.sha256 {
        let says = format!(
            "the model in {shown} was trained on these very tickets; the numbers are too good"
        );
        return Some(Seen { model, certain: true, says });
    }
    let ids: HashSet<&str> = trained_on.ids.iter().map(String::as_str).collect();
    let known = |id: &str| ids.contains(id) && !is_made_up(id);
    let n = data.examples.iter().filter(|example| known(&example.id)).count();
    (n > 0).then(|| Seen {
        model,
        certain: false,
        says: format!(
            "{n} of these tickets have the ids of tickets that the model in {shown} was fitted on, \
             and its split.csv names only some of those; if they are the same tickets, the numbers \
             are too good"
        ),
    })
}

/// Whether an id was given to a row that had none: it says nothing of another file.
fn is_made_up(id: &str) -> bool {
    let number = id.strip_prefix("row-").unwrap_or(id);
    number.is_empty() || (number != id && number.bytes().all(|b| b.is_ascii_digit()))
}

/// Labelled tickets as the flags say, to ask the models in these directories about, and what those
/// were fitted on of them. Rows that cannot be used are counted on standard error, and what the
/// models have seen is said there.
pub(super) fn labelled(
    args: &DataArgs,
    recipe: &Recipe,
    models: &[&Path],
    bar: &Steps,
) -> Result<(Data, Vec<Seen>)> {
    let data = data::read(&args.files, recipe, &mut |p| bar.show(p))?;
    for (rejection, rows) in &data.rejected {
        bar.suspend(|| note(format_args!("{rows} rows left out: {}", rejection.as_str())));
    }
    for remark in data.remarks() {
        bar.suspend(|| note(format_args!("warning: {remark}")));
    }
    let mut all_seen = Vec::new();
    for (i, model) in models.iter().enumerate() {
        let seen = seen((i, model), &bundle::trained_on(model)?, &data);
        if let Some(seen) = &seen {
            bar.suspend(|| note(format_args!("warning: {}", seen.says)));
        }
        all_seen.extend(seen);
    }
    Ok((data, all_seen))
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
    // Before the minutes that it takes.
    let place = bundle::place(&args.out)?;
    if args.report.as_ref().is_some_and(|report| *report == args.out || *report == place) {
        bail!("--report must be another directory than --out: a bundle holds its own files only");
    }
    let pages = args.report.clone().unwrap_or_else(|| beside(&args.out));
    let unwritten = || format!("cannot write the report to {}", pages.display());
    try_folder(&pages).with_context(unwritten)?;
    let bar = Steps::new();
    let (bundle, report) = fit(&args.data.files, &recipe, &mut |p| bar.show(p))?;
    bar.done();
    let id = bundle::write(&args.out, &bundle)?;
    // What serves must be able to open it: find out now, not at three in the morning.
    bundle::open(&args.out)?;
    Report::of_training(&id.to_string(), &bundle.manifest, &report)
        .write(&pages)
        .with_context(unwritten)?;
    output::json_or(args.json, &report, |out| {
        write!(out, "{}", render::report(&report))?;
        writeln!(out, "model {} {id} written to {}", recipe.version, args.out.display())?;
        writeln!(out, "report written to {}", pages.join("report.html").display())
    })
}

/// `models/mine.report` for `models/mine`: a bundle holds its own files only.
fn beside(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or(OsStr::new("model")).to_owned();
    name.push(".report");
    out.with_file_name(name)
}

/// Finds out whether files can be written into a directory that is there or can be made, and leaves
/// nothing behind.
fn try_folder(dir: &Path) -> io::Result<()> {
    let is_missing = |at: &&Path| !at.as_os_str().is_empty() && !at.exists();
    let missing: Vec<&Path> = dir.ancestors().take_while(is_missing).collect();
    let trial = dir.join(format!(".trial-{}", std::process::id()));
    let tried = fs::create_dir_all(&trial).and_then(|()| fs::remove_dir(&trial));
    for folder in missing {
        // It was not made, or somebody else has put something there meanwhile: then it stays.
        let _ = fs::remove_dir(folder);
    }
    tried
}

#[derive(Args)]
pub struct EvaluateArgs {
    /// The model's bundle; the one that ships is trained on synthetic tickets
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
    let (data, _) = labelled(&args.data, &recipe, &[args.model.as_path()], &bar)?;
    let groups = duplicates::find(&data.examples).groups;
    let predictions = predict(&model, &data.examples, &groups, bar.judging(data.examples.len()));
    bar.done();
    let report = Report::of_evaluation(&model, &data, &predictions);
    if let Some(file) = &args.html {
        output::page(file, &report.html())?;
    }
    output::json_or(args.json, &report.evaluation, |out| {
        write!(out, "{}", render::evaluation(&report.evaluation))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::data::Example;
    use crate::triage::text::language::Language;

    fn example(id: &str) -> Example {
        Example {
            id: id.to_owned(),
            subject: String::new(),
            body: String::from("text"),
            fields: vec![],
            labels: [Some("A".into()), None, None, None],
            language: Language::En,
            created_at: None,
        }
    }

    #[test]
    fn tickets_that_a_model_was_fitted_on_are_told_by_file_or_by_id() {
        let data = |sha256: &str| Data {
            examples: ["1", "2", "3"].map(example).to_vec(),
            sha256: sha256.to_owned(),
            ..Data::default()
        };
        let trained_on = |ids: &[&str]| TrainedOn {
            data_sha256: "00".to_owned(),
            ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        };
        let ask = |ids: &[&str], data: &Data| seen((0, Path::new("m")), &trained_on(ids), data);
        let same = ask(&["1"], &data("00")).unwrap();
        assert!(same.certain && same.says.starts_with("the model in m was trained on these very"));
        let copy = ask(&["1", "3", "99"], &data("11")).unwrap();
        assert!(!copy.certain && copy.says.starts_with("2 of these tickets have the ids"));
        assert_eq!(ask(&["7", ""], &data("11")), None);
        // A row's number is no id: it is the same in every file.
        let mut numbered = data("11");
        numbered.examples[0].id = "row-1".to_owned();
        numbered.examples[1].id = String::new();
        assert_eq!(ask(&["row-1", "", "99"], &numbered), None);
        assert!(!is_made_up("row-a") && !is_made_up("1") && is_made_up("row-12"));
    }

    #[test]
    fn a_folder_is_tried_and_left_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let here = dir.path();
        for folder in [here.join("a/b/c"), here.join("a/../b"), here.to_owned()] {
            try_folder(&folder).unwrap();
            assert_eq!(fs::read_dir(here).unwrap().count(), 0, "{}", folder.display());
        }
        let full = here.join("full");
        fs::create_dir(&full).unwrap();
        fs::write(full.join("report.html"), "old").unwrap();
        try_folder(&full).unwrap();
        assert_eq!(fs::read_dir(&full).unwrap().count(), 1);
        try_folder(&full.join("report.html")).unwrap_err();
        // What was made on the way to a name that is too long goes again.
        try_folder(&here.join("new").join("x".repeat(300))).unwrap_err();
        assert_eq!(fs::read_dir(here).unwrap().count(), 1);
    }
}
