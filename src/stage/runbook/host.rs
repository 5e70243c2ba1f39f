//! One host's guards: requests in flight, rate, budget of retries, breaker.

use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::breaker::{Breaker, BreakerState, Pass};
use super::failure::Failure;
use super::retry::RetryBudget;
use super::settings::CallerSettings;
use crate::resolve::host::AllowedHost;
use crate::sync::lock;

/// How long a wait goes on before the kill switch is looked at again.
const LOOK: Duration = Duration::from_millis(50);

/// Hears what happens, for metrics and the log. `host` is a name and port from the settings.
pub trait Observer: Send + Sync {
    /// A request ended: `ok`, or the reason of its failure.
    fn called(&self, host: &str, outcome: &'static str, seconds: f64);
    /// A request is not sent, for this reason: one of the guards holds it back.
    fn refused(&self, host: &str, reason: &'static str);
    /// A request is sent again.
    fn retried(&self, host: &str);
    /// The host's breaker changed its state; `outcome` is that of the request which changed it, as in
    /// `called`, and none where a request is about to find out.
    fn breaker(&self, host: &str, state: BreakerState, outcome: Option<&'static str>);
}

/// Hears nothing.
impl Observer for () {
    fn called(&self, _: &str, _: &'static str, _: f64) {}
    fn refused(&self, _: &str, _: &'static str) {}
    fn retried(&self, _: &str) {}
    fn breaker(&self, _: &str, _: BreakerState, _: Option<&'static str>) {}
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
        let slots = usize::try_from(settings.in_flight.get()).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            label: address.label(),
            address,
            breaker: Mutex::new(Breaker::new(settings.breaker.clone())),
            budget: Mutex::new(RetryBudget::new(&settings.retries)),
            slots: Semaphore::new(slots.min(Semaphore::MAX_PERMITS)),
            rate: RateLimiter::direct(quota(settings.per_minute)),
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
            observer.breaker(&self.label, state, None);
        }
        let pass = pass.ok_or(Failure::BreakerOpen)?;
        Ok(Admission { host: self, observer, pass: Some(pass) })
    }
}

/// Lets no minute have more than `per_minute` requests: a tenth of them at once, and then one at a
/// time, as many as still fit.
fn quota(per_minute: NonZeroU32) -> Quota {
    let burst = NonZeroU32::new(per_minute.get() / 10).unwrap_or(NonZeroU32::MIN);
    // One more than the rest: the last one comes when the minute is over.
    let others = u64::from(per_minute.get() - burst.get()) + 1;
    // Rounded up: a shorter interval would let one more in.
    let interval = Duration::from_nanos(60_000_000_000_u64.div_ceil(others));
    let quota = Quota::with_period(interval).unwrap_or(Quota::per_minute(NonZeroU32::MIN));
    quota.allow_burst(burst)
}

/// A request that the breaker let through. Dropped without news, it makes room again.
pub(super) struct Admission<'a> {
    host: &'a Host,
    observer: &'a dyn Observer,
    pass: Option<Pass>,
}

impl Admission<'_> {
    /// Tells the breaker how the request ended, and the observer what that changed. `failed` says
    /// whether `outcome` speaks against the host.
    pub fn done(mut self, failed: bool, outcome: &'static str) {
        let Some(pass) = self.pass.take() else { return };
        let change = {
            let mut breaker = lock(&self.host.breaker);
            let before = breaker.state();
            breaker.report(&pass, failed, Instant::now());
            changed(before, breaker.state())
        };
        if let Some(state) = change {
            self.observer.breaker(&self.host.label, state, Some(outcome));
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

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    #[test]
    fn no_minute_has_more_requests_than_its_share_and_little_of_that_is_lost() {
        for per_minute in [1, 2, 3, 7, 10, 59, 60, 601, 1000] {
            let clock = FakeRelativeClock::default();
            let quota = quota(NonZeroU32::new(per_minute).expect("a rate"));
            let rate = RateLimiter::direct_with_clock(quota, clock.clone());
            let mut sent = Vec::new();
            for step in 0..3_600_u64 {
                let now_ms = step * 50;
                // A pause saves up the burst for the middle of the time.
                while !(60_000..90_000).contains(&now_ms) && rate.check().is_ok() {
                    sent.push(now_ms);
                }
                clock.advance(Duration::from_millis(50));
            }
            let within = |from_ms: u64| {
                sent.iter().filter(|at_ms| (from_ms..from_ms + 60_000).contains(*at_ms)).count()
            };
            let most = per_minute as usize;
            assert!(sent.iter().all(|at_ms| within(*at_ms) <= most), "{per_minute}");
            assert!(within(0) * 10 >= most * 9, "{per_minute}: {}", within(0));
        }
    }
}
