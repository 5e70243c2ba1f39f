//! When a ticket was made, from however its table writes it.

use jiff::Timestamp;
use jiff::civil::{DateTime, date};
use jiff::fmt::rfc2822;
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::TimeZone;

/// Dates with the year first, which nobody can mistake, in spellings that ISO does not have. Blanks
/// and leading zeros may be left out.
const YEAR_FIRST: [&str; 12] = [
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d %H:%M:%S%.f",
    "%Y.%m.%d",
    "%Y.%m.%d %H:%M",
    "%Y.%m.%d %H:%M:%S%.f",
    "%Y.%m.%d.",
    "%Y.%m.%d. %H:%M",
    "%Y.%m.%d. %H:%M:%S%.f",
];

/// Seconds since 1970-01-01T00:00:00Z, rounded down. Reads RFC 3339, ISO dates with or without a
/// time (`2026-03-04`, `2026-03-04 09:12:00`, `20260304091200`; without a zone they count as UTC),
/// the same with `/` or `.` and with ` UTC` behind, RFC 2822, and numbers of seconds, milliseconds,
/// microseconds or nanoseconds since 1970. None for anything else, and for numbers that would be of
/// the first three years: 45000 is a spreadsheet's number of a day.
pub fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    let text = text.strip_suffix(" UTC").unwrap_or(text).trim_end();
    if let Some(local) = without_dashes(text) {
        return in_utc(local);
    }
    // Eight digits are a date without dashes: as seconds they would all be of 1970.
    if text.len() != 8
        && let Ok(number) = text.parse::<f64>()
    {
        return epoch(number);
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(floor(moment));
    }
    if let Ok(local) = text.parse::<DateTime>() {
        return in_utc(local);
    }
    if let Some(local) = year_first(text) {
        return in_utc(local);
    }
    rfc2822::DateTimeParser::new().parse_timestamp(text).ok().map(floor)
}

/// As [`parse`], of a date that is written as a `format` of strptime says; without a zone it counts
/// as UTC.
pub fn parse_as(format: &str, text: &str) -> Option<i64> {
    let read = BrokenDownTime::parse(format, text.trim()).ok()?;
    match read.to_timestamp() {
        Ok(moment) => Some(floor(moment)),
        Err(_) => in_utc(read.to_datetime().ok()?),
    }
}

/// Whether a `format` of strptime tells a day: what it writes, it reads.
pub fn tells_a_day(format: &str) -> bool {
    let Ok(moment) = date(2026, 11, 24).at(21, 47, 0, 0).to_zoned(TimeZone::UTC) else {
        return false;
    };
    let day = |seconds: i64| seconds.div_euclid(86_400);
    let read = strtime::format(format, &moment).ok().and_then(|text| parse_as(format, &text));
    read.map(day) == Some(day(moment.timestamp().as_second()))
}

/// The moment as RFC 3339 in UTC; none for a year that has no four digits.
pub fn format(seconds: i64) -> Option<String> {
    Timestamp::from_second(seconds).ok().map(|moment| moment.to_string())
}

/// A date with its time in digits alone. As milliseconds, 14 would be of the year 2286 and later, and 12
/// of a few months of 1976.
fn without_dashes(text: &str) -> Option<DateTime> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match text.len() {
        14 => DateTime::strptime("%Y%m%d%H%M%S", text).ok(),
        12 => {
            let local = DateTime::strptime("%Y%m%d%H%M", text).ok()?;
            (1970..=2100).contains(&local.year()).then_some(local)
        }
        _ => None,
    }
}

fn year_first(text: &str) -> Option<DateTime> {
    // The formats alone would take fewer digits for a year.
    let year = text.bytes().take(4).filter(u8::is_ascii_digit).count();
    let read = |format: &&str| DateTime::strptime(format, text).ok();
    if year == 4 { YEAR_FIRST.iter().find_map(read) } else { None }
}

fn in_utc(local: DateTime) -> Option<i64> {
    TimeZone::UTC.to_timestamp(local).ok().map(floor)
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
            "2026-03-04 00:12:05.000000 UTC",
            "2026/03/04 00:12:05",
            "2026-3-4 0:12:05.5",
            "2026. 03. 04. 00:12:05",
            "Wed, 04 Mar 2026 00:12:05 +0000",
            "4 Mar 2026 09:12:05 +0900",
            "20260304001205",
            "1772583125",
            "1772583125.75",
            "1772583125000",
            "1772583125000000",
            "1772583125000000000",
        ] {
            assert_eq!(parse(text), Some(1_772_583_125), "{text}");
        }
        for text in [
            "2026-03-04",
            "20260304",
            "2026-03-04 00:00",
            "202603040000",
            "2026/03/04",
            "2026/3/4 0:00",
            "2026.03.04",
            "2026. 3. 4.",
            "2026-03-04 UTC",
        ] {
            assert_eq!(parse(text), Some(1_772_582_400), "{text}");
        }
        assert_eq!(parse("1969-12-31T23:59:59.5Z"), Some(-1));
        assert_eq!(parse("100000000"), Some(100_000_000));
        // Twelve digits that are no date, or of no year that a ticket is of.
        assert_eq!(parse("999999999999"), Some(999_999_999));
        assert_eq!(parse("210101010000"), Some(210_101_010));
        assert_eq!(format(1_772_583_125).as_deref(), Some("2026-03-04T00:12:05Z"));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in ["", " ", "UTC", "yesterday", "2026-13-01", "NaN", "inf", "1e30"] {
            assert_eq!(parse(text), None, "{text}");
        }
        // The day or the month may be first.
        for text in ["04.03.2026", "29-02-2016 01:16", "01/01/2025", "1/2/26", "01/01/2021 10:11"] {
            assert_eq!(parse(text), None, "{text}");
        }
        for text in ["2026-03", "2026/03/04 12:00 AM", "2026/02/30", "2026.1.2.3"] {
            assert_eq!(parse(text), None, "{text}");
        }
        // Days as a spreadsheet numbers them, and other small numbers.
        for text in ["45000", "45000.3", "46085.38344907407", "0", "-45000", "99999999.9"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_format_reads_what_is_written_so() {
        for (format, text) in [
            ("%d.%m.%Y %H:%M:%S", " 04.03.2026 00:12:05"),
            ("%m/%d/%y %I:%M:%S %p", "03/04/26 12:12:05 AM"),
            ("%d %b %Y %H:%M:%S %z", "04 Mar 2026 09:12:05 +0900"),
            ("%s", "1772583125"),
        ] {
            assert!(tells_a_day(format), "{format}");
            assert_eq!(parse_as(format, text), Some(1_772_583_125), "{format}");
        }
        assert_eq!(parse_as("%d.%m.%Y", "04.03.2026"), Some(1_772_582_400));
        assert_eq!(parse_as("%d.%m.%Y", "04.13.2026"), None);
        assert_eq!(parse_as("%d.%m.%Y", "04.03.2026 09:12"), None);
        for format in ["", "%", "%d.%m.", "%H:%M", "%Y", "%d.%m.%Y %I:%M %", "yesterday", "%!"] {
            assert!(!tells_a_day(format), "{format}");
        }
    }
}
