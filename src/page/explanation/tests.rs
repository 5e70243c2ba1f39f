use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::page::tests::tags;
use crate::triage::decision::Doubt;
use crate::triage::decision::{
    Likely, ModelRef, Outcome, PolicyRef, Priority, Review, Rounded, Side,
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
fn the_fewest_words_that_carry_it() {
    let words = [("vpn", 2.0), ("tunnel", 1.0), ("printer", -0.5)];
    // A lead of 2.5: vpn alone leaves 0.5.
    assert_eq!(carrying(&explanation(&words, 0.0)).unwrap(), ["vpn", "tunnel"]);
    assert_eq!(carrying(&explanation(&words, -0.5)).unwrap(), ["vpn"]);
    assert_eq!(carrying(&explanation(&words, 1.0)), None);
    assert_eq!(quoted(&["a", "b", "c"]), "“a”, “b” and “c”");
    let page = page(&decision("Net"), &explanation(&words, 0.0), "", "vpn");
    assert!(page.contains("Without “vpn” and “tunnel”, Net would be ahead of Net"), "{page}");
    assert!(page.contains("A person has to look: the best category is less likely"), "{page}");
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
        let made = |text: &str, words| page(&decision(text), &explanation(words, 0.0), "", "vpn");
        let harmless = made("x", &[("x", 1.0), ("vpn", -0.5)]);
        prop_assert_eq!(tags(&made(&text, &words)), tags(&harmless));
        let marked = highlighted(&text, &HashMap::new()).into_string();
        prop_assert!(tags(&marked).is_empty(), "{}", marked);
    }
}
