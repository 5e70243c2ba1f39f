//! The words that a model goes by, label by label.

use std::collections::HashMap;

use super::LabelWords;
use crate::train::data::Example;
use crate::triage::model::{Model, Scratch, Target};

/// Tickets that are asked about at most, evenly spread over all.
const TICKETS: usize = 8_000;
/// Words listed for a label.
const WORDS: usize = 12;
/// A word of fewer of the tickets says nothing of a label.
const SEEN: u32 = 2;

/// A word in the tickets of one label.
#[derive(Default)]
struct Weighed {
    tickets: u32,
    weight: f64,
}

/// For each category the words and pairs, n-grams folded into them, that speak most for it: by
/// how much they raised it above the runner-up, in calibrated log-odds, on average over the tickets
/// that the model rightly gave it. Labels without such tickets are left out.
pub fn top_words(model: &Model, examples: &[Example]) -> Vec<LabelWords> {
    let Some(head) = model.head(Target::Category) else { return Vec::new() };
    let mut scratch = Scratch::default();
    let mut labels: Vec<(u32, HashMap<String, Weighed>)> = Vec::new();
    labels.resize_with(head.labels.len(), Default::default);
    let step = examples.len().div_ceil(TICKETS).max(1);
    for example in examples.iter().step_by(step) {
        let judgement = model.explain_all(&mut scratch, &example.text());
        let best = judgement.head(Target::Category).map(|judged| judged.best);
        let right =
            best.filter(|i| head.labels.get(*i).map(|l| &**l) == example.label(Target::Category));
        let Some((tickets, words)) = right.and_then(|i| labels.get_mut(i)) else { continue };
        *tickets += 1;
        for word in judgement.explanation.words {
            let weighed = words.entry(word.word).or_default();
            weighed.tickets += 1;
            weighed.weight += word.weight;
        }
    }
    let listed = head.labels.iter().zip(labels).filter(|(_, (tickets, _))| *tickets > 0);
    listed
        .map(|(label, (tickets, words))| LabelWords {
            label: label.to_string(),
            words: weightiest(words, tickets),
        })
        .collect()
}

/// The greatest mean weights above 0; of equals the first in byte order.
fn weightiest(words: HashMap<String, Weighed>, tickets: u32) -> Vec<(String, f64)> {
    let mut found: Vec<(String, f64)> = words
        .into_iter()
        .filter(|(_, w)| w.tickets >= SEEN && w.weight > 0.0)
        .map(|(word, w)| (word, w.weight / f64::from(tickets)))
        .collect();
    found.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    found.truncate(WORDS);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::tests::bundle;
    use crate::train::audit::tests::example;
    use crate::triage::text::Text;

    #[test]
    fn a_label_goes_by_what_its_tickets_say() {
        let model = bundle().model().unwrap();
        let texts = ["vpn error", "vpn", "printer vpn vpn", "unknown words"];
        let mut examples: Vec<Example> =
            (0..texts.len()).map(|i| example(i, texts[i], "Network")).collect();
        // Given to Network too, and wrongly: it says nothing of what the label goes by.
        examples.push(example(9, "error vpn", "Printing"));
        let found = top_words(&model, &examples);
        assert_eq!(found.len(), 1, "{found:?}");
        let words: Vec<&str> = found[0].words.iter().map(|(word, _)| word.as_str()).collect();
        assert_eq!((found[0].label.as_str(), words), ("Network", vec!["vpn"]));
        let mean: f64 = texts[..3]
            .iter()
            .map(|text| {
                let judged = model.explain_all(&mut Scratch::default(), &Text::new("", text));
                judged.explanation.words.iter().find(|w| w.word == "vpn").unwrap().weight
            })
            .sum::<f64>()
            / 3.0;
        assert!((found[0].words[0].1 - mean).abs() < 1e-12, "{found:?}");
        assert_eq!(top_words(&model, &[]), []);
    }
}
