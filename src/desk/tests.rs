use std::borrow::Cow;

use super::{Input, parse};
use crate::triage::ticket::Malformed;

const TICKET: &str = r#"{"ticket_id":"INC1","subject":"VPN","body":"down","created_at":"2026-03-04T09:12:00+09:00","requester":"kim","source":"email","x":{"y":[1,2.5,"z"]}}"#;

type Header = (Cow<'static, str>, Option<Vec<u8>>);

fn header(name: &'static str, value: &str) -> Header {
    (Cow::Borrowed(name), Some(value.as_bytes().to_vec()))
}

fn reason_with(value: &[u8], headers: &[Header]) -> &'static str {
    match parse(&Input { value: Some(value), headers, max_bytes: 4096 }) {
        Ok(_) => "ok",
        Err(e) => e.reason(),
    }
}

fn reason(value: &str) -> &'static str {
    reason_with(value.as_bytes(), &[])
}

fn edited(from: &str, to: &str) -> String {
    let text = TICKET.replacen(from, to, 1);
    assert_ne!(text, TICKET, "the edit must change the ticket");
    text
}

#[test]
fn plain_tickets_keep_their_text() {
    let ticket = parse(&Input { value: Some(TICKET.as_bytes()), headers: &[], max_bytes: 4096 })
        .expect("a good ticket");
    assert_eq!((&*ticket.id, &*ticket.subject, &*ticket.body), ("INC1", "VPN", "down"));
    assert_eq!(ticket.original, TICKET);
    assert_eq!(format!("{ticket:?}"), format!("Ticket({} bytes)", TICKET.len()));
}

#[test]
fn every_malformation_has_its_reason() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let cases: &[(&str, String)] = &[
        ("ok", format!("\u{feff}{TICKET}")),
        ("not_json", format!("\u{feff}\u{feff}{TICKET}")),
        ("ok", format!(" \r\n\t{TICKET}\n")),
        ("ok", edited("\"INC1\"", "42")),
        ("ok", edited("\"down\"", "null")),
        ("ok", edited("\"down\"", "\"\"")),
        ("ok", edited("\"kim\"", "{\"id\":7,\"department\":\"Sales\"}")),
        ("ok", edited("\"x\":", "\"impact\":2,\"urgency\":\"High\",\"x\":")),
        ("ok", edited("\"INC1\"", "12.0")),
        ("ok", edited("\"INC1\"", "-0")),
        (
            "ok",
            edited("\"x\":", "\"priority\":1.0,\"language\":1042,\"reporter_category\":5,\"x\":"),
        ),
        ("ok", edited("T09:12:00+09:00", " 09:12:00+0900")),
        ("ok", edited("\"down\"", "\"nul \\u0000 esc \\u001b\"")),
        ("not_json", String::from("{")),
        ("not_json", String::from("nonsense")),
        ("not_json", format!("{TICKET}{TICKET}")),
        ("not_json", edited("2.5", "1e999")),
        ("not_json", edited("\"z\"", "\"\\ud800\"")),
        ("not_json", edited("\"z\"", &deep)),
        ("not_json", deep.clone()),
        ("not_json", edited("2.5", "02")),
        ("not_an_object", String::from("[\"a\",\"b\"]")),
        ("not_an_object", String::from("null")),
        ("not_an_object", String::from("\"text\"")),
        ("missing_field", String::from("{}")),
        ("missing_field", edited("\"requester\":\"kim\",", "")),
        ("missing_field", edited("\"ticket_id\"", "\"Ticket_ID\"")),
        ("bad_field", edited("\"INC1\"", "\"\"")),
        ("bad_field", edited("\"INC1\"", "\" \"")),
        ("bad_field", edited("\"INC1\"", "1.5")),
        ("bad_field", edited("\"INC1\"", "\"a\\nb\"")),
        ("bad_field", edited("INC1", &"9".repeat(201))),
        ("bad_field", edited("\"INC1\"", "null")),
        ("bad_field", edited("\"INC1\"", "9223372036854775808")),
        ("bad_field", edited("\"INC1\"", "9007199254740993.0")),
        ("bad_field", edited("INC1", "a\\u0085")),
        ("bad_field", edited("\"down\"", "[\"down\"]")),
        ("bad_field", edited("\"kim\"", "[]")),
        ("bad_field", edited("2026-03-04T09:12:00+09:00", "yesterday")),
        ("bad_field", edited("\"x\":", "\"impact\":{},\"x\":")),
        ("duplicate_field", edited("\"x\":", "\"body\":\"up\",\"x\":")),
        ("too_large", edited("down", &"d".repeat(5000))),
        ("empty", String::new()),
    ];
    for (expected, text) in cases {
        assert_eq!(reason(text), *expected, "{text:.120}");
    }
    assert_eq!(reason_with(b"{\"ticket_id\":\"\xff\"}", &[]), "not_utf8");
    let none = parse(&Input { value: None, headers: &[], max_bytes: 1 });
    assert_eq!(none, Err(Malformed::Empty));
}

#[test]
fn the_largest_record_is_taken_and_one_byte_more_is_too_large() {
    // Bytes count, not characters.
    let text = edited("down", "안 됩니다");
    let parsed =
        |max_bytes| parse(&Input { value: Some(text.as_bytes()), headers: &[], max_bytes });
    assert_eq!(parsed(text.len()).expect("a ticket").body, "안 됩니다");
    let limit = text.len() - 1;
    assert_eq!(parsed(limit), Err(Malformed::TooLarge { bytes: limit + 1, limit }));
    assert_eq!(parsed(limit).expect_err("no ticket").reason(), "too_large");
}

#[test]
fn numbers_without_a_fraction_are_integers() {
    let numbers = [("12", "12"), ("12.0", "12"), ("1e2", "100"), ("-0.0", "0")];
    for (written, read) in numbers {
        let text = edited("\"INC1\"", written).replace("\"x\":", "\"impact\":3.0,\"x\":");
        let ticket = crate::desk::parse_text(&text).expect("a ticket");
        assert_eq!((&*ticket.id, ticket.impact.as_deref()), (read, Some("3")));
    }
}

#[test]
fn all_missing_fields_are_named_at_once() {
    let said = |text: &str| crate::desk::parse_text(text).expect_err("no ticket").to_string();
    let all = "the fields ticket_id, subject, body, created_at, requester, source are missing";
    assert_eq!(said("{}"), all);
    assert_eq!(said(&edited("\"requester\":\"kim\",", "")), "the field requester is missing");
}

#[test]
fn messages_say_what_would_be_right() {
    let said = |text: &str| crate::desk::parse_text(text).expect_err("no ticket").to_string();
    for (from, to, right) in [
        ("\"INC1\"", "1.5", "a string or an integer"),
        ("\"x\":", "\"priority\":1.5,\"x\":", "a string or an integer"),
        ("\"x\":", "\"language\":[],\"x\":", "a string or an integer"),
        ("\"INC1\"", "9223372036854775808", "send it as a string"),
        ("\"x\":", "\"impact\":1e300,\"x\":", "send it as a string"),
        ("2026-03-04T09:12:00+09:00", "9999-12-31T23:59:59Z", "between -9999-01-03 and 9999-12-30"),
        ("2026-03-04T09:12:00+09:00", "2026-03-04T09:12:00", "with its offset"),
        ("2026-03-04T09:12:00+09:00", "2026-13-04T09:12:00Z", "RFC 3339"),
    ] {
        let message = said(&edited(from, to));
        assert!(message.contains(right), "{to}: {message}");
    }
}

#[test]
fn messages_never_quote_the_text() {
    for text in [r#"{"ticket_id": secret}"#, r#"["secret"]"#, r#"{"body":"secret"}"#, "\"secret"] {
        let error = parse(&Input { value: Some(text.as_bytes()), headers: &[], max_bytes: 99 })
            .expect_err("no ticket");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn events_in_structured_mode() {
    let event = |data: &str| {
        format!(r#"{{"specversion":"1.0","id":"1","source":"/desk","type":"new",{data}}}"#)
    };
    let structured = [header("Content-Type", "application/cloudevents+json; charset=UTF-8")];
    let good = event(&format!("\"data\":{TICKET}"));
    let encoded = event(
        "\"data_base64\":\"eyJ0aWNrZXRfaWQiOjEsInN1YmplY3QiOiIiLCJib2R5IjoiIiwiY3JlYXRlZF9hdCI6IjIwMjYtMDMtMDRUMDk6MTI6MDBaIiwicmVxdWVzdGVyIjoiIiwic291cmNlIjoiIn0=\"",
    );
    for headers in [&structured[..], &[]] {
        assert_eq!(reason_with(good.as_bytes(), headers), "ok");
        assert_eq!(reason_with(encoded.as_bytes(), headers), "ok");
        assert_eq!(reason_with(good.replace("1.0", "0.3").as_bytes(), headers), "bad_envelope");
        assert_eq!(reason_with(event("\"data\":7").as_bytes(), headers), "not_an_object");
        assert_eq!(reason_with(event("\"n\":7").as_bytes(), headers), "bad_envelope");
        assert_eq!(reason_with(event("\"data_base64\":\"%\"").as_bytes(), headers), "bad_envelope");
        for (kind, expected) in [
            ("\"application/json\"", "ok"),
            ("\"application/vnd.desk+JSON\"", "ok"),
            ("null", "ok"),
            ("\"text/xml\"", "bad_envelope"),
            ("7", "bad_envelope"),
        ] {
            let event = event(&format!("\"datacontenttype\":{kind},\"data\":{TICKET}"));
            assert_eq!(reason_with(event.as_bytes(), headers), expected, "{kind}");
        }
    }
    assert_eq!(reason_with(b"{}", &structured), "bad_envelope");
    assert_eq!(reason_with(b"{", &structured), "not_json");
    let batch = [header("content-type", "application/cloudevents-batch+json")];
    assert_eq!(reason_with(b"[]", &batch), "bad_envelope");
}

#[test]
fn events_in_binary_mode() {
    let mut headers = vec![
        header("ce_specversion", "1.0"),
        header("ce_id", "7"),
        header("ce_source", "/desk"),
        header("ce_type", "new"),
    ];
    assert_eq!(reason_with(TICKET.as_bytes(), &headers), "ok");
    headers.push(header("content-type", "application/json"));
    assert_eq!(reason_with(TICKET.as_bytes(), &headers), "ok");
    headers[4] = header("content-type", "application/avro");
    assert_eq!(reason_with(TICKET.as_bytes(), &headers), "bad_envelope");
    headers.truncate(3);
    assert_eq!(reason_with(TICKET.as_bytes(), &headers), "bad_envelope");
    headers[0] = header("ce_specversion", "2.0");
    assert_eq!(reason_with(TICKET.as_bytes(), &headers), "bad_envelope");
}

#[test]
fn the_trace_is_read_from_envelopes_alone() {
    let trace = |value: &str| {
        let input = Input { value: Some(value.as_bytes()), headers: &[], max_bytes: 4096 };
        crate::desk::trace(value.as_bytes(), &parse(&input).expect("a ticket"))
    };
    let event = |attributes: &str| {
        let known = r#""specversion":"1.0","id":"1","source":"/desk","type":"new""#;
        format!("\u{feff}{{{known},{attributes}\"data\":{TICKET}}}")
    };
    let full = trace(&event(r#""traceparent":"00-a-b-01","tracestate":"x=1","#));
    assert_eq!(full.traceparent.as_deref(), Some("00-a-b-01"));
    assert_eq!(full.tracestate.as_deref(), Some("x=1"));
    let none = crate::desk::Trace::default();
    assert_eq!(trace(&event("")), none);
    assert_eq!(trace(&event(r#""traceparent":7,"#)), none);
    // A field of the ticket's own is no trace.
    let field = edited("\"x\":", "\"traceparent\":\"00-a-b-01\",\"x\":");
    assert_eq!(trace(&format!("\u{feff}{field}")), none);
}
