//! Dates that cannot be read, and what to do about them.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;

use crate::triage::text::redact::redact;

/// Characters of a date that a message shows at most.
const SHOWN: usize = 40;
/// What a spreadsheet writes for the days from 1954 to 2119.
const DAYS: RangeInclusive<f64> = 20_000.0..=80_000.0;

/// How many tickets have a date that cannot be read, and the first of these dates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadDates {
    pub tickets: u64,
    /// Redacted and cut.
    value: String,
    /// The row that it is in, counted from 1 and without a table's header.
    row: u64,
    /// The file's name without its folder.
    file: String,
    /// As the recipe says that dates are written.
    format: Option<String>,
}

impl BadDates {
    /// One ticket of a file, with a date that is not written as the recipe's `format` says.
    pub(in crate::train) fn first(
        value: &str,
        row: u64,
        path: &Path,
        format: Option<&str>,
    ) -> Self {
        let file = path.file_name().unwrap_or(path.as_os_str());
        Self {
            tickets: 1,
            // In a column that was mistaken for one of dates anything may stand.
            value: redact(value).0.chars().take(SHOWN).collect(),
            row,
            file: file.to_string_lossy().into_owned(),
            format: format.map(str::to_owned),
        }
    }

    /// What to do about it.
    pub fn advice(&self) -> String {
        if self.value.parse::<f64>().is_ok_and(|number| DAYS.contains(&number)) {
            return format!(
                "{} is a spreadsheet's number of a day: let it write dates as 2026-03-04 09:12",
                self.value
            );
        }
        match &self.format {
            Some(format) => format!("columns.created_at_format says that it is as {format:?}"),
            None => "write dates as 2026-03-04T09:12:00Z or 2026-03-04 09:12, or say in \
                     columns.created_at_format how they are written, as in \"%d.%m.%Y %H:%M\""
                .to_owned(),
        }
    }
}

/// The place of the first, and the date itself in one line.
impl fmt::Display for BadDates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {} of {} ({:?})", self.row, self.file, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::read_text;
    use super::*;

    const ROWS: &str = "body,category,created_at\nx,A,2026-03-04\nx,A,\nx,,5/1/2026\n\
                        x,A,29-02-2016 01:16\nx,A,soon\n";

    #[test]
    fn the_first_is_shown_with_its_row() {
        let bad = read_text("x.csv", ROWS, "").unwrap().bad_dates.unwrap();
        assert_eq!(bad.tickets, 2);
        assert_eq!(bad.to_string(), "row 4 of x.csv (\"29-02-2016 01:16\")");
        assert!(bad.advice().starts_with("write dates as 2026-03-04T09:12:00Z or"), "{bad:?}");
        let good = ROWS.replace("29-02-2016 01:16", "").replace("soon", "");
        assert_eq!(read_text("x.csv", good, "").unwrap().bad_dates, None);
    }

    #[test]
    fn what_is_shown_is_short_clean_and_one_line() {
        let of = |value: &str| BadDates::first(value, 1, Path::new("a/x.csv"), None).to_string();
        assert_eq!(of("a\n\u{1b}[2J\u{a0}b"), "row 1 of x.csv (\"a\\n\\u{1b}[2J\\u{a0}b\")");
        assert_eq!(of(&"가".repeat(100)), format!("row 1 of x.csv ({:?})", "가".repeat(40)));
        assert!(!of("ask kim@example.com").contains("kim"));
    }

    #[test]
    fn spreadsheets_are_spoken_of_only_where_it_is_one() {
        let of = |value: &str| BadDates::first(value, 1, Path::new("x.csv"), None).advice();
        assert!(of("46085.38").starts_with("46085.38 is a spreadsheet's number of a day"));
        for value in ["2025", "04.03.2026", "0", "99999", ""] {
            assert!(!of(value).contains("spreadsheet"), "{value}");
        }
    }

    #[test]
    fn a_format_of_the_recipe_is_tried_first() {
        let recipe = "[columns]\ncreated_at_format = \"%d-%m-%Y %H:%M\"";
        let data = read_text("x.csv", ROWS, recipe).unwrap();
        let dates: Vec<_> = data.examples.iter().map(|e| e.created_at).collect();
        assert_eq!(dates, [Some(1_772_582_400), None, Some(1_456_708_560), None]);
        let bad = data.bad_dates.unwrap();
        assert_eq!(bad.to_string(), "row 5 of x.csv (\"soon\")");
        assert!(bad.advice().ends_with("says that it is as \"%d-%m-%Y %H:%M\""), "{bad:?}");
    }

    #[test]
    fn rows_are_counted_by_file() {
        let dir = tempfile::tempdir().unwrap();
        let files = ["a.csv", "b.csv"].map(|name| dir.path().join(name));
        for (file, date) in files.iter().zip(["2026-03-04", "soon"]) {
            std::fs::write(file, format!("body,category,created_at\nx,A,{date}\n")).unwrap();
        }
        let recipe = crate::train::recipe::Recipe::default();
        let data = super::super::read(&files, &recipe, &mut |_| {}).unwrap();
        assert!(data.bad_dates.unwrap().to_string().starts_with("row 1 of b.csv"));
    }
}
