//! Outputs as records: CloudEvents for decisions, the untouched original for dead letters.

use std::borrow::Cow;
use std::io::Write as _;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::desk;
use crate::log::{Headers, Origin, Outgoing, Record};
use crate::resolve::guard::Guard;
use crate::triage::decision::{Decision, Outcome};
use crate::triage::ticket::{Malformed, Ticket};

/// Namespace of the event ids (UUIDv5): the same record always gives the same id.
const EVENT_NAMESPACE: Uuid = Uuid::from_u128(0x6f1c_9a52_33a7_5d0e_9b61_2c5d_7e04_11f3);

/// Longest text of a dead letter's error header, in bytes.
const MAX_ERROR_BYTES: usize = 1024;

/// Longest key of a dead letter that only points to its record, in bytes.
const MAX_KEY_BYTES: usize = 1024;

/// Headers of the transport that are handed on, so that a trace goes on behind this stage.
const PASSED_ON: [&str; 2] = ["traceparent", "tracestate"];

/// The same in the event itself: attributes, and their headers in binary mode.
const TRACE: [(&str, &str); 2] =
    [("traceparent", "ce_traceparent"), ("tracestate", "ce_tracestate")];

fn is_passed_on(name: &str) -> bool {
    PASSED_ON.iter().any(|passed_on| passed_on.eq_ignore_ascii_case(name))
}

/// The trace of the event that a ticket came in, from its headers or else from its envelope. By
/// attribute, in the order of [`TRACE`].
fn trace(record: &Record, ticket: &Ticket<'_>) -> [Option<Vec<u8>>; 2] {
    let in_headers = TRACE.map(|(_, name)| {
        let header = record.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
        header.and_then(|(_, value)| value.clone())
    });
    if in_headers.iter().any(Option::is_some) {
        return in_headers;
    }
    let trace = desk::trace(record.value.as_deref().unwrap_or_default(), ticket);
    [trace.traceparent, trace.tracestate].map(|text| text.map(String::into_bytes))
}

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Attributes in headers, the decision as value.
    Binary,
    /// The whole event as value.
    Structured,
}

/// The event type of an outcome.
pub fn event_type(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Routed => "triaged.ticket.routed.v1",
        Outcome::Review => "triaged.ticket.review.v1",
        Outcome::Resolve => "triaged.ticket.action.v1",
    }
}

/// The deterministic id of the event that answers `cause`.
pub fn event_id(cause: &Origin, event_type: &str) -> Uuid {
    let mut name = Vec::with_capacity(96);
    // Writing to a vector cannot fail.
    let _ = write!(name, "{}\0{}\0{}\0{event_type}", cause.topic, cause.partition, cause.offset);
    Uuid::new_v5(&EVENT_NAMESPACE, &name)
}

/// The event for a decision.
pub fn decided(
    record: &Record,
    ticket: &Ticket<'_>,
    decision: &Decision<'_>,
    topic: Arc<str>,
    mode: Mode,
    source: &str,
) -> Outgoing {
    let kind = event_type(decision.outcome);
    let id = event_id(&record.origin, kind).hyphenated().to_string();
    let time = record.timestamp_ms.and_then(rfc3339);
    let data = data(&record.origin, ticket, decision);
    let trace = trace(record, ticket);
    let mut headers: Headers = Vec::with_capacity(12);
    let mut header = |name: &'static str, value: &str| {
        headers.push((Cow::Borrowed(name), Some(value.as_bytes().to_vec())));
    };
    let value = match mode {
        Mode::Binary => {
            header("content-type", "application/json");
            header("ce_specversion", "1.0");
            header("ce_id", &id);
            header("ce_source", source);
            header("ce_type", kind);
            header("ce_subject", &ticket.id);
            if let Some(time) = &time {
                header("ce_time", time);
            }
            for ((_, name), value) in TRACE.into_iter().zip(trace) {
                headers.extend(value.map(|value| (Cow::Borrowed(name), Some(value))));
            }
            data
        }
        Mode::Structured => {
            header("content-type", "application/cloudevents+json; charset=UTF-8");
            let mut envelope = serde_json::json!({
                "specversion": "1.0",
                "id": id,
                "source": source,
                "type": kind,
                "subject": ticket.id,
                "time": time,
                "datacontenttype": "application/json",
            });
            for ((name, _), value) in TRACE.into_iter().zip(trace) {
                if let Some(text) = value.and_then(|value| String::from_utf8(value).ok()) {
                    envelope[name] = text.into();
                }
            }
            let mut value = envelope.to_string().into_bytes();
            append(&mut value, "data", &data);
            value
        }
    };
    for (name, value) in &record.headers {
        if is_passed_on(name) {
            headers.push((name.clone(), value.clone()));
        }
    }
    Outgoing {
        cause: record.origin.clone(),
        topic,
        key: Some(ticket.id.as_bytes().to_vec()),
        value: Some(value),
        headers,
        timestamp_ms: None,
    }
}

/// The decision as JSON, with where the ticket was read and the ticket itself, untouched.
pub fn data(origin: &Origin, ticket: &Ticket<'_>, decision: &Decision<'_>) -> Vec<u8> {
    let mut data = Vec::with_capacity(ticket.original.len() + 2048);
    // Serialising these plain structs into a vector cannot fail.
    let _ = serde_json::to_writer(&mut data, decision);
    data.pop();
    let _ = data.write_all(b",\"origin\":{\"topic\":");
    let _ = serde_json::to_writer(&mut data, &*origin.topic);
    let _ = write!(data, ",\"partition\":{},\"offset\":{}}}}}", origin.partition, origin.offset);
    append(&mut data, "ticket", ticket.original.trim().as_bytes());
    data
}

/// Adds a member whose value is JSON text to an object's JSON text.
fn append(object: &mut Vec<u8>, name: &str, json: &[u8]) {
    object.pop();
    let _ = write!(object, ",\"{name}\":");
    object.extend_from_slice(json);
    object.push(b'}');
}

fn rfc3339(timestamp_ms: i64) -> Option<String> {
    jiff::Timestamp::from_millisecond(timestamp_ms).ok().map(|t| t.to_string())
}

/// Whether a dead letter carries the record or, where the log does not take that, only points to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    Value,
    Reference,
}

/// The dead letter of a record: key, value, headers and timestamp as they were, and headers that
/// say where it stood and what was wrong.
pub fn dead(
    record: &Record,
    malformed: &Malformed,
    topic: Arc<str>,
    now_ms: i64,
    keep: Keep,
) -> Outgoing {
    let (key, value, mut headers, timestamp_ms) = match keep {
        Keep::Value => {
            let Record { key, value, headers, timestamp_ms, .. } = record.clone();
            (key, value, headers, timestamp_ms)
        }
        // Whatever it was that the log did not take, it is not in the reference.
        Keep::Reference => {
            let key = record.key.clone().filter(|key| key.len() <= MAX_KEY_BYTES);
            (key, None, Headers::new(), None)
        }
    };
    let mut header = |name: &'static str, value: String| {
        headers.push((Cow::Borrowed(name), Some(value.into_bytes())));
    };
    let mut error = malformed.to_string();
    error.truncate(error.floor_char_boundary(MAX_ERROR_BYTES));
    header("triaged.errors.topic", record.origin.topic.to_string());
    header("triaged.errors.partition", record.origin.partition.to_string());
    header("triaged.errors.offset", record.origin.offset.to_string());
    header("triaged.errors.reason", malformed.reason().to_owned());
    header("triaged.errors.message", error);
    header("triaged.errors.time", rfc3339(now_ms).unwrap_or_default());
    if keep == Keep::Reference {
        let value = record.value.as_deref().unwrap_or_default();
        header("triaged.errors.value", String::from("omitted"));
        header("triaged.errors.value.bytes", value.len().to_string());
        header("triaged.errors.value.sha256", format!("{:x}", Sha256::digest(value)));
    }
    Outgoing { cause: record.origin.clone(), topic, key, value, headers, timestamp_ms }
}

/// Why people get a ticket that a playbook was to answer.
#[derive(Clone, Debug, serde::Serialize, schemars::JsonSchema)]
pub struct HandedBack<'a> {
    pub playbook: &'a str,
    pub version: u64,
    pub reason: Option<Guard>,
    pub detail: Option<&'a str>,
}

/// The decision event's data as its JSON Schema describes it. Never built: [`data`] writes it.
#[derive(schemars::JsonSchema)]
#[schemars(title = "Decision", extend("$id" = "https://triaged.dev/schema/decision.json"))]
#[allow(dead_code, reason = "the type exists for its schema")]
pub struct DecisionSchema {
    #[schemars(flatten)]
    decision: Decision<'static>,
    origin: OriginSchema,
    ticket: crate::desk::TicketSchema,
    /// Only where a playbook was to answer the ticket and did not.
    handed_back: Option<HandedBack<'static>>,
}

/// Where the ticket was read.
#[derive(schemars::JsonSchema)]
#[allow(dead_code, reason = "the type exists for its schema")]
struct OriginSchema {
    topic: String,
    partition: i32,
    offset: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traced(headers: &[(&'static str, &str)], value: &str) -> [Option<String>; 2] {
        let headers = headers.iter().map(|(n, v)| ((*n).into(), Some(v.as_bytes().to_vec())));
        let record = Record {
            origin: Origin { topic: "tickets.new".into(), partition: 0, offset: 0 },
            key: None,
            value: Some(value.as_bytes().to_vec()),
            headers: headers.collect(),
            timestamp_ms: None,
        };
        let input = desk::Input { value: Some(value.as_bytes()), headers: &[], max_bytes: 9_999 };
        let ticket = desk::parse(&input).unwrap();
        trace(&record, &ticket).map(|value| value.map(|value| String::from_utf8(value).unwrap()))
    }

    #[test]
    fn a_trace_goes_on_however_its_headers_are_written() {
        assert!(is_passed_on("traceparent") && is_passed_on("Tracestate"));
        assert!(!is_passed_on("trace") && !is_passed_on("ce_id"));
        let ticket = r#"{"ticket_id":1,"subject":"","body":"","created_at":"2026-03-04T09:12:00Z","requester":"","source":""}"#;
        let known = r#""specversion":"1.0","id":"1","source":"/desk","type":"new""#;
        let event = format!(r#"{{{known},"traceparent":"inside","data":{ticket}}}"#);
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(traced(&[("CE_TraceParent", "header")], ticket), [text("header"), None]);
        assert_eq!(traced(&[("traceparent", "transport")], ticket), [None, None]);
        assert_eq!(traced(&[("traceparent", "transport")], &event), [text("inside"), None]);
        // One trace's parent does not go with another one's state.
        assert_eq!(traced(&[("ce_tracestate", "header")], &event), [None, text("header")]);
    }

    #[test]
    fn a_reference_has_nothing_that_a_log_could_refuse() {
        let origin = Origin { topic: "tickets.new".into(), partition: 3, offset: 7 };
        let record = Record {
            origin,
            key: Some(vec![b'k'; 2_000_000]),
            value: Some(b"{}".to_vec()),
            headers: vec![("big".into(), Some(vec![0; 2_000_000]))],
            timestamp_ms: Some(-5),
        };
        let letter = |keep| dead(&record, &Malformed::Refused, "tickets.dead".into(), 0, keep);
        let whole = letter(Keep::Value);
        assert_eq!((&whole.key, &whole.value), (&record.key, &record.value));
        assert_eq!((&whole.headers[0], whole.timestamp_ms), (&record.headers[0], Some(-5)));
        let reference = letter(Keep::Reference);
        let headers = reference.headers.iter();
        let size: usize = headers.map(|(n, v)| n.len() + v.as_ref().map_or(0, Vec::len)).sum();
        assert!(size < 1_000, "{size} bytes");
        assert_eq!((reference.key, reference.value, reference.timestamp_ms), (None, None, None));
        let offset = ("triaged.errors.offset".into(), Some(b"7".to_vec()));
        assert!(reference.headers.contains(&offset));
    }
}
