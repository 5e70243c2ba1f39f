use crate::config::tests::problems;

#[test]
fn what_does_not_fit_hides_no_other_problem() {
    let file = r#"
        surprise = 1
        [kafka]
        worker = 2
        brokers = ""
        [batch]
        records = "many"
        bytes = 0
        [[policy.routes]]
        categories = ["a"]
        [[policy.routes]]
        priority = ["P9"]
        queue = "with space"
        [priority.matrices.itil.impact_aliases]
        "4" = 4
        [logging]
        level = "warning"
    "#;
    let found = problems(file, &[], &["batch.linger_ms=soon", "topics.dead=."]);
    let wanted = [
        "surprise: is not a setting",
        "kafka.worker: is not a setting",
        "kafka.brokers: must name",
        "batch.records: must be of type integer",
        "batch.bytes: must be between",
        "policy.routes[0].categories: is not a setting",
        "policy.routes[0].queue: is missing",
        "policy.routes[1].priority: P9 is not one of P1",
        "policy.routes[1].queue: must be 1 to 200",
        "priority.matrices.itil.impact_aliases.4: must be of type string",
        "logging.level: \"warning\" is no level",
        "batch.linger_ms: must be of type integer",
        "topics.dead: must be 1 to 249",
    ];
    // Rules for priorities go by the matrix, of which something was left out.
    let told = wanted.iter().filter(|p| !p.contains("P9"));
    for path in told.clone() {
        assert!(found.iter().any(|p| p.starts_with(path)), "{path} is not among {found:#?}");
    }
    assert_eq!(found.len(), told.count(), "{found:#?}");
    let found = problems(&file.replace("= 4", "= \"3-low\""), &[], &[]);
    assert!(found.iter().any(|p| p.starts_with(wanted[7])), "{found:#?}");
}

#[test]
fn what_only_follows_from_what_was_left_out_is_not_told() {
    let file = r#"
        [topics]
        input = ["tickets.routed", 7]
        [priority]
        matrix = "own"
        [priority.matrices.own]
        impacts = 7
        [[policy.routes]]
        priority = ["urgent"]
        queue = "q"
        [resolve]
        hosts = "desk.example.com"
        networks = [7]
        [resolve.credentials]
        desk = { kind = "bearer", file = "/token", hosts = ["desk.example.com"] }
        [resolve.switch_off]
        of = "200"
        at_least = 100
        [resolve.breaker]
        window = "200"
        minimum = 100
        open_ms = true
        open_at_most_ms = 1000
        [resolve.retries]
        base_ms = "100"
        cap_ms = 200
    "#;
    let found = problems(file, &[], &[]);
    let is_missing = |p: &&String| p.starts_with("priority.matrices.own.") && p.contains("missing");
    assert_eq!(found.iter().filter(is_missing).count(), 5, "{found:#?}");
    let wanted = [
        "topics.input[1]: must be of type string",
        "priority.matrices.own.impacts: must be of type array",
        "resolve.hosts: must be of type array",
        "resolve.networks[0]: must be of type string",
        "resolve.switch_off.of: must be of type integer",
        "resolve.breaker.window: must be of type integer",
        "resolve.breaker.open_ms: must be of type integer",
        "resolve.retries.base_ms: must be of type integer",
    ];
    for path in wanted {
        assert!(found.iter().any(|p| p.starts_with(path)), "{path} is not among {found:#?}");
    }
    assert_eq!(found.len(), 5 + wanted.len(), "{found:#?}");
}

#[test]
fn without_its_matrix_no_rule_is_to_blame() {
    let found = problems("[priority]\nmatrix = \"foo\"", &[], &[]);
    assert_eq!(found, ["priority.matrix: there is no matrix \"foo\""]);
}
