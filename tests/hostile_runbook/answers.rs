//! What a runbook answers: too slow, too much, too little, something else.

use std::io;
use std::process::Command;
use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::server::{Runbook, Stream, answer, drain};
use super::{at_least_once, call, caller, fate, once, settings, wait};

/// Writes `bytes` again and again until the client goes away; returns how many bytes it took.
fn flood(stream: &mut dyn Stream, bytes: &[u8], at_most: u64) -> u64 {
    let mut sent = 0;
    while sent < at_most && stream.write_all(bytes).is_ok() {
        sent += bytes.len() as u64;
    }
    sent
}

fn drip(stream: &mut dyn Stream) -> io::Result<()> {
    loop {
        stream.write_all(b"x")?;
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn slow_headers_and_slow_bodies_end_with_the_timeout() {
    let plays: [fn(&mut dyn Stream) -> io::Result<()>; 4] = [
        |stream| drain(stream),
        |stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nx-slow: ")?;
            drip(stream)
        },
        |stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n")?;
            drip(stream)
        },
        |stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345")?;
            drain(stream)
        },
    ];
    for play in plays {
        let runbook = Runbook::new(move |_, _, stream| play(stream));
        let mut call = call(&runbook);
        call.timeout = Duration::from_millis(300);
        let began = Instant::now();
        assert_eq!(fate(once(&caller(settings(&runbook)), &call)), ("timeout", true, 1));
        let took = began.elapsed();
        assert!((0.3..5.0).contains(&took.as_secs_f64()), "{took:?}");
    }
}

/// The kernel's buffers on both sides take some megabytes before a writer notices.
const BUFFERS: u64 = 32 << 20;

/// Set for a process that runs one test only, so that its memory is that test's.
const ALONE: &str = "HOSTILE_RUNBOOK_ALONE";

/// The most memory that this process has had, in bytes, where the system tells it.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

#[test]
fn a_gibibyte_takes_little_memory() {
    if peak_memory().is_none() {
        return;
    }
    let this = std::env::current_exe().expect("this program");
    let mut alone = Command::new(this);
    alone.args(["--exact", "answers::of_a_gibibyte_little_is_read"]).env(ALONE, "1");
    let output = alone.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn of_a_gibibyte_little_is_read() {
    const GIBIBYTE: u64 = 1 << 30;
    let before = peak_memory();
    let heads = [
        format!("HTTP/1.1 200 OK\r\ncontent-length: {GIBIBYTE}\r\n\r\n"),
        "HTTP/1.1 200 OK\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n40000000\r\n".to_owned(),
    ];
    for head in heads {
        let (said, heard) = mpsc::channel();
        let said = Mutex::new(said);
        let runbook = Runbook::new(move |_, _, stream| {
            stream.write_all(head.as_bytes())?;
            let sent = flood(stream, &[b'x'; 64 * 1024], GIBIBYTE);
            said.lock().unwrap().send(sent).map_err(io::Error::other)
        });
        let outcome = once(&caller(settings(&runbook)), &call(&runbook));
        assert_eq!(fate(outcome), ("body_too_large", true, 1));
        let sent = heard.recv_timeout(Duration::from_secs(30)).expect("the flood ends");
        assert!(sent < BUFFERS, "{sent} bytes were taken");
    }
    if std::env::var_os(ALONE).is_some() {
        let more = peak_memory().zip(before).map(|(after, before)| after - before);
        assert!(more.is_some_and(|more| more < 64 << 20), "{more:?} bytes more memory");
    }
}

#[test]
fn headers_without_end_are_not_read_without_end() {
    let (said, heard) = mpsc::channel();
    let said = Mutex::new(said);
    let runbook = Runbook::new(move |_, _, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nx-long: ")?;
        let sent = flood(stream, &[b'x'; 64 * 1024], 1 << 30);
        said.lock().unwrap().send(sent).map_err(io::Error::other)
    });
    let outcome = once(&caller(settings(&runbook)), &call(&runbook));
    assert_eq!(fate(outcome), ("truncated", true, 1));
    let sent = heard.recv_timeout(Duration::from_secs(30)).expect("the flood ends");
    assert!(sent < BUFFERS, "{sent} bytes were taken");
}

#[test]
fn an_answer_of_exactly_the_limit_is_read_and_one_byte_more_is_not() {
    let runbook = Runbook::new(|nth, _, stream| answer(stream, 200, "", &"x".repeat(1000 + nth)));
    let mut settings = settings(&runbook);
    settings.answer_bytes = 1000;
    let caller = caller(settings);
    assert_eq!(once(&caller, &call(&runbook)).unwrap().body.len(), 1000);
    assert_eq!(fate(once(&caller, &call(&runbook))), ("body_too_large", true, 1));
}

#[test]
fn what_a_lying_length_leaves_over_is_not_taken_for_an_answer() {
    let runbook = Runbook::new(|_, _, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1 500 X\r\n\r\n")
    });
    let caller = caller(settings(&runbook));
    for _ in 0..2 {
        assert_eq!(once(&caller, &call(&runbook)).unwrap().body, b"{}");
    }
    assert_eq!(runbook.connections(), 2);
}

#[test]
fn an_answer_that_is_cut_off_or_is_not_http_leaves_open_what_happened() {
    let answers: [&[u8]; 6] = [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nab",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ];
    for bytes in answers {
        let runbook = Runbook::new(move |_, _, stream| stream.write_all(bytes));
        let outcome = wait(caller(settings(&runbook)).call(&call(&runbook), &at_least_once()));
        assert_eq!(fate(outcome), ("truncated", true, 1), "{bytes:?}");
    }
}

#[test]
fn a_reset_after_the_body_was_read_leaves_open_what_happened() {
    let runbook = Runbook::resetting();
    let outcome = once(&caller(settings(&runbook)), &call(&runbook));
    assert_eq!(fate(outcome), ("truncated", true, 1));
    assert_eq!(runbook.requests().len(), 1);
}

#[test]
fn an_answer_is_taken_as_it_is() {
    let runbook = Runbook::new(|_, _, stream| {
        let headers = "content-encoding: gzip\r\nset-cookie: session=1\r\n";
        answer(stream, 200, headers, "\x1f not really packed")
    });
    let caller = caller(settings(&runbook));
    for _ in 0..2 {
        assert_eq!(once(&caller, &call(&runbook)).unwrap().body, b"\x1f not really packed");
    }
    for seen in runbook.requests() {
        assert_eq!(seen.header("accept-encoding"), None);
        assert_eq!(seen.header("cookie"), None);
        assert_eq!(seen.header("host"), Some(format!("runbook.test:{}", runbook.port()).as_str()));
    }
}

#[test]
fn an_answer_that_misses_the_success_condition_is_none() {
    let runbook = Runbook::new(|_, _, stream| answer(stream, 200, "", r#"{"state":"failed"}"#));
    let done = |_: u16, body: &[u8]| {
        if body == br#"{"state":"done"}"# { Ok(()) } else { Err("/state is not done".to_owned()) }
    };
    let terms = super::Terms { expect: &done, ..at_least_once() };
    let outcome = wait(caller(settings(&runbook)).call(&call(&runbook), &terms));
    let error = outcome.unwrap_err();
    assert_eq!((error.reason(), error.is_unknown(), error.requests), ("condition", true, 1));
    assert!(error.to_string().ends_with("/state is not done"), "{error}");
}
