//! `triaged simulate`: what thresholds would have done with tickets whose category is known.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use super::model::{DataArgs, Seen, labelled};
use super::progress::Steps;
use super::{ModelArgs, output};
use crate::bundle;
use crate::train::audit::render::toml_string;
use crate::train::calibrate::NEVER;
use crate::train::render::{copies, one_line, percent};
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
    /// Recommend one threshold for all categories together, instead of one for each
    #[arg(long)]
    one_threshold: bool,
    /// Write the recommended thresholds as a configuration file
    #[arg(long, value_name = "FILE")]
    write_policy: Option<PathBuf>,
    /// Fail if with the thresholds in force fewer of the tickets decided alone are right, or none is
    /// decided alone and --floor-automation is not given
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
    let (data, seen) = labelled(&args.data, &recipe, &[dir], &bar)?;
    let examples = data.examples;
    let predictions = predict(&model, policy, &examples, bar.judging(examples.len()));
    bar.done();
    if predictions.iter().all(|p| p.truth.is_none()) {
        bail!(
            "the model has none of these tickets' categories: the wrong column, or aliases of the \
             recipe that are missing"
        );
    }
    refuse_seen(args, &seen)?;
    let wanted = Wanted {
        precision: args.precision,
        min_tickets: recipe.threshold.min_tickets,
        per_day: f64::from(args.per_day),
        one_threshold: args.one_threshold,
    };
    let simulation = simulate::simulate(head, policy, &predictions, wanted);
    output::json_or(args.json, &simulation, |out| print(out, &model, &simulation))?;
    if let Some(path) = &args.write_policy {
        write_policy(path, &model, &simulation, &seen)?;
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

/// What a model was trained on shows nothing of other tickets: no gate and no setting may rest on it.
fn refuse_seen(args: &SimulateArgs, seen: &[Seen]) -> Result<()> {
    let asked = args.write_policy.is_some()
        || args.floor_precision.is_some()
        || args.floor_automation.is_some();
    match seen.iter().find(|seen| seen.certain) {
        Some(seen) if asked => bail!(
            "{}: --write-policy and floors need tickets that it has not seen",
            one_line(&seen.says)
        ),
        _ => Ok(()),
    }
}

fn print(out: &mut impl Write, model: &Model, s: &Simulation) -> io::Result<()> {
    writeln!(out, "Model {} ({}), {} tickets", one_line(&model.version), model.id, s.tickets)?;
    if s.copies > 0 {
        writeln!(out, "{}", copies(s.copies))?;
    }
    writeln!(
        out,
        "{} of them go to a person whatever their confidence: too short, too many unknown words, \
         out of scope, too close, or below policy.min_confidence",
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
    let one = s.recommended.thresholds.values().next().filter(|_| s.one_threshold);
    let what = one.map_or("A threshold for each category", |_| "In force, and one for all");
    writeln!(out, "\n{what}")?;
    header(out, "", 11)?;
    line(out, "in force", 11, "", &s.in_force.outcomes.all)?;
    let threshold = one.map_or(String::new(), |one| from(*one));
    line(out, "recommended", 11, &threshold, &s.recommended.outcomes.all)?;
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
        line(out, label, width, &from(threshold), outcome)?;
    }
    writeln!(out)?;
    header(out, "language", width)?;
    for (language, outcome) in &tried.outcomes.languages {
        line(out, language, width, "", outcome)?;
    }
    Ok(())
}

/// The confidence from which on a category is decided alone.
fn from(threshold: f64) -> String {
    if threshold > 1.0 { "never".to_owned() } else { format!("{threshold:.3}") }
}

fn header(out: &mut impl Write, name: &str, width: usize) -> io::Result<()> {
    writeln!(
        out,
        "  {name:<width$}  {:>6}  tickets  coverage  automation  precision  at least  misroutes/day",
        "from"
    )
}

fn line(out: &mut impl Write, name: &str, width: usize, from: &str, o: &Outcome) -> io::Result<()> {
    let name = one_line(name);
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
fn write_policy(path: &Path, model: &Model, s: &Simulation, seen: &[Seen]) -> Result<()> {
    let ours = |there: Option<&[u8]>| there.is_some_and(|t| t.starts_with(WRITTEN.as_bytes()));
    output::replace(path, &policy_file(model, s, seen), ours, "was not written by this command")?;
    output::note(format_args!("thresholds written to {}", path.display()));
    Ok(())
}

/// What [`write_policy`] writes. Whoever opens it later has not seen what was told meanwhile.
fn policy_file(model: &Model, s: &Simulation, seen: &[Seen]) -> String {
    let all = &s.recommended.outcomes.all;
    let mut text = format!(
        "{WRITTEN} for model {}, from {} tickets:\n# {} decided without a person, {} of those \
         right or more (lower bound, 95 %).\n# 1.01 means never.\n",
        model.id,
        s.tickets,
        percent(all.automation),
        percent(all.precision_lower)
    );
    if s.one_threshold {
        text.push_str("# One threshold for all categories together.\n");
    }
    if s.copies > 0 {
        text.push_str(&format!("# {}.\n", copies(s.copies)));
    }
    for seen in seen {
        text.push_str(&format!("# Careful: {}.\n", one_line(&seen.says)));
    }
    text.push_str("[policy.thresholds]\n");
    for (label, threshold) in &s.recommended.thresholds {
        // As `Debug` has it, a number is read back to the last digit.
        text.push_str(&format!("{} = {threshold:?}\n", toml_string(label)));
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::bundle::tests::bundle;
    use crate::config::Config;
    use crate::train::simulate::Prediction;
    use crate::triage::text::language::Language;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: SimulateArgs,
    }

    fn args(more: &[&str]) -> SimulateArgs {
        Line::parse_from([&["simulate", "--data", "x.jsonl"][..], more].concat()).args
    }

    fn seen(certain: bool) -> Vec<Seen> {
        vec![Seen { model: 0, certain, says: "the model was\ntrained on them".to_owned() }]
    }

    #[test]
    fn what_a_model_was_trained_on_carries_no_gate_and_no_setting() {
        for gate in ["--floor-precision=0.9", "--floor-automation=0", "--write-policy=p.toml"] {
            let refused = refuse_seen(&args(&[gate]), &seen(true)).unwrap_err().to_string();
            assert!(refused.contains("the model was trained on them"), "{refused}");
            assert!(refuse_seen(&args(&[gate]), &seen(false)).is_ok());
            assert!(refuse_seen(&args(&[gate]), &[]).is_ok());
        }
        assert!(
            refuse_seen(&args(&[]), &seen(true)).is_ok(),
            "it is told, and nothing rests on it"
        );
        for wrong in ["NaN", "inf", "-0.1", "95"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_written_policy_says_what_it_may_rest_on() {
        let model = bundle().model().unwrap();
        let head = model.head(Target::Category).unwrap();
        let policy = |file: Option<&str>| {
            let none: [(String, String); 0] = [];
            Config::from_layers(file, none, &[]).unwrap().policy
        };
        let prediction = Prediction {
            truth: Some(0),
            answer: 0,
            confidence: 0.9,
            held_back: false,
            language: Language::En,
            copy: false,
        };
        let wanted = Wanted { precision: 0.9, min_tickets: 1, per_day: 1.0, one_threshold: false };
        let mut simulation = simulate::simulate(head, &policy(None), &[prediction], wanted);
        let text = policy_file(&model, &simulation, &seen(false));
        assert!(text.starts_with(WRITTEN), "{text}");
        assert!(text.contains("# Careful: the model was trained on them.\n[policy.thresholds]"));
        assert!(toml::from_str::<toml::Table>(&text).is_ok(), "{text}");
        assert!(!policy_file(&model, &simulation, &[]).contains("Careful"));
        let mut printed = Vec::new();
        let outcome = &simulation.in_force.outcomes.all;
        line(&mut printed, "a\u{1b}[31m\nb", 9, "", outcome).unwrap();
        let printed = String::from_utf8(printed).unwrap();
        assert_eq!((printed.lines().count(), printed.contains('\u{1b}')), (1, false), "{printed}");

        // Whoever reads the file sees what a label is, and the program reads the same label.
        let hostile = "권한/a\u{202e}b\u{7}\u{200b}\u{2028}\n\"c\\'\u{e0041}";
        let thresholds = &mut simulation.recommended.thresholds;
        *thresholds = [(hostile, 1.01), ("plain", 0.1 + 0.2), ("b", 1e-7)]
            .map(|(label, threshold)| (label.to_owned(), threshold))
            .into();
        let text = policy_file(&model, &simulation, &[]);
        let shown = r#""권한/a\u202eb\u0007\u200b\u2028\u000a\"c\\'\U000e0041" = 1.01"#;
        assert!(text.lines().any(|line| line == shown), "{text}");
        assert_eq!(policy(Some(&text)).thresholds, simulation.recommended.thresholds);
    }
}
