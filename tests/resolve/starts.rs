//! The start of a call that the ledger does not show: then the call is not made.

use triaged::log::memory::MemoryFollow;
use triaged::log::{AbortReason, Follow, LogError, Record};

use crate::runbook::{Reply, Runbook};
use crate::world::{World, said};

/// A ledger that can be read once. After that it still shows what it holds, and fails.
struct Failing {
    ledger: MemoryFollow,
    was_read: bool,
}

impl Follow for Failing {
    fn catch_up(&mut self, each: &mut dyn FnMut(Record)) -> Result<(), LogError> {
        self.ledger.catch_up(each)?;
        if std::mem::replace(&mut self.was_read, true) {
            return Err(LogError::Aborted(AbortReason::Unknown));
        }
        Ok(())
    }
}

/// One ticket, with a stage that reads this of the ledger.
fn nothing_is_called(ledger: impl FnOnce(&World) -> Box<dyn Follow>) {
    let world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
    let mut stage = world.stage_reading(ledger(&world));
    world.act("T-1");
    world.run_turn(&mut stage, "resolve");
    assert_eq!(world.values("tickets.ledger")[0]["ticket"]["state"], "started");
    assert_eq!(world.outcome("T-1"), said("handed_back", Some("not_recorded")));
    assert_eq!(world.values("tickets.routed")[0]["handed_back"]["reason"], "not_recorded");
    assert!(world.runbook.requests().is_empty());
}

#[test]
fn a_call_whose_start_is_lost_is_not_made() {
    nothing_is_called(|world| Box::new(world.cluster.follow("nowhere")));
}

#[test]
fn a_call_is_not_made_where_the_ledger_cannot_be_read() {
    nothing_is_called(|world| {
        let ledger = world.cluster.follow("tickets.ledger");
        Box::new(Failing { ledger, was_read: false })
    });
}
