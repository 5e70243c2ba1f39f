//! The resolve stage put together: playbooks, ledger, switches, caller, and their log.

use std::sync::Arc;

use super::ends::Ends;
use super::worker::Worker;
use super::{ServiceError, kafka_settings};
use crate::config::{Config, LogConfig};
use crate::controls::{Controls, watch};
use crate::health::{Stop, WorkerHealth};
use crate::log::embedded::EmbeddedFollow;
use crate::log::kafka::{KafkaFollow, Keeps, RetentionError, check_one_partition, check_retention};
use crate::log::{Follow, Limit, LogError};
use crate::metrics::Metrics;
use crate::stage::resolve::{Parts, Resolve, ResolveSettings, Writer};
use crate::stage::runbook::breaker::BreakerState;
use crate::stage::runbook::{Caller, Observer};
use crate::triage::Mismatch;
use crate::triage::playbooks::Playbooks;

/// Loads the playbooks and their model, if the configuration names any.
///
/// # Errors
/// [`ServiceError`] with every problem of every file.
pub fn playbooks(config: &Config) -> Result<Option<Playbooks>, ServiceError> {
    let Some(dir) = &config.resolve.playbooks else { return Ok(None) };
    let library = crate::playbook_dir::library(dir)?;
    let mut problems = Vec::new();
    if config.stages.resolve {
        let credentials = &config.resolve.credential_hosts;
        problems.extend(library.forbidden(&config.resolve.hosts, credentials));
    }
    if config.route.topic_per_queue {
        problems.extend(library.unnameable_queues());
    }
    if !problems.is_empty() {
        return Err(ServiceError::Playbooks(crate::playbook::Problems(problems).into()));
    }
    Ok(Some(Playbooks {
        library: Arc::new(library),
        requests: super::requests(config)?,
        hands_off: config.resolve.hands_off.clone(),
    }))
}

/// Whether a mismatch keeps the service from starting. Security categories that nobody chose fit
/// the model that ships; another one need not have them.
pub fn is_fatal(mismatch: &Mismatch, config: &Config) -> bool {
    let chosen = || {
        let none = std::iter::empty::<(String, String)>();
        // The reference takes its name from the host, which may have none.
        let reference = Config::from_layers(None, none, &[String::from("kafka.name=any")]);
        let categories = |c: &Config| c.resolve.hands_off.security_categories.clone();
        !reference.is_ok_and(|reference| categories(&reference) == categories(config))
    };
    match mismatch {
        Mismatch::NeverActs(_) => false,
        Mismatch::SecurityCategories(_) => chosen(),
        _ => true,
    }
}

/// Resolves until a stop is requested. `controls` is kept as the control topic says; people may
/// have stopped something in it already.
///
/// # Errors
/// [`LogError::Fatal`] when the process must end.
pub fn run(this: Worker, controls: Arc<Controls>) -> Result<(), LogError> {
    let Some(playbooks) = this.triage.playbooks() else { return Ok(()) };
    let limit = Limit { records: this.config.resolve.batch, ..this.config.batch };
    // Outlives the log: its runtime may wait for a look-up of a name, and the group must not.
    let mut kept = None;
    let ends = Ends::resolve(&this.config, Some(&playbooks.library));
    // Brokers that are away are waited for there, so all else that asks them comes after.
    this.over_log(ends, |log| {
        let stage = kept.insert(stage(&this, playbooks, controls)?);
        this.drive(log, stage, limit)
    })
}

/// The stage, with what its topics hold read.
fn stage(
    this: &Worker,
    playbooks: &Playbooks,
    controls: Arc<Controls>,
) -> Result<Resolve, LogError> {
    let fatal = |what: String| LogError::Fatal(what);
    let config = &this.config.resolve;
    let topics = &config.topics;
    let observer = Arc::new(Heard(Arc::clone(&this.metrics)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| fatal(format!("cannot start the runtime of calls: {e}")))?;
    let caller = Caller::new(config.calls.clone(), observer)
        .map_err(|e| fatal(format!("calls to runbooks cannot be made: {e}")))?;
    check_topics(&this.config, &runtime)?;
    let switches = follow(&this.config, &topics.control, &WorkerHealth::new(), &this.stop)?;
    let ids = playbooks.library.iter().map(|playbook| playbook.id.clone()).collect();
    let metrics = Arc::clone(&this.metrics);
    let control = Arc::clone(&topics.control);
    watch(Arc::clone(&controls), control, switches, ids, metrics, this.stop.clone())?;
    let route = this.config.route.clone();
    let settings = ResolveSettings {
        limits: config.limits,
        priorities: this.config.policy.matrix.priorities.clone(),
        feedback: Arc::clone(&topics.feedback),
        default_queue: Arc::clone(&this.config.policy.default_queue),
        max_output_bytes: route.max_output_bytes,
        writer: Writer {
            outcomes: Arc::clone(&topics.outcomes),
            ledger: Arc::clone(&topics.ledger),
            dead: Arc::clone(&route.dead),
            source: route.source.clone(),
        },
        routed: Box::new(move |queue| route.routed_topic(queue)),
    };
    let mut stage = Resolve::new(Parts {
        settings,
        library: Arc::clone(&playbooks.library),
        caller,
        runtime,
        controls,
        topic: follow(&this.config, &topics.ledger, &this.health, &this.stop)?,
        metrics: Arc::clone(&this.metrics),
        health: Arc::clone(&this.health),
        stop: this.stop.clone(),
    });
    // Before the first ticket, which may be hours away: which playbooks are off shows from now on.
    stage.catch_up()?;
    Ok(stage)
}

/// Whether Kafka hands out actions in their order and keeps what the stage has to remember. Without its
/// state the stage would forget what it did and what people stopped; without old outcomes only `undo`
/// finds less.
fn check_topics(config: &Config, runtime: &tokio::runtime::Runtime) -> Result<(), LogError> {
    let LogConfig::Kafka(kafka) = &config.log else { return Ok(()) };
    let settings = kafka_settings(kafka, 0);
    let topics = &config.resolve.topics;
    check_one_partition(&settings, &topics.actions)?;
    let outcomes = Keeps::All { ms: config.resolve.limits.remember_ms };
    let needed = [
        (&*topics.control, Keeps::Latest),
        (&*topics.ledger, Keeps::Latest),
        (&*topics.outcomes, outcomes),
    ];
    let found = check_retention(&settings, runtime, &needed);
    for ((_, keeps), found) in needed.iter().zip(found) {
        match found {
            Ok(()) => {}
            Err(error @ RetentionError::Forgets { .. }) if *keeps == Keeps::Latest => {
                return Err(LogError::Fatal(error.to_string()));
            }
            Err(error @ RetentionError::Forgets { .. }) => {
                tracing::warn!("{error}; until then `triaged undo` cannot find all that was done");
            }
            Err(error @ RetentionError::Unknown { .. }) => {
                tracing::warn!("{error}; whether it keeps what is needed was not checked");
            }
        }
    }
    Ok(())
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

/// What the caller tells, as metrics; and in the log, when a host is left alone.
struct Heard(Arc<Metrics>);

impl Observer for Heard {
    fn called(&self, host: &str, outcome: &'static str, seconds: f64) {
        self.0.resolve.calls.with_label_values(&[host, outcome]).inc();
        self.0.resolve.call_seconds.with_label_values(&[host]).observe(seconds);
    }

    fn refused(&self, host: &str, reason: &'static str) {
        self.0.resolve.calls.with_label_values(&[host, reason]).inc();
    }

    fn retried(&self, _: &str) {
        self.0.resolve.retries.inc();
    }

    fn breaker(&self, host: &str, state: BreakerState, outcome: Option<&'static str>) {
        let value = match state {
            BreakerState::Closed => {
                tracing::info!(host, "the runbooks' host answers again: it is called again");
                0
            }
            BreakerState::HalfOpen => {
                tracing::debug!(host, "one request finds out whether the runbooks' host is back");
                1
            }
            BreakerState::Open => {
                let last = outcome.unwrap_or_default();
                tracing::warn!(host, last, "the runbooks' host fails: no calls for a while");
                2
            }
        };
        self.0.resolve.breaker.with_label_values(&[host]).set(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Labels;

    #[test]
    fn a_host_that_is_left_alone_and_comes_back_leaves_a_line_each() {
        let lines = tempfile::NamedTempFile::new().expect("a file");
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::INFO)
            .with_ansi(false)
            .with_writer(std::sync::Mutex::new(lines.reopen().expect("the file")))
            .finish();
        let metrics = Metrics::new(&Labels::default(), 1).expect("metrics");
        let heard = Heard(Arc::clone(&metrics));
        let shown = |state, outcome| {
            heard.breaker("desk.test:443", state, outcome);
            metrics.resolve.breaker.with_label_values(&["desk.test:443"]).get()
        };
        // The only test that comes to these lines: one without a subscriber could switch them off.
        tracing::subscriber::with_default(subscriber, || {
            assert_eq!(shown(BreakerState::Open, Some("timeout")), 2);
            assert_eq!(shown(BreakerState::HalfOpen, None), 1);
            assert_eq!(shown(BreakerState::Closed, Some("ok")), 0);
        });
        let said = std::fs::read_to_string(lines.path()).expect("the file");
        let [open, closed] = said.lines().collect::<Vec<_>>()[..] else { panic!("{said}") };
        for says in ["WARN", "no calls for a while", "desk.test:443", "timeout"] {
            assert!(open.contains(says), "{says}: {open}");
        }
        assert!(closed.contains("INFO") && closed.contains("answers again"), "{closed}");
    }

    #[test]
    fn security_categories_that_fit_nothing_matter_only_if_somebody_chose_them() {
        let load = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
            let none = std::iter::empty::<(String, String)>();
            Config::from_layers(None, none, &sets).expect("a configuration")
        };
        let unknown = Mismatch::SecurityCategories(vec![String::from("Security/*")]);
        assert!(!is_fatal(&unknown, &load(&["kafka.name=x"])));
        let chosen = "resolve.security_categories=Security/*,Audit/*";
        assert!(is_fatal(&unknown, &load(&["kafka.name=x", chosen])));
    }

    #[test]
    fn what_the_caller_hears_is_counted() {
        let metrics = Metrics::new(&Labels::default(), 1).expect("metrics");
        let heard = Heard(Arc::clone(&metrics));
        heard.called("h:1", "ok", 0.2);
        heard.refused("h:1", "stopped");
        heard.retried("h:1");
        let m = &metrics.resolve;
        assert_eq!(m.calls.with_label_values(&["h:1", "ok"]).get(), 1);
        assert_eq!(m.calls.with_label_values(&["h:1", "stopped"]).get(), 1);
        assert_eq!(m.call_seconds.with_label_values(&["h:1"]).get_sample_count(), 1);
        assert_eq!(m.retries.get(), 1);
    }
}
