//! A stage is a function from a batch of records to a list of records. One loop ([`drive`])
//! drives any stage: take a batch, run the stage, commit outputs and positions together, repeat.

pub mod drive;
pub mod event;
pub mod patience;
pub mod resolve;
pub mod route;

use crate::log::{Batch, Outgoing, Record};

/// One step of the pipeline. Infallible on purpose: every record has an answer, even if the
/// answer is a dead letter.
pub trait Stage {
    /// The outputs of `batch`: exactly one main output for each record, in record order.
    fn run(&mut self, batch: &Batch) -> Vec<Outgoing>;

    /// The dead letter of a record whose outputs the log refuses for what they are. Called after
    /// [`Stage::run`] saw the record; it replaces all of the record's outputs.
    fn refuse(&mut self, record: &Record) -> Outgoing;

    /// The same dead letter without the record's value, for a log that refuses even
    /// [`Stage::refuse`]: the headers that name the origin are the reference to it.
    fn refuse_by_reference(&mut self, record: &Record) -> Outgoing;

    /// The last batch given to [`Stage::run`] was committed: count it.
    fn committed(&mut self, batch: &Batch);
}
