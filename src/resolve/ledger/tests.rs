use super::*;

fn entry(ticket: &str, state: State, called_ms: Option<i64>) -> Entry {
    Entry {
        ticket: ticket.to_owned(),
        playbook: String::from("unlock"),
        version: 1,
        state,
        called_ms,
        requester: 7,
        content: 1,
        on_ms: None,
        at_ms: called_ms.unwrap_or_default(),
    }
}

fn ledger(entries: impl IntoIterator<Item = Entry>) -> Ledger {
    let mut ledger = Ledger::default();
    entries.into_iter().for_each(|entry| ledger.apply(Line::Ticket(entry)));
    ledger
}

const RULE: SwitchOff = SwitchOff { of: 10, at_least: 4, failures: 0.5, reopenings: 0.3 };

#[test]
fn the_last_line_of_a_ticket_counts_and_a_call_counts_once() {
    let ledger = ledger([
        entry("a", State::Started, Some(1_000)),
        entry("a", State::Done, Some(1_000)),
        entry("b", State::HandedBack, None),
        entry("a", State::Reopened, Some(1_000)),
    ]);
    assert_eq!(ledger.find("a").map(|k| k.state), Some(State::Reopened));
    assert_eq!(ledger.calls_after(0).count(), 1);
    assert_eq!(ledger.calls_after(1_000).count(), 0);
    assert_eq!((ledger.len(), ledger.find("c")), (2, None));
}

#[test]
fn a_call_counts_until_its_outcome_is_written_and_no_longer_than_an_hour() {
    let started = |ticket| entry(ticket, State::Started, Some(0));
    let mut ledger = ledger([started("a"), started("b")]);
    let counted = |ledger: &Ledger, since_ms| ledger.calls_after(since_ms).count();
    assert_eq!((counted(&ledger, HOUR_MS - 1), counted(&ledger, HOUR_MS)), (2, 0));
    let then = |ticket, state, at_ms| Entry { at_ms, ..entry(ticket, state, Some(0)) };
    ledger.apply(Line::Ticket(then("a", State::Done, 90_000)));
    ledger.apply(Line::Ticket(then("b", State::Failed, 90_000)));
    assert_eq!((counted(&ledger, 89_999), counted(&ledger, 90_000)), (2, 0));
    // What becomes of it later is no part of the call.
    ledger.apply(Line::Ticket(then("a", State::Reopened, 120_000)));
    assert_eq!(counted(&ledger, 90_000), 0);
}

#[test]
fn a_call_that_was_started_and_never_made_does_not_count() {
    let failed = |i: i64| entry(&format!("t{i}"), State::Failed, Some(i));
    let mut ledger = ledger((1..=3).map(failed));
    for line in [entry("a", State::Started, Some(9)), entry("a", State::HandedBack, None)] {
        ledger.apply(Line::Ticket(line));
    }
    assert_eq!(ledger.calls_after(0).count(), 3);
    // Neither as one of the calls that a switch-off asks for.
    assert_eq!(ledger.goes_off(&RULE, "unlock", &[], 0), None);
    assert_eq!(ledger.goes_off(&RULE, "unlock", &[("b", State::HandedBack)], 0), None);
    assert!(ledger.goes_off(&RULE, "unlock", &[("b", State::Failed)], 0).is_some());
}

/// The lines of a failure before the first request, as a batch writes them.
fn failed_before_the_first_request(ticket: &str, at_ms: i64) -> [Entry; 2] {
    let failed = Entry { at_ms, ..entry(ticket, State::Failed, None) };
    [entry(ticket, State::Started, Some(at_ms)), failed]
}

#[test]
fn a_failure_before_the_first_request_counts_for_the_switch_off_and_for_no_cap() {
    let tickets = ["a", "b", "c", "d"];
    let lines: Vec<Entry> =
        (1..).zip(tickets).flat_map(|(i, t)| failed_before_the_first_request(t, i)).collect();
    // The topic is compacted: of a ticket's lines the last may be all that is left.
    let compacted = lines.iter().filter(|line| line.state == State::Failed).cloned();
    for ledger in [ledger(lines.clone()), ledger(compacted)] {
        assert_eq!(ledger.calls_after(0).count(), 0);
        assert_eq!(ledger.goes_off(&RULE, "unlock", &[], 0), Some(Why::Failures));
        assert_eq!(ledger.goes_off(&RULE, "unlock", &[], 4), None, "a person switched it on");
        let done: Vec<_> = ["e", "f", "g", "h"].map(|t| (t, State::Done)).into();
        assert_eq!(ledger.goes_off(&RULE, "unlock", &done, 0), None);
    }
}

#[test]
fn calls_older_than_an_hour_are_forgotten_by_the_caps_and_not_by_the_tickets() {
    let ledger = ledger([entry("a", State::Done, Some(0)), entry("b", State::Done, Some(HOUR_MS))]);
    assert_eq!(ledger.calls.len(), 1);
    assert_eq!(ledger.find("a").map(|k| k.state), Some(State::Done));
}

#[test]
fn a_playbook_goes_off_by_failures_once_there_are_enough_calls() {
    let failed = |i: i64| entry(&format!("t{i}"), State::Failed, Some(i));
    let three = ledger((1..=3).map(failed));
    assert_eq!(three.goes_off(&RULE, "unlock", &[], 0), None);
    let unknown = [("u", State::Unknown)];
    let done: Vec<_> = ["a", "b", "c", "d", "e", "f", "g"].map(|t| (t, State::Done)).into();
    assert_eq!(three.goes_off(&RULE, "unlock", &unknown, 0), Some(Why::Failures));
    assert_eq!(three.goes_off(&RULE, "unlock", &done, 0), None);
    assert_eq!(three.goes_off(&RULE, "other", &done, 0), None);
    // A person who switched it on again starts the count anew.
    assert_eq!(three.goes_off(&RULE, "unlock", &[("t4", State::Failed)], 3), None);
}

/// No order was given yet.
const NONE: i64 = i64::MIN;

/// Failed calls, planned while this was the last order to switch the playbook on.
fn failed_under(order: i64, at_ms: std::ops::RangeInclusive<i64>) -> Ledger {
    let failed = |i: i64| entry(&format!("t{i}"), State::Failed, Some(i));
    ledger(at_ms.map(|i| Entry { on_ms: Some(order), ..failed(i) }))
}

fn off_under(order: i64) -> Line {
    let why = Why::Failures;
    Line::Off(Off { playbook: String::from("unlock"), at_ms: 50, on_ms: Some(order), why })
}

#[test]
fn an_order_from_a_clock_that_is_ahead_leaves_the_switch_off_at_work() {
    let ahead = 30 * DAY_MS;
    let mut ledger = failed_under(ahead, 1..=4);
    assert_eq!(ledger.goes_off(&RULE, "unlock", &[], ahead), Some(Why::Failures));
    ledger.apply(off_under(ahead));
    assert!(ledger.is_off("unlock", ahead));
    // The next order is another one, though its clock says that it came before.
    assert!(!ledger.is_off("unlock", 60));
    assert_eq!(ledger.goes_off(&RULE, "unlock", &[], 60), None);
}

#[test]
fn an_order_from_a_clock_that_is_behind_lifts_what_came_before_it() {
    for before in [NONE, 20] {
        let mut ledger = failed_under(before, 41..=44);
        ledger.apply(off_under(before));
        assert!(ledger.is_off("unlock", before));
        assert!(!ledger.is_off("unlock", 5));
        assert_eq!(ledger.goes_off(&RULE, "unlock", &[("t", State::Failed)], 5), None);
        // A person who switches it off meanwhile makes nothing of it undone.
        assert!(ledger.is_off("unlock", NONE));
    }
}

#[test]
fn a_call_keeps_the_order_that_it_was_planned_under() {
    let mut ledger = failed_under(20, 1..=3);
    let back = ledger.entry("t2", State::Reopened, 90).expect("it is known");
    assert_eq!((back.on_ms, ledger.on_ms("t2"), ledger.on_ms("other")), (Some(20), Some(20), None));
    ledger.apply(Line::Ticket(back));
    assert_eq!(ledger.on_ms("t2"), Some(20));
}

#[test]
fn a_call_that_was_noted_as_started_is_one_call() {
    let started = |i: i64| entry(&format!("t{i}"), State::Started, Some(i));
    let ledger = ledger((1..=4).map(started));
    let ends: Vec<(String, State)> = (1..=4)
        .map(|i| (format!("t{i}"), if i > 1 { State::Failed } else { State::Done }))
        .collect();
    let ends: Vec<(&str, State)> = ends.iter().map(|(t, s)| (&**t, *s)).collect();
    // Three of four, not of eight.
    assert_eq!(ledger.goes_off(&RULE, "unlock", &ends, 0), Some(Why::Failures));
}

#[test]
fn reopenings_count_though_many_calls_followed() {
    let done = (1..=100).map(|i| entry(&format!("t{i}"), State::Done, Some(i)));
    let mut ledger = ledger(done);
    for i in 11..=13 {
        ledger.apply(Line::Ticket(entry(&format!("t{i}"), State::Reopened, Some(i))));
    }
    assert_eq!(ledger.goes_off(&RULE, "unlock", &[("t30", State::Reopened)], 0), None);
    let fourth = [("t15", State::Reopened)];
    assert_eq!(ledger.goes_off(&RULE, "unlock", &fourth, 0), Some(Why::Reopenings));
    assert_eq!(ledger.goes_off(&RULE, "unlock", &fourth, 14), None);
}

#[test]
fn a_playbook_goes_off_when_too_many_tickets_come_back() {
    let done = (1..=10).map(|i| entry(&format!("t{i}"), State::Done, Some(i)));
    let mut ledger = ledger(done);
    for i in 1..=3 {
        ledger.apply(Line::Ticket(entry(&format!("t{i}"), State::Reopened, Some(i))));
    }
    assert_eq!(ledger.goes_off(&RULE, "unlock", &[], 0), None);
    ledger.apply(Line::Ticket(entry("t4", State::Reopened, Some(4))));
    assert_eq!(ledger.goes_off(&RULE, "unlock", &[], 0), Some(Why::Reopenings));
}

#[test]
fn lines_are_read_as_they_are_written() {
    let known = Line::Ticket(entry("a", State::Unknown, Some(3)));
    for line in [known, off_under(NONE), off_under(7)] {
        let text = serde_json::to_string(&line).unwrap();
        assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line);
    }
    // As earlier versions wrote it: there the clocks have to do.
    let old = r#"{"off":{"playbook":"unlock","at_ms":5,"why":"failures"}}"#;
    let mut ledger = Ledger::default();
    ledger.apply(serde_json::from_str(old).unwrap());
    assert!(ledger.is_off("unlock", 4) && !ledger.is_off("unlock", 5));
}

const AGE: i64 = 3 * DAY_MS;

/// A line written on a day that called nothing, or did.
fn day(ticket: &str, day: i64, called: bool) -> Entry {
    let at_ms = day * DAY_MS;
    let state = if called { State::Done } else { State::HandedBack };
    Entry { at_ms, ..entry(ticket, state, called.then_some(at_ms)) }
}

#[test]
fn what_is_older_than_the_age_is_forgotten_and_does_not_come_back() {
    let lines = || [day("old", 10, false), day("edge", 16, false), day("new", 20, false)];
    let mut ledger = ledger(lines());
    ledger.forget(20 * DAY_MS, AGE);
    // Clocks may be a day apart, so a day more is kept than tickets are looked at.
    assert_eq!((ledger.len(), ledger.find("old")), (1, None));
    assert!(ledger.find("new").is_some());
    lines().into_iter().for_each(|line| ledger.apply(Line::Ticket(line)));
    assert_eq!(ledger.len(), 1);
    assert!(!ledger.reaches(17 * DAY_MS, 20 * DAY_MS) && ledger.reaches(18 * DAY_MS, 20 * DAY_MS));
    assert!(ledger.reaches(21 * DAY_MS, 20 * DAY_MS) && !ledger.reaches(22 * DAY_MS, 20 * DAY_MS));
}

#[test]
fn what_the_switch_off_looks_at_is_kept_and_no_more() {
    let calls = i64::try_from(RECENT).unwrap() + 500;
    let mut ledger = Ledger::default();
    let mut reversed = Ledger::default();
    reversed.forget(1_000 * DAY_MS, AGE);
    for i in 0..calls {
        let line = Line::Ticket(day(&format!("t{i}"), i / 100, true));
        ledger.apply(line.clone());
        reversed.apply(line);
    }
    ledger.forget(1_000 * DAY_MS, AGE);
    for ledger in [ledger, reversed] {
        assert_eq!(ledger.len(), RECENT);
        assert!(ledger.find("t499").is_none() && ledger.find("t500").is_some());
        let all = SwitchOff { of: RECENT, at_least: RECENT, failures: 0.0, reopenings: 0.0 };
        assert_eq!(ledger.goes_off(&all, "unlock", &[], 0), None);
        assert_eq!(
            ledger.goes_off(&all, "unlock", &[("t", State::Failed)], 0),
            Some(Why::Failures)
        );
    }
}

#[test]
fn a_remembered_ticket_is_small() {
    // docs/guarantees.md says how much memory tickets take.
    assert_eq!(size_of::<(u128, Known)>(), 80);
}
