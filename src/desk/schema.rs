//! The generic ticket as JSON Schema. Nothing here is ever built: [`super::parse_text`] reads tickets,
//! and a property test holds both together.
#![allow(dead_code, reason = "the types exist for their schema")]

use schemars::JsonSchema;

/// Not blank, as `str::trim` has it, and without control characters.
const ID: &str = r"^[^\u0000-\u001f\u007f-\u009f]*[^\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000][^\u0000-\u001f\u007f-\u009f]*$";

/// What is read as a time has this form; that there is such a day cannot be said here.
const TIME: &str = r"^([0-9]{4}|[+-][0-9]{6})(-[0-9]{2}-[0-9]{2}|[0-9]{4})[Tt ][0-9]{2}(:?[0-9]{2}(:?[0-9]{2}([.,][0-9]{1,9})?)?)?([Zz]|[+-][0-9]{2}(:?[0-9]{2}(:?[0-9]{2}([.,][0-9]{1,9})?)?)?)(\[[^\]]*\])*$";

/// The generic ticket: what desks send. Fields that are not named here pass through untouched. An
/// integer that is written with a point or an exponent (`12.0`) must be below 2^53.
#[derive(JsonSchema)]
#[schemars(title = "Ticket", extend("$id" = "https://triaged.dev/schema/ticket.json"))]
pub struct TicketSchema {
    /// The desk's own id: a string of 1 to 200 characters that is not blank and has no control
    /// characters, or an integer. It becomes the key of every output.
    ticket_id: Id,
    /// The subject line; may be empty or null.
    subject: OrNull<String>,
    /// The text; may be empty or null.
    body: OrNull<String>,
    /// When the ticket was created: RFC 3339 with its offset, up to 9999-12-30. A blank for the `T`,
    /// offsets such as `+0900` and times without seconds are taken, too.
    created_at: Time,
    /// Who reported it: a name or address, or an object of the desk's own shape; may be null.
    requester: OrNull<Requester>,
    /// Where it was reported, for instance `email`, `portal`, `chat`, `phone`, `monitoring`; may be
    /// empty or null.
    source: OrNull<String>,
    /// Language tag (`en`, `ko`, …). Where it is absent the script of the text decides.
    language: Option<Hint>,
    /// The category that the reporter chose, by name or number; passed through.
    reporter_category: Option<Hint>,
    /// The reporter's own impact: a hint, in the words of the priority matrix or an alias.
    impact: Option<Hint>,
    /// The reporter's own urgency: a hint, in the words of the priority matrix or an alias.
    urgency: Option<Hint>,
    /// The priority it arrived with, in the words of the priority matrix or an alias; the highest is
    /// never lowered.
    priority: Option<Hint>,
}

// A value that may be null in a field that must be there: `Option` itself makes a field optional.
#[derive(JsonSchema)]
#[schemars(inline)]
struct OrNull<T>(Option<T>);

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
enum Id {
    Text(#[schemars(length(min = 1, max = 200), extend("pattern" = ID))] String),
    Number(#[schemars(extend("minimum" = i64::MIN, "maximum" = i64::MAX))] i64),
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
enum Hint {
    Text(String),
    Number(#[schemars(extend("minimum" = i64::MIN, "maximum" = i64::MAX))] i64),
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
enum Requester {
    Text(String),
    Object(serde_json::Map<String, serde_json::Value>),
}

#[derive(JsonSchema)]
#[schemars(transparent, inline)]
struct Time(#[schemars(extend("pattern" = TIME))] String);
