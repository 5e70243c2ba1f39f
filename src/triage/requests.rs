//! Known requests: whether a ticket asks for something that has a name, and how sure that is.
//!
//! A known-request model is an ordinary model. The labels of its category head are the requests'
//! names; everything else is `other`, or `other/` with what the desk calls it. Those are kept apart
//! for the model's sake, which learns a request better from its neighbours' names than from one
//! heap, and are one again here.

use std::sync::Arc;

use super::model::{HeadJudgement, Judgement, Model, Scratch, Target};
use super::text::Text;

/// The label of what is no known request.
pub const OTHER: &str = "other";

/// Whether a label means that a ticket is no known request.
pub fn is_other(label: &str) -> bool {
    label.strip_prefix(OTHER).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What an owner asks for beyond the model's own thresholds: all can only tighten.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Lowest confidence.
    pub min_confidence: f64,
    /// Lowest distance to the next request, and to all that is no request.
    pub min_margin: f64,
    /// Fewest words known to the model for a text to be judged at all.
    pub min_known_words: u32,
    /// Largest share of unknown words, 0 to 1.
    pub max_unknown_share: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { min_confidence: 0.0, min_margin: 0.2, min_known_words: 2, max_unknown_share: 0.5 }
    }
}

/// Why a ticket is not taken for the request that it is likeliest to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Doubt {
    UnknownWords,
    TooShort,
    /// It is likelier to be no known request.
    Other,
    LowConfidence,
    TooClose,
}

impl Doubt {
    pub const ALL: [Self; 5] =
        [Self::UnknownWords, Self::TooShort, Self::Other, Self::LowConfidence, Self::TooClose];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownWords => "unknown_words",
            Self::TooShort => "too_short",
            Self::Other => "other",
            Self::LowConfidence => "low_confidence",
            Self::TooClose => "too_close",
        }
    }
}

/// What a ticket asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// The request, where there is no doubt.
    pub request: Option<Arc<str>>,
    /// The likeliest request, whatever the doubt: a proposal to a person.
    pub likeliest: Arc<str>,
    /// The likeliest request's calibrated probability.
    pub confidence: f64,
    /// That less the probability of the next request, or of no request, whichever is greater.
    pub margin: f64,
    pub doubt: Option<Doubt>,
}

/// Why a model cannot tell known requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRequests {
    #[error("the model has no category head")]
    NoCategory,
    #[error(
        "none of the model's labels is \"{OTHER}\", so it would take every ticket for a request; \
         train it with purpose = \"requests\""
    )]
    NoOther,
    #[error("all of the model's labels are \"{OTHER}\": it knows no request")]
    OnlyOther,
}

/// A known-request model, and when it abstains. Shared by all who ask.
#[derive(Clone, Debug)]
pub struct Requests {
    model: Arc<Model>,
    limits: Limits,
    /// For each label, the lowest confidence at which it is taken; none for what is no request.
    bars: Vec<Option<f64>>,
    labels: Vec<Arc<str>>,
}

impl Requests {
    /// # Errors
    /// When the model is not one of known requests.
    pub fn new(model: Arc<Model>, limits: Limits) -> Result<Self, NotRequests> {
        let head = model.head(Target::Category).ok_or(NotRequests::NoCategory)?;
        let own = head.labels.iter().zip(&head.thresholds);
        let bars: Vec<Option<f64>> = own
            .map(|(label, own)| (!is_other(label)).then(|| own.max(limits.min_confidence)))
            .collect();
        if bars.iter().all(Option::is_some) {
            return Err(NotRequests::NoOther);
        }
        if bars.iter().all(Option::is_none) {
            return Err(NotRequests::OnlyOther);
        }
        let labels = head.labels.clone();
        Ok(Self { model, limits, bars, labels })
    }

    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// The names of the requests that the model knows.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.labels.iter().zip(&self.bars).filter(|(_, bar)| bar.is_some()).map(|(name, _)| name)
    }

    /// What a ticket asks for. Same model, limits and text, same answer. `scratch` holds buffers
    /// between calls and never changes it.
    pub fn known(&self, scratch: &mut Scratch, text: &Text<'_>) -> Known {
        let judgement = self.model.judge(scratch, text);
        let none = HeadJudgement { probabilities: Vec::new(), best: 0, runner_up: None };
        self.answer(&judgement, judgement.head(Target::Category).unwrap_or(&none))
    }

    fn answer(&self, judgement: &Judgement, judged: &HeadJudgement) -> Known {
        let (mut best, mut next, mut other) = (None::<(usize, f64, f64)>, 0.0f64, 0.0);
        for (i, (p, bar)) in judged.probabilities.iter().zip(&self.bars).enumerate() {
            match (bar, best) {
                (None, _) => other += p,
                (Some(_), Some((_, greatest, _))) if *p <= greatest => next = next.max(*p),
                (Some(bar), earlier) => {
                    next = earlier.map_or(next, |(_, p, _)| p);
                    best = Some((i, *p, *bar));
                }
            }
        }
        let (i, confidence, bar) = best.unwrap_or((0, 0.0, f64::INFINITY));
        let margin = confidence - next.max(other);
        let doubt = self.doubt(judgement, confidence, bar, margin, other);
        let likeliest = self.labels.get(i).cloned().unwrap_or_else(|| OTHER.into());
        let request = doubt.is_none().then(|| Arc::clone(&likeliest));
        Known { request, likeliest, confidence, margin, doubt }
    }

    /// Why not, the plainest reason first.
    fn doubt(
        &self,
        judgement: &Judgement,
        confidence: f64,
        bar: f64,
        margin: f64,
        other: f64,
    ) -> Option<Doubt> {
        let limits = &self.limits;
        let unknown_share = f64::from(judgement.unknown) / f64::from(judgement.words.max(1));
        if unknown_share > limits.max_unknown_share {
            Some(Doubt::UnknownWords)
        } else if judgement.words - judgement.unknown < limits.min_known_words {
            Some(Doubt::TooShort)
        } else if other >= confidence {
            Some(Doubt::Other)
        } else if confidence < bar {
            Some(Doubt::LowConfidence)
        } else if margin < limits.min_margin {
            Some(Doubt::TooClose)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests;
