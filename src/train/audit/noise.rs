//! Tickets whose label is probably wrong, for a person to look at.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::excerpt;
use crate::train::data::Example;
use crate::triage::model::Target;

/// What a model that was not fitted on a ticket says about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The ticket's place among the examples.
    pub index: usize,
    /// From 0 to 1, as is `best_probability`.
    pub probability_of_given_label: f64,
    pub best_label: Arc<str>,
    pub best_probability: f64,
}

/// A ticket whose category is probably wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspect {
    pub id: String,
    pub given: String,
    pub suggested: String,
    pub given_probability: f64,
    pub suggested_probability: f64,
    /// Redacted, cut to 120 characters.
    pub excerpt: String,
}

/// Tickets that the model is surer to be of another category than it is on average of that
/// category's own tickets; the surest first, by how far the suggested label leads the given one.
///
/// This is confident learning with its class thresholds and its ranking by normalised margin
/// (Northcutt, Jiang and Chuang 2021, "Confident learning: estimating uncertainty in dataset
/// labels"). Predictions whose index is out of range are passed over.
pub fn noise_suspects(examples: &[Example], predictions: &[Prediction]) -> Vec<Suspect> {
    let labelled = || {
        predictions.iter().filter_map(|prediction| {
            let example = examples.get(prediction.index)?;
            Some((prediction, example, example.label(Target::Category)?))
        })
    };
    let mut sums: BTreeMap<&str, (f64, u32)> = BTreeMap::new();
    for (prediction, _, given) in labelled() {
        let (sum, n) = sums.entry(given).or_default();
        *sum += prediction.probability_of_given_label;
        *n += 1;
    }
    // Without tickets of its own a label has no threshold, so nothing is said to be of it.
    let is_sure = |p: &Prediction| {
        let own = sums.get(&*p.best_label);
        own.is_some_and(|(sum, n)| p.best_probability >= sum / f64::from(*n))
    };
    let mut found: Vec<_> = labelled()
        .filter(|(prediction, _, given)| *prediction.best_label != **given && is_sure(prediction))
        .collect();
    let margin = |p: &Prediction| p.best_probability - p.probability_of_given_label;
    found.sort_by(|(a, ..), (b, ..)| {
        margin(b).total_cmp(&margin(a)).then_with(|| a.index.cmp(&b.index))
    });
    let suspect = |(prediction, example, given): (&Prediction, &Example, &str)| Suspect {
        id: example.id.clone(),
        given: given.to_owned(),
        suggested: prediction.best_label.to_string(),
        given_probability: prediction.probability_of_given_label,
        suggested_probability: prediction.best_probability,
        excerpt: excerpt(example),
    };
    found.into_iter().map(suspect).collect()
}

/// A table for review, as CSV with a header, in the order given.
///
/// # Errors
/// Those of the CSV writer; a suspect as it comes from [`noise_suspects`] gives none.
pub fn to_csv(suspects: &[Suspect]) -> csv::Result<Vec<u8>> {
    let columns =
        ["id", "given", "suggested", "given_probability", "suggested_probability", "excerpt"];
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(columns)?;
    for s in suspects {
        let shares = [s.given_probability, s.suggested_probability].map(|p| format!("{p:.4}"));
        let [id, given, suggested, excerpt] =
            [&s.id, &s.given, &s.suggested, &s.excerpt].map(|text| plain(text));
        writer.write_record([&*id, &*given, &*suggested, &*shares[0], &*shares[1], &*excerpt])?;
    }
    writer.into_inner().map_err(|e| e.into_error().into())
}

/// A text that no spreadsheet takes for a formula.
fn plain(text: &str) -> Cow<'_, str> {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        true => Cow::Owned(format!("'{text}")),
        false => Cow::Borrowed(text),
    }
}

/// Their number: what may be said of them where no ticket's text belongs.
///
/// # Errors
/// Those of the serializer.
pub(in crate::train) fn number<S: Serializer>(
    suspects: &[Suspect],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    suspects.len().serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{clean, example};
    use super::*;

    /// As of a good model: sure of what the text says.
    fn predictions(truths: &[Arc<str>], examples: &[Example]) -> Vec<Prediction> {
        let judge = |(index, truth): (usize, &Arc<str>)| {
            let right = examples[index].label(Target::Category) == Some(truth);
            // Tickets of one label are not all equally clear.
            let best_probability = 0.7 + (index % 10) as f64 * 0.03;
            let given = if right { best_probability } else { 0.01 };
            let best_label = Arc::clone(truth);
            Prediction { index, probability_of_given_label: given, best_label, best_probability }
        };
        truths.iter().enumerate().map(judge).collect()
    }

    #[test]
    fn planted_mistakes_are_found_and_no_others() {
        let mut examples = clean(300);
        let truths: Vec<Arc<str>> = examples.iter().map(|e| e.labels[0].clone().unwrap()).collect();
        assert_eq!(noise_suspects(&examples, &predictions(&truths, &examples)), []);
        for i in [9, 59, 119] {
            let other = truths.iter().find(|l| **l != truths[i]).unwrap();
            examples[i].labels[0] = Some(Arc::clone(other));
        }
        let found = noise_suspects(&examples, &predictions(&truths, &examples));
        let ids: Vec<&str> = found.iter().map(|s| s.id.as_str()).collect();
        assert_eq!(ids, ["9", "59", "119"]);
        assert_eq!(found[0].suggested, *truths[9]);
    }

    #[test]
    fn strange_predictions_do_no_harm() {
        let examples = [example(0, "printer", "Printing")];
        let prediction = |index, label: &str, p| Prediction {
            index,
            probability_of_given_label: p,
            best_label: Arc::from(label),
            best_probability: p,
        };
        let strange = [prediction(0, "Unknown", 0.9), prediction(7, "Printing", f64::NAN)];
        assert_eq!(noise_suspects(&examples, &strange), []);
    }

    #[test]
    fn a_table_for_review() {
        let suspect = |excerpt: &str| Suspect {
            id: "7".to_owned(),
            given: "A,B".to_owned(),
            suggested: "C".to_owned(),
            given_probability: 0.02,
            suggested_probability: 0.9,
            excerpt: excerpt.to_owned(),
        };
        let table = to_csv(&[suspect("say \"x\""), suspect("=HYPERLINK(1)")]).unwrap();
        let expected = "id,given,suggested,given_probability,suggested_probability,excerpt\n\
                        7,\"A,B\",C,0.0200,0.9000,\"say \"\"x\"\"\"\n\
                        7,\"A,B\",C,0.0200,0.9000,'=HYPERLINK(1)\n";
        assert_eq!(String::from_utf8(table).unwrap(), expected);
    }

    #[test]
    fn no_cell_is_a_formula() {
        let suspect = Suspect {
            id: "@SUM(1)".to_owned(),
            given: "+1".to_owned(),
            suggested: "=cmd|' /C calc'!A1".to_owned(),
            given_probability: 0.02,
            suggested_probability: 0.9,
            excerpt: "-2".to_owned(),
        };
        let table = String::from_utf8(to_csv(&[suspect]).unwrap()).unwrap();
        let row = "'@SUM(1),'+1,'=cmd|' /C calc'!A1,0.0200,0.9000,'-2";
        assert_eq!(table.lines().nth(1), Some(row));
    }
}
