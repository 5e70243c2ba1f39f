//! Kafka messages become records, and headers go both ways.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rdkafka::Message;
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Header, Headers as _, OwnedHeaders};

use crate::log::{Headers, Origin, Record};

/// Stands for a header whose name is not UTF-8; name and value are out of reach.
const UNREADABLE: &str = "unreadable-header";

pub(super) fn record(message: &BorrowedMessage<'_>, topic: Arc<str>) -> Record {
    let origin = Origin { topic, partition: message.partition(), offset: message.offset() };
    let headers = message.headers().map(|h| read_headers(h, &origin)).unwrap_or_default();
    Record {
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers,
        timestamp_ms: message.timestamp().to_millis(),
        origin,
    }
}

fn read_headers(headers: &BorrowedHeaders, origin: &Origin) -> Headers {
    (0..headers.count()).filter_map(|i| header(headers, i, origin)).collect()
}

fn header(
    headers: &BorrowedHeaders,
    index: usize,
    origin: &Origin,
) -> Option<(Cow<'static, str>, Option<Vec<u8>>)> {
    // rdkafka panics at a header name that is not UTF-8, and one such record must not stop the
    // service. Nothing is changed by the closure, so nothing can be left half done.
    let read = catch_unwind(AssertUnwindSafe(|| {
        headers.try_get(index).map(|h| (Cow::Owned(h.key.to_owned()), h.value.map(<[u8]>::to_vec)))
    }));
    read.unwrap_or_else(|_| {
        tracing::warn!(%origin, index, "a header whose name is not UTF-8 cannot be read");
        Some((Cow::Borrowed(UNREADABLE), None))
    })
}

/// Headers as librdkafka wants them.
pub(super) fn headers(headers: &Headers) -> Option<OwnedHeaders> {
    if headers.is_empty() {
        return None;
    }
    let owned = OwnedHeaders::new_with_capacity(headers.len());
    Some(
        headers
            .iter()
            .fold(owned, |owned, (key, value)| owned.insert(Header { key, value: value.as_ref() })),
    )
}
