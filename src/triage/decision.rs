//! A decision as data: what every output event carries, and what `classify` prints.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::priority::{DecidedBy, Proposer};
use crate::playbook::Slots;
use crate::resolve::guard::Guard;

/// Where a ticket goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// To a queue.
    Routed,
    /// To people, because the model is not sure enough.
    Review,
    /// To the resolve stage, which carries out a playbook.
    Resolve,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Routed => "routed",
            Self::Review => "review",
            Self::Resolve => "resolve",
        }
    }
}

/// Why the model's answer is not acted on. A closed list: it is a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// The best category's confidence is below its threshold.
    LowConfidence,
    /// The first two categories are too close.
    TooClose,
    /// There are too few known words to judge by.
    TooShort,
    /// Too many of the words are unknown to the model.
    UnknownWords,
    /// Fewer of the words are in the vocabulary than in the tickets that the model was made for.
    OutOfScope,
}

impl Doubt {
    pub const ALL: [Self; 5] =
        [Self::LowConfidence, Self::TooClose, Self::TooShort, Self::UnknownWords, Self::OutOfScope];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::LowConfidence => "low_confidence",
            Self::TooClose => "too_close",
            Self::TooShort => "too_short",
            Self::UnknownWords => "unknown_words",
            Self::OutOfScope => "out_of_scope",
        }
    }

    /// The same in words for the person who gets the ticket.
    pub fn detail(self) -> &'static str {
        match self {
            Self::LowConfidence => "the best category is less likely than its threshold asks",
            Self::TooClose => "the two best categories are about equally likely",
            Self::TooShort => "the text has too few words that the model knows",
            Self::UnknownWords => "most words of the text are unknown to the model",
            Self::OutOfScope => {
                "more words are new to the model than in nearly all tickets that it was made for"
            }
        }
    }
}

/// A probability or weight, written with six decimals: finer differences mean nothing.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, JsonSchema)]
pub struct Rounded(pub f64);

impl Serialize for Rounded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64((self.0 * 1e6).round() / 1e6)
    }
}

/// A label and how likely it is.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Likely<'a> {
    pub label: &'a str,
    /// Calibrated probability, 0 to 1.
    pub confidence: Rounded,
}

/// The category with its probability and the bar it had to pass.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Category<'a> {
    pub label: &'a str,
    /// Calibrated probability that this is the category, 0 to 1.
    pub confidence: Rounded,
    /// What the confidence had to reach for the ticket to be routed without a person. More than
    /// 1 means that the model was never good enough at this category to be left alone with it.
    pub threshold: Rounded,
    pub runner_up: Option<Likely<'a>>,
}

/// One side of the priority matrix.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Side<'a> {
    pub value: &'a str,
    /// Who proposed the value that counts.
    pub by: Proposer,
    /// The model's proposal, whether it counted or not; absent where the model has none.
    pub model: Option<Category<'a>>,
}

/// The priority and how it came about.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Priority<'a> {
    pub label: &'a str,
    pub decided_by: DecidedBy,
    /// Calibrated probability that this is the priority; null where a rule decided alone.
    pub confidence: Option<Rounded>,
    /// What the confidence had to reach; null where a rule decided alone.
    pub threshold: Option<Rounded>,
    pub runner_up: Option<Likely<'a>>,
    /// The matrix that was used.
    pub matrix: &'a str,
    pub impact: Side<'a>,
    pub urgency: Side<'a>,
}

/// A word's share in the decision.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Word {
    /// As it stands in the text, in lower case, personal data masked. A field of the ticket that
    /// the model reads stands with its value, such as `department: sales`.
    pub word: String,
    /// Calibrated log-odds that all its occurrences add for the category against the runner-up.
    pub weight: Rounded,
    /// How often it occurs.
    pub count: u32,
}

/// Why this category and not the runner-up: `words + other + prior = total`, all in calibrated
/// log-odds: `exp(total)` is how many times likelier the category is than the runner-up. The
/// confidences differ by less where labels in the training data are partly wrong, because they
/// allow for that share.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Explanation {
    /// The words with the largest weights, largest first; a negative weight speaks against.
    pub words: Vec<Word>,
    /// The sum over all words that are not listed.
    pub other: Rounded,
    /// What the category's frequency in the training data adds.
    pub prior: Rounded,
    pub total: Rounded,
}

/// Why a person has to look.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Review {
    pub reason: Doubt,
    pub detail: &'static str,
}

/// How a known request was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecognisedBy {
    /// By the known-request model: there is a probability.
    Model,
    /// By a rule of the playbook: there is none.
    Rule,
}

/// A request that a playbook answers.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct KnownRequest<'a> {
    pub playbook: &'a str,
    pub version: u64,
    pub recognised_by: RecognisedBy,
    /// The model's name for the request; null where a rule recognised it.
    pub request: Option<String>,
    /// Calibrated probability that this is the request; null where a rule recognised it.
    pub confidence: Option<Rounded>,
    /// How much likelier it is than the next one, as a difference of probabilities.
    pub margin: Option<Rounded>,
    /// The values that the playbook needs, as found in the ticket.
    pub slots: Slots,
    /// What holds the machine back; null where the playbook is carried out.
    pub held_by: Option<Guard>,
    /// The same in words.
    pub detail: Option<String>,
}

#[cfg(test)]
impl KnownRequest<'static> {
    /// For tests: what a rule recognised.
    pub fn example(held_by: Option<Guard>) -> Self {
        Self {
            playbook: "unlock_account",
            version: 3,
            recognised_by: RecognisedBy::Rule,
            request: None,
            confidence: None,
            margin: None,
            slots: Slots::default(),
            held_by,
            detail: held_by.map(|guard| guard.detail().to_owned()),
        }
    }
}

/// The model that judged.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ModelRef<'a> {
    /// Identifies the exact bundle: derived from its content.
    pub id: &'a str,
    pub version: &'a str,
}

/// The policy that routed.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct PolicyRef<'a> {
    pub version: &'a str,
}

/// A decision about one ticket.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Decision<'a> {
    pub ticket_id: &'a str,
    pub outcome: Outcome,
    /// Why a person has to look; null for routed tickets.
    pub review: Option<Review>,
    /// The queue it goes to; for review the one that the model would propose.
    pub queue: &'a str,
    pub category: Category<'a>,
    pub priority: Priority<'a>,
    /// As reported, else by the script of the text: `en`, `ko` or `und`.
    pub language: &'a str,
    pub explanation: Explanation,
    /// The known request behind the ticket, if it is one, and whether it is left to a playbook.
    pub known_request: Option<KnownRequest<'a>>,
    /// Pieces of personal data that were masked before the text was judged, by kind.
    pub masked: BTreeMap<&'static str, u32>,
    pub model: ModelRef<'a>,
    pub policy: PolicyRef<'a>,
}
