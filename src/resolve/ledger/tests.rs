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
    assert_eq!(three.goes_off(&RULE, "unlock", &[State::Unknown], 0), Some(Why::Failures));
    assert_eq!(three.goes_off(&RULE, "unlock", &[State::Done; 7], 0), None);
    assert_eq!(three.goes_off(&RULE, "other", &[State::Done; 7], 0), None);
    // A person who switched it on again starts the count anew.
    assert_eq!(three.goes_off(&RULE, "unlock", &[State::Failed], 3), None);
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
    let off = Off { playbook: String::from("unlock"), at_ms: 5, why: Why::Failures };
    for line in [Line::Ticket(entry("a", State::Unknown, Some(3))), Line::Off(off)] {
        let text = serde_json::to_string(&line).unwrap();
        assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line);
    }
}
