//! The command line: what each command takes, and which file does it.

mod check;
mod classify;
mod compare;
mod demo;
mod explain;
mod logging;
mod model;
mod output;
mod playbooks;
mod progress;
mod run;
mod schema;
mod show;
mod simulate;
mod switch;
mod topics;
mod undo;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::config::Config;
use crate::service::{self, ServiceError};
use crate::triage::policy::Route;
use crate::triage::{Mismatch, Triage};

/// Ticket triage for service desks: Kafka in, a trained model, Kafka out, exactly once.
#[derive(Parser)]
#[command(name = "triaged", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the daemon: reads tickets, decides, writes decisions, until it is told to stop
    Run(ConfigArgs),
    /// Routes sample tickets on an embedded log, then resolves some by playbooks; needs no broker
    Demo(demo::DemoArgs),
    /// Writes each line of a file as a record to a topic of the configured log
    Put(topics::PutArgs),
    /// Prints the records of a topic of the configured log as JSON lines
    Tail(topics::TailArgs),
    /// Reads tickets as JSON lines and writes decisions as JSON lines
    Classify(classify::ClassifyArgs),
    /// Shows one ticket's decision with every word's weight
    Explain(explain::ExplainArgs),
    /// Checks the configuration, the model and how they fit; touches no network
    Check(check::CheckArgs),
    /// Tries playbooks against their examples and counter-examples; calls nothing
    Test(playbooks::TestArgs),
    /// Approves a playbook until a day, if its examples pass
    Approve(playbooks::ApproveArgs),
    /// Trains a model from labelled tickets
    Train(model::TrainArgs),
    /// Measures a model on labelled tickets
    Evaluate(model::EvaluateArgs),
    /// Shows what thresholds would have done with labelled tickets, and recommends some
    Simulate(simulate::SimulateArgs),
    /// What can be done with models that are there
    #[command(subcommand)]
    Model(ModelCommand),
    /// Orders that what playbooks did be taken back
    Undo(undo::UndoArgs),
    /// Stops all playbooks on all instances, within a second
    Kill(switch::SwitchArgs),
    /// Lets playbooks be carried out again after `kill`
    Resume(switch::SwitchArgs),
    /// Switches one playbook off or on, on all instances, within a second
    Playbook(switch::PlaybookArgs),
    /// Prints the JSON Schema of a contract: tickets, decisions, outcomes or tickets that came back
    Schema(schema::SchemaArgs),
}

#[derive(Subcommand)]
enum ModelCommand {
    /// Says whether a new model may replace an old one, on the same labelled tickets
    Compare(compare::CompareArgs),
}

/// Where the settings come from.
#[derive(Args, Clone)]
pub struct ConfigArgs {
    /// The configuration file; without one the built-in defaults count
    #[arg(long, value_name = "FILE", env = "TRIAGED_CONFIG")]
    config: Option<PathBuf>,
    /// Sets one value, after the file and the environment: --set kafka.workers=2
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
}

impl ConfigArgs {
    fn load(&self) -> Result<Config> {
        Ok(Config::load(self.config.as_deref(), &self.sets)?)
    }

    /// The same for a command that only reads or writes records: what calls need, such as the files
    /// of credentials, need not be on the machine that a person sits at.
    fn load_for_records(&self) -> Result<Config> {
        let sets = [&self.sets[..], &[String::from("stages.run=route")]].concat();
        Ok(Config::load(self.config.as_deref(), &sets)?)
    }
}

/// Who gives an order.
#[derive(Args)]
struct By {
    /// Who orders it, for the record
    #[arg(long = "by", value_name = "NAME", env = "USER", default_value = "command line")]
    name: String,
}

/// Settings, and a model that may be another one than theirs.
#[derive(Args)]
struct ModelArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The model's bundle; without it the one in the configuration (the shipped one learnt from synthetic tickets)
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
}

impl ModelArgs {
    /// The settings, with the directory of the model that is meant.
    fn settings(&self) -> Result<Config> {
        let mut config = self.config.load()?;
        if let Some(model) = &self.model {
            config.model_dir.clone_from(model);
        }
        Ok(config)
    }

    /// The settings, and what decides by them. A model that is named without a configuration is
    /// looked at by itself: where the built-in rules are made for other categories, all of its own
    /// go to the default queue.
    fn load(&self) -> Result<(Config, Triage)> {
        let mut config = self.settings()?;
        let alone = self.model.is_some() && self.config.config.is_none();
        let triage = match service::triage(&config) {
            Err(ServiceError::Mismatch(found))
                if alone && found.iter().all(Mismatch::is_of_routes) =>
            {
                let queue = Arc::clone(&config.policy.default_queue);
                output::note(format_args!(
                    "note: the built-in [[policy.routes]] are for other categories, so everything goes to \
                     the queue {queue}; --config names rules of your own"
                ));
                config.policy.routes = vec![Route::any(queue)];
                service::triage(&config)?
            }
            // Its rules are not why it cannot be asked.
            Err(ServiceError::Mismatch(mut found)) if alone => {
                found.retain(|mismatch| !mismatch.is_of_routes());
                return Err(ServiceError::Mismatch(found).into());
            }
            other => other?,
        };
        Ok((config, triage))
    }
}

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Demo(args) => output::unless_closed(demo::demo(&args)),
        Command::Put(args) => topics::put(&args),
        Command::Tail(args) => topics::tail(&args),
        Command::Classify(args) => classify::classify(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Check(args) => check::check(&args),
        Command::Test(args) => playbooks::test(&args),
        Command::Approve(args) => playbooks::approve(&args),
        Command::Train(args) => model::train(&args),
        Command::Evaluate(args) => model::evaluate(&args),
        Command::Simulate(args) => simulate::simulate(&args),
        Command::Model(ModelCommand::Compare(args)) => compare::compare(&args),
        Command::Undo(args) => undo::undo(&args),
        Command::Kill(args) => switch::kill(&args),
        Command::Resume(args) => switch::resume(&args),
        Command::Playbook(args) => switch::playbook(&args),
        Command::Schema(args) => schema::schema(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::note(format_args!("triaged: {}", told(&error)));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes, each said once: many an error has its cause in its own message.
fn told(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if told.contains(&cause) {
            continue;
        }
        if !told.is_empty() {
            told.push_str(": ");
        }
        told.push_str(&cause);
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let io = || std::io::Error::other("no space left");
        let apart = anyhow::Error::new(io()).context("cannot write a.toml");
        assert_eq!(told(&apart), "cannot write a.toml: no space left");
        let within =
            anyhow::Error::new(io()).context("cannot write a.toml: no space left; make room");
        assert_eq!(told(&within), "cannot write a.toml: no space left; make room");
    }
}
