//! Processes that die, batches that are aborted: nothing is done twice, and nothing is lost.

use proptest::prelude::*;
use triaged::log::AbortReason;
use triaged::log::memory::Fault;
use triaged::resolve::control::{Order, Switch};

use crate::runbook::{Reply, Runbook};
use crate::world::{World, said, undo};

#[test]
fn calls_of_a_batch_that_was_aborted_are_not_made_again_when_it_comes_back_in_parts() {
    for delivery in ["at-least-once", "at-most-once"] {
        let world = World::new(delivery, Runbook::start(|_| Reply::Done));
        // The first commit is that of the starts.
        world.cluster.schedule([None, Some(Fault::Abort(AbortReason::RecordRefused))]);
        (0..3).for_each(|n| world.act(&format!("T-{n}")));
        world.run_turns(&[10, 1, 1, 1]);
        for n in 0..3 {
            assert_eq!(world.outcome(&format!("T-{n}")), said("done", None), "{delivery}");
        }
        assert_eq!(world.runbook.requests().len(), 3, "{delivery}");
    }
}

#[test]
fn a_call_of_which_nobody_knows_how_it_went_keeps_its_time() {
    let world = World::new("at-most-once", Runbook::start(|_| Reply::Done));
    world.cluster.schedule([None, Some(Fault::CrashBeforeCommit)]);
    world.act("T-1");
    world.run_until(1);
    assert_eq!(world.outcome("T-1"), said("unknown", Some("unknown")));
    // Undo by a window of time, the caps and the switch-off go by it.
    assert!(world.values("tickets.outcomes")[0]["called_ms"].is_i64());
    let last = world.values("tickets.ledger").pop().expect("a line");
    assert!(last["called_ms"].is_i64() || last["ticket"]["called_ms"].is_i64(), "{last}");
}

/// A process that dies between a call and the commit, and another one that reads the ticket again.
fn struck_after_its_call(delivery: &'static str) -> World {
    let world = World::new(delivery, Runbook::start(|_| Reply::Done));
    world.cluster.schedule([None, Some(Fault::CrashBeforeCommit)]);
    world.act("T-1");
    world.run_until_it_dies();
    assert_eq!(world.runbook.requests().len(), 1);
    world
}

#[test]
fn a_call_that_a_crash_cut_off_counts_in_the_caps_and_is_made_again_all_the_same() {
    let mut world = struck_after_its_call("at-least-once");
    world.limits.overall.an_hour = 1;
    world.act("T-2");
    world.run_until(2);
    assert_eq!(world.outcome("T-1"), said("done", None));
    assert_eq!(world.outcome("T-2"), said("handed_back", Some("cap_overall")));
    assert_eq!(world.runbook.requests().len(), 2);
    assert_eq!(world.runbook.acted().len(), 1);
}

#[test]
fn a_call_that_a_crash_cut_off_and_that_must_not_be_made_again_is_told_as_unknown() {
    let world = struck_after_its_call("at-least-once");
    let killed = Order { switch: Switch::Everything, on: false, by: String::from("ops"), at_ms: 1 };
    world.controls.apply([killed]);
    world.run_until(1);
    assert_eq!(world.outcome("T-1"), said("unknown", Some("unknown")));
    assert_eq!(world.runbook.requests().len(), 1);
    assert!(world.values("tickets.outcomes")[0]["called_ms"].is_i64());
}

#[test]
fn a_call_that_fails_when_it_is_made_again_may_have_gone_through_before() {
    let world = struck_after_its_call("at-least-once");
    world.runbook.script(|_| Reply::Status(404));
    world.run_until(1);
    assert_eq!(world.outcome("T-1"), said("unknown", Some("unknown")));
}

#[test]
fn what_another_process_settled_is_not_told_again_from_memory() {
    let world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
    let mut stage = world.stage();
    world.cluster.schedule([None, Some(Fault::Abort(AbortReason::Rebalance))]);
    world.act("T-1");
    world.run_turn(&mut stage, "resolve");
    world.run_until(1);
    assert_eq!(world.runbook.requests().len(), 2);
    // Somebody sets the positions back, and the first process has the partition again.
    world.run_turn(&mut stage, "set-back");
    assert_eq!(world.outcomes()["T-1"], [said("done", None), said("already_handled", None)]);
    assert_eq!(world.runbook.requests().len(), 2);
}

#[test]
fn what_another_process_took_back_is_not_told_again_from_memory() {
    let world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
    world.act("T-1");
    world.run_until(1);
    let mut stage = world.stage();
    world.cluster.schedule([Some(Fault::Abort(AbortReason::Rebalance))]);
    world.put("tickets.actions", "T-1", &undo("T-1", "kim"));
    world.run_turn(&mut stage, "resolve");
    world.run_until(2);
    world.run_turn(&mut stage, "set-back");
    let expected = [
        said("done", None),
        said("undone", None),
        said("already_handled", None),
        said("not_undone", Some("failed")),
    ];
    assert_eq!(world.outcomes()["T-1"], expected);
    assert_eq!(world.runbook.requests().len(), 3);
}

fn fault() -> impl Strategy<Value = Option<Fault>> {
    prop_oneof![
        3 => Just(None),
        1 => Just(Some(Fault::CrashBeforeSend)),
        1 => Just(Some(Fault::CrashAfterSend)),
        1 => Just(Some(Fault::CrashBeforeCommit)),
        1 => Just(Some(Fault::CrashAfterCommit)),
        1 => Just(Some(Fault::AnswerLost)),
        1 => Just(Some(Fault::Abort(AbortReason::Commit))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// At least once: one outcome a ticket, and one effect for each key.
    #[test]
    fn whatever_strikes_an_idempotent_runbook_acts_once(
        faults in prop::collection::vec(fault(), 0..8),
        tickets in 1..20_usize,
    ) {
        let world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
        world.cluster.schedule(faults);
        (0..tickets).for_each(|n| world.act(&format!("T-{n}")));
        world.run_until(tickets);
        prop_assert_eq!(world.outcomes().len(), tickets);
        for of in world.outcomes().values() {
            prop_assert_eq!(of, &[said("done", None)]);
        }
        prop_assert_eq!(world.runbook.acted().len(), tickets);
    }

    /// At most once: never a second call, and every ticket whose call is not known goes to people.
    #[test]
    fn whatever_strikes_an_at_most_once_runbook_is_called_at_most_once(
        faults in prop::collection::vec(fault(), 0..8),
        tickets in 1..20_usize,
    ) {
        let world = World::new("at-most-once", Runbook::start(|_| Reply::Done));
        world.cluster.schedule(faults);
        (0..tickets).for_each(|n| world.act(&format!("T-{n}")));
        world.run_until(tickets);
        let outcomes = world.outcomes();
        prop_assert_eq!(outcomes.len(), tickets);
        let mut people = 0;
        for of in outcomes.values() {
            prop_assert_eq!(of.len(), 1);
            people += usize::from(of[0].0 != "done");
        }
        prop_assert_eq!(world.values("tickets.routed").len(), people);
        let acted = world.runbook.acted();
        prop_assert!(acted.values().all(|calls| *calls == 1), "{:?}", acted);
        prop_assert!(acted.len() >= tickets - people);
    }
}
