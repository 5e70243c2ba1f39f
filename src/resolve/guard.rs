//! Why a known request is left to people. One closed list for both stages: it is a metric label
//! and stands in every event.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What held a known request back.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// The playbook has no approval for this version.
    NotApproved,
    /// The approval has run out.
    Expired,
    /// The playbook shows what it would do, and does not do it.
    DryRun,
    /// The playbook only suggests.
    SuggestOnly,
    /// The request is less likely than the floor asks.
    BelowFloor,
    /// The request and the next one are too close.
    TooClose,
    /// The ticket lacks a value that the playbook needs, or has several.
    MissingSlot,
    /// A precondition of the playbook is not met.
    Precondition,
    /// The ticket has the highest priority.
    HighestPriority,
    /// The requester is a VIP.
    Vip,
    /// The ticket is flagged as a matter of security.
    Security,
    /// The ticket was reopened.
    Reopened,
    /// A person has touched the ticket already.
    Touched,
    /// The playbook's file has another version now, or is gone.
    PlaybookChanged,
    /// The same ticket was seen before, with another content.
    SeenBefore,
    /// The ticket is older than the ledger remembers, or of a day that has not come yet.
    TooOld,
    /// A kill switch is on.
    Killed,
    /// The playbook was switched off, by its failures, by reopenings or by a person.
    SwitchedOff,
    /// The playbook's cap is reached.
    CapPlaybook,
    /// The requester's cap is reached.
    CapRequester,
    /// The overall cap is reached.
    CapOverall,
    /// A person changed the ticket after it was read.
    Edited,
    /// The circuit breaker of the runbook's host is open.
    BreakerOpen,
    /// The limits of the runbook's host left no room for the call in time.
    Busy,
    /// The runbook failed, and surely did nothing.
    Failed,
    /// The runbook was called, and nobody knows what it did.
    Unknown,
    /// The steps went through, the check afterwards did not.
    NotVerified,
    /// The requester says that it did not help, or the ticket was reopened.
    NotHelped,
    /// The start of the call, or what would come of it, could not be recorded.
    NotRecorded,
}

impl Guard {
    pub const ALL: [Self; 29] = [
        Self::NotApproved,
        Self::Expired,
        Self::DryRun,
        Self::SuggestOnly,
        Self::BelowFloor,
        Self::TooClose,
        Self::MissingSlot,
        Self::Precondition,
        Self::HighestPriority,
        Self::Vip,
        Self::Security,
        Self::Reopened,
        Self::Touched,
        Self::PlaybookChanged,
        Self::SeenBefore,
        Self::TooOld,
        Self::Killed,
        Self::SwitchedOff,
        Self::CapPlaybook,
        Self::CapRequester,
        Self::CapOverall,
        Self::Edited,
        Self::BreakerOpen,
        Self::Busy,
        Self::Failed,
        Self::Unknown,
        Self::NotVerified,
        Self::NotHelped,
        Self::NotRecorded,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotApproved => "not_approved",
            Self::Expired => "expired",
            Self::DryRun => "dry_run",
            Self::SuggestOnly => "suggest_only",
            Self::BelowFloor => "below_floor",
            Self::TooClose => "too_close",
            Self::MissingSlot => "missing_slot",
            Self::Precondition => "precondition",
            Self::HighestPriority => "highest_priority",
            Self::Vip => "vip",
            Self::Security => "security",
            Self::Reopened => "reopened",
            Self::Touched => "touched",
            Self::PlaybookChanged => "playbook_changed",
            Self::SeenBefore => "seen_before",
            Self::TooOld => "too_old",
            Self::Killed => "killed",
            Self::SwitchedOff => "switched_off",
            Self::CapPlaybook => "cap_playbook",
            Self::CapRequester => "cap_requester",
            Self::CapOverall => "cap_overall",
            Self::Edited => "edited",
            Self::BreakerOpen => "breaker_open",
            Self::Busy => "busy",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::NotVerified => "not_verified",
            Self::NotHelped => "not_helped",
            Self::NotRecorded => "not_recorded",
        }
    }

    /// The same in words for the person who gets the ticket.
    pub fn detail(self) -> &'static str {
        match self {
            Self::NotApproved => "the playbook is not approved in this version",
            Self::Expired => "the playbook's approval has run out",
            Self::DryRun => "the playbook only shows what it would do",
            Self::SuggestOnly => "the playbook only suggests",
            Self::BelowFloor => "the request is less likely than the floor asks",
            Self::TooClose => "two requests are about equally likely",
            Self::MissingSlot => "the ticket lacks a value that the playbook needs",
            Self::Precondition => "a precondition of the playbook is not met",
            Self::HighestPriority => "the ticket has the highest priority",
            Self::Vip => "the requester is a VIP",
            Self::Security => "the ticket is flagged as a matter of security",
            Self::Reopened => "the ticket was reopened",
            Self::Touched => "a person has touched the ticket already",
            Self::PlaybookChanged => "the playbook has changed since the ticket was read",
            Self::SeenBefore => "the ticket was handled before and has changed since",
            Self::TooOld => "the ticket is older than what is remembered, or dated in the future",
            Self::Killed => "a kill switch is on",
            Self::SwitchedOff => "the playbook is switched off",
            Self::CapPlaybook => "the playbook's cap is reached",
            Self::CapRequester => "the requester's cap is reached",
            Self::CapOverall => "the overall cap is reached",
            Self::Edited => "a person changed the ticket after it was read",
            Self::BreakerOpen => "the runbook's host has failed too often; its breaker is open",
            Self::Busy => {
                "too many calls of the runbook's host were waiting, so this one was not made"
            }
            Self::Failed => "the runbook failed and did nothing",
            Self::Unknown => "the runbook was called and it is not known what it did",
            Self::NotVerified => "the steps went through, but the check afterwards did not",
            Self::NotHelped => "the requester says that it did not help",
            Self::NotRecorded => "the start of the call could not be recorded, so it was not made",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_what_events_say() {
        for guard in Guard::ALL {
            assert_eq!(serde_json::to_value(guard).unwrap(), guard.as_str());
        }
    }
}
