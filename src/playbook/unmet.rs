//! Conditions that do not hold, before a playbook acts and in what a runbook answers.

/// Why a condition does not hold. Names the place, never what stands there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unmet {
    #[error("the priority is not below the one that the playbook names")]
    Priority,
    #[error("the source is none of the playbook's")]
    Source,
    #[error("the language is none of the playbook's")]
    Language,
    #[error("the category is none of the playbook's")]
    Category,
    #[error("the ticket's {0} is not what the playbook requires")]
    Requires(String),
    #[error("the ticket is too old")]
    TooOld,
    #[error("the answer has status {0}")]
    Status(u16),
    #[error("the answer is not JSON")]
    NotJson,
    #[error("the answer's {0} is not what was expected")]
    Answer(String),
    #[error("the ticket's {0} is not what it was")]
    Changed(String),
}

impl Unmet {
    pub const REASONS: [&'static str; 10] = [
        "priority", "source", "language", "category", "requires", "too_old", "status", "not_json",
        "answer", "changed",
    ];

    /// The reason's name, one of [`Unmet::REASONS`].
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Priority => "priority",
            Self::Source => "source",
            Self::Language => "language",
            Self::Category => "category",
            Self::Requires(_) => "requires",
            Self::TooOld => "too_old",
            Self::Status(_) => "status",
            Self::NotJson => "not_json",
            Self::Answer(_) => "answer",
            Self::Changed(_) => "changed",
        }
    }
}
