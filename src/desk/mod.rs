//! What the desks send, turned into the generic [`Ticket`]. Pure: bytes in, data out.

mod envelope;
mod generic;
mod schema;

use std::borrow::Cow;

pub use envelope::Trace;
pub use generic::{parse_text, whole};
pub use schema::TicketSchema;

use crate::triage::ticket::{Malformed, Ticket};

const BYTE_ORDER_MARK: char = '\u{feff}';

/// A record as the parser sees it.
pub struct Input<'a> {
    pub value: Option<&'a [u8]>,
    /// Header names with their values; a null value is no value.
    pub headers: &'a [(Cow<'static, str>, Option<Vec<u8>>)],
    /// The largest value that is accepted, in bytes.
    pub max_bytes: usize,
}

/// Reads a ticket: plain JSON, or in a CloudEvents envelope (binary or structured mode).
///
/// # Errors
/// [`Malformed`] with its reason; never panics, whatever the bytes.
pub fn parse<'a>(input: &Input<'a>) -> Result<Ticket<'a>, Malformed> {
    let bytes = input.value.filter(|v| !v.is_empty()).ok_or(Malformed::Empty)?;
    if bytes.len() > input.max_bytes {
        return Err(Malformed::TooLarge { bytes: bytes.len(), limit: input.max_bytes });
    }
    let text = utf8(bytes)?;
    match envelope::mode(input.headers)? {
        envelope::Mode::Structured => envelope::open(text),
        envelope::Mode::Binary => parse_text(text),
        envelope::Mode::Unmarked => match parse_text(text) {
            // A file or a client that sets no headers can still hold structured events.
            Err(Malformed::MissingField(_)) if envelope::looks_like_one(text) => {
                envelope::open(text)
            }
            parsed => parsed,
        },
    }
}

/// The trace that is in the envelope which `ticket` was read from, given the record's `value`;
/// empty where the ticket came without one.
pub fn trace(value: &[u8], ticket: &Ticket<'_>) -> Trace {
    // A ticket without an envelope is all of the value but for the mark before it.
    if value.len() <= ticket.original.len() + BYTE_ORDER_MARK.len_utf8() {
        return Trace::default();
    }
    utf8(value).map(envelope::trace).unwrap_or_default()
}

/// The text of `bytes`, without one leading byte order mark.
fn utf8(bytes: &[u8]) -> Result<&str, Malformed> {
    let text =
        std::str::from_utf8(bytes).map_err(|e| Malformed::NotUtf8 { at: e.valid_up_to() })?;
    Ok(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text))
}

#[cfg(test)]
mod tests;
