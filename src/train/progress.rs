//! What training is doing, for whoever waits for it.

/// What training is doing, and how much of it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub step: Step,
    pub done: u64,
    pub total: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Read,
    Audit,
    Count,
    Vocabulary,
    Fit,
    Final,
    Evaluate,
    Refit,
    Report,
    Judge,
}

impl Step {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "reading tickets",
            Self::Audit => "looking the data over",
            Self::Count => "reading words",
            Self::Vocabulary => "learning the vocabulary",
            Self::Fit => "trying kinds of models and calibrating",
            Self::Final => "fitting what was chosen",
            Self::Evaluate => "testing",
            Self::Refit => "fitting once more, on all tickets",
            Self::Report => "putting the report together",
            Self::Judge => "asking the model",
        }
    }
}
