use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::page::tests::tags;
use crate::resolve::guard::Guard;
use crate::triage::decision::{
    KnownRequest, Likely, ModelRef, PolicyRef, Priority, Review, Rounded, Side,
};
use crate::triage::model::WordWeight;
use crate::triage::priority::{DecidedBy, Proposer};

fn decision(text: &str) -> Decision<'_> {
    let side = || Side { value: text, by: Proposer::Default, model: None };
    Decision {
        ticket_id: text,
        outcome: Outcome::Review,
        review: Some(Review {
            reason: Doubt::LowConfidence,
            detail: Doubt::LowConfidence.detail(),
        }),
        queue: text,
        category: Category {
            label: text,
            confidence: Rounded(0.6),
            threshold: Rounded(0.8),
            runner_up: Some(Likely { label: text, confidence: Rounded(0.2) }),
        },
        priority: Priority {
            label: text,
            decided_by: DecidedBy::Matrix,
            confidence: None,
            threshold: None,
            runner_up: None,
            matrix: text,
            impact: side(),
            urgency: side(),
        },
        language: text,
        explanation: crate::triage::decision::Explanation {
            words: vec![],
            other: Rounded(0.0),
            prior: Rounded(0.0),
            total: Rounded(0.0),
        },
        known_request: None,
        masked: BTreeMap::new(),
        model: ModelRef { id: text, version: text },
        policy: PolicyRef { version: text },
    }
}

fn explanation(words: &[(&str, f64)], prior: f64) -> Explanation {
    let total = words.iter().map(|(_, w)| w).sum::<f64>() + prior;
    let words = words.iter();
    Explanation {
        words: words
            .map(|(word, weight)| WordWeight {
                word: (*word).to_owned(),
                weight: *weight,
                count: 1,
            })
            .collect(),
        other: 0.0,
        prior,
        total,
    }
}

#[test]
fn words_are_marked_where_they_stand() {
    let weights = HashMap::from([("vpn", 2.0), ("printer", -1.0), ("email", 1.0)]);
    let marked = highlighted("My VPN-client, [EMAIL] printer", &weights).into_string();
    assert_eq!(
        marked,
        "My <mark class=\"for\" style=\"--s:1.000\" title=\"+2.000\">VPN</mark>-client, [EMAIL] \
         <mark class=\"against\" style=\"--s:0.500\" title=\"-1.000\">printer</mark>"
    );
}

#[test]
fn what_would_have_changed_it() {
    let words = explanation(&[("vpn", 2.0), ("tunnel", 1.0), ("printer", -0.5)], 0.0);
    let change = |without: &[&str], label: &str| Change {
        without: without.iter().map(|w| (*w).to_owned()).collect(),
        label: label.to_owned(),
        confidence: 0.75,
    };
    let first = |change: &Change| changes(&decision("Net"), &words, Some(change)).remove(0);
    assert_eq!(
        first(&change(&["vpn"], "Print")),
        "Without “vpn” the model says Print, 75.0\u{a0}% sure."
    );
    assert!(
        first(&change(&["vpn", "tunnel"], "Print"))
            .ends_with("Each of these words is needed for that.")
    );
    assert_eq!(
        first(&change(&["vpn", "tunnel"], "Net")),
        "Even without “vpn” and “tunnel” the model says Net."
    );
    assert_eq!(quoted(&["a", "b", "c"]), "“a”, “b” and “c”");
    let found = change(&["vpn"], "Print");
    let page = page(&decision("Net"), &words, Some(&found), "", "vpn");
    assert!(page.contains("Without “vpn” the model says Print"), "{page}");
    assert!(page.contains("A person has to look: the best category is less likely"), "{page}");
}

#[test]
fn what_a_ticket_needs_goes_by_why_a_person_looks_at_it() {
    let last = |doubt: Option<Doubt>, confidence: f64, threshold: f64| {
        let mut decision = decision("Net");
        decision.review = doubt.map(|reason| Review { reason, detail: reason.detail() });
        let category = &mut decision.category;
        (category.confidence, category.threshold) = (Rounded(confidence), Rounded(threshold));
        changes(&decision, &explanation(&[], 0.0), None).pop().unwrap()
    };
    let needs = "To be decided without a person, Net needs 80.0\u{a0}%; it has 60.0\u{a0}%.";
    assert_eq!(last(Some(Doubt::LowConfidence), 0.6, 0.8), needs);
    // A bar that is passed is not what it lacks.
    for (doubt, lacks) in [
        (Doubt::UnknownWords, "policy.max_unknown_share"),
        (Doubt::TooShort, "policy.min_known_words"),
        (Doubt::TooClose, "policy.min_margin"),
        (Doubt::OutOfScope, "the tickets that the model was made for"),
    ] {
        let says = last(Some(doubt), 0.913, 0.91);
        assert!(says.contains(lacks) && !says.contains("needs 91.0"), "{says}");
    }
    let says = last(Some(Doubt::UnknownWords), 0.6, 0.8);
    assert!(says.ends_with("and Net needs 80.0\u{a0}%; it has 60.0\u{a0}%."), "{says}");
    let never = "Nothing in the text: Net is never decided without a person.";
    assert_eq!(last(Some(Doubt::UnknownWords), 0.9, 1.01), never);
}

#[test]
fn an_outcome_is_the_decisions_with_the_playbook_and_what_holds_it_back() {
    let made = |outcome: Outcome, held_by: Option<Guard>| {
        let mut decision = decision("Net");
        (decision.outcome, decision.review) = (outcome, None);
        decision.known_request = Some(KnownRequest::example(held_by));
        page(&decision, &explanation(&[], 0.0), None, "", "vpn")
    };
    let acts = made(Outcome::Resolve, None);
    assert!(acts.contains("A playbook acts on it without a person."), "{acts}");
    assert!(acts.contains("<b>unlock_account</b>, version 3, answers it."), "{acts}");
    assert!(!acts.contains("It goes to") && !acts.contains("To be decided without"), "{acts}");
    let held = made(Outcome::Routed, Some(Guard::Vip));
    assert!(held.contains("It goes to <b>Net</b> without a person."), "{held}");
    let why = format!("but is held back by vip: {}.", Guard::Vip.detail());
    assert!(held.contains(&why), "{held}");
}

proptest! {
    #[test]
    fn runs_are_the_whole_text(text in "(\\PC|\\[EMAIL\\]|[ \\n\u{e9}가]){0,60}") {
        prop_assert_eq!(runs(&text).concat(), text);
    }

    #[test]
    fn no_text_becomes_markup(text in crate::page::tests::hostile()) {
        let words = [(text.as_str(), 1.0), ("vpn", -0.5)];
        // Subject and body stay the same: their words get tags.
        let made = |text: &str, words| {
            let (label, confidence) = (text.to_owned() + "2", 0.5);
            let change = Change { without: vec![text.to_owned()], label, confidence };
            page(&decision(text), &explanation(words, 0.0), Some(&change), "", "vpn")
        };
        let harmless = made("x", &[("x", 1.0), ("vpn", -0.5)]);
        prop_assert_eq!(tags(&made(&text, &words)), tags(&harmless));
        let marked = highlighted(&text, &HashMap::new()).into_string();
        prop_assert!(tags(&marked).is_empty(), "{}", marked);
    }
}
