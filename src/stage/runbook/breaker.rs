//! A circuit breaker: stops calling a host that fails, and finds out carefully whether it is back.
//! Pure: the time is passed in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// When a breaker opens, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct BreakerRule {
    /// How many of the last requests are looked at.
    pub window: usize,
    /// Fewer requests than this never open it.
    pub minimum: usize,
    /// The share of failures among them that opens it.
    pub failure_share: f64,
    /// How long it stays open the first time. Doubles with each probe that fails.
    pub open_for: Duration,
    pub open_at_most: Duration,
}

impl Default for BreakerRule {
    fn default() -> Self {
        Self {
            window: 20,
            minimum: 5,
            failure_share: 0.5,
            open_for: Duration::from_secs(10),
            open_at_most: Duration::from_secs(300),
        }
    }
}

/// What a metric shows of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    Closed,
    HalfOpen,
    Open,
}

/// The right to send one request. Belongs to the phase it was given in: what comes of it later
/// says nothing about another phase.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Pass {
    phase: u64,
}

#[derive(Debug)]
enum State {
    Closed { failed: VecDeque<bool> },
    Open { until: Instant },
    HalfOpen { probing: bool },
}

/// The breaker of one host.
#[derive(Debug)]
pub struct Breaker {
    rule: BreakerRule,
    state: State,
    phase: u64,
    /// Openings since it was last closed.
    openings: u32,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(rule: BreakerRule) -> Self {
        Self { rule, state: State::Closed { failed: VecDeque::new() }, phase: 0, openings: 0 }
    }

    pub fn state(&self) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Whether a request asked for at `now` would be refused.
    pub fn refuses(&self, now: Instant) -> bool {
        match self.state {
            State::Closed { .. } => false,
            State::Open { until } => now < until,
            State::HalfOpen { probing } => probing,
        }
    }

    /// A pass for one request, or none while the host is left alone. The first pass after an open
    /// phase is the probe, and the only one until it is back.
    pub fn admit(&mut self, now: Instant) -> Option<Pass> {
        if self.refuses(now) {
            return None;
        }
        if matches!(self.state, State::Open { .. }) {
            self.enter(State::HalfOpen { probing: false });
        }
        if let State::HalfOpen { probing } = &mut self.state {
            *probing = true;
        }
        Some(Pass { phase: self.phase })
    }

    /// What came of the request that `pass` was for.
    pub fn report(&mut self, pass: &Pass, failed: bool, now: Instant) {
        if pass.phase != self.phase {
            return;
        }
        match &mut self.state {
            State::Closed { failed: outcomes } => {
                outcomes.push_back(failed);
                if outcomes.len() > self.rule.window.max(1) {
                    outcomes.pop_front();
                }
                let failures = outcomes.iter().filter(|failed| **failed).count();
                let share = failures as f64 / outcomes.len() as f64;
                let enough = outcomes.len() >= self.rule.minimum;
                if enough && failures > 0 && share >= self.rule.failure_share {
                    self.open(now);
                }
            }
            State::HalfOpen { .. } if failed => self.open(now),
            State::HalfOpen { .. } => {
                self.openings = 0;
                self.enter(State::Closed { failed: VecDeque::new() });
            }
            State::Open { .. } => {}
        }
    }

    /// The request that `pass` was for was given up and says nothing about the host.
    pub fn abandon(&mut self, pass: &Pass) {
        if let State::HalfOpen { probing } = &mut self.state
            && pass.phase == self.phase
        {
            *probing = false;
        }
    }

    fn open(&mut self, now: Instant) {
        let longer = 2_u32.saturating_pow(self.openings.min(31));
        let time = self.rule.open_for.saturating_mul(longer).min(self.rule.open_at_most);
        self.openings = self.openings.saturating_add(1);
        self.enter(State::Open { until: now + time });
    }

    fn enter(&mut self, state: State) {
        self.phase = self.phase.wrapping_add(1);
        self.state = state;
    }
}

#[cfg(test)]
mod tests;
