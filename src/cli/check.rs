//! `triaged check`: would the daemon start with these settings? Touches no network.

use std::io::Write as _;

use anyhow::Result;

use super::ConfigArgs;
use crate::config::LogConfig;
use crate::service;
use crate::triage::model::Target;

pub fn check(args: &ConfigArgs) -> Result<()> {
    let config = args.load()?;
    let triage = service::triage(&config)?;
    let model = triage.model();
    let categories = model.head(Target::Category).map_or(0, |head| head.labels.len());
    let queues = triage.policy().queues();
    let log = match &config.log {
        LogConfig::Kafka(kafka) => format!("kafka at {}, as {}", kafka.brokers, kafka.name),
        LogConfig::Embedded(embedded) => format!("embedded in {}", embedded.dir.display()),
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "log       {log}")?;
    writeln!(out, "inputs    {}", config.inputs.join(", "))?;
    writeln!(out, "outputs   {}", config.route.output_topics(&queues).join(", "))?;
    writeln!(out, "model     {} {}, {categories} categories", model.version, model.id.as_str())?;
    writeln!(out, "queues    {}", queues.join(", "))?;
    writeln!(out, "matrix    {}", config.policy.matrix.name)?;
    writeln!(out, "ok: every category of the model is covered by a rule")?;
    Ok(())
}
