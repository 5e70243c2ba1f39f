//! The daemon put together: model and policy, workers with their logs, the admin endpoint, and an
//! end that comes within a deadline.

mod ends;
mod resolver;
mod worker;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

pub use self::ends::Ends;
use self::worker::Worker;
use crate::admin::control::Control;
use crate::admin::token::{self, TokenError};
use crate::admin::{Admin, AdminLimits, Phase, Thresholds};
use crate::bundle;
use crate::config::{Config, KafkaConfig, LogConfig};
use crate::controls::Controls;
use crate::health::{Stop, WorkerHealth};
use crate::log::LogError;
use crate::log::kafka::KafkaSettings;
use crate::metrics::{Labels, Metrics};
use crate::playbook_dir::FolderError;
use crate::stage::route::mask_kinds;
use crate::stage::runbook::{AllowedHost, Failure};
use crate::triage::decision::Doubt;
use crate::triage::model::Target;
use crate::triage::requests::{NotRequests, Requests};
use crate::triage::ticket::Malformed;
use crate::triage::{Mismatch, Triage};

/// How long workers may take to close their logs once their loops have ended.
const CLOSE_GRACE: Duration = Duration::from_secs(8);

/// Why the service could not start or had to end.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error("the model in {dir} cannot be used: {source}")]
    Bundle { dir: String, source: bundle::BundleError },
    #[error("the model and the policy do not fit:\n{}", list(.0))]
    Mismatch(Vec<Mismatch>),
    #[error("the playbooks do not fit the models and the policy:\n{}", list(.0))]
    PlaybookMismatch(Vec<Mismatch>),
    #[error("the model in {dir} cannot recognise requests: {source}")]
    Requests { dir: String, source: NotRequests },
    #[error(transparent)]
    Playbooks(#[from] FolderError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("cannot listen on {listen}: {source}")]
    Admin { listen: String, source: std::io::Error },
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    #[error("worker {worker}: {what}")]
    Worker { worker: usize, what: String },
    #[error("the workers did not end within the deadline; what was open is aborted by the log")]
    Overdue,
}

fn list(mismatches: &[Mismatch]) -> String {
    mismatches.iter().map(|m| format!("  {m}")).collect::<Vec<_>>().join("\n")
}

/// Loads the model and brings it together with policy and playbooks.
///
/// # Errors
/// [`ServiceError`] for whatever cannot be read or does not fit.
pub fn triage(config: &Config) -> Result<Triage, ServiceError> {
    let model = bundle::open(&config.model_dir).map_err(|source| ServiceError::Bundle {
        dir: config.model_dir.display().to_string(),
        source,
    })?;
    let triage = Triage::new(Arc::new(model), Arc::new(config.policy.clone()))
        .map_err(ServiceError::Mismatch)?;
    with_playbooks(triage, config)
}

/// Adds the playbooks that the configuration names, if any. What [`Triage::playbook_mismatches`]
/// still has afterwards is worth telling, no more.
///
/// # Errors
/// [`ServiceError`] if they cannot be read, or name what is not there.
pub fn with_playbooks(triage: Triage, config: &Config) -> Result<Triage, ServiceError> {
    let Some(playbooks) = resolver::playbooks(config)? else { return Ok(triage) };
    let triage = triage.with_playbooks(playbooks);
    let mut mismatches = triage.playbook_mismatches();
    mismatches.retain(|mismatch| resolver::is_fatal(mismatch, config));
    if mismatches.is_empty() { Ok(triage) } else { Err(ServiceError::PlaybookMismatch(mismatches)) }
}

/// Loads the known-request model, if the configuration names one.
fn requests(config: &Config) -> Result<Option<Arc<Requests>>, ServiceError> {
    let Some(dir) = &config.resolve.model_dir else { return Ok(None) };
    let name = || dir.display().to_string();
    let model = bundle::open(dir).map_err(|source| ServiceError::Bundle { dir: name(), source })?;
    let requests = Requests::new(Arc::new(model), config.resolve.recognition)
        .map_err(|source| ServiceError::Requests { dir: name(), source })?;
    Ok(Some(Arc::new(requests)))
}

/// A worker's thread.
type Handle = thread::JoinHandle<Result<(), LogError>>;

/// A running service.
pub struct Service {
    admin: Admin,
    control: Option<Control>,
    workers: Vec<Handle>,
    stop: Stop,
    grace: Duration,
}

impl Service {
    /// Starts workers and the admin endpoint.
    ///
    /// # Errors
    /// [`ServiceError`], before any record was read.
    pub fn start(config: &Config, triage: Triage, stop: Stop) -> Result<Self, ServiceError> {
        // Now, and not when somebody has to stop calls and is not heard.
        token::check(&config.control)?;
        let triage = Arc::new(triage);
        let routers = match &config.log {
            _ if !config.stages.route => 0,
            LogConfig::Kafka(kafka) => kafka.workers,
            LogConfig::Embedded(_) => 1,
        };
        let workers = routers + usize::from(config.stages.resolve);
        let metrics = metrics(config, &triage, workers)?;
        let healths: Vec<_> = (0..workers).map(|_| WorkerHealth::new()).collect();
        let thresholds = Thresholds {
            stuck_after: config.admin.stuck_after,
            no_progress_after: config.admin.stalled_after,
        };
        let limits = AdminLimits { thresholds, ..AdminLimits::default() };
        let admin =
            Admin::start(config.admin.listen, Arc::clone(&metrics), healths.clone(), limits)
                .map_err(|source| ServiceError::Admin {
                    listen: config.admin.listen.to_string(),
                    source,
                })?;
        tracing::info!(
            listen = %admin.local_addr(),
            model = triage.model().id.as_str(),
            version = triage.model().version,
            workers,
            "started"
        );
        for mismatch in triage.playbook_mismatches() {
            tracing::warn!(%mismatch, "a setting without effect");
        }
        let resolves = config.stages.resolve;
        let controls = resolves.then(|| Controls::new(config.resolve.kill_file.clone()));
        let control = match &config.control.token_file {
            Some(token_file) => {
                let (playbooks, token_file) = (playbook_ids(&triage), token_file.clone());
                let (controls, metrics) = (controls.clone(), Arc::clone(&metrics));
                let limits = AdminLimits::default();
                let control =
                    Control::start(config, token_file, playbooks, controls, metrics, limits);
                Some(control.map_err(|source| ServiceError::Admin {
                    listen: config.control.listen.to_string(),
                    source,
                })?)
            }
            None => None,
        };
        let failed = Arc::new(AtomicBool::new(false));
        let mut handles = Vec::new();
        for (worker, health) in healths.into_iter().enumerate() {
            let (config, triage, metrics) =
                (config.clone(), Arc::clone(&triage), Arc::clone(&metrics));
            let (stop, failed) = (stop.clone(), Arc::clone(&failed));
            let this = Worker { worker, config, triage, metrics, health, stop, failed };
            // The last one resolves, if anybody does.
            let (name, run): (_, Box<dyn FnOnce() -> Result<(), LogError> + Send>) =
                match controls.clone().filter(|_| worker >= routers) {
                    Some(controls) => {
                        (String::from("resolver"), Box::new(move || resolver::run(this, controls)))
                    }
                    None => (format!("worker-{worker}"), Box::new(move || this.route())),
                };
            let handle = thread::Builder::new().name(name).spawn(run);
            handles.push(handle.map_err(ServiceError::Thread)?);
        }
        let workers = handles;
        admin.phase(Phase::Serving);
        Ok(Self { admin, control, workers, stop, grace: config.grace })
    }

    /// Where people's orders are taken, if anywhere.
    pub fn control_addr(&self) -> Option<std::net::SocketAddr> {
        self.control.as_ref().map(Control::local_addr)
    }

    /// Where metrics and health are served.
    pub fn admin_addr(&self) -> std::net::SocketAddr {
        self.admin.local_addr()
    }

    /// Whether a worker has ended, by itself or because it was asked to.
    pub fn has_ended(&self) -> bool {
        self.workers.iter().any(Handle::is_finished)
    }

    /// Asks the workers to stop, if nobody did, and waits for them.
    ///
    /// # Errors
    /// What a worker could not get over, or [`ServiceError::Overdue`].
    pub fn finish(self) -> Result<(), ServiceError> {
        self.admin.phase(Phase::Stopping);
        self.stop.request(self.grace);
        all_ended(self.workers, Instant::now() + self.grace + CLOSE_GRACE)
    }
}

/// Waits for the workers, no longer than until `by`.
fn all_ended(workers: Vec<Handle>, by: Instant) -> Result<(), ServiceError> {
    while !workers.iter().all(Handle::is_finished) && Instant::now() < by {
        thread::sleep(Duration::from_millis(5));
    }
    let (mut failed, mut overdue) = (None, false);
    for (worker, handle) in workers.into_iter().enumerate() {
        if !handle.is_finished() {
            tracing::error!(worker, "worker did not end");
            overdue = true;
            continue;
        }
        let what = match handle.join() {
            // One that was asked to stop while it still waited for brokers has nothing open.
            Ok(Ok(()) | Err(LogError::Aborted(_))) => continue,
            Ok(Err(error)) => error.to_string(),
            Err(_) => String::from("ended by a defect in triaged; please report the log above"),
        };
        tracing::error!(worker, error = what, "worker ended");
        failed.get_or_insert(ServiceError::Worker { worker, what });
    }
    match failed {
        Some(failed) => Err(failed),
        None if overdue => Err(ServiceError::Overdue),
        None => Ok(()),
    }
}

fn metrics(config: &Config, triage: &Triage, workers: usize) -> Result<Arc<Metrics>, ServiceError> {
    let categories = triage.model().head(Target::Category).map_or(&[][..], |h| &h.labels);
    let ends = Ends::all(config, triage.playbooks().map(|playbooks| &*playbooks.library));
    let labels = Labels {
        categories: categories.iter().map(ToString::to_string).collect(),
        queues: triage.policy().queues(),
        topics: ends.iter().flat_map(|ends| &ends.inputs).map(ToString::to_string).collect(),
        malformed: Malformed::REASONS.to_vec(),
        masks: mask_kinds(),
        playbooks: playbook_ids(triage),
        hosts: config.resolve.calls.hosts.iter().map(AllowedHost::label).collect(),
        failures: Failure::REASONS.to_vec(),
        doubts: Doubt::ALL.iter().map(|d| d.as_str()).collect(),
    };
    let metrics = Metrics::new(&labels, workers)?;
    let model = triage.model();
    metrics.model_info.with_label_values(&[model.id.as_str(), &model.version]).set(1);
    Ok(metrics)
}

fn playbook_ids(triage: &Triage) -> Vec<String> {
    let playbooks = triage.playbooks().into_iter().flat_map(|p| p.library.iter());
    playbooks.map(|playbook| playbook.id.clone()).collect()
}

/// The settings of a worker's Kafka client, without topics.
pub fn kafka_settings(kafka: &KafkaConfig, worker: usize) -> KafkaSettings {
    let millis = |d: Duration| u32::try_from(d.as_millis()).unwrap_or(u32::MAX);
    let properties = kafka.properties.iter();
    KafkaSettings {
        session_timeout_ms: millis(kafka.session_timeout),
        max_poll_interval_ms: millis(kafka.max_poll_interval),
        transaction_timeout_ms: millis(kafka.transaction_timeout),
        compression: kafka.compression.clone(),
        properties: properties.map(|(k, v)| (k.clone(), v.reveal().to_owned())).collect(),
        ..KafkaSettings::new(&kafka.brokers, &kafka.group, format!("{}-{worker}", kafka.name))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// A worker that works until its sender is dropped.
    fn busy() -> (Sender<()>, Handle) {
        let (go, wait) = channel::<()>();
        let handle = thread::spawn(move || {
            assert!(wait.recv().is_err());
            Ok(())
        });
        (go, handle)
    }

    #[test]
    fn why_a_worker_failed_is_said_though_another_one_is_overdue() {
        let (one, overdue) = busy();
        let failed = thread::spawn(|| Err(LogError::Fatal(String::from("no such topic"))));
        while !failed.is_finished() {
            thread::yield_now();
        }
        let error = all_ended(vec![overdue, failed], Instant::now()).unwrap_err();
        assert_eq!(error.to_string(), "worker 1: no such topic");
        let (other, overdue) = busy();
        let error = all_ended(vec![overdue], Instant::now()).unwrap_err();
        assert!(matches!(error, ServiceError::Overdue), "{error}");
        drop((one, other));
    }
}
