//! Reading a whole topic without a group.

use std::ops::ControlFlow;
use std::path::Path;

use super::{Store, StoreError, fatal};
use crate::health::Stop;
use crate::log::{AbortReason, Follow, LogError, Record};

/// A reader of one topic of the file, from its start.
pub struct EmbeddedFollow {
    store: Store,
    topic: String,
    /// The offset to read next.
    at: i64,
    stop: Stop,
}

impl EmbeddedFollow {
    /// Opens the file, and makes the topic if there is none.
    ///
    /// # Errors
    /// When the file cannot be opened or is not ours.
    pub fn open(dir: &Path, topic: &str, stop: Stop) -> Result<Self, StoreError> {
        let store = Store::open(dir)?;
        store.topic(topic)?;
        Ok(Self { store, topic: topic.to_owned(), at: 0, stop })
    }
}

impl Follow for EmbeddedFollow {
    fn catch_up(&mut self, each: &mut dyn FnMut(Record)) -> Result<(), LogError> {
        loop {
            let at = &mut self.at;
            let read = self.store.tail(&self.topic, *at, None, |record| {
                *at = record.origin.offset + 1;
                each(record);
                ControlFlow::Continue(())
            });
            match read {
                Ok(()) => return Ok(()),
                Err(StoreError::Busy { .. }) if self.stop.overdue() => {
                    return Err(LogError::Aborted(AbortReason::Shutdown));
                }
                Err(StoreError::Busy { .. }) => {}
                Err(error) => return Err(fatal(error)),
            }
        }
    }
}
