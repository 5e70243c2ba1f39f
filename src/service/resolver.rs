//! The resolve stage put together: playbooks, ledger, switches, caller, and their log.

use std::sync::Arc;

use super::{ServiceError, kafka_settings};
use crate::config::{Config, LogConfig};
use crate::controls::{Controls, watch};
use crate::health::{Stop, WorkerHealth};
use crate::log::embedded::{EmbeddedFollow, EmbeddedLog, EmbeddedSettings};
use crate::log::kafka::{KafkaFollow, KafkaLog, KafkaSettings, check_one_partition};
use crate::log::{Follow, Limit, Log, LogError};
use crate::metrics::Metrics;
use crate::stage::resolve::{Resolve, ResolveSettings, Writer};
use crate::stage::runbook::breaker::BreakerState;
use crate::stage::runbook::{Caller, Observer};
use crate::triage::Triage;
use crate::triage::playbooks::Playbooks;

/// Loads the playbooks and their model, if the configuration names any.
///
/// # Errors
/// [`ServiceError`] with every problem of every file.
pub fn playbooks(config: &Config) -> Result<Option<Playbooks>, ServiceError> {
    let Some(dir) = &config.resolve.playbooks else { return Ok(None) };
    let library = crate::playbook_dir::library(dir)?;
    let forbidden = library.forbidden(&config.resolve.hosts);
    if config.stages.resolve && !forbidden.is_empty() {
        return Err(ServiceError::Playbooks(crate::playbook::Problems(forbidden).into()));
    }
    Ok(Some(Playbooks {
        library: Arc::new(library),
        requests: super::requests(config)?,
        hands_off: config.resolve.hands_off.clone(),
    }))
}

/// What a worker of the resolve stage needs.
pub struct Resolver {
    pub worker: usize,
    pub config: Config,
    pub triage: Arc<Triage>,
    pub controls: Arc<Controls>,
    pub metrics: Arc<Metrics>,
    pub health: Arc<WorkerHealth>,
    pub stop: Stop,
}

impl Resolver {
    /// Runs the stage until a stop is requested.
    ///
    /// # Errors
    /// [`LogError::Fatal`] when the process must end.
    pub fn run(self) -> Result<(), LogError> {
        let fatal = |what: String| LogError::Fatal(what);
        let Some(playbooks) = self.triage.playbooks() else { return Ok(()) };
        let observer = Arc::new(Heard(Arc::clone(&self.metrics)));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| fatal(format!("cannot start the runtime of calls: {e}")))?;
        let caller = Caller::new(self.config.resolve.calls.clone(), observer)
            .map_err(|e| fatal(format!("calls to runbooks cannot be made: {e}")))?;
        let mut log = self.log()?;
        let switches = follow(
            &self.config,
            &self.config.resolve.topics.control,
            &WorkerHealth::new(),
            &self.stop,
        )?;
        watch(Arc::clone(&self.controls), switches, Arc::clone(&self.metrics), self.stop.clone())?;
        let ledger =
            follow(&self.config, &self.config.resolve.topics.ledger, &self.health, &self.stop)?;
        let route = self.config.route.clone();
        let topics = &self.config.resolve.topics;
        let settings = ResolveSettings {
            limits: self.config.resolve.limits,
            priorities: self.config.policy.matrix.priorities.clone(),
            feedback: Arc::clone(&topics.feedback),
            default_queue: Arc::clone(&self.config.policy.default_queue),
            writer: Writer {
                outcomes: Arc::clone(&topics.outcomes),
                ledger: Arc::clone(&topics.ledger),
                dead: Arc::clone(&route.dead),
                source: route.source.clone(),
            },
            routed: Box::new(move |queue| route.routed_topic(queue)),
        };
        let mut stage = Resolve::new(
            settings,
            Arc::clone(&playbooks.library),
            caller,
            runtime,
            self.controls,
            ledger,
            Arc::clone(&self.metrics),
            Arc::clone(&self.health),
            self.stop.clone(),
        );
        let limits = Limit { records: self.config.resolve.batch, ..self.config.batch };
        let driven = crate::stage::drive::drive(
            &mut *log,
            &mut stage,
            limits,
            &self.stop,
            &self.metrics,
            &self.health,
            self.worker,
        );
        log.close();
        driven
    }

    fn log(&self) -> Result<Box<dyn Log>, LogError> {
        let topics = &self.config.resolve.topics;
        let inputs = vec![Arc::clone(&topics.actions), Arc::clone(&topics.feedback)];
        let mut outputs = self.config.route.output_topics(&self.queues());
        outputs.retain(|topic| *topic != topics.actions);
        outputs.extend([Arc::clone(&topics.outcomes), Arc::clone(&topics.ledger)]);
        let metrics = Arc::clone(&self.metrics);
        let (health, stop) = (Arc::clone(&self.health), self.stop.clone());
        Ok(match &self.config.log {
            LogConfig::Kafka(kafka) => {
                let base = kafka_settings(kafka, self.worker);
                let settings = KafkaSettings {
                    inputs,
                    outputs,
                    message_max_bytes: self.config.route.max_output_bytes,
                    group: group(&base.group),
                    name: format!("{}-resolve", kafka.name),
                    ..base
                };
                check_one_partition(&settings, &topics.actions)?;
                Box::new(KafkaLog::new(settings, metrics, health, self.worker, stop)?)
            }
            LogConfig::Embedded(embedded) => {
                let settings = EmbeddedSettings {
                    dir: embedded.dir.clone(),
                    group: group(&embedded.group),
                    inputs,
                    outputs,
                    retention: None,
                };
                let log = EmbeddedLog::open(settings, metrics, health, self.worker, stop);
                Box::new(log.map_err(|e| LogError::Fatal(e.to_string()))?)
            }
        })
    }

    /// Every queue that a ticket can be handed back to.
    fn queues(&self) -> Vec<String> {
        let mut queues = self.triage.policy().queues();
        let playbooks = self.triage.playbooks().into_iter().flat_map(|p| p.library.iter());
        queues.extend(playbooks.map(|p| p.fallback_queue.clone()));
        queues.sort();
        queues.dedup();
        queues
    }
}

/// The consumer group of the resolve stage.
fn group(group: &str) -> String {
    format!("{group}-resolve")
}

/// A reader of one of the topics that hold state.
///
/// # Errors
/// [`LogError::Fatal`] if the topic cannot be read or has more than one partition.
pub fn follow(
    config: &Config,
    topic: &Arc<str>,
    health: &Arc<WorkerHealth>,
    stop: &Stop,
) -> Result<Box<dyn Follow>, LogError> {
    Ok(match &config.log {
        LogConfig::Kafka(kafka) => {
            let settings = kafka_settings(kafka, 0);
            Box::new(KafkaFollow::open(&settings, topic, Arc::clone(health), stop.clone())?)
        }
        LogConfig::Embedded(embedded) => {
            let follow = EmbeddedFollow::open(&embedded.dir, topic, stop.clone());
            Box::new(follow.map_err(|e| LogError::Fatal(e.to_string()))?)
        }
    })
}

/// What the caller tells, as metrics.
struct Heard(Arc<Metrics>);

impl Observer for Heard {
    fn called(&self, host: &str, outcome: &'static str, seconds: f64) {
        self.0.resolve.calls.with_label_values(&[host, outcome]).inc();
        self.0.resolve.call_seconds.with_label_values(&[host]).observe(seconds);
    }

    fn retried(&self, _: &str) {
        self.0.resolve.retries.inc();
    }

    fn breaker(&self, host: &str, state: BreakerState) {
        let value = match state {
            BreakerState::Closed => 0,
            BreakerState::HalfOpen => 1,
            BreakerState::Open => 2,
        };
        self.0.resolve.breaker.with_label_values(&[host]).set(value);
    }
}
