//! The guarded caller against runbooks that are slow, huge, lying, cut off, badly certified or in
//! forbidden places. Real sockets on loopback, which the settings open explicitly.

mod addresses;
mod answers;
mod limits;
mod repeats;
mod server;
mod trust;

use std::future::Future;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use triaged::stage::runbook::address::AddressFilter;
use triaged::stage::runbook::breaker::BreakerState;
use triaged::stage::runbook::{
    Answer, Call, CallError, Caller, CallerSettings, Lookup, Method, Observer, Terms,
};

use server::Runbook;

const KEY: &str = "6ba7b810-9dad-51d1-80b4-00c04fd430c8";

fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

/// Looks every name up as `answers` say, one after the other, the last one for ever.
struct Names {
    answers: Vec<IpAddr>,
    asked: Arc<AtomicU32>,
}

impl Names {
    fn all(answers: &[&str]) -> Self {
        let answers = answers.iter().map(|ip| ip.parse().expect("an address")).collect();
        Self { answers, asked: Arc::default() }
    }

    fn lookup(&self) -> Lookup {
        let (answers, asked) = (self.answers.clone(), Arc::clone(&self.asked));
        Arc::new(move |_| {
            let nth = asked.fetch_add(1, Ordering::SeqCst) as usize;
            let address = answers[nth.min(answers.len() - 1)];
            Box::pin(async move { Ok(vec![address]) })
        })
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Remembers what it hears.
#[derive(Default)]
struct Heard {
    outcomes: Mutex<Vec<&'static str>>,
    refusals: Mutex<Vec<&'static str>>,
    /// States of breakers, each with the outcome that led to it.
    states: Mutex<Vec<(BreakerState, Option<&'static str>)>>,
    retries: AtomicU32,
}

impl Observer for Heard {
    fn called(&self, _host: &str, outcome: &'static str, seconds: f64) {
        assert!(seconds >= 0.0);
        self.outcomes.lock().unwrap().push(outcome);
    }

    fn refused(&self, _host: &str, reason: &'static str) {
        self.refusals.lock().unwrap().push(reason);
    }

    fn retried(&self, _host: &str) {
        self.retries.fetch_add(1, Ordering::SeqCst);
    }

    fn breaker(&self, _host: &str, state: BreakerState, outcome: Option<&'static str>) {
        self.states.lock().unwrap().push((state, outcome));
    }
}

/// Settings for one runbook on 127.0.0.1 that is called `runbook.test`, with short waits.
fn settings(runbook: &Runbook) -> CallerSettings {
    let scheme = if runbook.is_tls() { "" } else { "http://" };
    let host = format!("{scheme}runbook.test:{}", runbook.port());
    let mut settings = CallerSettings::new(vec![host.parse().expect("a host")]);
    settings.addresses = AddressFilter::new(vec!["127.0.0.1/32".parse().unwrap()]).unwrap();
    settings.retries.base = Duration::from_millis(1);
    settings.retries.cap = Duration::from_millis(200);
    settings.per_minute = NonZeroU32::new(1_000_000).unwrap();
    settings
}

fn caller(settings: CallerSettings) -> Caller {
    build(settings, &Names::all(&["127.0.0.1"]))
}

fn build(settings: CallerSettings, names: &Names) -> Caller {
    Caller::with_lookup(settings, Arc::new(()), names.lookup()).expect("a caller")
}

fn call(runbook: &Runbook) -> Call {
    let scheme = if runbook.is_tls() { "https" } else { "http" };
    Call {
        method: Method::Post,
        url: format!("{scheme}://runbook.test:{}/users/kim/unlock", runbook.port()),
        host: "runbook.test".into(),
        port: runbook.port(),
        headers: Vec::new(),
        body: Some(br#"{"user":"kim"}"#.to_vec()),
        credential: None,
        timeout: Duration::from_secs(10),
    }
}

fn success(status: u16, _body: &[u8]) -> Result<(), String> {
    if (200..300).contains(&status) { Ok(()) } else { Err(format!("status {status}")) }
}

/// At least once: what is not known is tried again.
fn at_least_once() -> Terms<'static> {
    Terms { key: KEY, retry: true, expect: &success, stopped: &|| false }
}

/// At most once: only what was never sent is tried again.
fn at_most_once() -> Terms<'static> {
    Terms { retry: false, ..at_least_once() }
}

fn once(caller: &Caller, call: &Call) -> Result<Answer, CallError> {
    wait(caller.call(call, &at_most_once()))
}

/// What a failed call comes to: reason, whether it may have acted, requests.
fn fate(outcome: Result<Answer, CallError>) -> (&'static str, bool, u32) {
    let error = outcome.expect_err("a failure");
    (error.reason(), error.is_unknown(), error.requests)
}
