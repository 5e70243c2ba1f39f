//! How often something happens: what happens too often, and what was said often enough.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The same warning comes at most so often.
const SAME_WARNING: Duration = Duration::from_secs(10);

/// What happened lately. What is longer ago is forgotten, so nothing adds up over weeks.
#[derive(Debug)]
pub(super) struct Recent {
    within: Duration,
    times: VecDeque<Instant>,
}

impl Recent {
    /// Remembers for as long as `within`.
    pub fn new(within: Duration) -> Self {
        Self { within, times: VecDeque::new() }
    }

    /// It happened now.
    pub fn note(&mut self) {
        self.forget_old();
        self.times.push_back(Instant::now());
    }

    /// How often it happened lately.
    pub fn count(&mut self) -> usize {
        self.forget_old();
        self.times.len()
    }

    /// What happened does not count any more.
    pub fn clear(&mut self) {
        self.times.clear();
    }

    fn forget_old(&mut self) {
        while self.times.front().is_some_and(|at| at.elapsed() > self.within) {
            self.times.pop_front();
        }
    }
}

/// Lets the same warning out once in a while.
#[derive(Debug, Default)]
pub(super) struct Seldom(Option<Instant>);

impl Seldom {
    /// Whether the warning is due, which is then taken as given.
    pub fn due(&mut self) -> bool {
        let due = self.0.is_none_or(|at| at.elapsed() > SAME_WARNING);
        if due {
            self.0 = Some(Instant::now());
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_happened_lately_counts() {
        let mut long = Recent::new(Duration::from_secs(3600));
        let mut short = Recent::new(Duration::from_millis(1));
        for _ in 0..3 {
            long.note();
            short.note();
        }
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!((long.count(), short.count()), (3, 0));
        long.clear();
        assert_eq!(long.count(), 0);
    }

    #[test]
    fn the_same_warning_does_not_come_twice_in_a_row() {
        let mut seldom = Seldom::default();
        assert!(seldom.due());
        assert!(!seldom.due());
    }
}
