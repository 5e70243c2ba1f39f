//! What the user should know before using a model.

use std::collections::BTreeSet;

use super::audit::Audit;
use super::calibrate::NEVER;
use super::data::Data;
use super::head::Choice;
use super::recipe::{By, Features, Field, Recipe};
use super::split::Summary;
use super::vocabulary::Vocabulary;
use crate::triage::text::fields;

/// Dates that are there and cannot be read, and what that means for the split.
pub(super) fn unreadable_dates(data: &Data, summary: &Summary) -> Option<String> {
    let split = match summary.by {
        By::Time => "they are split as if they had none",
        _ => "the tickets are split at random, which makes the numbers better than they will be",
    };
    (data.unreadable_dates > 0).then(|| {
        format!(
            "{} of {} tickets have a date that cannot be read, so {split}; write dates as \
             2026-03-04T09:12:00Z or 2026-03-04 09:12",
            data.unreadable_dates,
            data.examples.len()
        )
    })
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

/// Columns that somebody asked for and that no ticket has.
pub(super) fn absent(data: &Data) -> Vec<String> {
    let says = |column: &String| format!("no row has the column {column}, which the recipe names");
    data.absent.iter().map(says).collect()
}

/// Categories with enough tickets in all that are not learnt, as too few of them may be learnt from.
pub(super) fn too_new(audit: &Audit, category: &Choice, min: u64) -> Option<String> {
    let learnt = |label: &str| category.labels.iter().any(|known| **known == *label);
    let new: Vec<String> = audit
        .labels
        .iter()
        .filter(|size| size.tickets >= min && !learnt(&size.label))
        .map(|size| format!("{} ({})", size.label, size.tickets))
        .collect();
    (!new.is_empty()).then(|| {
        format!(
            "nearly all tickets of these categories were held out to test, so they are not learnt: \
             {}; train again when they have more, or set split.by = \"random\"",
            new.join(", ")
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
                 most frequent label (p = {p:.3})",
                head.target
            ));
        }
        if head.thresholds.iter().all(|t| *t >= NEVER) {
            warnings.push(format!(
                "{}: no confidence reaches the wanted precision on held-out tickets, so nothing is \
                 decided without a person",
                head.target
            ));
        }
    }
    warnings
}
