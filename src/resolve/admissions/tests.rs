use proptest::prelude::*;

use super::*;
use crate::resolve::ledger::{Entry, Line};
use crate::resolve::limits::{Cap, DAY_MS, SwitchOff};

const LIMITS: Limits = Limits {
    playbook: Cap { a_minute: 3, an_hour: 8 },
    requester: Cap { a_minute: 2, an_hour: 4 },
    overall: Cap { a_minute: 5, an_hour: 12 },
    switch_off: SwitchOff { of: 10, at_least: 4, failures: 0.5, reopenings: 0.3 },
    remember_ms: None,
};

fn asked<'a>(ticket: &'a str, playbook: &'a str, requester: u64) -> Asked<'a> {
    Asked { ticket, content: 1, requester, playbook, created_ms: 0 }
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
        on_ms: None,
        at_ms: called_ms.unwrap_or_default(),
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
    assert_eq!(admit(&asked("lost", "p", 1)), Admission::Started { called_ms: 0 });
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
        on_ms: None,
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

proptest! {
    /// Calls begin some time after they were planned, and the next batch is planned when the last of
    /// them has ended: the minutes and hours of the calls themselves keep to the caps.
    #[test]
    fn caps_hold_for_calls_that_begin_late(
        batches in prop::collection::vec(
            (prop::collection::vec((0..4_u64, 0..90_000_i64), 1..8), 0..60_000_i64),
            1..60,
        ),
    ) {
        let (mut ledger, mut now) = (Ledger::default(), 10_000_000_i64);
        let mut calls: Vec<(i64, u64)> = Vec::new();
        for (i, (batch, pause)) in batches.iter().enumerate() {
            now += pause;
            let planned = now;
            let mut admissions = Admissions::new(&ledger, &LIMITS);
            let mut begun = Vec::new();
            for (j, (requester, late)) in batch.iter().enumerate() {
                let id = format!("t{i}-{j}");
                if admissions.admit(&asked(&id, "p", *requester), 0, planned) == Admission::Go {
                    begun.push((id, *requester, planned + late));
                }
            }
            now = begun.iter().map(|(.., at)| *at).max().unwrap_or(now);
            for (state, at_ms) in [(State::Started, planned), (State::Done, now)] {
                for (id, requester, _) in &begun {
                    let mut line = entry(&asked(id, "p", *requester), state, Some(planned));
                    if let Line::Ticket(entry) = &mut line {
                        entry.at_ms = at_ms;
                    }
                    ledger.apply(line);
                }
            }
            calls.extend(begun.into_iter().map(|(_, requester, at)| (at, requester)));
        }
        for (end, _) in &calls {
            for (window, most, each) in [(MINUTE_MS, 3, 2), (HOUR_MS, 8, 4)] {
                let inside = calls.iter().filter(|(at, _)| *at > end - window && at <= end);
                let inside: Vec<_> = inside.collect();
                prop_assert!(inside.len() <= most);
                for key in 0..4 {
                    prop_assert!(inside.iter().filter(|(_, r)| *r == key).count() <= each);
                }
            }
        }
    }
}

proptest! {
    /// Whatever was written and whenever something is forgotten, before or after it is read: a
    /// ticket within the age meets what it would have met, and an older one is never acted on.
    #[test]
    fn forgetting_changes_no_admission_within_the_age(
        history in prop::collection::vec(
            (0..40_usize, 0..3_usize, 0..5_usize, 0..40_i64, any::<bool>()),
            1..120,
        ),
        forgets in prop::collection::vec(0..120_usize, 0..4),
        playbook in 0..3_usize,
    ) {
        const AGE: i64 = 3 * DAY_MS;
        const STATES: [State; 5] =
            [State::Started, State::Done, State::Failed, State::Unknown, State::Reopened];
        let playbooks = ["p", "q", "r"];
        let names: Vec<String> = (0..40).map(|i| format!("t{i}")).collect();
        // A ticket that was acted on was created before that, by clocks that may be a day apart.
        let mut created = [i64::MAX; 40];
        let (mut all, mut some, mut now) = (Ledger::default(), Ledger::default(), 0_i64);
        for (i, (ticket, playbook, state, hours, called)) in history.into_iter().enumerate() {
            now += hours * HOUR_MS;
            if forgets.contains(&i) {
                some.forget(now, AGE);
            }
            created[ticket] = created[ticket].min(now + 20 * HOUR_MS - hours * HOUR_MS);
            let asked = asked(&names[ticket], playbooks[playbook], 1);
            let mut line = entry(&asked, STATES[state], called.then_some(now));
            if let Line::Ticket(entry) = &mut line {
                entry.at_ms = now;
            }
            all.apply(line.clone());
            some.apply(line);
        }
        for after in [0, 30, 200] {
            let now = now + after * HOUR_MS;
            some.forget(now, AGE);
            for rule in [LIMITS.switch_off, SwitchOff { of: 30, at_least: 1, ..LIMITS.switch_off }] {
                let why = |ledger: &Ledger| ledger.goes_off(&rule, playbooks[playbook], &[], 0);
                prop_assert_eq!(why(&some), why(&all));
            }
            for (ticket, created) in names.iter().zip(created) {
                let asked = Asked { created_ms: created.min(now), ..asked(ticket, playbooks[playbook], 1) };
                let admit = |ledger| Admissions::new(ledger, &LIMITS).admit(&asked, 0, now);
                let (with, without) = (admit(&all), admit(&some));
                if some.reaches(asked.created_ms, now) {
                    prop_assert_eq!(with, without);
                } else {
                    prop_assert!(without == with || without == Admission::Held(Guard::TooOld));
                    prop_assert!(without != Admission::Go);
                }
            }
        }
    }
}
