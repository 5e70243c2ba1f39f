//! How much a host gets: budget of retries, breaker, requests in flight, rate; and the kill switch.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::server::{Runbook, answer, drain};
use super::{Heard, Names, at_least_once, call, caller, fate, settings, wait};
use triaged::stage::runbook::breaker::BreakerState;
use triaged::stage::runbook::{Caller, CallerSettings, Terms};

fn with_observer(settings: CallerSettings) -> (Caller, Arc<Heard>) {
    let heard = Arc::new(Heard::default());
    let observer = Arc::clone(&heard);
    let lookup = Names::all(&["127.0.0.1"]).lookup();
    (Caller::with_lookup(settings, observer, lookup).expect("a caller"), heard)
}

#[test]
fn a_runbook_that_always_fails_gets_little_more_than_one_request_a_call() {
    const CALLS: u32 = 1000;
    let runbook = Runbook::new(|_, _, stream| answer(stream, 503, "", ""));
    let mut settings = settings(&runbook);
    // The breaker would end it much sooner; this is about the budget alone.
    settings.breaker.minimum = usize::MAX;
    let (caller, heard) = with_observer(settings);
    let mut spent = 0;
    wait(async {
        for _ in 0..CALLS {
            let error = caller.call(&call(&runbook), &at_least_once()).await.unwrap_err();
            spent += u32::from(error.reason() == "budget_spent");
            assert!(error.is_unknown() && error.requests <= 3);
        }
    });
    let requests = u32::try_from(runbook.requests().len()).unwrap();
    let retries = heard.retries.load(Ordering::SeqCst);
    assert_eq!(requests, CALLS + retries);
    assert!(f64::from(requests) <= 1.2 * f64::from(CALLS), "{requests} requests");
    assert!(retries >= CALLS / 11, "the budget is there to be used: {retries}");
    assert!(spent > 0);
}

#[test]
fn an_open_breaker_sends_nothing_and_one_probe_closes_it() {
    let failing = Arc::new(AtomicBool::new(true));
    let fails = Arc::clone(&failing);
    let runbook = Runbook::new(move |_, _, stream| {
        answer(stream, if fails.load(Ordering::SeqCst) { 500 } else { 200 }, "", "")
    });
    let mut settings = settings(&runbook);
    settings.retries.attempts = 1;
    settings.breaker.open_for = Duration::from_millis(200);
    let (caller, heard) = with_observer(settings);
    let one = || wait(caller.call(&call(&runbook), &at_least_once()));
    for _ in 0..5 {
        assert_eq!(fate(one()), ("status", true, 1));
    }
    let opened = Instant::now();
    assert_eq!(fate(one()), ("breaker_open", false, 0));
    failing.store(false, Ordering::SeqCst);
    let back = loop {
        match one() {
            Ok(answer) => break answer,
            Err(error) => assert_eq!(error.reason(), "breaker_open"),
        }
        assert!(opened.elapsed() < Duration::from_secs(30));
    };
    assert_eq!(back.status, 200);
    assert_eq!(runbook.requests().len(), 6);
    let states = heard.states.lock().unwrap().clone();
    let expected = [
        (BreakerState::Open, Some("status")),
        (BreakerState::HalfOpen, None),
        (BreakerState::Closed, Some("ok")),
    ];
    assert_eq!(states, expected);
    let outcomes = heard.outcomes.lock().unwrap().clone();
    assert_eq!(outcomes, ["status", "status", "status", "status", "status", "ok"]);
    let refusals = heard.refusals.lock().unwrap().clone();
    assert!(!refusals.is_empty() && refusals.iter().all(|reason| *reason == "breaker_open"));
}

#[test]
fn an_open_breaker_holds_back_its_own_host_alone() {
    let failing = Runbook::new(|_, _, stream| answer(stream, 500, "", ""));
    let working = Runbook::new(|_, _, stream| answer(stream, 200, "", ""));
    let mut both = settings(&failing);
    both.hosts.extend(settings(&working).hosts);
    both.retries.attempts = 1;
    let (caller, heard) = with_observer(both);
    let one = |runbook| wait(caller.call(&call(runbook), &at_least_once()));
    for _ in 0..5 {
        assert_eq!(fate(one(&failing)), ("status", true, 1));
        assert_eq!(one(&working).map(|answer| answer.status), Ok(200));
    }
    for _ in 0..5 {
        assert_eq!(fate(one(&failing)), ("breaker_open", false, 0));
        assert_eq!(one(&working).map(|answer| answer.status), Ok(200));
    }
    assert_eq!((failing.requests().len(), working.requests().len()), (5, 10));
    assert_eq!(*heard.states.lock().unwrap(), [(BreakerState::Open, Some("status"))]);
}

#[test]
fn refusals_of_a_request_do_not_speak_against_the_host() {
    let runbook = Runbook::new(|_, _, stream| answer(stream, 404, "", ""));
    let (caller, heard) = with_observer(settings(&runbook));
    for _ in 0..30 {
        assert_eq!(
            fate(wait(caller.call(&call(&runbook), &at_least_once()))),
            ("status", false, 1)
        );
    }
    assert!(heard.states.lock().unwrap().is_empty());
}

#[test]
fn a_probe_whose_call_is_dropped_makes_room_for_another() {
    let runbook = Runbook::new(|nth, _, stream| match nth {
        0..5 => answer(stream, 500, "", ""),
        5 => drain(stream),
        _ => answer(stream, 200, "", ""),
    });
    let mut settings = settings(&runbook);
    settings.retries.attempts = 1;
    settings.breaker.open_for = Duration::ZERO;
    let caller = caller(settings);
    for _ in 0..5 {
        assert_eq!(fate(wait(caller.call(&call(&runbook), &at_least_once()))), ("status", true, 1));
    }
    wait(async {
        let call = call(&runbook);
        let terms = at_least_once();
        let probe = tokio::time::timeout(Duration::from_millis(300), caller.call(&call, &terms));
        assert!(probe.await.is_err());
    });
    assert_eq!(wait(caller.call(&call(&runbook), &at_least_once())).unwrap().status, 200);
}

#[test]
fn no_more_requests_are_in_flight_than_allowed() {
    const AT_ONCE: usize = 3;
    // Three requests wait for each other: with fewer at a time nothing would ever be answered.
    let together = Barrier::new(AT_ONCE);
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (current, peak) = (Arc::clone(&now), Arc::clone(&most));
    let runbook = Runbook::new(move |_, _, stream| {
        peak.fetch_max(current.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        together.wait();
        current.fetch_sub(1, Ordering::SeqCst);
        answer(stream, 200, "", "")
    });
    let mut settings = settings(&runbook);
    settings.in_flight = NonZeroU32::new(3).unwrap();
    let caller = caller(settings);
    let call = call(&runbook);
    let terms = at_least_once();
    wait(async {
        let one = || caller.call(&call, &terms);
        let three = || async { tokio::join!(one(), one(), one()) };
        let (a, b, c) = tokio::join!(three(), three(), three());
        for (x, y, z) in [a, b, c] {
            assert!(x.is_ok() && y.is_ok() && z.is_ok());
        }
    });
    assert_eq!(most.load(Ordering::SeqCst), AT_ONCE);
    assert_eq!(runbook.requests().len(), 9);
}

#[test]
fn a_rate_that_leaves_no_room_in_time_is_said() {
    let runbook = Runbook::new(|_, _, stream| answer(stream, 200, "", ""));
    let mut settings = settings(&runbook);
    settings.per_minute = NonZeroU32::MIN;
    settings.longest_wait = Duration::from_secs(5);
    let (caller, heard) = with_observer(settings);
    let began = Instant::now();
    let one = || wait(caller.call(&call(&runbook), &at_least_once()));
    assert!(one().is_ok());
    assert_eq!(fate(one()), ("rate_limited", false, 0));
    assert!(began.elapsed() < Duration::from_secs(5), "it is known at once");
    assert_eq!(runbook.connections(), 1);
    assert_eq!(*heard.outcomes.lock().unwrap(), ["ok"]);
    assert_eq!(*heard.refusals.lock().unwrap(), ["rate_limited"]);
}

#[test]
fn a_minute_has_no_more_requests_than_it_may_have() {
    let runbook = Runbook::new(|_, _, stream| answer(stream, 200, "", ""));
    let mut settings = settings(&runbook);
    settings.per_minute = NonZeroU32::new(10).unwrap();
    settings.longest_wait = Duration::from_secs(3);
    let caller = caller(settings);
    let (call, terms) = (call(&runbook), at_least_once());
    let ends = wait(join_all((0..60).map(|_| caller.call(&call, &terms))));
    let done = ends.iter().filter(|end| end.is_ok()).count();
    assert_eq!(runbook.requests().len(), done);
    assert!((1..=10).contains(&done), "{done} requests");
    for end in ends.into_iter().filter(Result::is_err) {
        assert_eq!(fate(end), ("rate_limited", false, 0));
    }
}

#[test]
fn a_call_with_the_longest_timeout_of_all_waits_for_its_turn() {
    let runbook = Runbook::new(|_, _, stream| {
        std::thread::sleep(Duration::from_millis(50));
        answer(stream, 200, "", "")
    });
    let mut settings = settings(&runbook);
    settings.in_flight = NonZeroU32::MIN;
    let caller = caller(settings);
    let mut call = call(&runbook);
    call.timeout = Duration::from_secs(60);
    let terms = at_least_once();
    let (first, second) =
        wait(async { tokio::join!(caller.call(&call, &terms), caller.call(&call, &terms)) });
    assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
}

#[test]
fn a_call_does_not_queue_longer_than_it_may_wait() {
    let runbook = Runbook::new(|_, _, stream| drain(stream));
    let mut settings = settings(&runbook);
    settings.in_flight = NonZeroU32::MIN;
    settings.longest_wait = Duration::from_millis(200);
    let caller = caller(settings);
    let mut call = call(&runbook);
    call.timeout = Duration::from_millis(800);
    let terms = at_least_once();
    let (first, second) =
        wait(async { tokio::join!(caller.call(&call, &terms), caller.call(&call, &terms)) });
    assert_eq!(fate(first), ("timeout", true, 1));
    assert_eq!(fate(second), ("rate_limited", false, 0));
    assert_eq!(runbook.connections(), 1);
}

#[test]
fn the_kill_switch_stops_everything_that_waits() {
    // Before anything is sent.
    let runbook = Runbook::new(|_, _, stream| answer(stream, 503, "retry-after: 30\r\n", ""));
    let mut settings = settings(&runbook);
    settings.retries.cap = Duration::from_secs(30);
    let caller = caller(settings);
    let terms = Terms { stopped: &|| true, ..at_least_once() };
    assert_eq!(fate(wait(caller.call(&call(&runbook), &terms))), ("stopped", false, 0));
    assert_eq!(runbook.connections(), 0);

    // While it waits to send again: what the first request did stays unknown.
    let began = Instant::now();
    let stopped = || !runbook.requests().is_empty();
    let terms = Terms { stopped: &stopped, ..at_least_once() };
    assert_eq!(fate(wait(caller.call(&call(&runbook), &terms))), ("stopped", true, 1));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(runbook.connections(), 1);
}
