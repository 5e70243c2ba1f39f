//! `triaged simulate`: what thresholds would have done with tickets whose category is known.

use std::fs;
use std::io::{self, Write, stdout};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use super::ModelArgs;
use super::model::{DataArgs, labelled};
use super::progress::Steps;
use crate::bundle;
use crate::files;
use crate::train::calibrate::NEVER;
use crate::train::render::percent;
use crate::train::simulate;
use crate::train::simulate::{Outcome, Simulation, Tried, Wanted, below_floors, predict};
use crate::triage::Mismatch;
use crate::triage::model::{Model, Target};

/// How a written policy begins; a file that begins otherwise is not overwritten.
const WRITTEN: &str = "# Written by `triaged simulate`";

#[derive(Args)]
pub struct SimulateArgs {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    data: DataArgs,
    /// The share of the tickets decided alone that must be right
    #[arg(long, value_name = "SHARE", default_value = "0.95", value_parser = share)]
    precision: f64,
    /// Tickets that arrive in a day
    #[arg(long, value_name = "N", default_value_t = 100)]
    per_day: u32,
    /// Write the recommended thresholds as a configuration file
    #[arg(long, value_name = "FILE")]
    write_policy: Option<PathBuf>,
    /// Fail if with the thresholds in force fewer of the tickets decided alone are right
    #[arg(long, value_name = "SHARE", value_parser = share)]
    floor_precision: Option<f64>,
    /// Fail if with the thresholds in force fewer tickets are decided alone
    #[arg(long, value_name = "SHARE", value_parser = share)]
    floor_automation: Option<f64>,
    /// Print the numbers as JSON
    #[arg(long)]
    json: bool,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| String::from("must be a share from 0 to 1, such as 0.95"))
}

pub fn simulate(args: &SimulateArgs) -> Result<()> {
    let mut recipe = args.data.recipe()?;
    let config = args.model.settings()?;
    let (dir, policy) = (config.model_dir.as_path(), &config.policy);
    let model = bundle::open(dir)
        .with_context(|| format!("the model in {} cannot be used", dir.display()))?;
    recipe.add_fields(model.fields())?;
    let Some(head) = model.head(Target::Category) else { bail!(Mismatch::NoCategory) };
    let unknown = policy.unknown_thresholds(&head.labels);
    if !unknown.is_empty() {
        bail!(Mismatch::UnknownThresholds(unknown));
    }
    let bar = Steps::new();
    let examples = labelled(&args.data, &recipe, &[dir], &bar)?.examples;
    let predictions = predict(&model, policy, &examples, bar.judging(examples.len()));
    bar.done();
    if predictions.iter().all(|p| p.truth.is_none()) {
        bail!(
            "the model has none of these tickets' categories: the wrong column, or aliases of the \
             recipe that are missing"
        );
    }
    let wanted = Wanted {
        precision: args.precision,
        min_tickets: recipe.threshold.min_tickets,
        per_day: f64::from(args.per_day),
    };
    let simulation = simulate::simulate(head, policy, &predictions, wanted);
    let mut out = stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &simulation)?;
        writeln!(out)?;
    } else {
        print(&mut out, &model, &simulation)?;
    }
    if let Some(path) = &args.write_policy {
        write_policy(path, &model, &simulation)?;
    }
    let below = below_floors(
        &simulation.in_force.outcomes.all,
        args.floor_precision,
        args.floor_automation,
    );
    if !below.is_empty() {
        let below: Vec<String> = below.iter().map(ToString::to_string).collect();
        bail!("the thresholds in force are below the floor: {}", below.join("; "));
    }
    Ok(())
}

fn print(out: &mut impl Write, model: &Model, s: &Simulation) -> io::Result<()> {
    writeln!(out, "Model {} ({}), {} tickets", model.version, model.id, s.tickets)?;
    writeln!(
        out,
        "{} of them go to a person whatever their confidence: too short, too many unknown words, \
         too close, or below policy.min_confidence",
        s.held_back
    )?;
    if s.unknown_truth > 0 {
        writeln!(
            out,
            "{} have a category that the model does not have, and cannot be right",
            s.unknown_truth
        )?;
    }
    writeln!(out, "\nOne threshold for all, at {} tickets a day", s.per_day)?;
    header(out, "threshold", 11)?;
    for swept in &s.sweep {
        line(out, &format!("{:.2}", swept.threshold), 11, "", &swept.outcomes.all)?;
    }
    writeln!(out, "\nA threshold for each category")?;
    header(out, "", 11)?;
    line(out, "in force", 11, "", &s.in_force.outcomes.all)?;
    line(out, "recommended", 11, "", &s.recommended.outcomes.all)?;
    writeln!(
        out,
        "\nRecommended for {} right answers (lower bound, 95 %). Chosen on these very tickets: on \
         others expect what the column \"at least\" says",
        percent(s.precision)
    )?;
    parts(out, &s.recommended)
}

/// The recommended thresholds by category, then what they do by language.
fn parts(out: &mut impl Write, tried: &Tried) -> io::Result<()> {
    let names = tried.thresholds.keys().map(|label| label.chars().count());
    let width = names.max().unwrap_or(0).clamp(8, 40);
    header(out, "category", width)?;
    for (label, outcome) in &tried.outcomes.classes {
        let threshold = tried.thresholds.get(label).copied().unwrap_or(NEVER);
        let threshold =
            if threshold > 1.0 { "never".to_owned() } else { format!("{threshold:.3}") };
        line(out, label, width, &threshold, outcome)?;
    }
    writeln!(out)?;
    header(out, "language", width)?;
    for (language, outcome) in &tried.outcomes.languages {
        line(out, language, width, "", outcome)?;
    }
    Ok(())
}

fn header(out: &mut impl Write, name: &str, width: usize) -> io::Result<()> {
    writeln!(
        out,
        "  {name:<width$}  {:>6}  tickets  coverage  automation  precision  at least  misroutes/day",
        "from"
    )
}

fn line(out: &mut impl Write, name: &str, width: usize, from: &str, o: &Outcome) -> io::Result<()> {
    let precision = o.precision.map_or("-".to_owned(), percent);
    let at_least = if o.decided == 0 { "-".to_owned() } else { percent(o.precision_lower) };
    writeln!(
        out,
        "  {name:<width$}  {from:>6}  {:>7}  {:>8}  {:>10}  {precision:>9}  {at_least:>8}  {:>13.2}",
        o.tickets,
        percent(o.coverage),
        percent(o.automation),
        o.misroutes_a_day
    )
}

/// The recommended thresholds as a file that `--config` takes, or that can be pasted into one.
fn write_policy(path: &Path, model: &Model, s: &Simulation) -> Result<()> {
    let shown = path.display();
    match fs::read_to_string(path) {
        Ok(text) if !text.starts_with(WRITTEN) => {
            bail!("{shown} is there and was not written by this command; choose another name")
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read {shown}")),
    }
    let all = &s.recommended.outcomes.all;
    let mut text = format!(
        "{WRITTEN} for model {}, from {} tickets:\n# {} decided without a person, {} of those \
         right or more (lower bound, 95 %).\n# 1.01 means never.\n[policy.thresholds]\n",
        model.id,
        s.tickets,
        percent(all.automation),
        percent(all.precision_lower)
    );
    text.push_str(&toml::to_string(&s.recommended.thresholds)?);
    files::replace(path, text.as_bytes()).with_context(|| format!("cannot write {shown}"))?;
    eprintln!("thresholds written to {shown}");
    Ok(())
}
