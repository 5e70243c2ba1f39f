//! What a worker tells the outside about itself: is its loop turning, does it hold partitions,
//! does it get on. Written by the worker's thread, read by the admin endpoint.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// One worker's signs of life.
#[derive(Debug)]
pub struct WorkerHealth {
    start: Instant,
    last_turn_ms: AtomicU64,
    last_progress_ms: AtomicU64,
    assigned_partitions: AtomicI64,
    connected: AtomicBool,
    lag_messages: AtomicI64,
}

impl WorkerHealth {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            last_turn_ms: AtomicU64::new(0),
            last_progress_ms: AtomicU64::new(0),
            assigned_partitions: AtomicI64::new(-1),
            connected: AtomicBool::new(false),
            lag_messages: AtomicI64::new(-1),
        })
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn since(&self, then: &AtomicU64) -> Duration {
        Duration::from_millis(self.now_ms().saturating_sub(then.load(Ordering::Relaxed)))
    }

    /// The loop turned: also to be called from within long waits that are still under control.
    pub fn turned(&self) {
        self.last_turn_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    /// A batch was committed, or there was nothing to do.
    pub fn progressed(&self) {
        self.last_progress_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    /// How many partitions the worker holds; 0 after an assignment that gave it none.
    pub fn assigned(&self, partitions: usize) {
        self.assigned_partitions
            .store(i64::try_from(partitions).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// The assignment is not known (before the first one, or after it was lost).
    pub fn unassigned(&self) {
        self.assigned_partitions.store(-1, Ordering::Relaxed);
    }

    /// Whether the log can be reached at the moment, as far as is known.
    pub fn connected(&self, yes: bool) {
        self.connected.store(yes, Ordering::Relaxed);
    }

    pub fn lag(&self, messages: i64) {
        self.lag_messages.store(messages, Ordering::Relaxed);
    }

    pub fn since_turn(&self) -> Duration {
        self.since(&self.last_turn_ms)
    }

    pub fn since_progress(&self) -> Duration {
        self.since(&self.last_progress_ms)
    }

    pub fn has_assignment(&self) -> bool {
        self.assigned_partitions.load(Ordering::Relaxed) >= 0
    }

    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// -1 until the lag is known.
    pub fn lag_messages(&self) -> i64 {
        self.lag_messages.load(Ordering::Relaxed)
    }
}

/// A request to stop, seen by every worker. `by` is when unfinished work is abandoned.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<StopState>);

#[derive(Debug, Default)]
struct StopState {
    requested: AtomicBool,
    deadline: std::sync::OnceLock<Instant>,
}

impl Stop {
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks all workers to stop; open batches have `grace` to finish.
    pub fn request(&self, grace: Duration) {
        let _ = self.0.deadline.set(Instant::now() + grace);
        self.0.requested.store(true, Ordering::Release);
    }

    pub fn requested(&self) -> bool {
        self.0.requested.load(Ordering::Acquire)
    }

    /// Whether a stop was requested and its grace is over.
    pub fn overdue(&self) -> bool {
        self.0.deadline.get().is_some_and(|by| Instant::now() >= *by)
    }
}
