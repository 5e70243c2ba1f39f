//! The resolve stage on a log in memory, with real HTTP: whatever goes wrong, each action has one
//! outcome, what is idempotent takes effect once, and what is not is never called twice.

mod acting;
mod coming_back;
mod crashes;
mod limits;
#[path = "../support/playbook.rs"]
mod playbook;
#[path = "../support/runbook.rs"]
mod runbook;
mod switches;
mod world;
