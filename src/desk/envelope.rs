//! CloudEvents 1.0 on Kafka: <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md>.

use std::borrow::Cow;

use base64::Engine as _;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::generic::parse_text;
use crate::triage::ticket::{Malformed, Ticket};

/// How a record says that it carries an event.
pub(super) enum Mode {
    /// The value is the envelope (`content-type: application/cloudevents+json`).
    Structured,
    /// The value is the ticket, the attributes stand in `ce_` headers.
    Binary,
    /// No header says anything.
    Unmarked,
}

type RecordHeaders = [(Cow<'static, str>, Option<Vec<u8>>)];

fn header<'a>(headers: &'a RecordHeaders, name: &str) -> Option<&'a [u8]> {
    let (_, value) = headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name))?;
    value.as_deref()
}

/// The mode of a record, with the attributes of binary mode checked.
pub(super) fn mode(headers: &RecordHeaders) -> Result<Mode, Malformed> {
    if headers.is_empty() {
        return Ok(Mode::Unmarked);
    }
    let content_type =
        header(headers, "content-type").map(|v| String::from_utf8_lossy(v).to_ascii_lowercase());
    if let Some(content_type) = &content_type {
        if content_type.starts_with("application/cloudevents-batch") {
            return Err(Malformed::BadEnvelope("there is no batch mode on a log"));
        }
        if content_type.starts_with("application/cloudevents") {
            return if content_type.contains("json") {
                Ok(Mode::Structured)
            } else {
                Err(Malformed::BadEnvelope("only its JSON format is read"))
            };
        }
    }
    let Some(version) = header(headers, "ce_specversion") else { return Ok(Mode::Unmarked) };
    if version != b"1.0" {
        return Err(Malformed::BadEnvelope("specversion is not 1.0"));
    }
    for name in ["ce_id", "ce_source", "ce_type"] {
        let value = header(headers, name).unwrap_or_default();
        if value.is_empty() || std::str::from_utf8(value).is_err() {
            return Err(Malformed::BadEnvelope("id, source or type is missing"));
        }
    }
    check_data_type(content_type.as_deref())?;
    Ok(Mode::Binary)
}

/// Data whose type is not said is JSON.
fn check_data_type(content_type: Option<&str>) -> Result<(), Malformed> {
    match content_type {
        Some(t) if !t.to_ascii_lowercase().contains("json") => {
            Err(Malformed::BadEnvelope("the data's content type is not JSON"))
        }
        _ => Ok(()),
    }
}

/// Whether a text that is no ticket has the marks of an envelope.
pub(super) fn looks_like_one(text: &str) -> bool {
    text.contains("\"specversion\"")
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    specversion: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    datacontenttype: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    data_base64: Option<Cow<'a, str>>,
}

/// The ticket in a structured event.
pub(super) fn open(text: &str) -> Result<Ticket<'_>, Malformed> {
    // Read once as a plain object so that what is no JSON is called that, not a bad envelope.
    if let Err(e @ (Malformed::NotJson(_) | Malformed::NotAnObject)) = parse_text(text) {
        return Err(e);
    }
    let envelope: Envelope = serde_json::from_str(text).map_err(|_| {
        Malformed::BadEnvelope(
            "specversion, id, source or type is missing or an attribute no string",
        )
    })?;
    if envelope.specversion != "1.0" {
        return Err(Malformed::BadEnvelope("specversion is not 1.0"));
    }
    if envelope.id.is_empty() || envelope.source.is_empty() || envelope.kind.is_empty() {
        return Err(Malformed::BadEnvelope("id, source or type is empty"));
    }
    check_data_type(envelope.datacontenttype.as_deref())?;
    match (envelope.data, envelope.data_base64) {
        (Some(data), None) => parse_text(data.get()),
        (None, Some(encoded)) => {
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(encoded.as_bytes())
                .map_err(|_| Malformed::BadEnvelope("data_base64 is not base64"))?;
            parse_text(super::utf8(&bytes)?).map(into_owned)
        }
        (None, None) => Err(Malformed::BadEnvelope("it has no data")),
        (Some(_), Some(_)) => Err(Malformed::BadEnvelope("it has both data and data_base64")),
    }
}

/// The trace that an event carries as attributes:
/// <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/extensions/distributed-tracing.md>.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Trace {
    pub traceparent: Option<String>,
    pub tracestate: Option<String>,
}

/// The trace in a structured event; none if it is no text.
pub(super) fn trace(text: &str) -> Trace {
    serde_json::from_str(text).unwrap_or_default()
}

/// Decoded data lives in a buffer of its own, so the ticket must take what it keeps of it.
fn into_owned(ticket: Ticket<'_>) -> Ticket<'static> {
    fn own(text: Cow<'_, str>) -> Cow<'static, str> {
        Cow::Owned(text.into_owned())
    }
    Ticket {
        id: own(ticket.id),
        subject: own(ticket.subject),
        body: own(ticket.body),
        source: own(ticket.source),
        language: ticket.language.map(own),
        reporter_category: ticket.reporter_category.map(own),
        impact: ticket.impact.map(own),
        urgency: ticket.urgency.map(own),
        priority: ticket.priority.map(own),
        original: own(ticket.original),
    }
}
