use std::time::Duration;

use crate::config::{Config, ConfigError};
use crate::stage::runbook::CallerSettings;
use crate::stage::runbook::breaker::BreakerRule;
use crate::stage::runbook::retry::RetryRule;

fn load(file: &str, sets: &[&str]) -> Result<Config, ConfigError> {
    let none = std::iter::empty::<(String, String)>();
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    Config::from_layers(Some(file), none, &sets)
}

fn problems(file: &str, sets: &[&str]) -> Vec<String> {
    match load(file, sets) {
        Ok(_) => Vec::new(),
        Err(ConfigError::Problems(problems)) => problems.iter().map(ToString::to_string).collect(),
        Err(other) => panic!("{other}"),
    }
}

const RESOLVES: &[&str] = &["kafka.name=x", "stages.run=resolve", "resolve.playbooks=p"];

#[test]
fn another_instance_must_not_take_over_a_batch_whose_calls_are_still_made() {
    let found = |resolves: bool, interval: &str| {
        let mut sets = vec![interval];
        sets.extend(if resolves { RESOLVES } else { &RESOLVES[..1] });
        problems("", &sets)
    };
    let short = "kafka.max_poll_interval_ms=209999";
    let problems = found(true, short);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    let wanted = "kafka.max_poll_interval_ms: must be at least 210000 where stages.run";
    assert!(problems[0].starts_with(wanted), "{problems:#?}");
    for (resolves, interval) in
        [(false, short), (true, "kafka.max_poll_interval_ms=210000"), (true, "log.kind=embedded")]
    {
        let problems = found(resolves, interval);
        assert!(problems.is_empty(), "{interval}: {problems:#?}");
    }
}

#[test]
fn credentials_that_cannot_be_read_are_noticed_where_calls_are_made() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(place("token"), "hunter2").unwrap();
    std::fs::write(place("empty"), "").unwrap();
    let file = format!(
        r#"
        [resolve]
        hosts = ["desk.test"]
        [resolve.credentials]
        good = {{ kind = "bearer", file = "{0}/token", hosts = ["desk.test"] }}
        gone = {{ kind = "basic", user = "u", file = "{0}/gone", hosts = ["desk.test"] }}
        hollow = {{ kind = "webhook", file = "{0}/empty", hosts = ["desk.test"] }}
        half = {{ kind = "certificate", file = "{0}/token", key = "{0}", hosts = ["desk.test"] }}
        "#,
        folder.path().display()
    );
    let found = problems(&file, RESOLVES);
    assert_eq!(found.len(), 3, "{found:#?}");
    for problem in [
        format!("resolve.credentials.gone: cannot read {}: ", place("gone")),
        format!("resolve.credentials.hollow: {} is empty", place("empty")),
        format!("resolve.credentials.half: cannot read {}: ", folder.path().display()),
    ] {
        assert!(found.iter().any(|p| p.starts_with(&problem)), "{problem}: {found:#?}");
    }
    assert!(problems(&file, &RESOLVES[..1]).is_empty(), "a process that only routes");
}

#[test]
fn the_reference_calls_as_a_caller_does_by_default() {
    let calls = load("", &["kafka.name=x"]).expect("the reference").resolve.calls;
    let default = CallerSettings::new(Vec::new());
    assert_eq!(calls.breaker, default.breaker);
    assert_eq!(calls.retries, default.retries);
    assert_eq!(calls.connect_timeout, default.connect_timeout);
    assert_eq!((calls.in_flight, calls.per_minute), (default.in_flight, default.per_minute));
}

#[test]
fn breaker_and_retries_are_as_they_are_set() {
    let file = r#"
        [resolve]
        connect_timeout_ms = 500
        [resolve.breaker]
        window = 30
        minimum = 30
        failure_share = 0.25
        open_ms = 2000
        open_at_most_ms = 2000
        [resolve.retries]
        attempts = 1
        base_ms = 20
        cap_ms = 20
        budget_share = 0
        budget_reserve = 0
    "#;
    let calls = load(file, &["kafka.name=x"]).expect("good settings").resolve.calls;
    let (open_for, open_at_most) = (Duration::from_secs(2), Duration::from_secs(2));
    let breaker =
        BreakerRule { window: 30, minimum: 30, failure_share: 0.25, open_for, open_at_most };
    assert_eq!(calls.breaker, breaker);
    let (base, cap) = (Duration::from_millis(20), Duration::from_millis(20));
    let retries = RetryRule { attempts: 1, base, cap, budget_share: 0.0, budget_reserve: 0.0 };
    assert_eq!(calls.retries, retries);
    assert_eq!(calls.connect_timeout, Duration::from_millis(500));
}

#[test]
fn breaker_and_retries_have_bounds_and_all_problems_are_told_at_once() {
    let file = r#"
        [resolve]
        connect_timeout_ms = 99
        [resolve.breaker]
        window = 1001
        minimum = 1002
        failure_share = 1.5
        open_ms = 3600001
        open_at_most_ms = 9
        [resolve.retries]
        attempts = 11
        base_ms = 60001
        cap_ms = 9
        budget_share = 0.21
        budget_reserve = 101
    "#;
    let mut found = problems(file, &["kafka.name=x"]);
    found.sort();
    let wanted = [
        "resolve.breaker.failure_share: must be between 0 and 1, not 1.5",
        "resolve.breaker.minimum: must be between 1 and 1000, not 1002",
        "resolve.breaker.open_at_most_ms: must be between 3600000 and 3600000, not 9",
        "resolve.breaker.open_ms: must be between 1 and 3600000, not 3600001",
        "resolve.breaker.window: must be between 1 and 1000, not 1001",
        "resolve.connect_timeout_ms: must be between 100 and 60000, not 99",
        "resolve.retries.attempts: must be between 1 and 10, not 11",
        "resolve.retries.base_ms: must be between 1 and 60000, not 60001",
        "resolve.retries.budget_reserve: must be between 0 and 100, not 101",
        "resolve.retries.budget_share: must be between 0 and 0.2, not 0.21",
        "resolve.retries.cap_ms: must be between 60000 and 60000, not 9",
    ];
    assert_eq!(found, wanted);
    // Of two that belong together the second one has the first one as its bound.
    for (sets, problem) in [
        ("resolve.breaker.window=4", "resolve.breaker.minimum: must be between 1 and 4, not 5"),
        (
            "resolve.breaker.open_at_most_ms=9999",
            "resolve.breaker.open_at_most_ms: must be between 10000 and 3600000, not 9999",
        ),
        (
            "resolve.retries.cap_ms=499",
            "resolve.retries.cap_ms: must be between 500 and 60000, not 499",
        ),
        (
            "resolve.retries.budget_share=NaN",
            "resolve.retries.budget_share: must be between 0 and 0.2, not NaN",
        ),
    ] {
        assert_eq!(problems("", &["kafka.name=x", sets]), [problem]);
    }
}
