use proptest::prelude::*;

use super::*;

fn rule() -> BreakerRule {
    BreakerRule {
        window: 10,
        minimum: 4,
        failure_share: 0.5,
        open_for: Duration::from_secs(10),
        open_at_most: Duration::from_secs(60),
    }
}

fn fail(breaker: &mut Breaker, now: Instant) {
    let pass = breaker.admit(now).expect("a pass");
    breaker.report(&pass, true, now);
}

#[test]
fn opens_at_the_share_of_failures_and_not_before_the_minimum() {
    let now = Instant::now();
    let mut breaker = Breaker::new(rule());
    for _ in 0..3 {
        fail(&mut breaker, now);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }
    fail(&mut breaker, now);
    assert_eq!(breaker.state(), BreakerState::Open);
    assert!(breaker.admit(now).is_none());
}

#[test]
fn a_minority_of_failures_does_not_open_it() {
    let now = Instant::now();
    let mut breaker = Breaker::new(rule());
    for i in 0..1000 {
        let pass = breaker.admit(now).expect("a pass");
        breaker.report(&pass, i % 5 == 4, now);
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn one_probe_decides_and_the_open_time_doubles_up_to_the_cap() {
    let mut now = Instant::now();
    let mut breaker = Breaker::new(rule());
    for _ in 0..4 {
        fail(&mut breaker, now);
    }
    for seconds in [10, 20, 40, 60, 60] {
        now += Duration::from_secs(seconds) - Duration::from_millis(1);
        assert!(breaker.admit(now).is_none(), "{seconds}");
        now += Duration::from_millis(1);
        let probe = breaker.admit(now).expect("the probe");
        assert!(breaker.admit(now).is_none(), "one probe only");
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        breaker.report(&probe, true, now);
    }
    now += Duration::from_secs(60);
    let probe = breaker.admit(now).expect("the probe");
    breaker.report(&probe, false, now);
    assert_eq!(breaker.state(), BreakerState::Closed);
    for _ in 0..4 {
        fail(&mut breaker, now);
    }
    assert!(breaker.admit(now + Duration::from_secs(10)).is_some(), "the first open time again");
}

#[test]
fn a_probe_that_is_given_up_makes_room_for_another() {
    let now = Instant::now();
    let mut breaker = Breaker::new(rule());
    for _ in 0..4 {
        fail(&mut breaker, now);
    }
    let later = now + Duration::from_secs(10);
    let probe = breaker.admit(later).expect("the probe");
    breaker.abandon(&probe);
    assert!(breaker.admit(later).is_some());
}

#[test]
fn late_news_of_an_earlier_phase_changes_nothing() {
    let now = Instant::now();
    let mut breaker = Breaker::new(rule());
    let early = breaker.admit(now).expect("a pass");
    for _ in 0..4 {
        fail(&mut breaker, now);
    }
    breaker.report(&early, false, now);
    assert_eq!(breaker.state(), BreakerState::Open);
    let later = now + Duration::from_secs(10);
    let _probe = breaker.admit(later).expect("the probe");
    breaker.report(&early, false, later);
    breaker.abandon(&early);
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    assert!(breaker.admit(later).is_none());
}

#[derive(Clone, Debug)]
enum Event {
    Ask,
    /// The oldest, or the newest, outstanding request ends.
    End {
        newest: bool,
        failed: bool,
    },
    GiveUp,
    Wait(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Ask),
        4 => (any::<bool>(), prop::bool::weighted(0.6))
            .prop_map(|(newest, failed)| Event::End { newest, failed }),
        1 => Just(Event::GiveUp),
        2 => (0_u64..30_000).prop_map(Event::Wait),
    ]
}

proptest! {
    /// Against bookkeeping of its own: nothing passes while open, one request at a time passes
    /// after that, and enough failures in a closed phase always open it.
    #[test]
    fn never_lets_more_through_than_its_rule(events in prop::collection::vec(event(), 0..400)) {
        let rule = rule();
        let mut breaker = Breaker::new(rule.clone());
        let mut now = Instant::now();
        // Outstanding passes, each with the count of openings when it was given.
        let mut outstanding: Vec<(Pass, usize, bool)> = Vec::new();
        let mut openings = 0_usize;
        let mut in_a_row = 0_u32;
        let mut open_until: Option<Instant> = None;
        let mut window: VecDeque<bool> = VecDeque::new();
        let mut closings = 0_usize;
        for event in events {
            match event {
                Event::Wait(ms) => now += Duration::from_millis(ms),
                Event::Ask => {
                    let pass = breaker.admit(now);
                    let waiting = open_until.is_some_and(|until| now < until);
                    let probing = outstanding.iter().any(|(_, phase, probe)| *probe && *phase == openings);
                    prop_assert_eq!(pass.is_none(), waiting || (open_until.is_some() && probing));
                    if let Some(pass) = pass {
                        outstanding.push((pass, openings, open_until.is_some()));
                    }
                }
                Event::GiveUp => {
                    if let Some((pass, ..)) = outstanding.pop() {
                        breaker.abandon(&pass);
                    }
                }
                Event::End { newest, failed } => {
                    if outstanding.is_empty() {
                        continue;
                    }
                    let at = if newest { outstanding.len() - 1 } else { 0 };
                    let (pass, phase, probe) = outstanding.remove(at);
                    breaker.report(&pass, failed, now);
                    if phase != openings || probe != open_until.is_some() {
                        continue;
                    }
                    let opens = if probe {
                        if !failed {
                            open_until = None;
                            in_a_row = 0;
                            closings += 1;
                            // Passes of the old closed phase must not be taken for new ones.
                            openings += 1;
                            window.clear();
                        }
                        failed
                    } else {
                        window.push_back(failed);
                        if window.len() > rule.window {
                            window.pop_front();
                        }
                        let failures = window.iter().filter(|f| **f).count();
                        window.len() >= rule.minimum && 2 * failures >= window.len()
                    };
                    if opens {
                        let time = (rule.open_for * 2_u32.pow(in_a_row.min(10))).min(rule.open_at_most);
                        open_until = Some(now + time);
                        openings += 1;
                        in_a_row += 1;
                    }
                }
            }
            prop_assert_eq!(breaker.state() == BreakerState::Closed, open_until.is_none());
        }
        prop_assert!(closings <= openings);
    }
}
