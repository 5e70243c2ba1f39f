//! The time of day. How long something takes is measured with `Instant`, not with this.

/// Now, in milliseconds since 1970.
pub fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
