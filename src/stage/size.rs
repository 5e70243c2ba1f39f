//! How large a record is for a log, so that one that no log takes is known before it is written.

use crate::log::{Headers, Outgoing, Record};
use crate::triage::ticket::Malformed;

/// What a log needs for a record besides what is in it, at most, in bytes. Kafka's client counts 36
/// for lengths and times, and the batch around it has 61.
const AROUND_RECORD: usize = 128;

/// The same for each header: two lengths.
const AROUND_HEADER: usize = 10;

/// By so much what follows an action may be larger than the action, in bytes: why it is handed back,
/// the reply to the requester, who takes it back. What was done must never be too large to be told.
pub const AFTERMATH: usize = 8 * 1024;

/// Why an action that leaves no room for that is left to people.
pub const NO_ROOM: &str =
    "the ticket is so large that what comes of it could not be recorded, so nothing was done";

/// Checks an output against the largest record that the log takes, `limit` bytes.
///
/// # Errors
/// [`Malformed::OutputTooLarge`] if it may be larger.
pub fn check(output: &Outgoing, limit: usize) -> Result<(), Malformed> {
    let bytes = bytes(&output.key, &output.value, &output.headers);
    if bytes > limit { Err(Malformed::OutputTooLarge { bytes, limit }) } else { Ok(()) }
}

/// Whether an action that is to be written leaves room for what follows it.
pub fn leaves_room(action: &Outgoing, limit: usize) -> bool {
    fits(bytes(&action.key, &action.value, &action.headers), limit)
}

/// The same for an action that was read.
pub fn left_room(action: &Record, limit: usize) -> bool {
    fits(bytes(&action.key, &action.value, &action.headers), limit)
}

fn fits(action_bytes: usize, limit: usize) -> bool {
    action_bytes.saturating_add(AFTERMATH) <= limit
}

/// The most that a log counts for a record, in bytes.
fn bytes(key: &Option<Vec<u8>>, value: &Option<Vec<u8>>, headers: &Headers) -> usize {
    let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
    let in_headers = headers.iter().map(|(name, value)| name.len() + length(value) + AROUND_HEADER);
    AROUND_RECORD + length(key) + length(value) + in_headers.sum::<usize>()
}
