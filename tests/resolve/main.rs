//! The resolve stage on a log in memory, with real HTTP: whatever goes wrong, each action has one
//! outcome, what is idempotent takes effect once, and what is not is never called twice.

mod acting;
mod coming_back;
mod counted;
mod crashes;
mod guards;
mod hostile;
mod limits;
#[path = "../support/playbook.rs"]
mod playbook;
#[path = "../support/runbook.rs"]
mod runbook;
mod sizes;
mod starts;
mod steps;
mod stops;
mod switches;
mod world;
