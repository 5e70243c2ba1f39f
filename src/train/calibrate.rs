//! From scores to probabilities that mean what they say, on tickets that were not fitted on.

use std::borrow::Cow;

use crate::triage::model::calibration::{fourth_root, fourth_roots};
use crate::triage::model::{Calibration, Calibrations};
use crate::triage::text::language::Language;

/// Above every confidence: such a label is never decided without a person.
pub const NEVER: f64 = 1.01;

/// A language has a calibration of its own from this many held-out tickets on.
const OWN_CALIBRATION: usize = 300;
/// Held-out tickets that are looked at: more do not move a temperature.
const ENOUGH: usize = 4000;
/// A larger share of wrong labels is no calibration but a bad model.
const MOST_WRONG: f64 = 0.5;

/// A held-out ticket: uncalibrated scores by label, its number of known words, its true label.
#[derive(Clone, Debug)]
pub struct Scored {
    pub scores: Vec<f64>,
    pub words: u32,
    pub truth: usize,
    pub language: Language,
}

impl Scored {
    /// The label with the greatest score, of equals the first.
    pub fn best(&self) -> usize {
        let mut best = 0;
        for (i, score) in self.scores.iter().enumerate() {
            if *score > self.scores[best] {
                best = i;
            }
        }
        best
    }
}

/// Mean Brier score: the squared distance between probabilities and truth, summed over labels.
pub fn brier(tickets: &[Scored], calibration: Calibration) -> f64 {
    let mut buffer = Vec::new();
    let mut sum = 0.0;
    for ticket in tickets {
        buffer.clear();
        buffer.extend_from_slice(&ticket.scores);
        calibration.probabilities(&mut buffer, ticket.words);
        for (i, p) in buffer.iter().enumerate() {
            let truth = if i == ticket.truth { 1.0 } else { 0.0 };
            sum += (p - truth).powi(2);
        }
    }
    sum / tickets.len().max(1) as f64
}

/// The calibration of least Brier score: the exponent from a grid, for each the temperature by
/// golden-section search over its logarithm, for each of those the shares of wrong labels. No
/// tickets leave the scores as they are.
///
/// Not of least log loss: a few mislabelled tickets, which every service desk has, cost that
/// without bound when the model is rightly sure, and all others come out too unsure.
pub fn calibrate(tickets: &[Scored]) -> Calibration {
    let tickets = &*some(tickets);
    let best = (-2..=4).map(|step| f64::from(step) / 4.0).map(|exponent| {
        let calibration = temperature(tickets, exponent);
        (brier(tickets, calibration), calibration)
    });
    let least = best.min_by(|a, b| a.0.total_cmp(&b.0));
    least.filter(|_| !tickets.is_empty()).map_or(Calibration::NONE, |(_, best)| best)
}

/// The temperature of least Brier score for one exponent, with its shares of wrong labels.
pub fn temperature(tickets: &[Scored], exponent: f64) -> Calibration {
    if tickets.is_empty() {
        return Calibration::NONE;
    }
    let tickets = &*some(tickets);
    let at = |log_t: f64| Calibration { temperature: log_t.exp(), exponent, ..Calibration::NONE };
    let log_t = golden_section(-9.0, 7.0, |log_t| with_shares(tickets, at(log_t)).0);
    with_shares(tickets, at(log_t)).1
}

/// A calibration with the noise and the confusion that make its Brier score least, and that score.
fn with_shares(tickets: &[Scored], calibration: Calibration) -> (f64, Calibration) {
    let mut buffer = Vec::new();
    let mut errors = Errors::default();
    for ticket in tickets {
        buffer.clear();
        buffer.extend_from_slice(&ticket.scores);
        calibration.probabilities(&mut buffer, ticket.words);
        errors.add(&buffer, ticket.truth);
    }
    let (sum, [noise, confusion]) = errors.least();
    (sum / tickets.len().max(1) as f64, Calibration { noise, confusion, ..calibration })
}

/// The sum of squared errors as a function of the two shares of wrong labels. With probabilities
/// `p`, truth `y`, an even spread `u` and a near one `q`, that of
/// `p + noise * (u - p) + confusion * (q - p) - y` is a paraboloid.
#[derive(Default)]
struct Errors {
    constant: f64,
    /// By share: half of the slope at 0, and half of how it bends.
    slopes: [f64; 2],
    bends: [f64; 2],
    /// How each share bends the other's slope, halved.
    twist: f64,
}

impl Errors {
    fn add(&mut self, probabilities: &[f64], truth: usize) {
        let (even, roots) = (1.0 / probabilities.len().max(1) as f64, fourth_roots(probabilities));
        for (i, p) in probabilities.iter().enumerate() {
            let off = p - if i == truth { 1.0 } else { 0.0 };
            let turns = [even - p, fourth_root(*p) / roots - p];
            self.constant += off * off;
            for (share, turn) in turns.iter().enumerate() {
                self.slopes[share] += off * turn;
                self.bends[share] += turn * turn;
            }
            self.twist += turns[0] * turns[1];
        }
    }

    fn at(&self, [a, b]: [f64; 2]) -> f64 {
        let straight = a * self.slopes[0] + b * self.slopes[1];
        let bent = a * a * self.bends[0] + b * b * self.bends[1];
        self.constant + 2.0 * (straight + a * b * self.twist) + bent
    }

    /// The least sum, and the shares that it takes: those of the paraboloid's minimum, or of one
    /// share alone where that minimum is out of bounds.
    fn least(&self) -> (f64, [f64; 2]) {
        let Self { slopes, bends, twist, .. } = self;
        let alone = |i: usize| {
            if bends[i] > 0.0 { (-slopes[i] / bends[i]).clamp(0.0, MOST_WRONG) } else { 0.0 }
        };
        let determinant = bends[0] * bends[1] - twist * twist;
        let both = [
            (slopes[1] * twist - slopes[0] * bends[1]) / determinant,
            (slopes[0] * twist - slopes[1] * bends[0]) / determinant,
        ];
        // Without a determinant the two are one and the quotients no numbers, which fails this.
        let within = both.iter().all(|share| *share > 0.0) && both[0] + both[1] <= MOST_WRONG;
        let mut best = [alone(0), 0.0];
        for other in [Some([0.0, alone(1)]), within.then_some(both)].into_iter().flatten() {
            if self.at(other) < self.at(best) {
                best = other;
            }
        }
        (self.at(best), best)
    }
}

/// As [`calibrate`], and apart for each language that has tickets enough.
pub fn by_language(tickets: &[Scored]) -> Calibrations {
    let mut calibrations = Calibrations::from(calibrate(tickets));
    let of = |language| -> Vec<Scored> {
        tickets.iter().filter(|t| t.language == language).cloned().collect()
    };
    for language in Language::ALL {
        let own = of(language);
        if own.len() >= OWN_CALIBRATION && own.len() < tickets.len() {
            calibrations.languages.insert(language, calibrate(&own));
        }
    }
    calibrations
}

/// As many as are enough, from all over: files are often sorted by label or by date.
fn some(tickets: &[Scored]) -> Cow<'_, [Scored]> {
    if tickets.len() <= ENOUGH {
        return Cow::Borrowed(tickets);
    }
    (0..ENOUGH).map(|i| tickets[i * tickets.len() / ENOUGH].clone()).collect()
}

/// The minimum of a function with one minimum between `low` and `high` (Kiefer 1953).
fn golden_section(mut low: f64, mut high: f64, f: impl Fn(f64) -> f64) -> f64 {
    let ratio = (5f64.sqrt() - 1.0) / 2.0;
    let (mut a, mut b) = (high - ratio * (high - low), low + ratio * (high - low));
    let (mut fa, mut fb) = (f(a), f(b));
    while high - low > 1e-3 {
        if fa <= fb {
            (high, b, fb) = (b, a, fa);
            a = high - ratio * (high - low);
            fa = f(a);
        } else {
            (low, a, fa) = (a, b, fb);
            b = low + ratio * (high - low);
            fb = f(b);
        }
    }
    f64::midpoint(low, high)
}

/// The lowest confidence at and above which the share of right answers is at least `precision`,
/// shown on at least `min` tickets; and how many tickets are at or above it.
pub fn threshold(answers: &[(f64, bool)], precision: f64, min: usize) -> Option<(f64, usize)> {
    let mut sorted = answers.to_vec();
    sorted.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let mut right = 0usize;
    let mut best = None;
    for (i, (confidence, is_right)) in sorted.iter().enumerate() {
        right += usize::from(*is_right);
        let n = i + 1;
        // Tickets of equal confidence stand or fall together.
        let last_of_equals = sorted.get(n).is_none_or(|(next, _)| next < confidence);
        if last_of_equals && n >= min && right as f64 >= precision * n as f64 {
            best = Some((*confidence, n));
        }
    }
    best
}

/// Whether `wins` against `losses` of one answer over another is more than chance: the exact
/// one-sided binomial probability of so many wins or more (McNemar's test, exact form).
pub fn chance_of_wins(wins: u64, losses: u64) -> f64 {
    let n = wins + losses;
    // Terms of the binomial distribution from their logarithms: no overflow for any n.
    let mut log_term = -(n as f64) * std::f64::consts::LN_2;
    let mut sum = 0.0;
    for k in 0..=n {
        if k >= wins {
            sum += log_term.exp();
        }
        log_term += ((n - k) as f64).ln() - ((k + 1) as f64).ln();
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overconfident_score_is_cooled_down() {
        // Scores claim e^4 : 1 while the truth is 3 : 1.
        let tickets: Vec<Scored> = (0..400)
            .map(|i| Scored {
                scores: vec![4.0, 0.0],
                words: 1,
                truth: usize::from(i % 4 == 0),
                language: Language::En,
            })
            .collect();
        let calibration = calibrate(&tickets);
        let mut claimed = vec![4.0, 0.0];
        calibration.probabilities(&mut claimed, 1);
        assert!((claimed[0] - 0.75).abs() < 1e-3, "{}", claimed[0]);
        assert!(brier(&tickets, calibration) < brier(&tickets, Calibration::NONE));
        assert_eq!(calibrate(&[]), Calibration::NONE);
    }

    #[test]
    fn wrong_labels_do_not_make_it_unsure() {
        // Half are sure and right, but for one label in twenty that is wrong; half are unsure, and
        // right as often as they say.
        let tickets: Vec<Scored> = (0..2000)
            .flat_map(|i| {
                let scored = |lead, wrong| Scored {
                    scores: vec![lead, 0.0],
                    words: 1,
                    language: Language::En,
                    truth: usize::from(wrong),
                };
                [scored(10.0, i % 20 == 0), scored(1.0, i % 100 >= 73)]
            })
            .collect();
        let mut unsure = vec![1.0, 0.0];
        calibrate(&tickets).probabilities(&mut unsure, 1);
        assert!((unsure[0] - 0.73).abs() < 0.05, "{}", unsure[0]);
        let mut sure = vec![10.0, 0.0];
        calibrate(&tickets).probabilities(&mut sure, 1);
        assert!((sure[0] - 0.95).abs() < 0.02, "{}", sure[0]);
    }

    #[test]
    fn labels_that_a_near_one_was_taken_for_are_found() {
        // Tickets are right as often as a known calibration says, for leads from small to great.
        let true_one =
            Calibration { temperature: 0.5, noise: 0.04, confusion: 0.3, ..Calibration::NONE };
        let leads = [0.2, 0.6, 1.0, 1.5, 2.0, 3.0, 4.0];
        let probabilities = |lead: f64, calibration: Calibration| {
            let mut scores = vec![lead, 0.6 * lead, 0.0, 0.0, -0.5, -1.0];
            calibration.probabilities(&mut scores, 1);
            scores
        };
        let of_lead = |lead: &f64| -> Vec<Scored> {
            let scores = vec![*lead, 0.6 * lead, 0.0, 0.0, -0.5, -1.0];
            let of_label = |(truth, p): (usize, f64)| {
                let one =
                    Scored { scores: scores.clone(), words: 1, truth, language: Language::En };
                vec![one; (p * 500.0).round() as usize]
            };
            probabilities(*lead, true_one).into_iter().enumerate().flat_map(of_label).collect()
        };
        let tickets: Vec<Scored> = leads.iter().flat_map(of_lead).collect();
        let found = calibrate(&tickets);
        assert!(
            (found.noise - 0.04).abs() < 0.02 && (found.confusion - 0.3).abs() < 0.05,
            "{found:?}"
        );
        for lead in leads {
            let (there, claimed) = (probabilities(lead, true_one), probabilities(lead, found));
            assert!((there[0] - claimed[0]).abs() < 0.01, "{lead}: {there:?} {claimed:?}");
        }
    }

    #[test]
    fn long_texts_are_cooled_more() {
        // Leads grow with the length, the truth does not: great ones are right in 88 of 100, small
        // ones in 65, so that no share of wrong labels explains both.
        let tickets: Vec<Scored> = (0..4000)
            .map(|i| {
                let words = 10 * (1 + i % 10);
                let (lead, right) = if i / 10 % 2 == 0 { (0.1, 88) } else { (0.03, 65) };
                Scored {
                    scores: vec![f64::from(words) * lead, 0.0],
                    words,
                    truth: usize::from(i / 20 % 100 >= right),
                    language: Language::En,
                }
            })
            .collect();
        let calibration = calibrate(&tickets);
        assert!(calibration.exponent > 0.9, "{calibration:?}");
    }

    #[test]
    fn of_many_tickets_some_from_all_over_are_looked_at() {
        // Sorted: those that are always right first, then as many of which half are.
        let ticket = |i: usize| Scored {
            scores: vec![2.0, 0.0],
            words: 1,
            truth: usize::from(i >= 2 * ENOUGH && (i / 4).is_multiple_of(2)),
            language: Language::En,
        };
        let tickets: Vec<Scored> = (0..4 * ENOUGH).map(ticket).collect();
        let mut claimed = vec![2.0, 0.0];
        calibrate(&tickets).probabilities(&mut claimed, 1);
        assert!((claimed[0] - 0.75).abs() < 0.01, "{claimed:?}");
    }

    #[test]
    fn a_language_with_tickets_enough_is_calibrated_by_itself() {
        // All claim e^4 : 1; English is right in 3 of 4 cases, Korean in 19 of 20.
        let tickets = |n: usize, language: Language, wrong: usize| {
            (0..n).map(move |i| Scored {
                scores: vec![4.0, 0.0],
                words: 1,
                truth: usize::from(i.is_multiple_of(wrong)),
                language,
            })
        };
        let english: Vec<Scored> = tickets(400, Language::En, 4).collect();
        let with = |korean: usize| {
            let korean = tickets(korean, Language::Ko, 20);
            by_language(&english.iter().cloned().chain(korean).collect::<Vec<_>>())
        };
        let claims = |calibration: Calibration, right: f64| {
            let mut scores = vec![4.0, 0.0];
            calibration.probabilities(&mut scores, 1);
            assert!((scores[0] - right).abs() < 1e-3, "{} for {right}", scores[0]);
        };
        let both = with(OWN_CALIBRATION);
        claims(both.of(Language::En), 0.75);
        claims(both.of(Language::Ko), 0.95);
        claims(both.overall, (300.0 + 285.0) / 700.0);
        let few = with(OWN_CALIBRATION - 1);
        assert_eq!(few.of(Language::Ko), few.overall);
        claims(few.of(Language::Ko), (300.0 + 284.0) / 699.0);
        assert!(with(0).languages.is_empty());
    }

    #[test]
    fn thresholds() {
        let answers: Vec<(f64, bool)> =
            vec![(0.9, true), (0.8, true), (0.7, false), (0.6, true), (0.6, true), (0.5, false)];
        assert_eq!(threshold(&answers, 1.0, 1), Some((0.8, 2)));
        assert_eq!(threshold(&answers, 0.8, 1), Some((0.6, 5)));
        assert_eq!(threshold(&answers, 1.0, 3), None);
        assert_eq!(threshold(&[], 0.0, 1), None);
    }

    #[test]
    fn wins_by_chance() {
        assert!((chance_of_wins(5, 0) - 1.0 / 32.0).abs() < 1e-12);
        assert!((chance_of_wins(0, 5) - 1.0).abs() < 1e-12);
        assert!((chance_of_wins(0, 0) - 1.0).abs() < 1e-12);
        assert!(chance_of_wins(6_000, 5_000) < 1e-9);
        assert!(chance_of_wins(5_000, 5_000) > 0.4);
    }
}
