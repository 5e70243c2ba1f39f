//! The generic ticket's JSON.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::triage::ticket::{Field, Malformed, Ticket};

/// Longest accepted ticket id, in characters.
const MAX_ID_CHARS: usize = 200;

/// Below this, 2^53, a floating-point number stands for one integer only.
const EXACT_BELOW: f64 = 9_007_199_254_740_992.0;

const NO_INTEGER: &str = "it must be a string or an integer";
const TOO_LARGE: &str = "it is too large for a number: send it as a string";

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
        let is_missing =
            |field: &Field| field.is_required() && self.values[*field as usize].is_none();
        let missing: Vec<Field> = Field::ALL.into_iter().filter(is_missing).collect();
        if !missing.is_empty() {
            return Err(Malformed::MissingField(missing));
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
            Value::TooLarge => return Err(bad(TOO_LARGE)),
            _ => return Err(bad(NO_INTEGER)),
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
                Err(_) if is_complete(&time) => {
                    Err(bad("it must lie between -9999-01-03 and 9999-12-30"))
                }
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

    /// A short optional text; some desks number their levels, categories and languages.
    fn hint(&mut self, field: Field) -> Result<Option<Cow<'a, str>>, Malformed> {
        match self.take(field) {
            Value::Text(text) if text.trim().is_empty() => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            Value::Integer(number) => Ok(Some(Cow::Owned(number.to_string()))),
            Value::Null => Ok(None),
            Value::TooLarge => Err(Malformed::BadField { field, what: TOO_LARGE }),
            _ => Err(Malformed::BadField { field, what: NO_INTEGER }),
        }
    }
}

/// Whether a text has a day, a time and an offset, be they within the clock's range or not.
fn is_complete(time: &str) -> bool {
    let pieces = jiff::fmt::temporal::Pieces::parse(time);
    pieces.is_ok_and(|pieces| pieces.time().is_some() && pieces.offset().is_some())
}

/// The integer that a number with a point or an exponent is (`12.0`, `1e2`), if it is one and no
/// other can have been meant.
pub fn whole(number: f64) -> Option<i64> {
    // Below that bound nothing is cut off.
    (number.fract() == 0.0 && number.abs() < EXACT_BELOW).then_some(number as i64)
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
    /// An integer that cannot be told exactly, or has more than 64 bits.
    TooLarge,
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
        Ok(i64::try_from(v).map_or(Value::TooLarge, Value::Integer))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Value<'de>, E> {
        Ok(match whole(v) {
            Some(integer) => Value::Integer(integer),
            None if v.fract() == 0.0 => Value::TooLarge,
            None => Value::Other,
        })
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
