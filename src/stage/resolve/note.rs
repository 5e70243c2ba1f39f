//! What a batch adds to the metrics, once it is committed: an aborted batch comes again and must
//! not count twice.

use jiff::Timestamp;

use super::outcome::Came;
use crate::clock::now_ms;
use crate::log::{Origin, Record};
use crate::metrics::Metrics;
use crate::playbook::Library;
use crate::resolve::guard::Guard;

/// What to count once the batch is committed.
pub(super) struct Note {
    pub origin: Origin,
    pub playbook: String,
    pub came: Option<Came>,
    pub guard: Option<Guard>,
    /// When the ticket's record was written, in milliseconds since 1970.
    pub since_ms: Option<i64>,
    /// The reason, if the record went to the dead letters.
    pub dead: Option<&'static str>,
}

/// When the ticket's record was written, as its action says; else when the action was.
pub(super) fn written_ms(action: &Record) -> Option<i64> {
    let said = action.headers.iter().find(|(name, _)| name == "ce_time");
    let said = said.and_then(|(_, value)| std::str::from_utf8(value.as_deref()?).ok());
    let time: Option<Timestamp> = said.and_then(|text| text.parse().ok());
    time.map(Timestamp::as_millisecond).or(action.timestamp_ms)
}

impl Note {
    pub fn count(&self, m: &Metrics, library: &Library) {
        if let Some(reason) = self.dead {
            m.records_out.with_label_values(&["dead"]).inc();
            m.malformed.with_label_values(&[reason]).inc();
        }
        if let Some(guard) = self.guard {
            m.resolve.guards.with_label_values(&[guard.as_str()]).inc();
        }
        let Some(came) = self.came else { return };
        // A ticket may name a playbook that is gone; labels stay a closed set.
        let known = library.get(&self.playbook);
        let playbook = known.map_or("other", |playbook| &playbook.id);
        m.resolve.actions.with_label_values(&[playbook, came.as_str()]).inc();
        if came == Came::Done {
            let minutes = known.map_or(0.0, |playbook| playbook.minutes_saved);
            m.resolve.minutes_saved.with_label_values(&[playbook]).inc_by(minutes);
            let now_ms = now_ms();
            let waited = self.since_ms.map_or(0, |since| (now_ms - since).max(0));
            m.resolve.resolution_seconds.observe(waited as f64 / 1000.0);
        }
    }
}
