//! The words that a model goes by, label by label.

use std::collections::HashMap;

use serde::Deserialize;

use super::LabelWords;
use crate::bundle::Bundle;
use crate::triage::model::Target;
use crate::triage::model::table::shared;
use crate::triage::text::lexicon::{GRAM, Kind, UNKNOWN, each_gram};

/// Words listed for a label.
const WORDS: usize = 12;

/// The part of `tokenizer.json` that is needed here.
#[derive(Deserialize)]
struct Definition {
    model: Vocabulary,
}

#[derive(Deserialize)]
struct Vocabulary {
    vocab: HashMap<String, usize>,
}

/// For each category the words and pairs that speak most for it: by how much the weight of one
/// occurrence, n-grams folded into their word, is above its mean in the other labels. Nothing
/// where the bundle has no categories or is damaged.
pub fn top_words(bundle: &Bundle) -> Vec<LabelWords> {
    let columns: usize = bundle.manifest.heads.iter().map(|h| h.labels.len()).sum();
    let mut first = 0;
    let mut category = None;
    for head in &bundle.manifest.heads {
        if head.target == Target::Category {
            category = Some((first, &head.labels));
        }
        first += head.labels.len();
    }
    let Some((first, labels)) = category.filter(|(_, labels)| labels.len() > 1) else {
        return Vec::new();
    };
    let Ok(definition) = serde_json::from_str::<Definition>(&bundle.tokenizer) else {
        return Vec::new();
    };
    let vocabulary = &definition.model.vocab;
    let grams: HashMap<&str, usize> = vocabulary
        .iter()
        .filter_map(|(entry, id)| Some((entry.strip_prefix(GRAM)?, *id)))
        .collect();
    let row = |id: usize| -> Option<(f32, &[f32])> {
        let from = id * columns + first;
        Some((*bundle.scales.get(id)?, bundle.weights.get(from..from + labels.len())?))
    };
    let mut sums = vec![0.0f32; labels.len()];
    let mut known = Vec::new();
    let mut top: Vec<Vec<(f64, &str)>> = vec![Vec::new(); labels.len()];
    for (entry, id) in vocabulary {
        let kind = Kind::of(entry);
        if kind == Kind::Gram || entry == UNKNOWN {
            continue;
        }
        known.clear();
        if kind == Kind::Word {
            each_gram(entry, |gram| known.extend(grams.get(gram)));
            known.sort_unstable();
            known.dedup();
        }
        sums.fill(0.0);
        let share = shared(known.len());
        let parts = known.iter().map(|gram| (*gram, share)).chain([(*id, 1.0)]);
        for (scale, weights, share) in
            parts.filter_map(|(id, share)| row(id).map(|(scale, weights)| (scale, weights, share)))
        {
            let by = scale * share;
            sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += by * weight);
        }
        let all: f32 = sums.iter().sum();
        let others = (labels.len() - 1) as f32;
        for (list, own) in top.iter_mut().zip(&sums) {
            let lead = f64::from(own - (all - own) / others);
            insert(list, lead, entry);
        }
    }
    let words = |list: Vec<(f64, &str)>| {
        list.into_iter().map(|(lead, word)| (word.to_owned(), lead)).collect()
    };
    labels
        .iter()
        .zip(top)
        .map(|(label, list)| LabelWords { label: label.clone(), words: words(list) })
        .collect()
}

/// Keeps the greatest leads above 0, the greatest first; of equals the first in byte order.
fn insert<'a>(list: &mut Vec<(f64, &'a str)>, lead: f64, word: &'a str) {
    if lead.is_nan() || lead <= 0.0 {
        return;
    }
    let before = |other: &(f64, &str)| other.0 > lead || (other.0 == lead && other.1 < word);
    let at = list.partition_point(before);
    if at < WORDS {
        list.insert(at, (lead, word));
        list.truncate(WORDS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::tests::bundle;
    use crate::triage::text::definition;

    #[test]
    fn n_grams_are_folded_into_words_and_order_is_that_of_weight() {
        let mut list = Vec::new();
        for (lead, word) in [(1.0, "b"), (f64::NAN, "x"), (-1.0, "y"), (2.0, "c"), (1.0, "a")] {
            insert(&mut list, lead, word);
        }
        assert_eq!(list, [(2.0, "c"), (1.0, "a"), (1.0, "b")]);
    }

    #[test]
    fn a_label_goes_by_the_words_whose_weight_is_its_own() {
        let mut bundle = bundle();
        bundle.tokenizer = definition::write(&["[UNK]", "error", "vpn", "#<vp"].map(String::from));
        bundle.scales = vec![0.0, 1.0, 2.0, 1.0];
        bundle.weights = vec![9.0, 0.0, 1.0, 1.0, 0.5, 0.0, 1.0, 0.0];
        let found = top_words(&bundle);
        let shown: Vec<_> = found.iter().map(|l| (l.label.as_str(), l.words.clone())).collect();
        // 2 x 0.5 of its own and 1 x 1 of its n-gram; "error" speaks for neither label.
        let vpn = vec![("vpn".to_owned(), 2.0)];
        assert_eq!(shown, [("Network", vpn), ("Printing", vec![])]);
        bundle.tokenizer.clear();
        assert_eq!(top_words(&bundle), []);
    }
}
