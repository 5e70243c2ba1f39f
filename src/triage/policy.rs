//! The policy: when a person has to look, and which queue a ticket goes to. Data only; it is
//! checked against a model once, when the two meet in [`super::Triage::new`].

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::decision::Doubt;
use super::model::{Head, Judgement};
use super::priority::{Matrix, Proposal};

/// The owner's rules, as checked by the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    pub version: Arc<str>,
    pub default_queue: Arc<str>,
    /// Lowest confidence for a category; it can only tighten the thresholds.
    pub min_confidence: f64,
    /// By category, the lowest confidence instead of the one in the model's bundle; above 1: never
    /// without a person.
    pub thresholds: BTreeMap<String, f64>,
    /// Lowest distance between the first and the second category's probability.
    pub min_margin: f64,
    /// Fewest words known to the model for a text to be judged at all.
    pub min_known_words: u32,
    /// Largest share of unknown words, 0 to 1.
    pub max_unknown_share: f64,
    pub matrix: Matrix,
    pub routes: Vec<Route>,
}

/// A routing rule. An empty list matches everything; the first rule that matches wins.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    pub category: Vec<Pattern>,
    pub priority: Vec<usize>,
    pub source: Vec<String>,
    pub language: Vec<String>,
    pub queue: Arc<str>,
}

/// A category pattern: a label, everything below one (`Network/*`), or all (`*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    Any,
    Below(String),
    Exact(String),
}

impl Pattern {
    pub fn new(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some("") => Self::Any,
            Some(prefix) => Self::Below(prefix.to_owned()),
            None => Self::Exact(text.to_owned()),
        }
    }

    pub fn matches(&self, label: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Below(prefix) => label.starts_with(prefix.as_str()),
            Self::Exact(exact) => label == exact,
        }
    }
}

/// As it is written in a file.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Below(prefix) => write!(f, "{prefix}*"),
            Self::Exact(label) => f.write_str(label),
        }
    }
}

/// The patterns, as written, that fit none of the categories.
pub fn fitting_none<'p>(
    patterns: impl IntoIterator<Item = &'p Pattern>,
    categories: &[Arc<str>],
) -> Vec<String> {
    let fits = |pattern: &Pattern| categories.iter().any(|label| pattern.matches(label));
    let unknown = patterns.into_iter().filter(|pattern| !fits(pattern));
    unknown.map(Pattern::to_string).collect()
}

impl Route {
    /// The rule that takes in everything.
    pub fn any(queue: Arc<str>) -> Self {
        let (category, priority, source, language) = Default::default();
        Self { category, priority, source, language, queue }
    }

    /// Whether the rule speaks of this category at all.
    pub fn names(&self, label: &str) -> bool {
        self.category.is_empty() || self.category.iter().any(|p| p.matches(label))
    }

    fn has_further_conditions(&self) -> bool {
        !(self.priority.is_empty() && self.source.is_empty() && self.language.is_empty())
    }

    fn admits(&self, priority: usize, source: &str, language: &str) -> bool {
        let any = |list: &[String], value: &str| {
            list.is_empty() || list.iter().any(|v| v.eq_ignore_ascii_case(value))
        };
        (self.priority.is_empty() || self.priority.contains(&priority))
            && any(&self.source, source)
            && takes_language(&self.language, language)
    }
}

/// Whether a list of languages takes in a tag, as RFC 4647 filters: `ko` takes in `ko-KR`, whatever
/// the case. An empty list takes any.
pub fn takes_language(list: &[String], tag: &str) -> bool {
    // Programs write `ko_KR` as well.
    fn subtags(tag: &str) -> impl Iterator<Item = &str> {
        tag.trim().split(['-', '_'])
    }
    let begins = |range: &str| {
        let mut of_tag = subtags(tag);
        subtags(range).all(|s| of_tag.next().is_some_and(|t| t.eq_ignore_ascii_case(s)))
    };
    list.is_empty() || list.iter().any(|range| begins(range))
}

/// The policy's rules by category, so that a decision looks only at those that can match.
#[derive(Clone, Debug)]
pub struct Table {
    by_category: Vec<Vec<usize>>,
}

impl Table {
    /// The table for a model's categories, in their order.
    pub fn new(policy: &Policy, categories: &[Arc<str>]) -> Self {
        let by_category = categories
            .iter()
            .map(|label| {
                let rules = policy.routes.iter().enumerate();
                rules.filter(|(_, r)| r.names(label)).map(|(i, _)| i).collect()
            })
            .collect();
        Self { by_category }
    }

    /// The queue of the first rule that matches, else the default.
    pub fn queue<'p>(
        &self,
        policy: &'p Policy,
        category: usize,
        priority: usize,
        source: &str,
        language: &str,
    ) -> &'p Arc<str> {
        self.by_category[category]
            .iter()
            .map(|&i| &policy.routes[i])
            .find(|rule| rule.admits(priority, source, language))
            .map_or(&policy.default_queue, |rule| &rule.queue)
    }
}

impl Policy {
    /// Categories that no rule takes in without further conditions: their tickets would fall to
    /// the default queue without anybody having said so.
    pub fn uncovered<'l>(&self, categories: &'l [Arc<str>]) -> Vec<&'l str> {
        let covered =
            |label: &str| self.routes.iter().any(|r| r.names(label) && !r.has_further_conditions());
        categories.iter().map(|l| &**l).filter(|l| !covered(l)).collect()
    }

    /// Exact category names and prefixes in the rules that match none of `categories`.
    pub fn unknown_categories(&self, categories: &[Arc<str>]) -> Vec<String> {
        fitting_none(self.routes.iter().flat_map(|r| &r.category), categories)
    }

    /// For each of the category head's labels, the confidence that it has to reach.
    pub fn thresholds(&self, head: &Head) -> Vec<f64> {
        let own = head.labels.iter().zip(&head.thresholds);
        own.map(|(label, own)| {
            self.thresholds.get(&**label).unwrap_or(own).max(self.min_confidence)
        })
        .collect()
    }

    /// Categories with a threshold that are none of `categories`.
    pub fn unknown_thresholds(&self, categories: &[Arc<str>]) -> Vec<String> {
        let known = |label: &str| categories.iter().any(|c| &**c == label);
        self.thresholds.keys().filter(|label| !known(label)).cloned().collect()
    }

    /// Why a person has to look at a ticket, the plainest reason first.
    pub fn doubt(&self, judgement: &Judgement, proposal: &Proposal) -> Option<Doubt> {
        let unknown_share = f64::from(judgement.unknown) / f64::from(judgement.words.max(1));
        let margin = proposal.confidence - proposal.runner_up.map_or(0.0, |(_, p)| p);
        if unknown_share > self.max_unknown_share {
            Some(Doubt::UnknownWords)
        } else if judgement.words - judgement.unknown < self.min_known_words {
            Some(Doubt::TooShort)
        } else if judgement.out_of_scope {
            Some(Doubt::OutOfScope)
        } else if !proposal.is_confident() {
            Some(Doubt::LowConfidence)
        } else if margin < self.min_margin {
            Some(Doubt::TooClose)
        } else {
            None
        }
    }

    /// Every queue that the policy can name, sorted, once each.
    pub fn queues(&self) -> Vec<String> {
        let mut queues: Vec<String> = self.routes.iter().map(|r| r.queue.to_string()).collect();
        queues.push(self.default_queue.to_string());
        queues.sort();
        queues.dedup();
        queues
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_takes_in_its_regions_and_nothing_else() {
        let takes = |list: &[&str], tag| {
            let list: Vec<String> = list.iter().map(|range| (*range).to_owned()).collect();
            takes_language(&list, tag)
        };
        for tag in ["ko", "KO", "ko-KR", "ko_kr", " ko ", "ko-Kore-KR"] {
            assert!(takes(&["en", "ko"], tag), "{tag}");
        }
        for tag in ["kok", "k", "", "en-ko", "und"] {
            assert!(!takes(&["ko"], tag), "{tag}");
        }
        assert!(takes(&["zh-Hant"], "zh_hant_TW") && !takes(&["zh-Hant"], "zh"));
        assert!(takes(&[], "anything"));
    }
}
