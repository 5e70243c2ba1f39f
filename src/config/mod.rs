//! Settings: the layers as written ([`layers`]) become checked values ([`check`]). Every problem is
//! found at once and named by its path: what does not fit ([`fit`]) is left out, and the rest is
//! checked all the same. Secrets come from the environment or files and are never printed.

mod check;
mod fit;
mod layers;
mod matrix;
mod resolve;
mod secret;
mod values;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use layers::{DEFAULT, Problem};
pub use resolve::{ControlConfig, ResolveConfig, Stages};
pub use secret::Secret;
use serde::Deserialize;

use crate::log::Limit;
use crate::stage::route::RouteSettings;
use crate::triage::policy::Policy;

/// Checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    pub stages: Stages,
    pub log: LogConfig,
    pub inputs: Vec<std::sync::Arc<str>>,
    pub route: RouteSettings,
    pub batch: Limit,
    pub model_dir: PathBuf,
    pub policy: Policy,
    pub resolve: ResolveConfig,
    pub control: ControlConfig,
    pub admin: AdminConfig,
    /// How long an open batch may take to finish after a request to stop.
    pub grace: Duration,
    pub logging: LoggingConfig,
}

/// Which log, and what it needs.
#[derive(Clone, Debug)]
pub enum LogConfig {
    Kafka(KafkaConfig),
    Embedded(EmbeddedConfig),
}

/// The Kafka log's settings.
#[derive(Clone, Debug)]
pub struct KafkaConfig {
    pub brokers: String,
    pub group: String,
    /// `<group>-<instance>`; a worker's stable name is this and its number.
    pub name: String,
    pub workers: usize,
    pub session_timeout: Duration,
    pub max_poll_interval: Duration,
    pub transaction_timeout: Duration,
    pub compression: String,
    /// The user's librdkafka properties, secrets included.
    pub properties: BTreeMap<String, Secret>,
}

/// The embedded log's settings.
#[derive(Clone, Debug)]
pub struct EmbeddedConfig {
    pub dir: PathBuf,
    pub group: String,
    pub retain: Option<Duration>,
}

/// Where and how health is shown.
#[derive(Clone, Debug)]
pub struct AdminConfig {
    pub listen: SocketAddr,
    pub stuck_after: Duration,
    pub stalled_after: Duration,
}

/// What is logged, and how.
#[derive(Clone, Debug)]
pub struct LoggingConfig {
    pub format: LogFormat,
    pub level: String,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    Json,
    Text,
}

/// Settings that cannot be used, all of them at once.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("the configuration has {} problem{}:\n{}", .0.len(), if .0.len() == 1 { "" } else { "s" }, list(.0))]
    Problems(Vec<Problem>),
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(|p| format!("  {p}")).collect::<Vec<_>>().join("\n")
}

impl Config {
    /// Loads the layers: reference, `file`, the process' environment, `sets` (`path=value`).
    ///
    /// # Errors
    /// [`ConfigError`] with every problem.
    pub fn load(file: Option<&Path>, sets: &[String]) -> Result<Self, ConfigError> {
        let text = match file {
            Some(path) => Some(
                std::fs::read_to_string(path)
                    .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?,
            ),
            None => None,
        };
        let env = std::env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        Self::from_layers(text.as_deref(), env, sets)
    }

    /// The same from texts: what [`Config::load`] does once it has read the world.
    ///
    /// # Errors
    /// [`ConfigError::Problems`] with every problem.
    pub fn from_layers(
        file: Option<&str>,
        env: impl IntoIterator<Item = (String, String)>,
        sets: &[String],
    ) -> Result<Self, ConfigError> {
        let (merged, mut problems) = layers::merge(file, env, sets);
        match merged.map(checked) {
            Some(Ok(config)) if problems.is_empty() => return Ok(config),
            Some(Ok(_)) | None => {}
            Some(Err(mut found)) => {
                found.retain(|found| !problems.iter().any(|cause| fit::follows(found, cause)));
                problems.extend(found);
            }
        }
        Err(ConfigError::Problems(problems))
    }
}

fn checked(merged: toml::Table) -> Result<Config, Vec<Problem>> {
    let written: AsWritten = merged.try_into().map_err(|e: toml::de::Error| {
        // The layers fit the reference, so this is a defect here; better a hint than none.
        vec![Problem::new("(configuration)", e.message())]
    })?;
    check::check(written)
}

/// The configuration as it is written, after merging.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AsWritten {
    stages: resolve::StagesSection,
    log: LogSection,
    kafka: KafkaSection,
    embedded: EmbeddedSection,
    topics: TopicsSection,
    output: OutputSection,
    batch: BatchSection,
    limits: LimitsSection,
    model: ModelSection,
    policy: PolicySection,
    priority: PrioritySection,
    resolve: resolve::ResolveSection,
    control: resolve::ControlSection,
    admin: AdminSection,
    shutdown: ShutdownSection,
    logging: LoggingSection,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogSection {
    kind: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KafkaSection {
    brokers: String,
    group: String,
    name: String,
    workers: i64,
    session_timeout_ms: i64,
    max_poll_interval_ms: i64,
    transaction_timeout_ms: i64,
    compression: String,
    properties: BTreeMap<String, toml::Value>,
    secrets: BTreeMap<String, toml::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmbeddedSection {
    dir: PathBuf,
    retain_days: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TopicsSection {
    input: Vec<String>,
    routed: String,
    per_queue: bool,
    review: String,
    dead: String,
    actions: String,
    outcomes: String,
    ledger: String,
    control: String,
    feedback: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutputSection {
    mode: String,
    source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchSection {
    records: i64,
    bytes: i64,
    linger_ms: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsSection {
    input_bytes: i64,
    output_bytes: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelSection {
    dir: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicySection {
    version: String,
    default_queue: String,
    min_confidence: f64,
    thresholds: BTreeMap<String, toml::Value>,
    min_margin: f64,
    min_known_words: i64,
    max_unknown_share: f64,
    routes: Vec<RouteSection>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteSection {
    #[serde(default)]
    category: Vec<String>,
    #[serde(default)]
    priority: Vec<String>,
    #[serde(default)]
    source: Vec<String>,
    #[serde(default)]
    language: Vec<String>,
    queue: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PrioritySection {
    matrix: String,
    matrices: BTreeMap<String, MatrixSection>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MatrixSection {
    impacts: Vec<String>,
    urgencies: Vec<String>,
    priorities: Vec<String>,
    rows: Vec<Vec<String>>,
    default_impact: String,
    default_urgency: String,
    #[serde(default)]
    impact_aliases: BTreeMap<String, String>,
    #[serde(default)]
    urgency_aliases: BTreeMap<String, String>,
    #[serde(default)]
    priority_aliases: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdminSection {
    listen: String,
    stuck_after_ms: i64,
    stalled_after_ms: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShutdownSection {
    grace_ms: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoggingSection {
    format: String,
    level: String,
}

#[cfg(test)]
mod tests;
