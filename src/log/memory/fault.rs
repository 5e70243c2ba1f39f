//! What can be made to go wrong.

use crate::log::AbortReason;

/// What goes wrong in one [`crate::log::Log::commit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process dies before it wrote anything.
    CrashBeforeSend,
    /// The process dies when the outputs are written, but not the positions.
    CrashAfterSend,
    /// The process dies when outputs and positions are written, but not committed.
    CrashBeforeCommit,
    /// The commit happens, and the process dies before it hears of it.
    CrashAfterCommit,
    /// The commit happens, its answer is lost; the log reads the committed positions back.
    AnswerLost,
    /// The partitions move on to the next worker between reading and committing.
    Rebalance,
    /// The transaction is aborted for this reason after the outputs were written.
    Abort(AbortReason),
}

impl Fault {
    /// Whether the process is gone afterwards.
    pub fn crashes(self) -> bool {
        matches!(
            self,
            Self::CrashBeforeSend
                | Self::CrashAfterSend
                | Self::CrashBeforeCommit
                | Self::CrashAfterCommit
        )
    }
}
