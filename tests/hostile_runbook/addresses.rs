//! Where a call must not lead: other hosts, other addresses, redirects.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use super::server::{Runbook, answer};
use super::{Names, build, call, fate, once, settings};
use triaged::stage::resolve::Caller;
use triaged::stage::resolve::address::AddressFilter;

#[test]
fn a_redirect_is_a_failure_and_nobody_follows_it() {
    // A closed address with somebody there who counts.
    let trap = Runbook::at("127.0.0.2:0");
    let locations = [
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        format!("http://127.0.0.2:{}/", trap.port()),
        format!("http://runbook.test:{}/", trap.port()),
        "/elsewhere".to_owned(),
    ];
    for location in locations {
        for (status, unknown) in [(301, true), (302, true), (303, true), (307, false), (308, false)]
        {
            let header = format!("location: {location}\r\n");
            let runbook = Runbook::new(move |_, _, stream| answer(stream, status, &header, ""));
            let names = Names::all(&["127.0.0.1"]);
            let outcome = once(&build(settings(&runbook), &names), &call(&runbook));
            assert_eq!(fate(outcome), ("redirect", unknown, 1), "{status} to {location}");
            assert_eq!((names.asked(), runbook.connections()), (1, 1));
        }
    }
    assert_eq!(trap.connections(), 0);
}

#[test]
fn a_name_that_turns_to_a_closed_address_is_not_followed() {
    let runbook = Runbook::new(|_, _, stream| answer(stream, 200, "", ""));
    let trap = Runbook::at(&format!("127.0.0.2:{}", runbook.port()));
    let names = Names::all(&["127.0.0.1", "127.0.0.2"]);
    let caller = build(settings(&runbook), &names);
    assert_eq!(once(&caller, &call(&runbook)).unwrap().status, 200);
    for _ in 0..3 {
        let outcome = once(&caller, &call(&runbook));
        assert_eq!(fate(outcome), ("address_forbidden", false, 1));
    }
    assert_eq!((names.asked(), runbook.connections(), trap.connections()), (4, 1, 0));
}

#[test]
fn a_name_that_leads_to_the_metadata_service_is_not_followed() {
    let runbook = Runbook::new(|_, _, stream| answer(stream, 200, "", ""));
    for address in ["169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "10.0.0.1"] {
        let names = Names::all(&[address]);
        let outcome = once(&build(settings(&runbook), &names), &call(&runbook));
        assert_eq!(fate(outcome), ("address_forbidden", false, 1), "{address}");
    }
    assert_eq!(runbook.connections(), 0);
}

#[test]
fn an_address_in_place_of_a_name_is_judged_like_one() {
    let runbook = Runbook::new(|_, _, stream| answer(stream, 200, "", ""));
    let names = Names::all(&["127.0.0.1"]);
    for host in ["127.0.0.1", "[::ffff:7f00:1]", "[::1]"] {
        let mut settings = settings(&runbook);
        settings.hosts = vec![format!("http://{host}:{}", runbook.port()).parse().unwrap()];
        settings.addresses = AddressFilter::default();
        let mut call = call(&runbook);
        call.host = host.to_owned();
        call.url = format!("http://{host}:{}/", runbook.port());
        let outcome = once(&build(settings.clone(), &names), &call);
        assert_eq!(fate(outcome), ("address_forbidden", false, 0), "{host}");
        if host == "127.0.0.1" {
            settings.addresses = AddressFilter::new(vec!["127.0.0.1/32".parse().unwrap()]).unwrap();
            assert_eq!(once(&build(settings, &names), &call).unwrap().status, 200);
        }
    }
    assert_eq!((names.asked(), runbook.connections()), (0, 1));
}

#[test]
fn a_host_that_is_not_listed_is_not_even_looked_up() {
    let runbook = Runbook::new(|_, _, stream| answer(stream, 200, "", ""));
    let names = Names::all(&["127.0.0.1"]);
    let caller = build(settings(&runbook), &names);
    let (port, other) = (runbook.port(), runbook.port() ^ 1);
    for (url, host, port) in [
        (format!("https://runbook.test:{port}/"), "runbook.test", port),
        (format!("http://runbook.test:{other}/"), "runbook.test", other),
        (format!("http://sub.runbook.test:{port}/"), "sub.runbook.test", port),
        (format!("http://runbook.test.:{port}/"), "runbook.test.", port),
        (format!("http://127.0.0.1:{port}/"), "127.0.0.1", port),
    ] {
        let mut call = call(&runbook);
        (call.url, call.host, call.port) = (url.clone(), host.to_owned(), port);
        assert_eq!(fate(once(&caller, &call)), ("host_not_allowed", false, 0), "{url}");
    }
    let mut call = call(&runbook);
    call.host = "desk.test".to_owned();
    assert_eq!(fate(once(&caller, &call)), ("invalid_call", false, 0));
    assert_eq!((names.asked(), runbook.connections()), (0, 0));
}

#[test]
fn a_look_up_that_never_ends_is_a_connection_that_never_stands() {
    let runbook = Runbook::new(|_, _, stream| answer(stream, 200, "", ""));
    let mut settings = settings(&runbook);
    settings.connect_timeout = Duration::from_millis(100);
    let lookup = Arc::new(|_| Box::pin(std::future::pending()) as _);
    let caller = Caller::with_lookup(settings, Arc::new(()), lookup).unwrap();
    assert_eq!(fate(once(&caller, &call(&runbook))), ("connect", false, 3));
    assert_eq!(runbook.connections(), 0);
}

/// Another test of this binary, with a proxy in its environment.
#[test]
fn a_proxy_in_the_environment_is_not_used() {
    let proxy = Runbook::at("127.0.0.1:0");
    let address = format!("http://127.0.0.1:{}", proxy.port());
    let mut test = Command::new(std::env::current_exe().unwrap());
    test.args(["--exact", "answers::an_answer_is_taken_as_it_is"]);
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        test.env(name, &address);
    }
    let output = test.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    assert_eq!(proxy.connections(), 0);
}
