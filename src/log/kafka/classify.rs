//! Which error means what: a pure table from a failed call to what the loop does about it.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::log::AbortReason;

/// The transactional call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Init,
    Begin,
    Offsets,
    Commit,
    Abort,
}

/// An error together with what librdkafka says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub code: Code,
    pub fatal: bool,
    pub retriable: bool,
    pub abortable: bool,
}

/// What to do about a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// The same call with the same arguments again.
    Retry,
    /// Abort the transaction; the producer is still good.
    Abort(AbortReason),
    /// The producer is done for; the broker knows how the transaction ended.
    Recreate(AbortReason),
}

impl Failure {
    pub(super) fn of(error: &KafkaError) -> Self {
        match error {
            KafkaError::Transaction(e) => Self {
                code: e.code(),
                fatal: e.is_fatal(),
                retriable: e.is_retriable(),
                abortable: e.txn_requires_abort(),
            },
            // Deliveries were still outstanding when the commit began to flush: wait on.
            KafkaError::Flush(code) => {
                Self { code: *code, fatal: false, retriable: true, abortable: false }
            }
            other => Self {
                code: other.rdkafka_error_code().unwrap_or(Code::Fail),
                fatal: false,
                retriable: false,
                abortable: false,
            },
        }
    }
}

pub(super) fn classify(call: Call, failure: Failure) -> Class {
    let reason = reason(call, failure.code);
    if failure.fatal {
        Class::Recreate(reason)
    } else if failure.abortable {
        Class::Abort(reason)
    } else if failure.retriable || failure.code == Code::OperationTimedOut {
        Class::Retry
    } else {
        // Neither: the producer is in a state that this call does not fit. A new one is always
        // right, because making it settles what is open.
        Class::Recreate(reason)
    }
}

fn reason(call: Call, code: Code) -> AbortReason {
    if is_unauthorized(code) {
        return AbortReason::Unauthorized;
    }
    if is_fenced(code) {
        return AbortReason::Fenced;
    }
    match (call, code) {
        (
            Call::Offsets,
            Code::IllegalGeneration
            | Code::UnknownMemberId
            | Code::FencedInstanceId
            | Code::RebalanceInProgress
            | Code::StaleMemberEpoch
            | Code::FencedMemberEpoch
            | Code::AssignmentLost,
        ) => AbortReason::Rebalance,
        (Call::Offsets, _) => AbortReason::Offsets,
        (Call::Abort, _) => AbortReason::Unknown,
        (Call::Init | Call::Begin | Call::Commit, _) => AbortReason::Commit,
    }
}

/// Why a record could not be delivered. Errors of records that were thrown out of the queue
/// because of another one must not get here.
pub(super) fn delivery(code: Code) -> AbortReason {
    match code {
        Code::MessageSizeTooLarge
        | Code::MessageBatchTooLarge
        | Code::InvalidMessageSize
        | Code::InvalidRecord
        | Code::InvalidTimestamp
        | Code::PolicyViolation
        | Code::InvalidArgument => AbortReason::RecordRefused,
        code if is_unauthorized(code) => AbortReason::Unauthorized,
        code if is_fenced(code) => AbortReason::Fenced,
        _ => AbortReason::Delivery,
    }
}

/// Whether the record is a companion: it failed because the queue was emptied for another's sake.
pub(super) fn is_purged(code: Code) -> bool {
    matches!(code, Code::PurgeQueue | Code::PurgeInflight)
}

pub(super) fn is_unauthorized(code: Code) -> bool {
    matches!(
        code,
        Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
            | Code::Authentication
            | Code::SaslAuthenticationFailed
    )
}

fn is_fenced(code: Code) -> bool {
    matches!(
        code,
        Code::Fenced
            | Code::ProducerFenced
            | Code::InvalidProducerEpoch
            | Code::InvalidProducerIdMapping
            | Code::UnknownProducerId
            | Code::OutOfOrderSequenceNumber
            | Code::TransactionCoordinatorFenced
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: Code, flags: &str) -> Failure {
        Failure {
            code,
            fatal: flags.contains('f'),
            retriable: flags.contains('r'),
            abortable: flags.contains('a'),
        }
    }

    #[test]
    fn each_error_has_its_class() {
        use AbortReason::*;
        let table = [
            (Call::Offsets, Code::NotCoordinator, "r", Class::Retry),
            (Call::Offsets, Code::NotCoordinator, "a", Class::Abort(Offsets)),
            (Call::Offsets, Code::IllegalGeneration, "a", Class::Abort(Rebalance)),
            (Call::Offsets, Code::UnknownMemberId, "a", Class::Abort(Rebalance)),
            (Call::Offsets, Code::FencedInstanceId, "a", Class::Abort(Rebalance)),
            (Call::Offsets, Code::GroupAuthorizationFailed, "a", Class::Abort(Unauthorized)),
            (Call::Offsets, Code::Fenced, "f", Class::Recreate(Fenced)),
            (Call::Commit, Code::OperationTimedOut, "r", Class::Retry),
            (Call::Commit, Code::OperationTimedOut, "", Class::Retry),
            (Call::Commit, Code::UnknownProducerId, "a", Class::Abort(Fenced)),
            (Call::Commit, Code::Fenced, "f", Class::Recreate(Fenced)),
            (Call::Commit, Code::State, "", Class::Recreate(Commit)),
            (Call::Abort, Code::InvalidTransactionalState, "f", Class::Recreate(Unknown)),
            (Call::Abort, Code::OperationTimedOut, "r", Class::Retry),
            (Call::Init, Code::CoordinatorLoadInProgress, "r", Class::Retry),
            (
                Call::Init,
                Code::TransactionalIdAuthorizationFailed,
                "f",
                Class::Recreate(Unauthorized),
            ),
        ];
        for (call, code, flags, expected) in table {
            assert_eq!(classify(call, failure(code, flags)), expected, "{call:?} {code:?} {flags}");
        }
    }

    #[test]
    fn only_the_record_itself_makes_it_poison() {
        assert_eq!(delivery(Code::MessageSizeTooLarge), AbortReason::RecordRefused);
        assert_eq!(delivery(Code::InvalidRecord), AbortReason::RecordRefused);
        assert_eq!(delivery(Code::TopicAuthorizationFailed), AbortReason::Unauthorized);
        assert_eq!(delivery(Code::MessageTimedOut), AbortReason::Delivery);
        assert_eq!(delivery(Code::UnknownTopicOrPartition), AbortReason::Delivery);
        assert_eq!(delivery(Code::InvalidProducerEpoch), AbortReason::Fenced);
        assert!(is_purged(Code::PurgeQueue) && !is_purged(Code::MessageSizeTooLarge));
    }
}
