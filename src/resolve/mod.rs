//! What auto-resolution decides, apart from doing it: which guard holds a request back, what was
//! done before, and whether it may be done now. Pure: the time is given, nothing is called.
//!
//! Everything that must outlive a crash is an [`ledger::Entry`] in the ledger's topic, written in
//! the same transaction as the outcome. Caps, "once a ticket" and the automatic switch-off are
//! all read off those entries, so there are no counters that could be reset or doubled.

pub mod admissions;
pub mod control;
pub mod guard;
pub mod host;
pub mod ledger;
pub mod limits;
