//! What `/livez` and `/readyz` say, from the workers' signs of life. Pure but for looking at them.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::health::WorkerHealth;

/// Where the process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The model is not loaded yet.
    Starting,
    Serving,
    /// The last batches are being finished.
    Stopping,
}

/// When a worker's silence counts.
#[derive(Clone, Copy, Debug)]
pub struct Thresholds {
    /// A loop that has not turned for so long is stuck: the process should be restarted.
    pub stuck_after: Duration,
    /// A worker that commits nothing for so long, though there is lag, is not ready. The time that
    /// its open batch may take does not count.
    pub no_progress_after: Duration,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { stuck_after: Duration::from_secs(60), no_progress_after: Duration::from_secs(60) }
    }
}

/// One worker, as the pages show it.
#[derive(Debug, Serialize)]
struct Worker {
    worker: usize,
    seconds_since_turn: u64,
    seconds_since_progress: u64,
    connected: bool,
    assigned: bool,
    lag_messages: i64,
}

/// The answer to a probe: fine if there is no reason against it.
#[derive(Debug, Serialize)]
pub struct Report {
    ok: bool,
    reasons: Vec<String>,
    workers: Vec<Worker>,
}

impl Report {
    /// Whether all workers' loops turn.
    pub fn live(workers: &[Arc<WorkerHealth>], thresholds: Thresholds) -> Self {
        let reasons = numbered(workers).filter_map(|(n, w)| stuck(n, w, thresholds)).collect();
        Self::of(reasons, workers)
    }

    /// Whether the process does its work, as far as it is given any.
    pub fn ready(workers: &[Arc<WorkerHealth>], thresholds: Thresholds, phase: Phase) -> Self {
        let mut reasons = Vec::new();
        match phase {
            Phase::Starting => reasons.push("the model is not loaded yet".to_owned()),
            Phase::Stopping => reasons.push("the process is stopping".to_owned()),
            Phase::Serving => {}
        }
        for (n, worker) in numbered(workers) {
            reasons.extend(stuck(n, worker, thresholds));
            if !worker.is_connected() {
                reasons.push(format!("worker {n}: not connected to the log"));
            }
            if !worker.has_assignment() {
                reasons.push(format!("worker {n}: no partitions assigned yet"));
            }
            let lag = worker.lag_messages();
            if lag < 0 {
                reasons.push(format!("worker {n}: does not know yet how much there is to do"));
            }
            if lag > 0 && worker.stalled_for() >= thresholds.no_progress_after {
                reasons.push(format!(
                    "worker {n}: {lag} messages waiting and none committed for {} s",
                    worker.since_progress().as_secs()
                ));
            }
        }
        Self::of(reasons, workers)
    }

    fn of(reasons: Vec<String>, workers: &[Arc<WorkerHealth>]) -> Self {
        let worker = |(worker, health): (usize, &Arc<WorkerHealth>)| Worker {
            worker,
            seconds_since_turn: health.since_turn().as_secs(),
            seconds_since_progress: health.since_progress().as_secs(),
            connected: health.is_connected(),
            assigned: health.has_assignment(),
            lag_messages: health.lag_messages(),
        };
        Self { ok: reasons.is_empty(), reasons, workers: numbered(workers).map(worker).collect() }
    }

    pub fn is_ok(&self) -> bool {
        self.ok
    }
}

fn numbered(workers: &[Arc<WorkerHealth>]) -> impl Iterator<Item = (usize, &Arc<WorkerHealth>)> {
    workers.iter().enumerate()
}

fn stuck(n: usize, worker: &WorkerHealth, thresholds: Thresholds) -> Option<String> {
    let since = worker.since_turn();
    (since >= thresholds.stuck_after)
        .then(|| format!("worker {n}: its loop has not turned for {} s", since.as_secs()))
}
