//! The generic ticket's JSON.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::triage::ticket::{Field, Malformed, Ticket};

/// Longest accepted ticket id, in characters.
const MAX_ID_CHARS: usize = 200;

/// Reads a ticket from its JSON text.
///
/// # Errors
/// [`Malformed`], with what is wrong but nothing of the text.
pub fn parse_text(text: &str) -> Result<Ticket<'_>, Malformed> {
    if !text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{') {
        // Serde would read an array as a struct; only an object is a ticket.
        return Err(match serde_json::from_str::<Skipped>(text) {
            Ok(_) => Malformed::NotAnObject,
            Err(e) => not_json(&e),
        });
    }
    let fields: Fields = serde_json::from_str(text).map_err(|e| not_json(&e))?;
    fields.into_ticket(text)
}

fn not_json(error: &serde_json::Error) -> Malformed {
    use serde_json::error::Category;
    // The messages of data errors can quote the text, those of syntax errors do not.
    Malformed::NotJson(match error.classify() {
        Category::Data => format!("at line {} column {}", error.line(), error.column()),
        Category::Syntax | Category::Eof | Category::Io => error.to_string(),
    })
}

/// The known fields as they stand in the object, whatever their types.
#[derive(Default)]
struct Fields<'a> {
    values: [Option<Value<'a>>; Field::ALL.len()],
    duplicate: Option<Field>,
}

impl<'a> Fields<'a> {
    fn into_ticket(mut self, text: &'a str) -> Result<Ticket<'a>, Malformed> {
        if let Some(field) = self.duplicate {
            return Err(Malformed::DuplicateField(field));
        }
        for field in Field::ALL {
            if field.is_required() && self.values[field as usize].is_none() {
                return Err(Malformed::MissingField(field));
            }
        }
        let id = self.id()?;
        self.created_at()?;
        self.requester()?;
        Ok(Ticket {
            id,
            subject: self.text(Field::Subject)?,
            body: self.text(Field::Body)?,
            source: self.text(Field::Source)?,
            language: self.hint(Field::Language)?,
            reporter_category: self.hint(Field::ReporterCategory)?,
            impact: self.hint(Field::Impact)?,
            urgency: self.hint(Field::Urgency)?,
            priority: self.hint(Field::Priority)?,
            original: Cow::Borrowed(text),
        })
    }

    fn take(&mut self, field: Field) -> Value<'a> {
        self.values[field as usize].take().unwrap_or(Value::Null)
    }

    /// Many desks number their tickets, so an integer is an id too.
    fn id(&mut self) -> Result<Cow<'a, str>, Malformed> {
        let bad = |what| Malformed::BadField { field: Field::TicketId, what };
        let id = match self.take(Field::TicketId) {
            Value::Text(id) => id,
            Value::Integer(id) => Cow::Owned(id.to_string()),
            _ => return Err(bad("it must be a string or an integer")),
        };
        if id.trim().is_empty() {
            return Err(bad("it is empty"));
        }
        if id.chars().count() > MAX_ID_CHARS {
            return Err(bad("it has more than 200 characters"));
        }
        if id.chars().any(char::is_control) {
            return Err(bad("it has control characters"));
        }
        Ok(id)
    }

    fn created_at(&mut self) -> Result<(), Malformed> {
        let bad = |what| Malformed::BadField { field: Field::CreatedAt, what };
        match self.take(Field::CreatedAt) {
            Value::Text(time) => match time.parse::<jiff::Timestamp>() {
                Ok(_) => Ok(()),
                Err(_) => Err(bad("it is not an RFC 3339 time with its offset")),
            },
            _ => Err(bad("it must be a string")),
        }
    }

    fn requester(&mut self) -> Result<(), Malformed> {
        match self.take(Field::Requester) {
            Value::Text(_) | Value::Object | Value::Null => Ok(()),
            _ => Err(Malformed::BadField {
                field: Field::Requester,
                what: "it must be a string or an object",
            }),
        }
    }

    /// A text that must be there but may be empty or null.
    fn text(&mut self, field: Field) -> Result<Cow<'a, str>, Malformed> {
        match self.take(field) {
            Value::Text(text) => Ok(text),
            Value::Null => Ok(Cow::Borrowed("")),
            _ => Err(Malformed::BadField { field, what: "it must be a string" }),
        }
    }

    /// A short optional text; numbers are how some desks write impact and urgency.
    fn hint(&mut self, field: Field) -> Result<Option<Cow<'a, str>>, Malformed> {
        match self.take(field) {
            Value::Text(text) if text.trim().is_empty() => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            Value::Integer(number) => Ok(Some(Cow::Owned(number.to_string()))),
            Value::Null => Ok(None),
            _ => Err(Malformed::BadField { field, what: "it must be a string" }),
        }
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a ticket object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Fields::default();
                while let Some(Key(key)) = map.next_key()? {
                    let Some(field) = Field::named(&key) else {
                        map.next_value::<Skipped>()?;
                        continue;
                    };
                    let value = map.next_value()?;
                    if fields.values[field as usize].replace(value).is_some() {
                        fields.duplicate = Some(field);
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Text(key) => Ok(Self(key)),
            _ => Ok(Self(Cow::Borrowed(""))),
        }
    }
}

/// A JSON value, of which only texts and integers matter here.
enum Value<'a> {
    Text(Cow<'a, str>),
    Integer(i64),
    Null,
    Object,
    Other,
}

/// Reads over a value. Unlike serde's `IgnoredAny` it counts the depth and looks at numbers, so
/// that nothing passes here which another JSON reader would refuse.
struct Skipped;

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(v)))
    }

    fn visit_str<E>(self, v: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(v.to_owned())))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value<'de>, E> {
        Ok(Value::Integer(v))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value<'de>, E> {
        Ok(i64::try_from(v).map_or(Value::Other, Value::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value<'de>, A::Error> {
        while seq.next_element::<Skipped>()?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        while map.next_entry::<Key<'_>, Skipped>()?.is_some() {}
        Ok(Value::Object)
    }
}

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

impl<'de> Deserialize<'de> for Skipped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(|_| Self)
    }
}

/// The generic ticket as its JSON Schema describes it. Never built: [`parse_text`] reads tickets.
#[derive(schemars::JsonSchema)]
#[schemars(title = "Ticket", extend("$id" = "https://triaged.dev/schema/ticket.json"))]
#[allow(dead_code, reason = "the type exists for its schema")]
pub struct TicketSchema {
    /// The desk's own id: a string of 1 to 200 characters without control characters, or an
    /// integer. It becomes the key of every output.
    ticket_id: IdSchema,
    /// The subject line; may be empty or null.
    subject: OrNull<String>,
    /// The text; may be empty or null.
    body: OrNull<String>,
    /// When the ticket was created: RFC 3339 with an offset.
    created_at: jiff_schema::Time,
    /// Who reported it: a name or address, or an object of the desk's own shape; may be null.
    requester: OrNull<RequesterSchema>,
    /// Where it was reported, for instance `email`, `portal`, `chat`, `phone`, `monitoring`; may be
    /// empty or null.
    source: OrNull<String>,
    /// Language tag (`en`, `ko`, …). Where it is absent the script of the text decides.
    language: Option<String>,
    /// The category that the reporter chose; passed through.
    reporter_category: Option<String>,
    /// The reporter's own impact: a hint, in the words of the priority matrix or an alias.
    impact: Option<HintSchema>,
    /// The reporter's own urgency: a hint, in the words of the priority matrix or an alias.
    urgency: Option<HintSchema>,
    /// The priority it arrived with, in the words of the priority matrix or an alias; the highest is
    /// never lowered.
    priority: Option<HintSchema>,
}

// A value that may be null in a field that must be there: `Option` itself makes a field optional.
#[derive(schemars::JsonSchema)]
#[schemars(inline)]
#[allow(dead_code, reason = "the type exists for its schema")]
struct OrNull<T>(Option<T>);

#[derive(schemars::JsonSchema)]
#[schemars(untagged, inline)]
#[allow(dead_code, reason = "the type exists for its schema")]
enum IdSchema {
    Text(#[schemars(length(min = 1, max = 200))] String),
    Number(i64),
}

#[derive(schemars::JsonSchema)]
#[schemars(untagged, inline)]
#[allow(dead_code, reason = "the type exists for its schema")]
enum HintSchema {
    Text(String),
    Number(i64),
}

#[derive(schemars::JsonSchema)]
#[schemars(untagged, inline)]
#[allow(dead_code, reason = "the type exists for its schema")]
enum RequesterSchema {
    Text(String),
    Object(serde_json::Map<String, serde_json::Value>),
}

mod jiff_schema {
    #[derive(schemars::JsonSchema)]
    #[schemars(transparent, inline)]
    #[allow(dead_code, reason = "the type exists for its schema")]
    pub struct Time(#[schemars(extend("format" = "date-time"))] String);
}
