//! A worker: one thread with its log, which runs one stage.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::kafka_settings;
use crate::config::{Config, EmbeddedConfig, LogConfig};
use crate::health::{Stop, WorkerHealth};
use crate::log::embedded::{EmbeddedLog, EmbeddedSettings, Retention};
use crate::log::kafka::{KafkaLog, KafkaSettings, check_one_partition};
use crate::log::{Limit, Log, LogError};
use crate::metrics::Metrics;
use crate::stage::Stage;
use crate::stage::drive::drive;
use crate::stage::route::Route;
use crate::triage::Triage;

/// What one worker thread needs.
pub struct Worker {
    pub worker: usize,
    pub config: Config,
    pub triage: Arc<Triage>,
    pub metrics: Arc<Metrics>,
    pub health: Arc<WorkerHealth>,
    pub stop: Stop,
}

/// Where a worker's stage reads and writes.
pub struct Ends {
    pub inputs: Vec<Arc<str>>,
    pub outputs: Vec<Arc<str>>,
    /// What is added to the consumer group's name.
    pub group: &'static str,
    /// What is added to the process' name.
    pub name: String,
    /// An input that must have one partition only.
    pub single: Option<Arc<str>>,
}

impl Worker {
    /// Routes until a stop is requested.
    ///
    /// # Errors
    /// [`LogError::Fatal`] when the process must end.
    pub fn route(self) -> Result<(), LogError> {
        let log = self.open_log(Ends {
            inputs: self.config.inputs.clone(),
            outputs: self.config.route.output_topics(&self.triage.policy().queues()),
            group: "",
            name: format!("-{}", self.worker),
            single: None,
        })?;
        let triage = Arc::clone(&self.triage);
        let stage = Route::new(triage, self.config.route.clone(), Arc::clone(&self.metrics));
        self.drive(log, stage, self.config.batch)
    }

    /// Runs a stage until a stop is requested.
    ///
    /// # Errors
    /// [`LogError::Fatal`] when the process must end.
    pub fn drive(
        &self,
        mut log: Box<dyn Log>,
        mut stage: impl Stage,
        limit: Limit,
    ) -> Result<(), LogError> {
        let Self { worker, metrics, health, stop, .. } = self;
        let driven = drive(&mut *log, &mut stage, limit, stop, metrics, health, *worker);
        match &driven {
            Ok(()) => log.close(0),
            Err(error) => self.give_up(log, error),
        }
        driven
    }

    /// Closes the log of a worker that cannot go on.
    pub fn give_up(&self, log: Box<dyn Log>, error: &LogError) {
        let fatal = matches!(error, LogError::Fatal(_));
        if fatal {
            // Now: closing may hang, and then the process ends there.
            tracing::error!(worker = self.worker, %error, "the worker cannot go on");
        }
        log.close(i32::from(fatal));
    }

    /// Opens the configured log.
    ///
    /// # Errors
    /// [`LogError::Fatal`] if it cannot be used, or a topic is missing.
    pub fn open_log(&self, ends: Ends) -> Result<Box<dyn Log>, LogError> {
        let (metrics, health) = (Arc::clone(&self.metrics), Arc::clone(&self.health));
        let stop = self.stop.clone();
        Ok(match &self.config.log {
            LogConfig::Kafka(kafka) => {
                let settings = KafkaSettings {
                    inputs: ends.inputs,
                    outputs: ends.outputs,
                    message_max_bytes: self.config.route.max_output_bytes,
                    group: kafka.group.clone() + ends.group,
                    name: kafka.name.clone() + &ends.name,
                    ..kafka_settings(kafka, self.worker)
                };
                // Brokers that are away are waited for here, and only here.
                let log = KafkaLog::new(settings.clone(), metrics, health, self.worker, stop)?;
                let log: Box<dyn Log> = Box::new(log);
                if let Some(topic) = &ends.single
                    && let Err(error) = check_one_partition(&settings, topic)
                {
                    self.give_up(log, &error);
                    return Err(error);
                }
                log
            }
            LogConfig::Embedded(embedded) => {
                let settings = embedded_settings(&self.config, embedded, ends);
                let log = EmbeddedLog::open(settings, metrics, health, self.worker, stop);
                Box::new(log.map_err(|e| LogError::Fatal(e.to_string()))?)
            }
        })
    }
}

/// Whatever a process runs, it keeps the file from growing for ever.
fn embedded_settings(config: &Config, embedded: &EmbeddedConfig, ends: Ends) -> EmbeddedSettings {
    EmbeddedSettings {
        dir: embedded.dir.clone(),
        group: embedded.group.clone() + ends.group,
        inputs: ends.inputs,
        outputs: ends.outputs,
        retention: embedded.retain.map(|age| Retention { age, ages: ages(config, age) }),
    }
}

/// Topics that are kept for another time than `age`: what state is built from for ever, and outcomes
/// for as long as an undo may ask for them.
fn ages(config: &Config, age: Duration) -> BTreeMap<Arc<str>, Option<Duration>> {
    let topics = &config.resolve.topics;
    let remembered = config.resolve.limits.remember_ms;
    let remembered = remembered.map(|ms| Duration::from_millis(ms.unsigned_abs()).max(age));
    let ages = [(&topics.ledger, None), (&topics.control, None), (&topics.outcomes, remembered)];
    ages.map(|(topic, age)| (Arc::clone(topic), age)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(more: &[&str]) -> Config {
        let sets = ["log.kind=embedded", "stages.run=resolve", "resolve.playbooks=p"];
        let sets: Vec<String> = sets.iter().chain(more).map(|set| (*set).to_owned()).collect();
        Config::load(None, &sets).unwrap()
    }

    #[test]
    fn outcomes_are_kept_for_as_long_as_tickets_are_remembered() {
        let days = |n: u64| Some(Duration::from_secs(n * 86_400));
        let age = Duration::from_secs(30 * 86_400);
        for (remember, kept) in [
            ("resolve.remember_days=90", days(90)),
            ("resolve.remember_days=7", Some(age)),
            ("resolve.remember_days=0", None),
        ] {
            let config = load(&[remember]);
            assert_eq!(ages(&config, age)[&config.resolve.topics.outcomes], kept, "{remember}");
        }
    }

    #[test]
    fn a_process_that_only_resolves_lets_old_records_go_and_keeps_the_ledger() {
        let config = load(&[]);
        let LogConfig::Embedded(embedded) = &config.log else { panic!("not embedded") };
        for group in ["", "-resolve"] {
            let (inputs, outputs) = (config.inputs.clone(), Vec::new());
            let ends = Ends { inputs, outputs, group, name: String::new(), single: None };
            let settings = embedded_settings(&config, embedded, ends);
            let retention = settings.retention.unwrap();
            assert_eq!(Some(retention.age), embedded.retain);
            assert_eq!(retention.ages[&config.resolve.topics.ledger], None);
            assert_eq!(settings.group, format!("{}{group}", embedded.group));
        }
    }
}
