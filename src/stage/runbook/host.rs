//! One host's guards: requests in flight, rate, budget of retries, breaker.

use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::breaker::{Breaker, BreakerState, Pass};
use super::failure::Failure;
use super::retry::RetryBudget;
use super::settings::{AllowedHost, CallerSettings};

/// How long a wait goes on before the kill switch is looked at again.
const LOOK: Duration = Duration::from_millis(50);

/// Hears what happens, for metrics. `host` is a name and port from the settings.
pub trait Observer: Send + Sync {
    /// A request ended: `ok`, or the reason of its failure.
    fn called(&self, host: &str, outcome: &'static str, seconds: f64);
    /// A request is sent again.
    fn retried(&self, host: &str);
    /// The host's breaker changed its state.
    fn breaker(&self, host: &str, state: BreakerState);
}

/// Hears nothing.
impl Observer for () {
    fn called(&self, _: &str, _: &'static str, _: f64) {}
    fn retried(&self, _: &str) {}
    fn breaker(&self, _: &str, _: BreakerState) {}
}

pub(super) struct Host {
    pub address: AllowedHost,
    pub label: String,
    breaker: Mutex<Breaker>,
    budget: Mutex<RetryBudget>,
    slots: Semaphore,
    rate: DefaultDirectRateLimiter,
}

impl Host {
    pub fn new(address: AllowedHost, settings: &CallerSettings) -> Self {
        let quota = Quota::per_minute(settings.per_minute).allow_burst(settings.burst);
        let slots = usize::try_from(settings.in_flight.get()).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            label: address.label(),
            address,
            breaker: Mutex::new(Breaker::new(settings.breaker.clone())),
            budget: Mutex::new(RetryBudget::new(&settings.retries)),
            slots: Semaphore::new(slots.min(Semaphore::MAX_PERMITS)),
            rate: RateLimiter::direct(quota),
        }
    }

    /// A call begins: its share goes into the budget.
    pub fn called(&self) {
        lock(&self.budget).called();
    }

    /// Takes one extra request out of the budget, if there is one.
    pub fn take_retry(&self) -> bool {
        lock(&self.budget).take()
    }

    pub fn breaker_state(&self) -> BreakerState {
        lock(&self.breaker).state()
    }

    /// Waits for room among the requests in flight and in the rate, but no longer than until `latest`.
    pub async fn turn(
        &self,
        latest: Instant,
        stopped: &dyn Fn() -> bool,
    ) -> Result<SemaphorePermit<'_>, Failure> {
        // Nobody queues up for a host that is left alone.
        if lock(&self.breaker).refuses(Instant::now()) {
            return Err(Failure::BreakerOpen);
        }
        let mut slot = pin!(self.slots.acquire());
        let permit = loop {
            if stopped() {
                return Err(Failure::Stopped);
            }
            let left = latest.saturating_duration_since(Instant::now());
            match tokio::time::timeout(left.min(LOOK), slot.as_mut()).await {
                Ok(Ok(permit)) => break permit,
                Ok(Err(_)) => return Err(Failure::RateLimited),
                Err(_) if left <= LOOK => return Err(Failure::RateLimited),
                Err(_) => {}
            }
        };
        while let Err(not_yet) = self.rate.check() {
            let wait = not_yet.wait_time_from(DefaultClock::default().now());
            if wait > latest.saturating_duration_since(Instant::now()) {
                return Err(Failure::RateLimited);
            }
            pause(wait, stopped).await?;
        }
        if stopped() { Err(Failure::Stopped) } else { Ok(permit) }
    }

    /// The breaker's leave for one request that is sent at once.
    pub fn admit<'a>(&'a self, observer: &'a dyn Observer) -> Result<Admission<'a>, Failure> {
        let (pass, change) = {
            let mut breaker = lock(&self.breaker);
            let before = breaker.state();
            let pass = breaker.admit(Instant::now());
            (pass, changed(before, breaker.state()))
        };
        if let Some(state) = change {
            observer.breaker(&self.label, state);
        }
        let pass = pass.ok_or(Failure::BreakerOpen)?;
        Ok(Admission { host: self, observer, pass: Some(pass) })
    }
}

/// A request that the breaker let through. Dropped without news, it makes room again.
pub(super) struct Admission<'a> {
    host: &'a Host,
    observer: &'a dyn Observer,
    pass: Option<Pass>,
}

impl Admission<'_> {
    /// Tells the breaker how the request ended.
    pub fn done(mut self, failed: bool) {
        let Some(pass) = self.pass.take() else { return };
        let change = {
            let mut breaker = lock(&self.host.breaker);
            let before = breaker.state();
            breaker.report(&pass, failed, Instant::now());
            changed(before, breaker.state())
        };
        if let Some(state) = change {
            self.observer.breaker(&self.host.label, state);
        }
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            lock(&self.host.breaker).abandon(&pass);
        }
    }
}

fn changed(before: BreakerState, after: BreakerState) -> Option<BreakerState> {
    (before != after).then_some(after)
}

/// Waits, but no longer than until the kill switch is thrown.
pub(super) async fn pause(time: Duration, stopped: &dyn Fn() -> bool) -> Result<(), Failure> {
    let end = Instant::now() + time;
    loop {
        if stopped() {
            return Err(Failure::Stopped);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        tokio::time::sleep(left.min(LOOK)).await;
    }
}

/// A lock that outlives a panic elsewhere: what it guards is whole between any two steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
