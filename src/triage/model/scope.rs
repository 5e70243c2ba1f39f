//! Whether a ticket is one of those that the model was made for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::triage::text::language::Language;

/// By language, the least [`familiarity`] of a ticket that the model is asked about. Nearly all
/// tickets like those that it was trained on have more; those about other matters often have less,
/// however sure the model is of the few words that it knows. A language without one has no bound.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scope(BTreeMap<Language, f64>);

impl Scope {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every bound is from 0 to 1.
    pub fn is_valid(&self) -> bool {
        self.0.values().all(|floor| (0.0..=1.0).contains(floor))
    }

    /// Whether a ticket of which so many words are in the vocabulary is about something else.
    pub fn is_outside(&self, language: Language, listed: u32, words: u32) -> bool {
        self.0.get(&language).is_some_and(|floor| familiarity(listed, words) < *floor)
    }
}

impl FromIterator<(Language, f64)> for Scope {
    fn from_iter<I: IntoIterator<Item = (Language, f64)>>(floors: I) -> Self {
        Self(floors.into_iter().collect())
    }
}

/// The share of the words that are in the vocabulary as they stand or by their shape, with one word more
/// in both counts (Laplace): a single new word then weighs less in a short text.
pub fn familiarity(listed: u32, words: u32) -> f64 {
    (f64::from(listed) + 1.0) / (f64::from(words) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_without_a_bound_has_none() {
        let scope = Scope::from_iter([(Language::En, 0.8)]);
        assert!(scope.is_outside(Language::En, 3, 9) && !scope.is_outside(Language::En, 9, 10));
        assert!(!scope.is_outside(Language::Ko, 0, 9));
        // No words are no proof: the ticket is too short.
        assert!(!scope.is_outside(Language::En, 0, 0));
        assert!(scope.is_valid() && !Scope::from_iter([(Language::En, 1.2)]).is_valid());
    }
}
