//! What the numbers say, in sentences.

use super::LearningPoint;
use crate::page::{count, counted, exact, percent};
use crate::train::evaluate::{HeadEvaluation, LanguageScores, Use};
use crate::train::render::copies;
use crate::train::wilson::{ONE_SIDED_95, interval_of_share};

/// Gains of accuracy for twice the tickets: from the first on it is much, below the second it is
/// nothing to speak of.
const MUCH: f64 = 0.02;
const LITTLE: f64 = 0.005;
/// Confidence and accuracy this far apart are worth a word.
const OFF: f64 = 0.03;
/// Fewer tickets, copies left out, say little of how often it is right, and nothing of its confidence.
const FEW: u64 = 200;

/// Why nothing is said of single labels and of more data.
pub(in crate::train) const NO_SIGNAL: &str = "\
    There is no usable signal, so no label is called probably wrong, and nobody can say whether \
    more tickets would help: what tells nothing of the category cannot tell that either";
/// What becomes of tickets whatever the model's confidence is.
pub(in crate::train) fn held_back(tickets: u64) -> String {
    format!(
        "Left to people by the default policy, however sure the model is, as a text is too short or \
         too many of its words are new: {}",
        counted(tickets, "ticket", "tickets")
    )
}

/// What a head is called.
pub(super) fn name(head: &HeadEvaluation) -> String {
    let target = head.target.as_str();
    let mut name = target[..1].to_uppercase();
    name.push_str(&target[1..]);
    if head.first_level {
        name.push_str(", first level");
    }
    name
}

/// How good it is and how much it may decide alone: two to four sentences. `held_out` is the same
/// head on tickets that chose and calibrated it.
pub(super) fn headline(
    head: &HeadEvaluation,
    held_out: Option<&HeadEvaluation>,
    unseen: bool,
) -> Vec<String> {
    if head.tickets == 0 {
        return vec!["None of the tickets has a label that the model knows.".to_owned()];
    }
    let seen = if unseen { " it had not seen" } else { "" };
    let mut sentences = vec![format!(
        "On {}{seen}, the model was right on {} ({}).",
        counted(head.tickets, "ticket", "tickets"),
        percent(head.accuracy),
        interval(head)
    )];
    sentences.extend(few(head, held_out));
    if head.copies > 0 {
        sentences.push(format!("{}.", copies(head.copies)));
    }
    sentences.push(own_thresholds(head));
    let gain = head.accuracy - head.majority;
    if gain < 0.05 {
        sentences.push(format!(
            "Always saying the most frequent label would be right on {}: the model adds next to \
             nothing.",
            percent(head.majority)
        ));
    }
    sentences
}

fn interval(head: &HeadEvaluation) -> String {
    let (low, high) = head.accuracy_interval();
    format!("95 % interval: {} to {}", percent(low), percent(high))
}

/// The held-out tickets' numbers, where those are more than the test's.
fn more<'h>(
    head: &HeadEvaluation,
    held_out: Option<&'h HeadEvaluation>,
) -> Option<&'h HeadEvaluation> {
    held_out.filter(|held_out| held_out.distinct() > head.distinct())
}

/// What more tickets say, where those of the test are few.
pub(in crate::train) fn few(
    head: &HeadEvaluation,
    held_out: Option<&HeadEvaluation>,
) -> Option<String> {
    let held_out = more(head, held_out)?;
    (!tells_calibration(head)).then(|| {
        format!(
            "Those are few. On the {} that were held out while it was chosen and calibrated it was right \
             on {} ({}); expect a little less, as it was chosen by them.",
            counted(held_out.tickets, "ticket", "tickets"),
            percent(held_out.accuracy),
            interval(held_out)
        )
    })
}

/// Whether its confidence can be believed, as far as the tickets show. `held_out` as for
/// [`headline`].
pub(super) fn calibration(head: &HeadEvaluation, held_out: Option<&HeadEvaluation>) -> String {
    let points = |head: &HeadEvaluation| format!("{:.1}", head.calibration_error * 100.0);
    if !tells_calibration(head) {
        let more = more(head, held_out).map(|more| {
            format!(
                " On the {} that it was calibrated on, confidence and truth are {} percentage points \
                 apart on average.",
                counted(more.tickets, "ticket", "tickets"),
                points(more)
            )
        });
        return format!(
            "{} cannot show whether its confidence can be believed: that takes {FEW} or more.{}",
            match head.copies {
                0 => counted(head.tickets, "ticket", "tickets"),
                _ => counted(head.distinct(), "distinct ticket", "distinct tickets"),
            },
            more.unwrap_or_default()
        );
    }
    let n = head.tickets.max(1) as f64;
    let signed = head.bins.iter().map(|b| b.tickets as f64 * (b.confidence - b.accuracy));
    let signed = signed.sum::<f64>() / n;
    let verdict = if head.calibration_error < OFF {
        "its confidence can be taken at its word"
    } else if signed > OFF / 2.0 {
        "it is surer than it should be"
    } else if signed < -OFF / 2.0 {
        "it is right more often than it claims"
    } else {
        "it is too sure on some tickets and too unsure on others"
    };
    format!(
        "Confidence and truth are {} percentage points apart on average: {verdict}.",
        points(head)
    )
}

/// Whether the tickets are enough to say something of the confidence.
pub(in crate::train) fn tells_calibration(head: &HeadEvaluation) -> bool {
    head.distinct() >= FEW
}

/// The calibration error, that of the held-out tickets where those of the test are few, or that
/// they are too few. `held_out` is the category on tickets that chose and calibrated it; `share`
/// writes a share.
pub(in crate::train) fn calibration_error(
    head: &HeadEvaluation,
    held_out: Option<&HeadEvaluation>,
    share: fn(f64) -> String,
) -> String {
    if tells_calibration(head) {
        return share(head.calibration_error);
    }
    let same =
        |more: &&HeadEvaluation| (more.target, more.first_level) == (head.target, head.first_level);
    match more(head, held_out).filter(same) {
        Some(more) => format!(
            "{} on {}",
            share(more.calibration_error),
            counted(more.tickets, "held-out ticket", "held-out tickets")
        ),
        None => format!("too few tickets ({FEW} are needed)"),
    }
}

/// The calibration error of so many tickets of one language, or that they are too few.
pub(super) fn calibration_error_of(language: &LanguageScores) -> String {
    match language.tickets < FEW {
        true => "too few".to_owned(),
        false => exact(language.calibration_error),
    }
}

/// Log loss and Brier score, and which tickets they are about where those are not all.
pub(in crate::train) fn scores(head: &HeadEvaluation) -> String {
    let (Some(log_loss), Some(brier)) = (head.log_loss, head.brier) else {
        return "none: it knows no ticket's label".to_owned();
    };
    let of = match head.unknown_labels.is_empty() {
        true => String::new(),
        false => match head.known() {
            1 => "  (on the 1 ticket whose label it knows)".to_owned(),
            n => format!("  (on the {} tickets whose label it knows)", count(n)),
        },
    };
    format!("{log_loss:.3}, {brier:.3}{of}")
}

/// What its own thresholds do, which other tickets chose; no other promise survives new tickets.
fn own_thresholds(head: &HeadEvaluation) -> String {
    let (decided, right) = head.decided();
    if decided == 0 {
        return "With the thresholds that are stored in it, it decides nothing alone: it proposes, \
                people decide."
            .to_owned();
    }
    let share = right as f64 / decided as f64;
    let copies: u64 = head.labels.iter().map(|l| l.decided_copies).sum();
    format!(
        "With the thresholds that are stored in it, it decides {} of these tickets alone and is \
         right on {} of those (on at least {}, with 95 % certainty).",
        percent(head.coverage),
        percent(head.precision),
        percent(interval_of_share(share, decided - copies.min(decided), ONE_SIDED_95).0)
    )
}

/// Whether more data is worth it: what twice the tickets brought last. None for less than two
/// points.
pub(super) fn learning(points: &[LearningPoint]) -> Option<String> {
    let last = points.last()?;
    let before = points.iter().rev().find(|p| p.tickets * 2 <= last.tickets);
    let before = before.or(points.first()).filter(|p| 0 < p.tickets && p.tickets < last.tickets)?;
    let doublings = (last.tickets as f64 / before.tickets as f64).log2();
    let gain = (last.accuracy - before.accuracy) / doublings;
    let verdict = if gain >= MUCH {
        "More tickets are worth it."
    } else if gain >= LITTLE {
        "More tickets would still help a little."
    } else {
        "More tickets of this kind will hardly help; clearer labels may."
    };
    Some(format!(
        "From {} to {} tickets, each doubling brought {:+.1} percentage points of right answers. {verdict}",
        count(before.tickets),
        count(last.tickets),
        gain * 100.0
    ))
}

/// From the best use to the worst.
pub(in crate::train) const USES: [Use; 7] = [
    Use::Always,
    Use::WhenSure,
    Use::WhenSureTogether,
    Use::Proposal,
    Use::WhenSureBelow,
    Use::NotYet,
    Use::TooFew,
];

/// What a label is good for: a name, its badge's class and what it means.
pub(in crate::train) fn use_for(use_for: Use) -> (&'static str, &'static str, &'static str) {
    match use_for {
        Use::Always => ("alone", "good", "at least 90 % of all its answers are right"),
        Use::WhenSure => (
            "alone when sure",
            "good",
            "at least 90 % of its answers above its threshold are right",
        ),
        Use::WhenSureTogether => (
            "alone when sure, shown with others",
            "fair",
            "it decides alone above its threshold; too few such answers to show 90 % by themselves, \
             so small labels are shown together",
        ),
        Use::Proposal => ("as a proposal", "fair", "good enough for a person to start from"),
        Use::WhenSureBelow => (
            "alone, below 90 %",
            "poor",
            "it decides alone above its threshold, and fewer than 90 % of that are right",
        ),
        Use::NotYet => ("not yet", "poor", "more often misleading than helpful"),
        Use::TooFew => ("too few tickets", "none", "fewer than 20 tickets: nobody can say"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::report::tests::report;

    /// A head of so many tickets, three quarters of which it is right about.
    fn head(tickets: u64) -> HeadEvaluation {
        let mut head = report("x").evaluation.heads.remove(0);
        head.tickets = tickets;
        head
    }

    #[test]
    fn few_test_tickets_say_so_and_leave_the_word_to_more() {
        let (few, many) = (head(24), head(216));
        let says = headline(&few, Some(&many), true).join(" ");
        assert!(says.contains("75\u{a0}% (95 % interval: 55\u{a0}% to 88\u{a0}%)"), "{says}");
        assert!(says.contains("Those are few. On the 216 tickets that were held out"), "{says}");
        let says = calibration(&few, Some(&many));
        assert!(says.contains("24 tickets cannot show") && says.contains("216 tickets"), "{says}");
        assert!(!says.contains("taken at its word") && !says.contains("than it claims"), "{says}");
        // Where the test has enough, nothing else is asked.
        let says = headline(&many, Some(&head(900)), true).join(" ");
        assert!(says.contains("95 % interval") && !says.contains("few"), "{says}");
        assert!(calibration(&many, Some(&head(900))).starts_with("Confidence and truth are"));
    }

    fn point(tickets: u64, accuracy: f64) -> LearningPoint {
        LearningPoint { tickets, accuracy, macro_f1: accuracy }
    }

    #[test]
    fn whether_more_data_is_worth_it() {
        let says = |points: &[LearningPoint]| learning(points).unwrap();
        let steep = says(&[point(100, 0.5), point(1_000, 0.7), point(4_000, 0.8)]);
        assert!(steep.contains("From 1,000 to 4,000") && steep.contains("+5.0"), "{steep}");
        assert!(steep.ends_with("More tickets are worth it."), "{steep}");
        assert!(says(&[point(100, 0.8), point(200, 0.81)]).contains("a little"));
        assert!(says(&[point(100, 0.8), point(200, 0.78)]).contains("hardly help"));
        assert_eq!(learning(&[point(100, 0.8)]), None);
        assert_eq!(learning(&[point(0, 0.1), point(100, 0.8)]), None);
        assert_eq!(learning(&[point(100, 0.1), point(100, 0.8)]), None);
    }
}
