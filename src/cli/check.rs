//! `triaged check`: would the daemon start with these settings? Touches no network.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::{ConfigArgs, playbooks};
use crate::config::LogConfig;
use crate::service;
use crate::triage::model::Target;

#[derive(Args)]
pub struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// A folder with playbooks to check as well
    #[arg(long, value_name = "DIR")]
    playbooks: Option<PathBuf>,
}

pub fn check(args: &CheckArgs) -> Result<()> {
    let mut config = args.config.load()?;
    let mut triage = service::triage(&config)?;
    if let Some(dir) = &args.playbooks {
        config.resolve.playbooks = Some(dir.clone());
        triage = service::with_playbooks(triage, &config)?;
    }
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
    if let Some(library) = triage.playbooks().map(|p| &p.library) {
        playbooks::standing(&mut out, library)?;
    }
    for mismatch in triage.playbook_mismatches() {
        writeln!(out, "warning   {mismatch}")?;
    }
    writeln!(out, "ok: every category of the model is covered by a rule")?;
    Ok(())
}
