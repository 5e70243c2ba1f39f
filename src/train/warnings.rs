//! What the user should know before using a model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::audit::Audit;
use super::calibrate::NEVER;
use super::data::Data;
use super::dates;
use super::head::Choice;
use super::recipe::{By, Features, Field, Recipe};
use super::split::{DATED, Summary, enough_dates};
use super::vocabulary::Vocabulary;
use crate::triage::text::fields;

/// What is said where nobody asked for it.
const AT_RANDOM: &str =
    "so the tickets are split at random, which makes the numbers better than they will be";

/// Tickets without a date or with one that cannot be read, and what that means for the split.
/// `asked` is what the recipe wants it to go by.
pub(super) fn dates(data: &Data, asked: By, summary: &Summary) -> Vec<String> {
    let tickets = data.examples.len();
    let moments = || data.examples.iter().filter_map(|e| e.created_at);
    let (dated, mut warnings) = (moments().count(), Vec::new());
    let enough = enough_dates(dated, tickets);
    let why = if data.dates_expected && asked == By::Auto && summary.by == By::Random {
        let day = moments().min().and_then(dates::format).filter(|_| enough);
        let why = match day.as_deref().and_then(|day| day.get(..10)) {
            Some(day) => format!("all dates are of one day, {day}"),
            None => format!(
                "{dated} of {tickets} tickets have a date; {DATED} % are needed for a split by time"
            ),
        };
        Some(format!("{why}, {AT_RANDOM}"))
    } else {
        None
    };
    if let Some(bad) = &data.bad_dates {
        let split = match summary.by {
            By::Time => ", so they are split as if they had none".to_owned(),
            // One cause, one warning.
            _ if !enough => why.as_ref().map(|why| format!("; {why}")).unwrap_or_default(),
            _ => String::new(),
        };
        warnings.push(format!(
            "{} of {tickets} tickets have a date that cannot be read, the first in {bad}{split}; {}",
            bad.tickets,
            bad.advice()
        ));
    }
    warnings.extend(why.filter(|_| enough || data.bad_dates.is_none()));
    warnings
}

/// A vocabulary that is smaller than the recipe allows, as labels are many.
pub(super) fn cut(
    vocabulary: &Vocabulary,
    given: &Features,
    wanted: &Features,
    labels: usize,
) -> Option<String> {
    // Each kind of entry has its share, which the others do not take.
    let cut = given.size < wanted.size && vocabulary.entries.len() > given.size / 2;
    cut.then(|| {
        format!(
            "with {labels} categories the vocabulary is limited to {} words, n-grams and pairs, so \
             that training fits into memory",
            given.size
        )
    })
}

/// Categories with enough tickets in all that are not `learnt`, as too few are left to learn from
/// once some are held out. `left` has what is left of those with fewer than `min`.
pub(super) fn too_few_left(
    audit: &Audit,
    learnt: &[Arc<str>],
    left: Option<&BTreeMap<String, u64>>,
    min: u64,
    by: By,
) -> Option<String> {
    let is_learnt = |label: &str| learnt.iter().any(|known| **known == *label);
    let few = audit.labels.iter().filter(|size| size.tickets >= min && !is_learnt(&size.label));
    let left = |label: &str| left.and_then(|left| left.get(label)).copied().unwrap_or_default();
    let list: Vec<String> = few
        .map(|size| format!("{} ({} of its {})", size.label, left(&size.label), size.tickets))
        .collect();
    let advice = match by {
        By::Time => "train again when they have more, or set split.by = \"random\"",
        _ => "train again when they have more, or set a lower fit.min_tickets",
    };
    (!list.is_empty()).then(|| {
        format!(
            "some tickets of these categories were held out to test and too few are left to learn \
             from ({min} are needed), so they are not learnt: {}; {advice}",
            list.join(", ")
        )
    })
}

/// Fields that the model is to read and that tell it nothing.
pub(super) fn unread(recipe: &Recipe, vocabulary: &Vocabulary) -> Vec<String> {
    let read: BTreeSet<&str> =
        vocabulary.entries.iter().filter_map(|entry| fields::parts(entry)).map(|p| p.0).collect();
    let unread = recipe.fields.iter().filter(|field| !read.contains(field.name.as_str()));
    let says = |field: &Field| {
        format!(
            "the field {} tells nothing: none of its values is in {} tickets or more",
            field.name, recipe.features.min_tickets
        )
    };
    unread.map(says).collect()
}

/// What the heads themselves have to say.
pub(super) fn of_heads(heads: &[Choice]) -> Vec<String> {
    let mut warnings = Vec::new();
    for head in heads {
        warnings.extend(head.evidence.map(|evidence| evidence.to_string()));
        if let Some(p) = head.no_signal {
            warnings.push(format!(
                "{}: no usable signal: on held-out tickets it is not better than always saying the \
                 most frequent label (p = {p:.3}), so nothing is decided without a person",
                head.target
            ));
        } else if head.thresholds.iter().all(|t| *t >= NEVER) {
            warnings.push(format!(
                "{}: no confidence reaches the wanted precision on held-out tickets, so nothing is \
                 decided without a person",
                head.target
            ));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::audit::tests::example;
    use super::super::data::{BadDates, Example};
    use super::super::recipe;
    use super::super::split::split;
    use super::*;

    /// Tickets of as many days, of which the first `dated` have a date.
    fn data(tickets: usize, dated: usize) -> Data {
        let day = |i: usize| (i < dated).then_some(86_400 * i as i64);
        let ticket = |i: usize| Example { created_at: day(i), ..example(i, "text", "A") };
        let examples = (0..tickets).map(ticket).collect();
        Data { examples, dates_expected: true, ..Data::default() }
    }

    fn told(data: &Data, by: By) -> Vec<String> {
        let alone: Vec<u32> = (0..data.examples.len() as u32).collect();
        let settings = recipe::Split { by, ..recipe::Split::default() };
        let summary = split(&data.examples, &alone, &settings).unwrap().summary;
        dates(data, by, &summary)
    }

    #[test]
    fn a_split_at_random_for_want_of_dates_is_told() {
        let few = data(200, 180);
        let warnings = told(&few, By::Auto);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        let says = "180 of 200 tickets have a date; 95 % are needed for a split by time";
        assert!(warnings[0].starts_with(says), "{warnings:?}");
        assert_eq!(told(&few, By::Random), [] as [&str; 0], "as it was asked for");
        assert_eq!(told(&data(200, 190), By::Auto), [] as [&str; 0], "enough");
        let none = Data { dates_expected: false, ..data(200, 0) };
        assert_eq!(told(&none, By::Auto), [] as [&str; 0], "nobody spoke of dates");
        assert_eq!(told(&data(200, 0), By::Auto).len(), 1, "a column without a value");
    }

    #[test]
    fn dates_that_cannot_be_read_are_told_with_their_split() {
        let bad = |tickets| {
            let mut bad = BadDates::first("4.3.26", 7, Path::new("x.csv"), None);
            bad.tickets = tickets;
            Some(bad)
        };
        let unread = "have a date that cannot be read, the first in row 7 of x.csv (\"4.3.26\")";
        let few = Data { bad_dates: bad(20), ..data(200, 180) };
        let warnings = told(&few, By::Auto);
        let says = format!(
            "20 of 200 tickets {unread}; 180 of 200 tickets have a date; 95 % are needed for a split \
             by time, so the tickets are split at random, which makes the numbers better than they \
             will be; write dates as "
        );
        assert!(warnings.len() == 1 && warnings[0].starts_with(&says), "{warnings:?}");
        let warnings = told(&few, By::Random);
        let says = format!("20 of 200 tickets {unread}; write dates as ");
        assert!(warnings.len() == 1 && warnings[0].starts_with(&says), "{warnings:?}");
        let warnings = told(&Data { bad_dates: bad(2), ..data(200, 198) }, By::Auto);
        let says = format!("2 of 200 tickets {unread}, so they are split as if they had none; ");
        assert!(warnings.len() == 1 && warnings[0].starts_with(&says), "{warnings:?}");
    }

    #[test]
    fn dates_of_one_day_are_told() {
        let mut same = data(200, 200);
        same.examples.iter_mut().for_each(|e| e.created_at = Some(1_772_583_125));
        let says = "all dates are of one day, 2026-03-04, so the tickets are split at random";
        let warnings = told(&same, By::Auto);
        assert!(warnings.len() == 1 && warnings[0].starts_with(says), "{warnings:?}");
        assert_eq!(told(&same, By::Random), [] as [&str; 0], "as it was asked for");
        let first = BadDates::first("soon", 7, Path::new("x.csv"), None);
        let warnings = told(&Data { bad_dates: Some(first), ..same }, By::Auto);
        assert!(warnings.len() == 2 && warnings[1].starts_with(says), "{warnings:?}");
    }

    #[test]
    fn what_is_left_of_a_category_is_counted() {
        use super::super::audit::labels::{Size, Use};
        let size = |label: &str, tickets| Size {
            label: label.to_owned(),
            tickets,
            texts: tickets,
            is: Use::Usable,
        };
        let labels = vec![size("Big", 90), size("Few", 5), size("New", 40), size("Printing", 32)];
        let audit = Audit { labels, ..Audit::default() };
        let left = BTreeMap::from([("Few".to_owned(), 4), ("Printing".to_owned(), 29)]);
        let learnt = [Arc::from("Big")];
        let says = |by| too_few_left(&audit, &learnt, Some(&left), 30, by).unwrap();
        let counted = "(30 are needed), so they are not learnt: New (0 of its 40), Printing (29 of \
                       its 32); train again when they have more, or ";
        assert!(says(By::Time).ends_with(&format!("{counted}set split.by = \"random\"")));
        assert!(says(By::Random).ends_with(&format!("{counted}set a lower fit.min_tickets")));
        let learnt = ["Big", "New", "Printing"].map(Arc::from);
        assert_eq!(too_few_left(&audit, &learnt, None, 30, By::Time), None);
    }
}
