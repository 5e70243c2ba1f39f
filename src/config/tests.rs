use super::{Config, ConfigError, LogConfig, layers};

pub(super) fn problems(file: &str, env: &[(&str, &str)], sets: &[&str]) -> Vec<String> {
    let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
    match Config::from_layers(Some(file), env, &sets) {
        Ok(_) => Vec::new(),
        Err(ConfigError::Problems(problems)) => {
            problems.iter().map(std::string::ToString::to_string).collect()
        }
        Err(e) => vec![e.to_string()],
    }
}

fn load(file: &str, env: &[(&str, &str)], sets: &[&str]) -> Config {
    let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
    Config::from_layers(Some(file), env, &sets).expect("a good configuration")
}

fn kafka(config: &Config) -> &super::KafkaConfig {
    match &config.log {
        LogConfig::Kafka(kafka) => kafka,
        LogConfig::Embedded(_) => panic!("not kafka"),
    }
}

#[test]
fn the_reference_is_a_good_configuration() {
    assert!(!layers::reference().is_empty());
    let config = load("", &[], &[]);
    assert_eq!(&*config.inputs[0], "tickets.new");
    assert_eq!(config.batch.records, 2000);
}

#[test]
fn later_layers_win() {
    let file = "[kafka]\nworkers = 2\ngroup = \"file\"\nbrokers = \"file:1\"";
    let env = [("TRIAGED_KAFKA__WORKERS", "3"), ("TRIAGED_KAFKA__GROUP", "env")];
    let config = load(file, &env, &["kafka.workers=4"]);
    let kafka = kafka(&config);
    assert_eq!((kafka.workers, kafka.group.as_str(), kafka.brokers.as_str()), (4, "env", "file:1"));
    let config = load("", &[("TRIAGED_TOPICS__INPUT", "a, b")], &[]);
    assert_eq!(config.inputs.len(), 2);
}

#[test]
fn a_variable_with_one_underscore_is_refused_with_the_name_that_was_meant() {
    let found = problems("", &[("TRIAGED_KAFKA_BROKERS", "a:1"), ("TRIAGED_MODEL_DIR", "m")], &[]);
    assert_eq!(found.len(), 2, "{found:#?}");
    let wanted = "TRIAGED_KAFKA_BROKERS: is not read: two underscores make it a setting, as in \
                  TRIAGED_KAFKA__BROKERS";
    assert_eq!(found[0], wanted);
    let others = [
        ("TRIAGED_CONFIG", "file"),
        ("TRIAGED_MODEL", "folder"),
        ("TRIAGED_TEST_KAFKA", "a:1"),
        ("TRIAGED_PYTHON", "python3"),
        ("TRIAGED_QUALITY_DATA", "folder"),
        ("TRIAGED_SERVICE_HOST", "10.0.0.1"),
        ("TRIAGED_ADMIN_SERVICE_PORT_HTTP", "9464"),
        ("TRIAGED_ADMIN_PORT_9464_TCP_ADDR", "10.0.0.1"),
        ("TRIAGED_MODEL__DIR", "m"),
    ];
    load("", &others, &[]);
}

#[test]
fn keys_of_the_users_own_can_be_set_like_others() {
    let sets = [
        "policy.thresholds.Network/VPN=0.8",
        "policy.thresholds.Web/Node.js=1",
        "priority.matrices.itil.priority_aliases.p0=P1",
    ];
    let policy = load("", &[], &sets).policy;
    assert_eq!(policy.thresholds["Network/VPN"], 0.8);
    assert_eq!(policy.thresholds["Web/Node.js"], 1.0);
    assert_eq!(policy.matrix.priority("P0"), Some(0));
    let wrong = [
        "policy.thresholds.Web/Shop=high",
        "policy.thresholds=0.8",
        "policy.thresholds.=0.8",
        "kafka.secrets.sasl.password=hunter2",
        "priority.matrices.other.matrix=x",
    ];
    let found = problems("", &[], &wrong);
    for problem in [
        "policy.thresholds.Web/Shop: must be of type float",
        "policy.thresholds: can only be set in a file",
        "policy.thresholds.: is not a setting",
        "kafka.secrets.sasl.password: can only be set in a file",
        "priority.matrices.other.matrix: is not a setting",
    ] {
        assert!(found.iter().any(|p| p == problem), "{problem} is not among {found:#?}");
    }
    assert_eq!(found.len(), wrong.len());
}

#[test]
fn a_syntax_error_names_the_place_and_not_the_text() {
    let file = "[kafka.properties]\n\"sasl.username\" = \"u\"\n\"sasl.password\" = \"hunter2\n";
    let found = problems(file, &[], &[]);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with("(file): is not TOML at line 3 column "), "{}", found[0]);
    assert!(!found[0].contains("hunter2"), "a secret was printed");
}

#[test]
fn all_problems_are_listed_at_once_with_their_paths() {
    let file = r#"
        surprise = 1
        [kafka]
        worker = 2
        workers = "two"
        [[policy.routes]]
        categories = ["a"]
        [priority.matrices.own]
        impacts = 7
        [batch]
        records = true
    "#;
    let found = problems(file, &[("TRIAGED_NO__SUCH", "1")], &["batch.linger_ms=soon", "x"]);
    for path in [
        "surprise: is not a setting",
        "kafka.worker: is not a setting",
        "kafka.workers: must be of type integer, not string",
        "policy.routes[0].categories: is not a setting",
        "policy.routes[0].queue: is missing",
        "priority.matrices.own.impacts: must be of type array",
        "priority.matrices.own.rows: is missing",
        "batch.records: must be of type integer",
        "no.such (from TRIAGED_NO__SUCH): is not a setting",
        "batch.linger_ms: must be of type integer",
        "x: --set takes section.key=value",
    ] {
        assert!(found.iter().any(|p| p.starts_with(path)), "{path} is not among {found:#?}");
    }
}

#[test]
fn values_are_checked_all_at_once() {
    let file = r#"
        [log]
        kind = "carrier pigeon"
        [topics]
        input = ["a", "a", "tickets.routed", "with space"]
        [policy]
        min_confidence = 1.5
        default_queue = "Köln"
        [policy.thresholds]
        "Network/VPN" = 0.8
        "Web/Site" = 3
        "Web/Shop" = "high"
        [[policy.routes]]
        category = ["*"]
        priority = ["P9"]
        queue = "q"
        [priority.matrices.itil]
        rows = [["P1"], ["P2", "P3", "P4"], ["P3", "P4", "P7"]]
        default_impact = "none"
        priority_aliases = { "1" = "P9", "Critical" = "P2" }
        [admin]
        listen = "here"
        [kafka.properties]
        "enable.auto.commit" = "true"
        [kafka.secrets]
        "sasl.password" = "in the open"
    "#;
    let found = problems(file, &[], &["batch.records=0"]);
    for path in [
        "log.kind",
        "topics.input[1]: is named twice",
        "topics: tickets.routed has two uses",
        "topics.input[3]",
        "policy.min_confidence",
        "policy.default_queue",
        "policy.thresholds.Web/Site: must be a number",
        "policy.thresholds.Web/Shop: must be a number",
        "policy.routes[0].priority: P9 is not one of P1",
        "priority.matrices.itil.rows[0]: must have one entry",
        "priority.matrices.itil.rows[2]: P7 is not a priority",
        "priority.matrices.itil.default_impact",
        "priority.matrices.itil.priority_aliases.1: P9 is not one of the values",
        "priority.matrices.itil.priority_aliases.critical: stands for two values",
        "admin.listen",
        "kafka.properties.enable.auto.commit: is refused",
        "kafka.secrets.sasl.password: must be",
        "batch.records: must be between 1",
    ] {
        assert!(found.iter().any(|p| p.starts_with(path)), "{path} is not among {found:#?}");
    }
    assert!(!found.iter().any(|p| p.contains("in the open")), "a secret was printed");
}

#[test]
fn secrets_come_from_files_and_are_never_printed() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("password");
    std::fs::write(&path, "hunter2\n").expect("a file");
    let file = format!("[kafka.secrets]\n\"sasl.password\" = {{ file = {path:?} }}");
    let config = load(&file, &[], &[]);
    assert_eq!(kafka(&config).properties["sasl.password"].reveal(), "hunter2");
    assert!(!format!("{config:?}").contains("hunter2"));
    let missing = "[kafka.secrets]\n\"sasl.password\" = { file = \"/nowhere\" }";
    assert!(problems(missing, &[], &[])[0].starts_with("kafka.secrets.sasl.password: cannot read"));
    let unset = "[kafka.secrets]\n\"sasl.password\" = { env = \"TRIAGED_SURELY_UNSET\" }";
    assert!(problems(unset, &[], &[])[0].contains("is not set"));
}

#[test]
fn properties_pass_through_any_layer() {
    let file = "[kafka.properties]\n\"security.protocol\" = \"plaintext\"\n\"fetch.min.bytes\" = 2";
    let config = load(file, &[], &["kafka.properties.socket.keepalive.enable=true"]);
    let properties = &kafka(&config).properties;
    assert_eq!(properties["security.protocol"].reveal(), "plaintext");
    assert_eq!(properties["fetch.min.bytes"].reveal(), "2");
    assert_eq!(properties["socket.keepalive.enable"].reveal(), "true");
}

#[test]
fn a_matrix_of_ones_own() {
    let file = r#"
        [priority]
        matrix = "own"
        [priority.matrices.own]
        impacts = ["all", "one"]
        urgencies = ["now", "later"]
        priorities = ["urgent", "normal"]
        rows = [["urgent", "normal"], ["normal", "normal"]]
        default_impact = "one"
        default_urgency = "later"
        [[policy.routes]]
        category = ["*"]
        priority = ["Urgent"]
        queue = "oncall"
    "#;
    let config = load(file, &[], &[]);
    let matrix = &config.policy.matrix;
    assert_eq!(matrix.cells, [[0, 1], [1, 1]]);
    assert_eq!(matrix.impact.index("ALL "), Some(0));
    assert_eq!(config.policy.routes[0].priority, [0]);
}

#[test]
fn other_priorities_in_the_reference_matrix_have_no_aliases_but_their_own() {
    let file = |more: &str| {
        format!(
            r#"
            [priority.matrices.itil]
            priorities = ["A", "B"]
            rows = [["A", "B", "B"], ["B", "B", "B"], ["B", "B", "B"]]
            {more}
            [[policy.routes]]
            queue = "q"
            "#
        )
    };
    let matrix = load(&file(""), &[], &[]).policy.matrix;
    assert_eq!((matrix.priority("a"), matrix.priority("critical")), (Some(0), None));
    let matrix = load(&file("priority_aliases = { \"Critical\" = \"B\" }"), &[], &[]).policy.matrix;
    assert_eq!((matrix.priority("critical"), matrix.priority("1")), (Some(1), None));
}

#[test]
fn a_credential_is_bound_to_hosts_that_may_be_called() {
    let file = r#"
        [resolve]
        hosts = ["desk.example.com", "http://127.0.0.1:8199"]
        [resolve.credentials]
        desk = { kind = "bearer", file = "/token", hosts = ["desk.example.com:443"] }
    "#;
    let resolve = load(file, &[], &[]).resolve;
    assert_eq!(resolve.calls.credentials["desk"].hosts, resolve.calls.hosts[..1]);
    assert_eq!(resolve.credential_hosts["desk"], ["desk.example.com:443"]);
    let file = format!(
        "{file}
        none = {{ kind = \"bearer\", file = \"/token\" }}
        other = {{ kind = \"bearer\", file = \"/token\", hosts = [\"vdi.example.com\"] }}
        wrong = {{ kind = \"bearer\", file = \"/token\", hosts = [\"https://desk.example.com\"] }}"
    );
    let found = problems(&file, &[], &[]);
    for problem in [
        "resolve.credentials.none.hosts: must list the hosts",
        "resolve.credentials.other.hosts: vdi.example.com:443 is not in resolve.hosts",
        "resolve.credentials.wrong.hosts[0]: \"https://desk.example.com\" is not a host",
    ] {
        assert!(found.iter().any(|p| p.starts_with(problem)), "{problem} is not among {found:#?}");
    }
    assert_eq!(found.len(), 3);
}

#[test]
fn dotted_names_need_no_quotes() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("password");
    std::fs::write(&path, "hunter2\n").expect("a file");
    let file = format!(
        "[kafka.properties]\nsecurity.protocol = \"plaintext\"\nsocket.timeout.ms = 5000\n\
         sasl.username = \"u\"\n[kafka.secrets]\nsasl.password = {{ file = {path:?} }}"
    );
    let config = load(&file, &[], &["kafka.properties.security.protocol=sasl_plaintext"]);
    let properties = &kafka(&config).properties;
    assert_eq!(properties["security.protocol"].reveal(), "sasl_plaintext");
    assert_eq!(properties["socket.timeout.ms"].reveal(), "5000");
    assert_eq!(properties["sasl.password"].reveal(), "hunter2");
    assert_eq!(properties.len(), 4);
    let twice = "[kafka.properties]\n\"sasl.username\" = \"a\"\nsasl.username = \"b\"";
    let found = problems(twice, &[], &[]);
    assert_eq!(found, ["kafka.properties.sasl.username: is given twice, with quotes and without"]);
}

#[test]
fn what_kafka_would_not_take_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("level");
    std::fs::write(&path, "3").expect("a file");
    let file = format!(
        "[kafka.properties]\nnosuch.property = 1\nsecurity.protocol = \"SASL_SSLX\"\n\
         partitioner = \"random\"\n[kafka.secrets]\nlog_level = {{ file = {path:?} }}"
    );
    let (routed, queue) = ("r".repeat(150), "q".repeat(150));
    let routed = format!("topics.routed={routed}");
    let queue = format!("policy.default_queue={queue}");
    let sets = [
        "limits.output_bytes=1073741824",
        "topics.ledger=..",
        "topics.per_queue=true",
        "output.source=a b",
        routed.as_str(),
        queue.as_str(),
    ];
    let found = problems(&file, &[], &sets);
    let wanted = [
        "kafka.properties.nosuch.property: is refused: librdkafka knows no such",
        "kafka.properties.security.protocol: is refused: librdkafka does not take",
        "kafka.properties.partitioner: is refused: a key's order",
        "kafka.secrets.log_level: is refused",
        "limits.output_bytes: must be between 1000 and 1000000000",
        "topics.ledger: must be 1 to 249",
        "topics.per_queue: the topic of queue qqq",
        "output.source: must be a URI reference",
    ];
    for path in wanted {
        assert!(found.iter().any(|p| p.starts_with(path)), "{path} is not among {found:#?}");
    }
    assert_eq!(found.len(), wanted.len(), "{found:#?}");
}

#[test]
fn a_cause_is_told_once() {
    let error = Config::load(Some(std::path::Path::new("/nowhere/c.toml")), &[]).unwrap_err();
    assert_eq!(error.to_string(), "cannot read /nowhere/c.toml");
    assert!(std::error::Error::source(&error).is_some());
}
