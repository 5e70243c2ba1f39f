//! A stage is a function from a batch of records to a list of records. One loop ([`drive`])
//! drives any stage: take a batch, run the stage, commit outputs and positions together, repeat.

pub mod abort_memory;
pub mod drive;
pub mod event;
pub mod resolve;
pub mod route;
pub mod runbook;
pub mod size;

use crate::log::{Batch, LogError, Outgoing, Record};

/// One step of the pipeline. Infallible on purpose: every record has an answer, even if the
/// answer is a dead letter.
pub trait Stage {
    /// What has to be in the log before [`Stage::run`] does anything, for instance that a call is
    /// about to be made. It is committed without moving the positions. Nothing, for most stages.
    ///
    /// # Errors
    /// [`LogError::Aborted`] when the service stops before the stage could see its state,
    /// [`LogError::Fatal`] when the process must end.
    fn prepare(&mut self, _batch: &Batch) -> Result<Vec<Outgoing>, LogError> {
        Ok(Vec::new())
    }

    /// The outputs of `batch`: exactly one main output for each record, in record order.
    fn run(&mut self, batch: &Batch) -> Vec<Outgoing>;

    /// The dead letter of a record whose outputs the log refuses for what they are. Called after
    /// [`Stage::run`] saw the record; it replaces all of the record's outputs but those that
    /// [stay](Stage::stays).
    fn refuse(&mut self, record: &Record) -> Outgoing;

    /// The same dead letter without the record's value, for a log that refuses even
    /// [`Stage::refuse`]: the headers that name the origin are the reference to it.
    fn refuse_by_reference(&mut self, record: &Record) -> Outgoing;

    /// Whether an output is written even where [`Stage::refuse`] replaces what else its record led
    /// to. None is, for most stages.
    fn stays(&self, _output: &Outgoing) -> bool {
        false
    }

    /// The last batch given to [`Stage::run`] was committed: count it.
    fn committed(&mut self, batch: &Batch);
}
