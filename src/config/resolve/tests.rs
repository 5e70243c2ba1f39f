use crate::config::{Config, ConfigError};

fn problems(file: &str, sets: &[&str]) -> Vec<String> {
    let none = std::iter::empty::<(String, String)>();
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    match Config::from_layers(Some(file), none, &sets) {
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
