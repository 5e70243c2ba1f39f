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
    /// Until when the work since then may take; 0 if nobody said so.
    working_until_ms: AtomicU64,
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
            working_until_ms: AtomicU64::new(0),
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
        self.working_until_ms.store(0, Ordering::Relaxed);
    }

    /// A batch was begun that may take so long. One that is begun again gets no more time, since a
    /// batch that is aborted for ever is none that gets on.
    pub fn works_for(&self, longest: Duration) {
        let longest_ms = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        let until_ms = self.now_ms().saturating_add(longest_ms);
        let (none, ordering) = (0, Ordering::Relaxed);
        let _ = self.working_until_ms.compare_exchange(none, until_ms, ordering, ordering);
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

    /// The same without the time that the open batch may take: how long the worker has been stalled.
    pub fn stalled_for(&self) -> Duration {
        self.since_progress().min(self.since(&self.working_until_ms))
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

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn pass() {
        std::thread::sleep(Duration::from_millis(20));
    }

    #[test]
    fn a_batch_within_its_time_is_not_stalled_and_one_that_is_over_it_is() {
        let health = WorkerHealth::new();
        pass();
        assert!(health.stalled_for() >= Duration::from_millis(20));
        health.works_for(HOUR);
        assert_eq!(health.stalled_for(), Duration::ZERO);
        assert!(health.since_progress() >= Duration::from_millis(20));

        let health = WorkerHealth::new();
        pass();
        health.works_for(Duration::ZERO);
        let before = health.since_progress();
        pass();
        assert!(health.stalled_for() >= Duration::from_millis(20));
        assert!(health.stalled_for() <= health.since_progress());
        assert!(health.since_progress() > before);
    }

    #[test]
    fn a_batch_that_comes_again_gets_no_more_time_and_the_next_one_does() {
        let health = WorkerHealth::new();
        pass();
        health.works_for(Duration::ZERO);
        pass();
        health.works_for(HOUR);
        assert!(health.stalled_for() >= Duration::from_millis(20));
        health.progressed();
        health.works_for(HOUR);
        pass();
        assert_eq!(health.stalled_for(), Duration::ZERO);
    }
}
