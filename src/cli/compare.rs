//! `triaged model compare`: may a new model replace the old one?

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use super::model::{DataArgs, labelled};
use super::output;
use super::progress::Steps;
use crate::bundle;
use crate::train::compare::{self, Comparison, Gate, Side, p_value};
use crate::train::render::{copies, one_line, percent};

/// Kinds of changed answers that are shown.
const FLIPS: usize = 20;

#[derive(Args)]
pub struct CompareArgs {
    /// The bundle of the model that decides today
    old: PathBuf,
    /// The bundle of the model that is to replace it
    new: PathBuf,
    #[command(flatten)]
    data: DataArgs,
    /// A category that may lose more recall than --max-drop; may be given more than once
    #[arg(long, value_name = "NAME")]
    allow_class: Vec<String>,
    /// Points of recall that a category of 50 or more tickets may lose
    #[arg(long, value_name = "POINTS", default_value = "10", value_parser = points)]
    max_drop: f64,
    /// Tickets listed, by their ids, whose answer changed
    #[arg(long, value_name = "N", default_value_t = 10)]
    examples: usize,
    /// Print the numbers as JSON
    #[arg(long)]
    json: bool,
}

/// With what is no number, no class could ever fall too far.
fn points(text: &str) -> Result<f64, String> {
    let points = text.parse().ok().filter(|points| (0.0..=100.0).contains(points));
    points.ok_or_else(|| String::from("must be a number of points from 0 to 100, such as 10"))
}

pub fn compare(args: &CompareArgs) -> Result<()> {
    let mut recipe = args.data.recipe()?;
    let (old, new) = (bundle::open(&args.old)?, bundle::open(&args.new)?);
    recipe.add_fields(old.fields())?;
    recipe.add_fields(new.fields())?;
    let bar = Steps::new();
    let models = [args.old.as_path(), args.new.as_path()];
    let (data, seen) = labelled(&args.data, &recipe, &models, &bar)?;
    // Where only the old one knows them, the new one has it harder.
    if let Some(seen) = seen.iter().find(|seen| seen.model == 1 && seen.certain) {
        bail!("{}: a comparison needs tickets that it has not seen", one_line(&seen.says));
    }
    let examples = data.examples;
    let rows = compare::rows(&old, &new, &examples, bar.judging(examples.len()));
    bar.done();
    if rows.iter().all(|row| !row.old.knows_truth && !row.new.knows_truth) {
        bail!(
            "neither model has any of these tickets' categories: the wrong column, or aliases of the \
             recipe that are missing"
        );
    }
    let gate = Gate { max_drop: args.max_drop, allowed: &args.allow_class, listed: args.examples };
    let comparison = compare::compare(&rows, &gate);
    let known = |name: &String| comparison.classes.iter().any(|c| c.label == *name);
    if let Some(unknown) = args.allow_class.iter().find(|name| !known(name)) {
        bail!("--allow-class {unknown}: no ticket has this category");
    }
    output::json_or(args.json, &comparison, |out| {
        for (name, model) in [("old", &old), ("new", &new)] {
            writeln!(out, "{name} {} ({})", one_line(&model.version), model.id)?;
        }
        print(out, &comparison)
    })?;
    if !comparison.failures.is_empty() {
        let why = comparison.failures.iter().map(|failure| one_line(&failure.to_string()));
        let why: Vec<String> = why.collect();
        bail!("the new model does not pass:\n  {}", why.join("\n  "));
    }
    Ok(())
}

fn print(out: &mut impl Write, c: &Comparison) -> io::Result<()> {
    writeln!(out, "{} tickets", c.tickets)?;
    if c.copies > 0 {
        writeln!(out, "{}", copies(c.copies))?;
    }
    writeln!(out)?;
    writeln!(out, "       accuracy  decided alone  of those right")?;
    for (name, side) in [("old", &c.old), ("new", &c.new)] {
        let precision = side.precision.map_or("-".to_owned(), percent);
        let (accuracy, decided) = (percent(side.accuracy), percent(side.decided));
        writeln!(out, "  {name}  {accuracy:>8}  {decided:>13}  {precision:>14}")?;
    }
    unknown_labels(out, "old", &c.old)?;
    unknown_labels(out, "new", &c.new)?;
    writeln!(
        out,
        "\n{} tickets only the new model gets right, {} only the old one\n\
         chance of so much if they were equal (McNemar, one-sided, mid-p): p better {}, worse {}\n",
        c.wins,
        c.losses,
        p_value(c.p_better),
        p_value(c.p_worse)
    )?;
    let width = c.classes.iter().map(|l| l.label.chars().count()).max().unwrap_or(0).clamp(8, 40);
    writeln!(out, "  {:<width$}  tickets  old recall  new recall  won  lost", "category")?;
    for class in &c.classes {
        writeln!(
            out,
            "  {:<width$}  {:>7}  {:>10}  {:>10}  {:>3}  {:>4}",
            one_line(&class.label),
            class.tickets,
            percent(class.old_recall),
            percent(class.new_recall),
            class.wins,
            class.losses
        )?;
    }
    if !c.flips.is_empty() {
        writeln!(out, "\nchanged answers")?;
    }
    for f in c.flips.iter().take(FLIPS) {
        let (won, lost, old, new) = (f.wins, f.losses, one_line(&f.old), one_line(&f.new));
        writeln!(out, "  {:>5}  {old} -> {new}  ({won} won, {lost} lost)", f.tickets)?;
    }
    if c.flips.len() > FLIPS {
        writeln!(out, "  and {} other changes", c.flips.len() - FLIPS)?;
    }
    for t in &c.flipped {
        let [id, old, new, truth] = [&t.id, &t.old, &t.new, &t.truth].map(|text| one_line(text));
        writeln!(out, "  {id}: {old} -> {new}, in truth {truth}")?;
    }
    if c.failures.is_empty() {
        writeln!(out, "\nthe new model passes")?;
    }
    Ok(())
}

fn unknown_labels(out: &mut impl Write, name: &str, side: &Side) -> io::Result<()> {
    let labels = side.unknown_labels.iter().map(|(label, n)| format!("{} ({n})", one_line(label)));
    let labels: Vec<String> = labels.collect();
    if labels.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "  the {name} model does not have these categories, and is wrong on their tickets: {}",
        labels.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::compare::{Answer, Row, compare};

    #[test]
    fn a_drop_is_a_number_of_points() {
        assert_eq!([points("0"), points("2.5"), points("100")], [Ok(0.0), Ok(2.5), Ok(100.0)]);
        for wrong in ["nan", "inf", "-1", "101", "ten", ""] {
            assert!(points(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn labels_and_ids_do_not_steer_a_terminal() {
        let answer = |label| Answer { label, decided: true, knows_truth: false };
        let (truth, old, new) = ("a\u{1b}[2J", "b\nc", "d\u{202e}");
        let row = Row { id: "\u{7}1", truth, old: answer(old), new: answer(new), copy: false };
        let gate = Gate { max_drop: 10.0, allowed: &[], listed: 9 };
        let mut out = Vec::new();
        print(&mut out, &compare(&[row], &gate)).unwrap();
        let text = String::from_utf8(out).unwrap();
        let stray = |c: char| c.is_control() && c != '\n';
        assert!(!text.contains(stray) && !text.contains('\u{202e}'), "{text:?}");
        assert!(text.contains("b c -> d "), "{text}");
    }
}
