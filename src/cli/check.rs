//! `triaged check`: would the daemon start with these settings? Touches no network.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::{ConfigArgs, playbooks};
use crate::config::{Config, ConfigError, LogConfig, Problem};
use crate::playbook::Problems;
use crate::triage::model::Target;
use crate::{service, topics};

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
    let mut written = queues.clone();
    if let Some(library) = library {
        let unnameable = library.unnameable_queues();
        if config.route.topic_per_queue && !unnameable.is_empty() {
            return Err(Problems(unnameable).into());
        }
        // Tickets that are handed back go there, by the resolve stage.
        written.extend(library.iter().map(|playbook| playbook.fallback_queue.clone()));
        written.sort();
        written.dedup();
    }
    let log = match &config.log {
        LogConfig::Kafka(kafka) => format!("kafka at {}, as {}", kafka.brokers, kafka.name),
        LogConfig::Embedded(embedded) => format!("embedded in {}", embedded.dir.display()),
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "log       {log}")?;
    writeln!(out, "inputs    {}", config.inputs.join(", "))?;
    writeln!(out, "outputs   {}", config.route.output_topics(&written).join(", "))?;
    writeln!(out, "model     {} {}, {categories} categories", model.version, model.id.as_str())?;
    writeln!(out, "queues    {}", queues.join(", "))?;
    writeln!(out, "matrix    {}", config.policy.matrix.name)?;
    if let Some(library) = library {
        playbooks::standing(&mut out, library)?;
        playbooks::warnings(&mut out, library, &queues)?;
    }
    for mismatch in triage.playbook_mismatches() {
        writeln!(out, "warning   {mismatch}")?;
    }
    writeln!(out, "ok: every category of the model is covered by a rule")?;
    Ok(())
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
