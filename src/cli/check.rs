//! `triaged check`: would the daemon start with these settings? Touches no network.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;

use super::{ConfigArgs, output, playbooks};
use crate::config::{Config, ConfigError, LogConfig, Problem};
use crate::playbook::Library;
use crate::service::Ends;
use crate::triage::model::Target;
use crate::{controls, service, topics};

#[derive(Args)]
pub struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// A folder with playbooks to check, instead of the configured one
    #[arg(long, value_name = "DIR")]
    playbooks: Option<PathBuf>,
}

pub fn check(args: &CheckArgs) -> Result<()> {
    let mut config = args.config.load()?;
    kafka(&config)?;
    crate::admin::token::check(&config.control)?;
    if let Some(dir) = &args.playbooks {
        config.resolve.playbooks = Some(dir.clone());
    }
    let triage = service::triage(&config)?;
    let model = triage.model();
    let categories = model.head(Target::Category).map_or(0, |head| head.labels.len());
    let queues = triage.policy().queues();
    let library = triage.playbooks().map(|playbooks| &*playbooks.library);
    let log = match &config.log {
        LogConfig::Kafka(kafka) => format!("kafka at {}, as {}", kafka.brokers, kafka.name),
        LogConfig::Embedded(embedded) => format!("embedded in {}", embedded.dir.display()),
    };
    let (version, id) = (&model.version, model.id.as_str());
    output::print(|out| {
        writeln!(out, "log       {log}")?;
        for (name, topics) in topics_of(&config, library) {
            writeln!(out, "{name:<9} {}", topics.join(", "))?;
        }
        writeln!(out, "model     {version} {id}, {categories} categories")?;
        writeln!(out, "queues    {}", queues.join(", "))?;
        writeln!(out, "matrix    {}", config.policy.matrix.name)?;
        if let Some(library) = library {
            playbooks::standing(out, library)?;
            playbooks::warnings(out, library, &queues)?;
        }
        for mismatch in triage.playbook_mismatches() {
            writeln!(out, "warning   {mismatch}")?;
        }
        if let Some(trouble) = kill_file(&config) {
            writeln!(out, "warning   {trouble}")?;
        }
        writeln!(out, "ok: every category of the model is covered by a rule")?;
        Ok(())
    })
}

/// The topics of the stages that run, each with what it needs and once; `library` are the playbooks.
fn topics_of(config: &Config, library: Option<&Library>) -> Vec<(&'static str, Vec<String>)> {
    let of = &config.resolve.topics;
    let (mut inputs, mut outputs, mut state) = (Vec::new(), Vec::new(), Vec::new());
    for ends in Ends::all(config, library) {
        inputs.extend(ends.inputs);
        outputs.extend(ends.outputs);
        state.extend(ends.state);
    }
    // Tickets that are handed back go there, by whichever process resolves.
    let playbooks = library.into_iter().flat_map(Library::iter);
    outputs.extend(playbooks.map(|playbook| config.route.routed_topic(&playbook.fallback_queue)));
    let mut listed: BTreeSet<_> = state.iter().map(Arc::clone).collect();
    outputs.retain(|topic| listed.insert(Arc::clone(topic)));
    let needs = |topic: &Arc<str>| {
        let needs = if [&of.actions, &of.feedback].contains(&topic) {
            " (one partition)"
        } else if [&of.ledger, &of.control].contains(&topic) {
            " (one partition, compacted)"
        } else if *topic == of.outcomes {
            " (kept for undo)"
        } else {
            ""
        };
        format!("{topic}{needs}")
    };
    [("inputs", inputs), ("outputs", outputs), ("state", state)]
        .into_iter()
        .filter(|(_, topics)| !topics.is_empty())
        .map(|(name, topics)| (name, topics.iter().map(needs).collect()))
        .collect()
}

/// What is wrong with the kill file's place, where this process heeds it.
fn kill_file(config: &Config) -> Option<String> {
    let file = config.resolve.kill_file.as_ref().filter(|_| config.stages.resolve)?;
    controls::kill_file_trouble(file)
}

/// What librdkafka has against the settings as a whole; each by itself was checked with them.
fn kafka(config: &Config) -> Result<(), ConfigError> {
    let LogConfig::Kafka(kafka) = &config.log else { return Ok(()) };
    let refused = topics::settings(config, kafka).trial();
    if refused.is_empty() {
        return Ok(());
    }
    let problem = |what: String| Problem::new("kafka.properties", what);
    Err(ConfigError::Problems(refused.into_iter().map(problem).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_of_a_stage_is_listed_with_what_it_needs() {
        let listed = |route: bool, resolve: bool| {
            let mut config = Config::load(None, &[String::from("kafka.name=x")]).unwrap();
            config.stages = crate::config::Stages { route, resolve };
            config.route.actions = Some(Arc::clone(&config.resolve.topics.actions));
            let topics = topics_of(&config, None).into_iter();
            let lines = topics.map(|(name, topics)| format!("{name} {}", topics.join(", ")));
            lines.collect::<Vec<_>>()
        };
        let (actions, feedback) =
            ("tickets.actions (one partition)", "tickets.feedback (one partition)");
        let (routed, outcomes) =
            ("tickets.routed, tickets.review, tickets.dead", "tickets.outcomes (kept for undo)");
        let state = String::from(
            "state tickets.ledger (one partition, compacted), \
             tickets.control (one partition, compacted)",
        );
        assert_eq!(
            listed(true, true),
            [
                format!("inputs tickets.new, {actions}, {feedback}"),
                format!("outputs {routed}, {actions}, {outcomes}"),
                state.clone(),
            ]
        );
        assert_eq!(
            listed(true, false),
            [String::from("inputs tickets.new"), format!("outputs {routed}, {actions}")]
        );
        assert_eq!(
            listed(false, true),
            [
                format!("inputs {actions}, {feedback}"),
                format!("outputs {routed}, {outcomes}"),
                state
            ]
        );
    }

    #[test]
    fn a_kill_file_that_nobody_could_put_there_is_warned_of() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::load(None, &[String::from("kafka.name=x")]).unwrap();
        config.stages.resolve = true;
        assert_eq!(kill_file(&config), None);
        config.resolve.kill_file = Some(folder.path().join("kill"));
        assert_eq!(kill_file(&config), None);
        config.resolve.kill_file = Some(folder.path().join("none/kill"));
        let trouble = kill_file(&config).unwrap();
        assert!(trouble.contains("none/kill: the folder of the kill file is missing"), "{trouble}");
        config.stages.resolve = false;
        assert_eq!(kill_file(&config), None, "it stops nothing here");
    }

    #[test]
    fn what_the_daemon_would_refuse_is_refused_here() {
        let checked = |set: &str| {
            let sets = ["kafka.name=x", set].map(str::to_owned);
            kafka(&Config::load(None, &sets).unwrap()).map_err(|error| error.to_string())
        };
        assert_eq!(checked("kafka.brokers=nowhere.invalid:1"), Ok(()));
        let refused = checked("kafka.properties.socket.timeout.ms=60000").unwrap_err();
        assert!(refused.contains("\n  kafka.properties: `socket.timeout.ms`"), "{refused}");
        let largest = "limits.output_bytes=1000000000";
        assert_eq!(checked(largest), Ok(()));
    }
}
