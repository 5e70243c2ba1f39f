//! The generic ticket: what every desk's tickets are turned into before triage looks at them.

use std::borrow::Cow;
use std::fmt;

/// A ticket, borrowing from the record it was read from.
#[derive(Clone, PartialEq)]
pub struct Ticket<'a> {
    /// The desk's own id, 1 to 200 characters.
    pub id: Cow<'a, str>,
    pub subject: Cow<'a, str>,
    pub body: Cow<'a, str>,
    /// Where it was reported: `email`, `portal`, `chat`, …
    pub source: Cow<'a, str>,
    /// Language tag as reported; triage looks at the script where it is absent.
    pub language: Option<Cow<'a, str>>,
    pub reporter_category: Option<Cow<'a, str>>,
    /// The reporter's own impact: a hint.
    pub impact: Option<Cow<'a, str>>,
    /// The reporter's own urgency: a hint.
    pub urgency: Option<Cow<'a, str>>,
    /// The priority it arrived with: never lowered if it is the highest.
    pub priority: Option<Cow<'a, str>>,
    /// The ticket's JSON text as it came, unknown fields included.
    pub original: Cow<'a, str>,
}

// Ticket text must never reach a log line.
impl fmt::Debug for Ticket<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({} bytes)", self.original.len())
    }
}

/// The fields of a ticket that can be missing or wrong. A closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    TicketId,
    Subject,
    Body,
    CreatedAt,
    Requester,
    Source,
    Language,
    ReporterCategory,
    Impact,
    Urgency,
    Priority,
}

impl Field {
    pub const ALL: [Self; 11] = [
        Self::TicketId,
        Self::Subject,
        Self::Body,
        Self::CreatedAt,
        Self::Requester,
        Self::Source,
        Self::Language,
        Self::ReporterCategory,
        Self::Impact,
        Self::Urgency,
        Self::Priority,
    ];

    /// The key in the ticket's JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TicketId => "ticket_id",
            Self::Subject => "subject",
            Self::Body => "body",
            Self::CreatedAt => "created_at",
            Self::Requester => "requester",
            Self::Source => "source",
            Self::Language => "language",
            Self::ReporterCategory => "reporter_category",
            Self::Impact => "impact",
            Self::Urgency => "urgency",
            Self::Priority => "priority",
        }
    }

    pub(crate) fn named(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.as_str() == key)
    }

    pub(crate) fn is_required(self) -> bool {
        matches!(
            self,
            Self::TicketId
                | Self::Subject
                | Self::Body
                | Self::CreatedAt
                | Self::Requester
                | Self::Source
        )
    }
}

/// Why a record is no ticket. [`Malformed::reason`] is a closed list: it is a metric label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("the record has no value")]
    Empty,
    #[error("the record has {bytes} bytes, more than the {limit} that are accepted")]
    TooLarge { bytes: usize, limit: usize },
    #[error("the value is not UTF-8 (first wrong byte at {at})")]
    NotUtf8 { at: usize },
    #[error("the value is not JSON: {0}")]
    NotJson(String),
    #[error("the value is JSON but not an object")]
    NotAnObject,
    /// All that are, in the order of [`Field::ALL`].
    #[error("{}", missing(.0))]
    MissingField(Vec<Field>),
    /// What is no ticket, such as feedback, has members of its own.
    #[error("none of the members is there that are understood: {0}")]
    MissingMember(&'static str),
    #[error("the field {} is wrong: {what}", .field.as_str())]
    BadField { field: Field, what: &'static str },
    #[error("the field {} stands twice", .0.as_str())]
    DuplicateField(Field),
    #[error("the CloudEvents envelope is wrong: {0}")]
    BadEnvelope(&'static str),
    #[error("the event for it would have {bytes} bytes, more than the {limit} that topics take")]
    OutputTooLarge { bytes: usize, limit: usize },
    /// Found only at the commit: the log does not take the outputs of this record.
    #[error("the log refused the outputs of this record")]
    Refused,
}

/// That these fields are missing, as a sentence.
fn missing(fields: &[Field]) -> String {
    let names: Vec<&str> = fields.iter().copied().map(Field::as_str).collect();
    let (noun, verb) = if names.len() == 1 { ("field", "is") } else { ("fields", "are") };
    format!("the {noun} {} {verb} missing", names.join(", "))
}

impl Malformed {
    pub const REASONS: [&'static str; 10] = [
        "empty",
        "too_large",
        "not_utf8",
        "not_json",
        "not_an_object",
        "missing_field",
        "bad_field",
        "duplicate_field",
        "bad_envelope",
        "refused",
    ];

    /// The reason's name, one of [`Malformed::REASONS`].
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLarge { .. } | Self::OutputTooLarge { .. } => "too_large",
            Self::NotUtf8 { .. } => "not_utf8",
            Self::NotJson(_) => "not_json",
            Self::NotAnObject => "not_an_object",
            Self::MissingField(_) | Self::MissingMember(_) => "missing_field",
            Self::BadField { .. } => "bad_field",
            Self::DuplicateField(_) => "duplicate_field",
            Self::BadEnvelope(_) => "bad_envelope",
            Self::Refused => "refused",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_fields_are_named_together() {
        let says = |fields: &[Field]| Malformed::MissingField(fields.to_vec()).to_string();
        assert_eq!(says(&[Field::Body]), "the field body is missing");
        assert_eq!(
            says(&[Field::TicketId, Field::Source]),
            "the fields ticket_id, source are missing"
        );
        assert_eq!(Malformed::MissingField(Vec::new()).reason(), "missing_field");
    }
}
