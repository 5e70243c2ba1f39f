//! Tickets that people look at however sure the model is.

use std::collections::BTreeMap;

use crate::triage::model::Judgement;
use crate::triage::policy::Policy;
use crate::triage::priority::{Matrix, Proposal, Scale};
use crate::triage::text::language::Language;

/// The doubts of the default configuration, where nothing is known of the one in use. It has no
/// rules and no matrix: it is asked for doubts only.
pub(in crate::train) fn usual_policy() -> Policy {
    let scale = || Scale { values: Vec::new(), aliases: BTreeMap::new(), default: 0 };
    Policy {
        version: "".into(),
        default_queue: "".into(),
        min_confidence: 0.0,
        thresholds: BTreeMap::new(),
        min_margin: 0.0,
        min_known_words: 2,
        max_unknown_share: 0.7,
        matrix: Matrix {
            name: String::new(),
            priorities: Vec::new(),
            priority_aliases: BTreeMap::new(),
            impact: scale(),
            urgency: scale(),
            cells: Vec::new(),
        },
        routes: Vec::new(),
    }
}

/// Whether a person has to look at a ticket whatever its category's own threshold is.
pub(in crate::train) fn held_back(
    policy: &Policy,
    judgement: &Judgement,
    proposal: Proposal,
) -> bool {
    let at_the_floor = Proposal { threshold: policy.min_confidence, ..proposal };
    policy.doubt(judgement, &at_the_floor).is_some()
}

/// The same as far as it is up to the number of words, for a ticket that was not judged as a whole.
pub(super) fn held_back_by_words(policy: &Policy, words: u32, known: u32) -> bool {
    let judgement = Judgement {
        heads: Default::default(),
        masks: Default::default(),
        words,
        unknown: words.saturating_sub(known),
        out_of_scope: false,
        language: Language::Und,
        explanation: Default::default(),
    };
    let sure = Proposal { best: 0, confidence: 1.0, threshold: 0.0, runner_up: None };
    held_back(policy, &judgement, sure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_doubts_are_those_of_the_default_configuration() {
        let none: [(String, String); 0] = [];
        let default = Config::from_layers(None, none, &[]).unwrap().policy;
        let usual = usual_policy();
        assert_eq!(
            (usual.min_confidence, usual.min_margin, usual.min_known_words),
            (default.min_confidence, default.min_margin, default.min_known_words)
        );
        assert_eq!(usual.max_unknown_share, default.max_unknown_share);
        assert_eq!(usual.thresholds, default.thresholds);
    }

    #[test]
    fn short_texts_and_unknown_words_are_held_back() {
        let held_back = |words, known| held_back_by_words(&usual_policy(), words, known);
        assert!(held_back(0, 0) && held_back(1, 1) && !held_back(2, 2));
        assert!(held_back(10, 2) && !held_back(10, 3));
        // Counted apart, the numbers may not fit each other.
        assert!(!held_back(2, 5));
    }
}
