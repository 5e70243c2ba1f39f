//! When a request is sent again, with which key, and what is known afterwards.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::server::{Runbook, answer, drain};
use super::{
    KEY, Names, at_least_once, at_most_once, build, call, caller, fate, once, settings, wait,
};
use triaged::stage::runbook::address::AddressFilter;
use triaged::stage::runbook::{Answer, Call, CallError, Caller, Failure, Method};

fn repeat(caller: &Caller, call: &Call) -> Result<Answer, CallError> {
    wait(caller.call(call, &at_least_once()))
}

/// Answers with these statuses one after the other, the last one for ever.
fn answering(statuses: &'static [u16]) -> Runbook {
    Runbook::new(move |nth, _, stream| {
        answer(stream, statuses[nth.min(statuses.len() - 1)], "", "")
    })
}

#[test]
fn what_passes_is_tried_three_times_at_most_and_always_with_the_same_key() {
    for status in [408, 425, 429, 500, 502, 503, 504] {
        let statuses: &'static [u16] = Box::leak(Box::new([status]));
        let runbook = answering(statuses);
        let outcome = repeat(&caller(settings(&runbook)), &call(&runbook));
        assert_eq!(fate(outcome), ("status", status >= 500, 3), "{status}");
        let requests = runbook.requests();
        assert_eq!(requests.len(), 3);
        for seen in requests {
            assert_eq!(seen.header("idempotency-key"), Some(format!("\"{KEY}\"").as_str()));
            assert_eq!(seen.body, br#"{"user":"kim"}"#);
        }
    }
}

#[test]
fn what_does_not_pass_is_tried_once() {
    for status in [400, 401, 403, 404, 410, 501] {
        let statuses: &'static [u16] = Box::leak(Box::new([status]));
        let runbook = answering(statuses);
        let error = repeat(&caller(settings(&runbook)), &call(&runbook)).unwrap_err();
        assert_eq!((&error.failure, error.requests), (&Failure::Status(status), 1));
        assert_eq!(error.is_unknown(), status == 501, "{status}");
    }
}

#[test]
fn a_runbook_that_comes_back_is_heard() {
    let runbook = answering(&[503, 500, 200]);
    let answer = repeat(&caller(settings(&runbook)), &call(&runbook)).unwrap();
    assert_eq!((answer.status, answer.requests), (200, 3));
}

#[test]
fn retry_after_is_kept_to() {
    let runbook = Runbook::new(|nth, _, stream| match nth {
        0 => answer(stream, 429, "retry-after: 3600\r\n", ""),
        _ => answer(stream, 200, "", ""),
    });
    let mut settings = settings(&runbook);
    settings.retries.cap = Duration::from_millis(400);
    let began = Instant::now();
    let answer = repeat(&caller(settings.clone()), &call(&runbook)).unwrap();
    // Without the header the wait would be a millisecond at most; the cap bounds what it asks.
    assert!((0.4..5.0).contains(&began.elapsed().as_secs_f64()), "{:?}", began.elapsed());
    assert_eq!(answer.requests, 2);

    // A wait that would not end in time is not begun.
    let runbook = Runbook::new(|_, _, stream| answer_later(stream));
    settings.hosts = super::settings(&runbook).hosts;
    settings.retries.cap = Duration::from_secs(3600);
    let began = Instant::now();
    assert_eq!(fate(repeat(&caller(settings), &call(&runbook))), ("status", false, 1));
    assert!(began.elapsed() < Duration::from_secs(5));
}

fn answer_later(stream: &mut dyn super::server::Stream) -> std::io::Result<()> {
    answer(stream, 429, "retry-after: 3600\r\n", "")
}

#[test]
fn a_request_still_in_flight_is_asked_after_with_the_same_key() {
    let runbook = answering(&[409, 409, 409, 409, 200]);
    let answer = repeat(&caller(settings(&runbook)), &call(&runbook)).unwrap();
    assert_eq!((answer.status, answer.requests), (200, 5));
    let requests = runbook.requests();
    assert!(requests.iter().all(|r| r.header("idempotency-key") == Some(&format!("\"{KEY}\""))));
}

#[test]
fn a_request_in_flight_for_ever_is_asked_after_no_longer_than_a_call_may_wait() {
    let runbook = Runbook::new(|_, _, stream| answer(stream, 409, "retry-after: 0\r\n", ""));
    let mut settings = settings(&runbook);
    settings.retries.base = Duration::from_millis(200);
    settings.longest_wait = Duration::from_millis(500);
    let mut call = call(&runbook);
    call.timeout = Duration::from_secs(5);
    let began = Instant::now();
    let (reason, unknown, requests) = fate(repeat(&caller(settings), &call));
    assert_eq!((reason, unknown), ("conflict", true));
    // Each wait is the base here: nobody is flooded.
    assert!(requests <= 3, "{requests}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

/// As after a crash in the midst of a batch, when the runbook still works on all of its calls.
#[test]
fn more_requests_in_flight_than_the_budget_has_are_all_asked_after_until_they_are_done() {
    const CALLS: usize = 20;
    const IN_FLIGHT: usize = 60;
    let runbook = Runbook::new(|nth, _, stream| {
        answer(stream, if nth < IN_FLIGHT { 409 } else { 200 }, "", "")
    });
    let settings = settings(&runbook);
    let rule = &settings.retries;
    assert!(rule.budget_reserve + rule.budget_share * (CALLS as f64) < IN_FLIGHT as f64);
    let (caller, call, terms) = (caller(settings), call(&runbook), at_least_once());
    let ends = wait(join_all((0..CALLS).map(|_| caller.call(&call, &terms))));
    for end in ends {
        assert_eq!(end.expect("done").status, 200);
    }
    assert_eq!(runbook.requests().len(), CALLS + IN_FLIGHT);
}

#[test]
fn what_failed_takes_from_the_budget_whatever_was_in_flight_before() {
    let runbook = answering(&[409, 409, 503, 409, 503]);
    let mut settings = settings(&runbook);
    (settings.retries.budget_share, settings.retries.budget_reserve) = (0.0, 1.0);
    assert_eq!(fate(repeat(&caller(settings), &call(&runbook))), ("budget_spent", true, 5));
}

#[test]
fn a_key_that_was_used_otherwise_is_never_tried_again() {
    let runbook = answering(&[422]);
    let outcome = repeat(&caller(settings(&runbook)), &call(&runbook));
    assert_eq!(fate(outcome), ("key_reuse", false, 1));
}

#[test]
fn at_most_once_means_one_request() {
    for status in [408, 409, 425, 429, 500, 502, 503, 504] {
        let statuses: &'static [u16] = Box::leak(Box::new([status, 200]));
        let runbook = answering(statuses);
        let (_, _, requests) = fate(once(&caller(settings(&runbook)), &call(&runbook)));
        assert_eq!((requests, runbook.connections()), (1, 1), "{status}");
    }
    let runbook = Runbook::new(|_, _, stream| drain(stream));
    let mut call = call(&runbook);
    call.timeout = Duration::from_millis(200);
    assert_eq!(fate(once(&caller(settings(&runbook)), &call)), ("timeout", true, 1));
    assert_eq!(runbook.connections(), 1);
}

#[test]
fn what_was_never_sent_is_tried_again_even_at_most_once() {
    // Nobody listens at this address.
    let runbook = answering(&[200]);
    let mut settings = settings(&runbook);
    settings.addresses = AddressFilter::new(vec!["127.0.0.3/32".parse().unwrap()]).unwrap();
    let caller = build(settings, &Names::all(&["127.0.0.3"]));
    assert_eq!(fate(once(&caller, &call(&runbook))), ("connect", false, 3));
}

#[test]
fn an_unknown_request_stays_unknown_whatever_comes_after_it() {
    let runbook = Runbook::new(|nth, _, stream| match nth {
        0 => drain(stream),
        _ => answer(stream, 404, "", ""),
    });
    let mut call = call(&runbook);
    call.timeout = Duration::from_millis(200);
    let outcome = repeat(&caller(settings(&runbook)), &call);
    assert_eq!(fate(outcome), ("status", true, 2));
}

#[test]
fn a_request_that_only_asks_is_repeated_and_never_unknown() {
    let runbook = Runbook::new(|_, _, stream| drain(stream));
    let mut call = call(&runbook);
    call.method = Method::Get;
    call.body = None;
    call.timeout = Duration::from_millis(100);
    let outcome = wait(caller(settings(&runbook)).call(&call, &at_most_once()));
    assert_eq!(fate(outcome), ("timeout", false, 3));
    for seen in runbook.requests() {
        assert!(seen.head.starts_with("GET /users/kim/unlock HTTP/1.1\r\n"), "{}", seen.head);
        assert_eq!(seen.header("idempotency-key"), None);
    }
}
