//! What a model says about labelled tickets, beside what is true.

use std::sync::Arc;

use super::doubt::{held_back, held_back_by_words, usual_policy};
use super::measure::measure;
use super::{Evaluation, HeadEvaluation};
use crate::train::copies::Copies;
use crate::train::data::Example;
use crate::train::head::{Choice, HeldOut};
use crate::train::texts::{BREAK, Texts};
use crate::triage::model::{Model, Scratch, Target};
use crate::triage::priority::Proposal;
use crate::triage::text::language::Language;

/// What a head says about one ticket.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicted {
    /// The ticket's place in the data.
    pub ticket: usize,
    /// Its text, or nearly so, and its label came before: it shows nothing new.
    pub copy: bool,
    /// Index of the true label; from the number of labels on, of one that the head does not know.
    pub truth: usize,
    /// For each label, from 0 to 1; they sum to 1.
    pub probabilities: Vec<f64>,
    /// Index of the label that the head chose.
    pub best: usize,
    /// A person looks at the ticket by the default policy, however sure the head is.
    pub held_back: bool,
    /// At or above the model's own threshold, and not held back.
    pub decided: bool,
    pub language: Language,
}

impl Predicted {
    /// The probability of the label that was chosen.
    pub fn confidence(&self) -> f64 {
        self.probabilities.get(self.best).copied().unwrap_or(0.0)
    }

    pub fn is_right(&self) -> bool {
        self.best == self.truth
    }

    /// For tests: a ticket that is decided alone from .7 on.
    #[cfg(test)]
    pub(in crate::train) fn example(
        truth: usize,
        probabilities: &[f64],
        language: Language,
    ) -> Self {
        let best = (0..probabilities.len())
            .max_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]))
            .unwrap();
        let (decided, probabilities) = (probabilities[best] >= 0.7, probabilities.to_vec());
        let (ticket, copy, held_back) = (0, false, false);
        Self { ticket, copy, truth, probabilities, best, held_back, decided, language }
    }
}

/// What one head says about all tickets with a label.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadPredictions {
    pub target: Target,
    pub labels: Vec<Arc<str>>,
    /// The model's own, by label; empty where labels were folded together.
    pub thresholds: Vec<f64>,
    pub tickets: Vec<Predicted>,
    /// Labels that the head does not know: no answer of it is right where they are the truth.
    pub unknown: Vec<Arc<str>>,
}

/// What a model says about labelled tickets; or what several models say, each about tickets that
/// it was not fitted on.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictions {
    pub tickets: u64,
    /// Tickets that people look at by the default policy, however sure the model is.
    pub held_back: u64,
    /// Share of the words that the model does not know.
    pub unknown_words: f64,
    pub heads: Vec<HeadPredictions>,
}

/// Judges every ticket with every head that both the model and the tickets have. `groups` has the
/// group of equal and nearly equal texts of each ticket. `each` is called after every ticket.
pub fn predict(
    model: &Model,
    examples: &[Example],
    groups: &[u32],
    mut each: impl FnMut(),
) -> Predictions {
    let mut scratch = Scratch::default();
    let policy = usual_policy();
    let (mut words, mut unknown, mut held_back_in_all) = (0u64, 0u64, 0u64);
    let empty = |target| {
        let head = model.head(target)?;
        Some(HeadPredictions {
            target,
            labels: head.labels.clone(),
            thresholds: head.thresholds.clone(),
            tickets: vec![],
            unknown: vec![],
        })
    };
    let mut heads = Target::ALL.map(|target| (empty(target), Copies::new()));
    for (ticket, example) in examples.iter().enumerate() {
        let judgement = model.judge(&mut scratch, &example.text());
        words += u64::from(judgement.words);
        unknown += u64::from(judgement.unknown);
        let category = Proposal::of(model, &judgement, Target::Category);
        let held_back = category.is_some_and(|p| held_back(&policy, &judgement, p));
        held_back_in_all += u64::from(held_back);
        for (found, copies) in &mut heads {
            let Some(found) = found else { continue };
            let target = found.target;
            let parts = (model.head(target), judgement.head(target), example.label(target));
            let (Some(head), Some(judged), Some(label)) = parts else { continue };
            let truth = match head.labels.binary_search_by(|l| l.as_ref().cmp(label)) {
                Ok(truth) => truth,
                Err(_) => head.labels.len() + place_of(label, &mut found.unknown),
            };
            found.tickets.push(Predicted {
                ticket,
                copy: copies.is_copy(groups[ticket], label),
                truth,
                probabilities: judged.probabilities.clone(),
                best: judged.best,
                held_back,
                decided: !held_back && judged.confidence() >= head.thresholds[judged.best],
                language: example.language,
            });
        }
        each();
    }
    Predictions {
        tickets: examples.len() as u64,
        held_back: held_back_in_all,
        unknown_words: if words == 0 { 0.0 } else { unknown as f64 / words as f64 },
        heads: heads
            .into_iter()
            .filter_map(|(head, _)| head)
            .filter(|h| !h.tickets.is_empty())
            .collect(),
    }
}

/// Where a label is in a list; at its end, if it was not there.
fn place_of(label: &str, list: &mut Vec<Arc<str>>) -> usize {
    list.iter().position(|known| **known == *label).unwrap_or_else(|| {
        list.push(Arc::from(label));
        list.len() - 1
    })
}

impl Predictions {
    pub fn head(&self, target: Target) -> Option<&HeadPredictions> {
        self.heads.iter().find(|h| h.target == target)
    }

    /// All numbers about these predictions.
    pub fn evaluation(&self, model: &str, version: &str) -> Evaluation {
        Evaluation {
            model: model.to_owned(),
            version: version.to_owned(),
            tickets: self.tickets,
            held_back: self.held_back,
            unknown_words: self.unknown_words,
            heads: self.heads.iter().flat_map(HeadPredictions::levels).collect(),
        }
    }
}

impl HeadPredictions {
    /// What was said of held-out tickets while the head was chosen: each time by a model that had
    /// not seen them. `texts` are those of the examples.
    pub(in crate::train) fn held_out(choice: &Choice, examples: &[Example], texts: &Texts) -> Self {
        let policy = usual_policy();
        let words = |ticket: usize| {
            let (subject, body) = texts.ticket(ticket);
            subject.iter().chain(body).filter(|number| **number != BREAK).count() as u32
        };
        let predicted = |t: &HeldOut| {
            let held_back = held_back_by_words(&policy, words(t.example), t.known);
            Predicted {
                ticket: t.example,
                copy: t.copy,
                truth: t.truth,
                probabilities: t.probabilities.clone(),
                best: t.best,
                held_back,
                decided: !held_back && t.probabilities[t.best] >= choice.thresholds[t.best],
                language: examples[t.example].language,
            }
        };
        Self {
            target: choice.target,
            labels: choice.labels.clone(),
            thresholds: choice.thresholds.clone(),
            tickets: choice.held_out.iter().map(predicted).collect(),
            unknown: vec![],
        }
    }

    /// The label with this index.
    pub fn label(&self, index: usize) -> Option<&Arc<str>> {
        self.labels.get(index).or_else(|| self.unknown.get(index.checked_sub(self.labels.len())?))
    }

    /// The head's numbers, labels as they are.
    pub(in crate::train) fn whole(&self) -> HeadEvaluation {
        measure(self, false)
    }

    /// The head's numbers and, where labels have two levels, those of the first.
    fn levels(&self) -> impl Iterator<Item = HeadEvaluation> {
        let first = self.first_level().map(|first| measure(&first, true));
        std::iter::once(measure(self, false)).chain(first)
    }

    /// The same with labels cut before the `/`, or none where no labels would fall together.
    pub(super) fn first_level(&self) -> Option<Self> {
        let first = |label: &str| Arc::from(label.split('/').next().unwrap_or_default());
        let parent_of: Vec<Arc<str>> = self.labels.iter().map(|l| first(l)).collect();
        let mut parents = parent_of.clone();
        parents.sort();
        parents.dedup();
        if parents.len() == self.labels.len() || parents.len() < 2 {
            return None;
        }
        let mut place: Vec<usize> =
            parent_of.iter().map(|p| parents.binary_search(p).unwrap_or_default()).collect();
        // A label that is not known may belong to a first level that is.
        let mut unknown = Vec::new();
        place.extend(self.unknown.iter().map(|label| {
            let parent: Arc<str> = first(label);
            let known = parents.binary_search(&parent);
            known.unwrap_or_else(|_| parents.len() + place_of(&parent, &mut unknown))
        }));
        let merge = |ticket: &Predicted| {
            let mut probabilities = vec![0.0; parents.len()];
            for (p, parent) in ticket.probabilities.iter().zip(&place) {
                probabilities[*parent] += p;
            }
            let best = (0..parents.len())
                .max_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]).then(b.cmp(a)))
                .unwrap_or_default();
            Predicted { truth: place[ticket.truth], probabilities, best, ..*ticket }
        };
        Some(Self {
            target: self.target,
            tickets: self.tickets.iter().map(merge).collect(),
            labels: parents,
            thresholds: Vec::new(),
            unknown,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::tests::bundle;
    use crate::train::audit::duplicates;
    use crate::train::audit::tests::example;
    use crate::train::compare;

    fn predict_all(model: &Model, examples: &[Example]) -> Predictions {
        predict(model, examples, &duplicates::find(examples).groups, || ())
    }

    #[test]
    fn what_the_daemon_holds_back_is_not_decided_alone() {
        let mut bundle = bundle();
        bundle.manifest.heads[0].thresholds = vec![0.5, 0.5];
        let model = bundle.model().unwrap();
        // Enough words; one word; one known word of six.
        let texts = ["vpn error vpn", "vpn", "vpn qqq jjj xxx zzz www"];
        let examples: Vec<Example> =
            (0..texts.len()).map(|i| example(i, texts[i], "Network")).collect();
        let found = predict_all(&model, &examples);
        let decided: Vec<bool> = found.heads[0].tickets.iter().map(|t| t.decided).collect();
        assert!(found.heads[0].tickets.iter().all(|t| t.is_right() && t.confidence() >= 0.5));
        assert_eq!((decided, found.held_back), (vec![true, false, false], 2));
        let evaluation = found.evaluation("m", "1");
        assert_eq!((evaluation.held_back, evaluation.heads[0].decided()), (2, (1, 1)));
        // The same in a comparison, and in a simulation with the default policy.
        let rows = compare::rows(&model, &model, &examples, || ());
        assert_eq!(rows.iter().map(|r| r.new.decided).collect::<Vec<_>>(), [true, false, false]);
        let simulated = crate::train::simulate::predict(&model, &usual_policy(), &examples, || ());
        assert!(
            simulated.iter().zip(&found.heads[0].tickets).all(|(s, t)| s.held_back == t.held_back)
        );
    }
    #[test]
    fn copies_are_counted_and_make_nothing_surer() {
        let model = bundle().model().unwrap();
        let texts = ["vpn error vpn", "vpn vpn error", "printer error jam", "vpn"];
        let tickets = |times: usize| -> Vec<Example> {
            let of = |i: usize| {
                example(i, texts[i % 4], if i % 4 == 1 { "Printing" } else { "Network" })
            };
            (0..4 * times).map(of).collect()
        };
        let [once, tenfold] = [1, 10].map(|n| predict_all(&model, &tickets(n)));
        let copies = |found: &Predictions| found.heads[0].tickets.iter().filter(|t| t.copy).count();
        assert_eq!((copies(&once), copies(&tenfold)), (0, 36));
        let (once, tenfold) = (once.heads[0].whole(), tenfold.heads[0].whole());
        assert_eq!((once.tickets, tenfold.tickets, tenfold.copies), (4, 40, 36));
        assert_eq!(tenfold.accuracy, once.accuracy);
        assert_eq!(tenfold.accuracy_interval(), once.accuracy_interval());
        for (many, one) in tenfold.labels.iter().zip(&once.labels) {
            assert_eq!(many.precision_interval, one.precision_interval);
            assert_eq!(many.recall_interval, one.recall_interval);
            assert_eq!(many.use_for, one.use_for);
        }
        // With the same text and another label a ticket speaks for itself.
        let mut two = tickets(1);
        two.push(example(9, texts[0], "Printing"));
        assert_eq!(copies(&predict_all(&model, &two)), 0);
    }
}
