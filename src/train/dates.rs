//! When a ticket was made, from however its table writes it.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Seconds since 1970-01-01T00:00:00Z, rounded down. Reads RFC 3339, ISO dates with or without a
/// time (`2026-03-04`, `2026-03-04 09:12:00`; without a zone they count as UTC), and numbers of
/// seconds, milliseconds, microseconds or nanoseconds since 1970. None for anything else, and for
/// numbers that would be of the first three years: 45000 is a spreadsheet's number of a day.
pub fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    // Eight digits are a date without dashes: as seconds they would all be of 1970.
    if text.len() != 8
        && let Ok(number) = text.parse::<f64>()
    {
        return epoch(number);
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(floor(moment));
    }
    let local = text.parse::<DateTime>().ok()?;
    TimeZone::UTC.to_timestamp(local).ok().map(floor)
}

/// The moment as RFC 3339 in UTC; none for a year that has no four digits.
pub fn format(seconds: i64) -> Option<String> {
    Timestamp::from_second(seconds).ok().map(|moment| moment.to_string())
}

fn floor(moment: Timestamp) -> i64 {
    moment.as_millisecond().div_euclid(1_000)
}

/// A number of seconds from March 1973 up to the year 5138, of a finer unit above.
fn epoch(number: f64) -> Option<i64> {
    let per_second = match number.abs() {
        n if n < 1e8 => return None,
        n if n < 1e11 => 1.0,
        n if n < 1e14 => 1e3,
        n if n < 1e17 => 1e6,
        n if n < 1e20 => 1e9,
        _ => return None,
    };
    Some((number / per_second).floor() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_moment_in_many_spellings() {
        for text in [
            "2026-03-04T00:12:05Z",
            "2026-03-04T09:12:05+09:00",
            "2026-03-04T09:12:05.999+09:00",
            " 2026-03-04 00:12:05 ",
            "2026-03-04T00:12:05",
            "1772583125",
            "1772583125.75",
            "1772583125000",
            "1772583125000000",
            "1772583125000000000",
        ] {
            assert_eq!(parse(text), Some(1_772_583_125), "{text}");
        }
        for text in ["2026-03-04", "20260304", "2026-03-04 00:00"] {
            assert_eq!(parse(text), Some(1_772_582_400), "{text}");
        }
        assert_eq!(parse("1969-12-31T23:59:59.5Z"), Some(-1));
        assert_eq!(parse("100000000"), Some(100_000_000));
        assert_eq!(format(1_772_583_125).as_deref(), Some("2026-03-04T00:12:05Z"));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in ["", " ", "yesterday", "2026-13-01", "04.03.2026", "NaN", "inf", "1e30"] {
            assert_eq!(parse(text), None, "{text}");
        }
        // Days as a spreadsheet numbers them, and other small numbers.
        for text in ["45000", "45000.3", "46085.38344907407", "0", "-45000", "99999999.9"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
