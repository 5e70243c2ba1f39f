use proptest::prelude::*;

use super::*;
use crate::resolve::ledger::{Entry, Line};
use crate::resolve::limits::{Cap, SwitchOff};

const LIMITS: Limits = Limits {
    playbook: Cap { a_minute: 3, an_hour: 8 },
    requester: Cap { a_minute: 2, an_hour: 4 },
    overall: Cap { a_minute: 5, an_hour: 12 },
    switch_off: SwitchOff { of: 10, at_least: 4, failures: 0.5, reopenings: 0.3 },
};

fn asked<'a>(ticket: &'a str, playbook: &'a str, requester: u64) -> Asked<'a> {
    Asked { ticket, content: 1, requester, playbook }
}

fn entry(asked: &Asked<'_>, state: State, called_ms: Option<i64>) -> Line {
    Line::Ticket(Entry {
        ticket: asked.ticket.to_owned(),
        playbook: asked.playbook.to_owned(),
        version: 1,
        state,
        called_ms,
        requester: asked.requester,
        content: asked.content,
    })
}

#[test]
fn once_a_ticket() {
    let mut ledger = Ledger::default();
    ledger.apply(entry(&asked("done", "p", 1), State::Done, Some(0)));
    ledger.apply(entry(&asked("lost", "p", 1), State::Started, Some(0)));
    let mut admissions = Admissions::new(&ledger, &LIMITS);
    let mut admit = |asked: &Asked<'_>| admissions.admit(asked, 0, 1_000_000);
    assert_eq!(admit(&asked("new", "p", 1)), Admission::Go);
    assert_eq!(admit(&asked("new", "p", 1)), Admission::Already);
    assert_eq!(admit(&asked("done", "p", 1)), Admission::Already);
    assert_eq!(admit(&asked("lost", "p", 1)), Admission::Lost);
    let changed = Asked { content: 2, ..asked("done", "p", 1) };
    assert_eq!(admit(&changed), Admission::Held(Guard::SeenBefore));
}

#[test]
fn each_cap_has_its_reason() {
    let ledger = Ledger::default();
    let caps = |list: &[(&str, u64)]| {
        let mut admissions = Admissions::new(&ledger, &LIMITS);
        let mut last = Admission::Go;
        for (i, (playbook, requester)) in list.iter().enumerate() {
            last = admissions.admit(&asked(&format!("t{i}"), playbook, *requester), 0, 1_000);
        }
        last
    };
    let held = Admission::Held;
    assert_eq!(caps(&[("p", 1), ("p", 2), ("p", 3)]), Admission::Go);
    assert_eq!(caps(&[("p", 1), ("p", 2), ("p", 3), ("p", 4)]), held(Guard::CapPlaybook));
    assert_eq!(caps(&[("p", 1), ("q", 1), ("r", 1)]), held(Guard::CapRequester));
    let five = [("p", 1), ("p", 2), ("q", 3), ("q", 4), ("r", 5), ("r", 6)];
    assert_eq!(caps(&five), held(Guard::CapOverall));
}

#[test]
fn off_lasts_until_a_person_switches_on() {
    let mut ledger = Ledger::default();
    let off = crate::resolve::ledger::Off {
        playbook: String::from("p"),
        at_ms: 50,
        why: crate::resolve::ledger::Why::Failures,
    };
    ledger.apply(Line::Off(off));
    let admit = |on_again_ms| {
        Admissions::new(&ledger, &LIMITS).admit(&asked("t", "p", 1), on_again_ms, 100)
    };
    assert_eq!(admit(0), Admission::Held(Guard::SwitchedOff));
    assert_eq!(admit(60), Admission::Go);
}

proptest! {
    /// Whatever comes, in whatever batches, over restarts: no window ever holds more calls than
    /// its cap.
    #[test]
    fn caps_hold_over_batches_and_restarts(
        steps in prop::collection::vec((0..4_u8, 0..4_u64, 0..30_000_i64, prop::bool::weighted(0.2)), 1..200),
        restart_every in 1..20_usize,
    ) {
        let mut lines: Vec<Line> = Vec::new();
        let mut calls: Vec<(i64, u8, u64)> = Vec::new();
        let (mut ledger, mut now) = (Ledger::default(), 10_000_000_i64);
        let names: Vec<String> = (0..steps.len()).map(|i| format!("t{i}")).collect();
        let mut batch: Vec<(usize, Admission, i64)> = Vec::new();
        for (start, chunk) in steps.chunks(5).enumerate() {
            batch.clear();
            let mut admissions = Admissions::new(&ledger, &LIMITS);
            for (i, (playbook, requester, wait, _)) in chunk.iter().enumerate() {
                now += wait;
                let playbook = ["p", "q", "r", "s"][usize::from(*playbook)];
                let asked = asked(&names[start * 5 + i], playbook, *requester);
                batch.push((i, admissions.admit(&asked, 0, now), now));
            }
            for (i, admission, at) in &batch {
                let (playbook, requester, ..) = chunk[*i];
                // An aborted batch leaves nothing behind.
                if *admission != Admission::Go || chunk[0].3 {
                    continue;
                }
                calls.push((*at, playbook, requester));
                let playbook = ["p", "q", "r", "s"][usize::from(playbook)];
                let asked = asked(&names[start * 5 + i], playbook, requester);
                lines.push(entry(&asked, State::Done, Some(*at)));
                ledger.apply(lines[lines.len() - 1].clone());
            }
            if start % restart_every == 0 {
                ledger = Ledger::default();
                lines.iter().cloned().for_each(|line| ledger.apply(line));
            }
        }
        for (end, _, _) in &calls {
            for (window, of) in [(MINUTE_MS, [3, 2, 5]), (HOUR_MS, [8, 4, 12])] {
                let inside = calls.iter().filter(|(at, ..)| *at > end - window && at <= end);
                let inside: Vec<_> = inside.collect();
                prop_assert!(inside.len() <= of[2]);
                for key in 0..4 {
                    prop_assert!(inside.iter().filter(|(_, p, _)| u64::from(*p) == key).count() <= of[0]);
                    prop_assert!(inside.iter().filter(|(.., r)| *r == key).count() <= of[1]);
                }
            }
        }
    }
}
