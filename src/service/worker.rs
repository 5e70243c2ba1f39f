//! A worker: one thread with its log, which runs one stage.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::ends::Ends;
use super::kafka_settings;
use crate::config::{Config, EmbeddedConfig, LogConfig};
use crate::health::{Stop, WorkerHealth};
use crate::log::embedded::{EmbeddedLog, EmbeddedSettings, Retention};
use crate::log::kafka::{KafkaLog, KafkaSettings};
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
    /// Whether a worker of this process could not go on.
    pub failed: Arc<AtomicBool>,
}

impl Worker {
    /// Routes until a stop is requested.
    ///
    /// # Errors
    /// [`LogError::Fatal`] when the process must end.
    pub fn route(self) -> Result<(), LogError> {
        let triage = Arc::clone(&self.triage);
        let mut stage = Route::new(triage, self.config.route.clone(), Arc::clone(&self.metrics));
        self.over_log(Ends::route(&self.config, self.worker), |log| {
            self.drive(log, &mut stage, self.config.batch)
        })
    }

    /// Runs a stage until a stop is requested.
    ///
    /// # Errors
    /// [`LogError::Fatal`] when the process must end.
    pub fn drive(
        &self,
        log: &mut dyn Log,
        stage: &mut dyn Stage,
        limit: Limit,
    ) -> Result<(), LogError> {
        drive(log, stage, limit, &self.stop, &self.metrics, &self.health, self.worker)
    }

    /// Opens the configured log, does `work` over it, and closes it.
    ///
    /// # Errors
    /// [`LogError::Fatal`] if the log cannot be used or a topic is missing, and those of `work`.
    pub fn over_log(
        &self,
        ends: Ends,
        work: impl FnOnce(&mut dyn Log) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let log = self.open_log(ends);
        if let Err(LogError::Fatal(_)) = &log {
            self.failed.store(true, Ordering::Relaxed);
        }
        closing(log?, self.worker, &self.failed, work)
    }

    fn open_log(&self, ends: Ends) -> Result<Box<dyn Log>, LogError> {
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
                Box::new(KafkaLog::new(settings, metrics, health, self.worker, stop)?)
            }
            LogConfig::Embedded(embedded) => {
                let settings = embedded_settings(&self.config, embedded, ends);
                let log = EmbeddedLog::open(settings, metrics, health, self.worker, stop);
                Box::new(log.map_err(|e| LogError::Fatal(e.to_string()))?)
            }
        })
    }
}

/// Does `work` over a log and closes that, however the work ends, by a defect too: a consumer that is
/// only dropped while its group rebalances never comes back from that. Where closing hangs, the
/// process ends there, and must say that it failed if any of its workers has.
fn closing(
    mut log: Box<dyn Log>,
    worker: usize,
    failed: &AtomicBool,
    work: impl FnOnce(&mut dyn Log) -> Result<(), LogError>,
) -> Result<(), LogError> {
    let ended = catch_unwind(AssertUnwindSafe(|| work(&mut *log)));
    match &ended {
        Ok(Ok(()) | Err(LogError::Aborted(_))) => {}
        Ok(Err(error)) => {
            failed.store(true, Ordering::Relaxed);
            tracing::error!(worker, %error, "the worker cannot go on");
        }
        // The panic has said what it is.
        Err(_) => failed.store(true, Ordering::Relaxed),
    }
    log.close(i32::from(failed.load(Ordering::Relaxed)));
    match ended {
        Ok(ended) => ended,
        Err(panic) => resume_unwind(panic),
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
    use std::sync::atomic::AtomicI32;

    use super::*;
    use crate::log::{AbortReason, Batch, Outgoing, Positions};

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
        for ends in [Ends::route(&config, 0), Ends::resolve(&config, None)] {
            let group = ends.group;
            let settings = embedded_settings(&config, embedded, ends);
            let retention = settings.retention.unwrap();
            assert_eq!(Some(retention.age), embedded.retain);
            assert_eq!(retention.ages[&config.resolve.topics.ledger], None);
            assert_eq!(settings.group, format!("{}{group}", embedded.group));
        }
    }

    /// A log that notes with which exit code it was closed.
    struct Noted(Arc<AtomicI32>);

    impl Log for Noted {
        fn next(&mut self, _: Limit) -> Result<Batch, LogError> {
            Ok(Batch::default())
        }

        fn commit(
            &mut self,
            _: &Positions,
            _: &Positions,
            _: Vec<Outgoing>,
        ) -> Result<(), LogError> {
            Ok(())
        }

        fn close(self: Box<Self>, exit_code: i32) {
            self.0.store(exit_code, Ordering::Relaxed);
        }
    }

    /// How the work ended, none by a panic, and the exit code that its log was closed with.
    fn closed(
        failed: &AtomicBool,
        work: impl FnOnce() -> Result<(), LogError>,
    ) -> (Option<Result<(), LogError>>, i32) {
        let code = Arc::new(AtomicI32::new(-1));
        let log = Box::new(Noted(Arc::clone(&code)));
        let ended = catch_unwind(AssertUnwindSafe(|| closing(log, 0, failed, |_| work())));
        (ended.ok(), code.load(Ordering::Relaxed))
    }

    #[test]
    fn a_log_is_closed_however_its_worker_ends_and_knows_whether_one_has_failed() {
        let aborted = || Err(LogError::Aborted(AbortReason::Shutdown));
        let fatal = || Err(LogError::Fatal(String::from("no such topic")));
        let failed = AtomicBool::new(false);
        assert!(matches!(closed(&failed, || Ok(())), (Some(Ok(())), 0)));
        assert!(matches!(closed(&failed, aborted), (Some(Err(LogError::Aborted(_))), 0)));
        assert!(matches!(closed(&failed, fatal), (Some(Err(LogError::Fatal(_))), 1)));
        assert!(matches!(closed(&failed, || Ok(())), (Some(Ok(())), 1)), "another one has failed");
        let failed = AtomicBool::new(false);
        assert!(matches!(closed(&failed, || panic!("a defect")), (None, 1)));
        assert!(failed.into_inner());
    }
}
