//! Waiting with manners: in slices that show signs of life and look at the request to stop, and
//! with back-off that neither spins nor marches in step.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::health::{Stop, WorkerHealth};

const SLICE: Duration = Duration::from_millis(100);

/// One worker's way to wait.
#[derive(Clone)]
pub(super) struct Patience {
    pub health: Arc<WorkerHealth>,
    pub stop: Stop,
}

impl Patience {
    /// Sleeps for `time`, less if the grace of a stop runs out; `false` if it did.
    pub fn sleep(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        loop {
            self.health.turned();
            if self.stop.overdue() {
                return false;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(SLICE));
        }
    }
}

/// Delays that double up to a limit, each anywhere between half and all of itself.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    most: Duration,
    attempt: u32,
    random: u64,
}

impl Backoff {
    pub fn new(first: Duration, most: Duration) -> Self {
        // The standard library's hash seeds are the one source of randomness that needs no crate.
        Self { first, most, attempt: 0, random: RandomState::new().build_hasher().finish() | 1 }
    }

    pub fn reset(&mut self) {
        self.attempt = 0;
    }

    pub fn delay(&mut self) -> Duration {
        let full = self.first.saturating_mul(1 << self.attempt.min(16)).min(self.most);
        self.attempt = self.attempt.saturating_add(1);
        // xorshift64
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let share = (self.random % 1024) as u32;
        full / 2 + full / 2 * share / 1024
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_limit_and_start_again_after_a_reset() {
        let (first, most) = (Duration::from_millis(100), Duration::from_secs(2));
        let mut backoff = Backoff::new(first, most);
        let delays: Vec<_> = (0..40).map(|_| backoff.delay()).collect();
        assert!(delays.iter().all(|d| *d >= first / 2 && *d <= most), "{delays:?}");
        assert!(delays[10..].iter().all(|d| *d >= most / 2), "{delays:?}");
        backoff.reset();
        assert!(backoff.delay() <= first);
    }

    #[test]
    fn a_sleep_ends_when_the_grace_of_a_stop_is_over() {
        let patience = Patience { health: WorkerHealth::new(), stop: Stop::new() };
        assert!(patience.sleep(Duration::from_millis(1)));
        patience.stop.request(Duration::ZERO);
        assert!(!patience.sleep(Duration::from_secs(60)));
    }
}
