//! The published contracts under `docs/` against the types and against real output.

#[path = "support/tickets.rs"]
mod tickets;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value};
use tickets::record;
use triaged::log::{AbortReason, Batch, Headers, Outgoing, Record};
use triaged::metrics::RecreateReason;
use triaged::resolve::guard::Guard;
use triaged::stage::Stage as _;
use triaged::stage::event::{DecisionSchema, Mode};
use triaged::stage::resolve::{CameBackSchema, OutcomeSchema};
use triaged::stage::route::Route;
use triaged::stage::runbook::Failure;
use triaged::train::recipe::Recipe;
use triaged::triage::decision::Doubt;
use triaged::triage::ticket::Malformed;

fn read(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn outputs(mode: Mode, values: &[Vec<u8>]) -> Vec<Outgoing> {
    outputs_of(mode, values.iter().enumerate().map(|(i, v)| record(i as i64, v)).collect())
}

fn outputs_of(mode: Mode, records: Vec<Record>) -> Vec<Outgoing> {
    let fixture = tickets::fixture();
    let mut settings = fixture.settings.clone();
    settings.mode = mode;
    let mut stage = Route::new(Arc::clone(&fixture.triage), settings, Arc::clone(&fixture.metrics));
    stage.run(&Batch::of(records))
}

/// The demo's tickets, some that have to be left to people, some with nulls, and some that are
/// written in other ways than most.
fn samples() -> Vec<Vec<u8>> {
    let mut samples: Vec<Vec<u8>> =
        read("training/corpus/demo.jsonl").lines().map(|l| l.as_bytes().to_vec()).collect();
    samples.push(tickets::ticket("S1", "", "").to_string().into_bytes());
    samples.push(tickets::ticket("S2", "qqq", "zzz xxx").to_string().into_bytes());
    let mut number = tickets::ticket("x", "vpn", "down");
    number["ticket_id"] = 42.into();
    number["impact"] = 1.into();
    number["urgency"] = "high".into();
    samples.push(number.to_string().into_bytes());
    for field in ["subject", "body", "requester", "source"] {
        let mut ticket = tickets::ticket(field, "vpn", "down");
        ticket[field] = Value::Null;
        samples.push(ticket.to_string().into_bytes());
    }
    samples.extend(odd().iter().map(|ticket| ticket.to_string().into_bytes()));
    samples
}

/// Tickets that desks send and that other readers may be too strict for.
fn odd() -> Vec<Value> {
    let times = [
        "2024-01-02 03:04:05+09:00",
        "2024-01-02T03:04:05+0900",
        "2024-01-02t03:04:05.678z",
        "2024-01-02T03:04+09",
        "20240102T030405Z",
        "2024-01-02T03:04:60Z",
        "2024-01-02T03:04:05+09:00[Asia/Seoul]",
    ];
    let mut values: Vec<(&str, Value)> =
        times.into_iter().map(|time| ("created_at", time.into())).collect();
    for field in ["language", "reporter_category", "impact", "urgency", "priority"] {
        values.extend([(field, 5.into()), (field, 1.0.into()), (field, i64::MIN.into())]);
        values.extend([(field, Value::Null), (field, "".into())]);
    }
    let ids = [12.0.into(), i64::MAX.into(), "인시던트\u{feff}1".into(), "가".repeat(200).into()];
    values.extend(ids.map(|id: Value| ("ticket_id", id)));
    let with = |(field, value): (&str, Value)| {
        let mut ticket = tickets::ticket("odd", "vpn", "down");
        ticket[field] = value;
        ticket
    };
    values.into_iter().map(with).collect()
}

fn headers(headers: &Headers) -> Value {
    let text = |v: &Option<Vec<u8>>| {
        let bytes = v.as_deref().unwrap_or_default();
        Value::String(String::from_utf8_lossy(bytes).into_owned())
    };
    Value::Object(headers.iter().map(|(n, v)| (n.to_string(), text(v))).collect::<Map<_, _>>())
}

fn assert_valid(schema: &Value, instance: &Value, what: &str) {
    // Strict, as a reader may be.
    let strict = jsonschema::options().should_validate_formats(true).build(schema);
    let validator = strict.expect("a schema");
    let errors: Vec<String> = validator.iter_errors(instance).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{what}: {errors:#?}");
}

fn asyncapi() -> Value {
    serde_yaml_ng::from_str(&read("docs/asyncapi.yaml")).expect("YAML")
}

#[test]
fn published_schemas_are_those_of_the_types() {
    for (file, schema) in [
        ("docs/schema/ticket.json", schemars::schema_for!(triaged::desk::TicketSchema)),
        ("docs/schema/decision.json", schemars::schema_for!(DecisionSchema)),
        ("docs/schema/outcome.json", schemars::schema_for!(OutcomeSchema)),
        ("docs/schema/came_back.json", schemars::schema_for!(CameBackSchema)),
    ] {
        let published: Value = serde_json::from_str(&read(file)).expect("JSON");
        assert_eq!(published, schema.to_value(), "{file}: write it again with `make schemas`");
    }
}

#[test]
fn what_the_service_takes_keeps_to_the_published_ticket() {
    let schema: Value = serde_json::from_str(&read("docs/schema/ticket.json")).expect("JSON");
    for sample in samples() {
        let ticket: Value = serde_json::from_slice(&sample).expect("JSON");
        assert_valid(&schema, &ticket, "ticket");
    }
    let mut ticket = tickets::ticket("x", "vpn", "down");
    ticket.as_object_mut().expect("an object").remove("source");
    assert!(!jsonschema::is_valid(&schema, &ticket), "null is not the same as missing");
    for (field, wrong) in [
        ("created_at", "2026-03-04T09:12:00".into()),
        ("created_at", "yesterday".into()),
        ("ticket_id", " \u{3000}".into()),
        ("ticket_id", "a\u{85}b".into()),
        ("ticket_id", 1.5.into()),
        ("impact", u64::MAX.into()),
        ("reporter_category", true.into()),
    ] {
        let mut ticket = tickets::ticket("x", "vpn", "down");
        ticket[field] = wrong;
        assert!(!jsonschema::is_valid(&schema, &ticket), "{field}: {}", ticket[field]);
        let output = &outputs(Mode::Binary, &[ticket.to_string().into_bytes()])[0];
        assert_eq!(&*output.topic, "tickets.dead", "{field}: {}", ticket[field]);
    }
}

#[test]
fn real_events_keep_to_their_schema() {
    let decision: Value = serde_json::from_str(&read("docs/schema/decision.json")).expect("JSON");
    let event_headers = asyncapi()["components"]["schemas"]["eventHeaders"].clone();
    let mut outcomes = Vec::new();
    for output in outputs(Mode::Binary, &samples()) {
        let value = output.value.as_deref().expect("a value");
        let event: Value = serde_json::from_slice(value).expect("JSON");
        assert_valid(&decision, &event, "decision");
        assert_valid(&event_headers, &headers(&output.headers), "headers");
        let topic = format!("tickets.{}", event["outcome"].as_str().expect("text"));
        assert_eq!(&*output.topic, topic);
        outcomes.push(topic);
    }
    for outcome in ["tickets.routed", "tickets.review"] {
        assert!(outcomes.iter().any(|o| o == outcome), "no sample was {outcome}");
    }
}

#[test]
fn structured_events_carry_the_same_data() {
    let samples = samples();
    let binary = outputs(Mode::Binary, &samples);
    for (structured, binary) in outputs(Mode::Structured, &samples).iter().zip(&binary) {
        let event: Value =
            serde_json::from_slice(structured.value.as_deref().expect("a value")).expect("JSON");
        let data: Value =
            serde_json::from_slice(binary.value.as_deref().expect("a value")).expect("JSON");
        assert_eq!(event["data"], data);
        let attributes = headers(&binary.headers);
        for name in ["specversion", "id", "source", "type", "subject", "time"] {
            assert_eq!(event[name], attributes[format!("ce_{name}")], "{name}");
        }
        let content_type = &headers(&structured.headers)["content-type"];
        assert_eq!(content_type, "application/cloudevents+json; charset=UTF-8");
    }
}

/// The published schema of events in structured mode, whole.
fn envelope(api: &Value) -> Value {
    let mut envelope = api["components"]["schemas"]["envelope"].clone();
    let data = &mut envelope["properties"]["data"];
    assert_eq!(data["$ref"], "schema/decision.json");
    *data = serde_json::from_str(&read("docs/schema/decision.json")).expect("JSON");
    envelope
}

#[test]
fn structured_events_keep_to_their_schema() {
    let api = asyncapi();
    let mut samples = samples();
    samples.push(traced_event());
    let mut records: Vec<Record> =
        samples.iter().enumerate().map(|(i, v)| record(i as i64, v)).collect();
    records[0].timestamp_ms = None;
    let header = |name: &'static str| (name.into(), Some(b"00-header".to_vec()));
    records[1].headers = vec![header("CE_Traceparent"), header("traceparent")];
    let envelope = envelope(&api);
    let mut traces = Vec::new();
    for output in outputs_of(Mode::Structured, records) {
        let message = match &*output.topic {
            "tickets.routed" => &api["components"]["messages"]["routedStructured"],
            "tickets.review" => &api["components"]["messages"]["reviewStructured"],
            other => panic!("{other} is never in structured mode"),
        };
        assert_eq!(message["payload"]["$ref"], "#/components/schemas/envelope");
        assert_eq!(message["headers"]["$ref"], "#/components/schemas/structuredHeaders");
        let value = output.value.as_deref().expect("a value");
        let event: Value = serde_json::from_slice(value).expect("JSON");
        assert_valid(&envelope, &event, "envelope");
        assert_eq!(event["type"], message["name"]);
        let headers = headers(&output.headers);
        assert_valid(&api["components"]["schemas"]["structuredHeaders"], &headers, "headers");
        assert_eq!(headers["content-type"], message["contentType"]);
        traces.extend(event["traceparent"].as_str().map(str::to_owned));
    }
    assert_eq!(traces, ["00-header", "00-envelope"]);
    for (channel, message) in [("routed", "routedStructured"), ("review", "reviewStructured")] {
        let reference = &api["channels"][channel]["messages"][message]["$ref"];
        assert_eq!(reference, &format!("#/components/messages/{message}"));
    }
}

/// A ticket in an event that has a trace.
fn traced_event() -> Vec<u8> {
    serde_json::json!({
        "specversion": "1.0", "id": "1", "source": "/desk", "type": "new",
        "traceparent": "00-envelope", "tracestate": "x=1",
        "data": tickets::ticket("traced", "vpn", "down"),
    })
    .to_string()
    .into_bytes()
}

#[test]
fn the_trace_in_an_envelope_goes_on_in_headers() {
    let schema = asyncapi()["components"]["schemas"]["eventHeaders"].clone();
    let mut records = vec![record(0, &traced_event()), record(1, &traced_event())];
    records[1].headers = vec![("ce_traceparent".into(), Some(b"00-header".to_vec()))];
    let written: Vec<Value> =
        outputs_of(Mode::Binary, records).iter().map(|output| headers(&output.headers)).collect();
    for headers in &written {
        assert_valid(&schema, headers, "headers");
    }
    assert_eq!(written[0]["ce_traceparent"], "00-envelope");
    assert_eq!(written[0]["ce_tracestate"], "x=1");
    assert_eq!(written[1]["ce_traceparent"], "00-header");
    assert_eq!(written[1]["ce_tracestate"], Value::Null);
}

#[test]
fn real_dead_letters_keep_to_their_headers() {
    let schema = asyncapi()["components"]["schemas"]["deadHeaders"].clone();
    let broken = [&b"{"[..], b"[]", b"\xff", b"", b"{\"ticket_id\":1}"].map(<[u8]>::to_vec);
    for output in outputs(Mode::Binary, &broken) {
        assert_eq!(&*output.topic, "tickets.dead");
        assert_valid(&schema, &headers(&output.headers), "dead letter");
    }
}

#[test]
fn closed_lists_are_published_whole() {
    let api = asyncapi();
    let published =
        &api["components"]["schemas"]["deadHeaders"]["properties"]["triaged.errors.reason"]["enum"];
    let published: Vec<&str> =
        published.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert_eq!(published, Malformed::REASONS);
    let schema = read("docs/schema/decision.json");
    let guards = Guard::ALL.iter().map(|guard| guard.as_str());
    for reason in Doubt::ALL.iter().map(|doubt| doubt.as_str()).chain(guards) {
        assert!(schema.contains(&format!("\"{reason}\"")), "{reason}");
    }
}

#[test]
fn asyncapi_points_to_files_and_topics_that_exist() {
    let api = asyncapi();
    let text = read("docs/asyncapi.yaml");
    for file in ["ticket", "decision", "outcome", "came_back"] {
        let file = format!("schema/{file}.json");
        assert!(text.contains(&file));
        assert!(!read(&format!("docs/{file}")).is_empty());
    }
    let config = tickets::config();
    let resolve = &config.resolve.topics;
    for (channel, topic) in [
        ("new", &config.inputs[0]),
        ("routed", &config.route.routed),
        ("review", &config.route.review),
        ("dead", &config.route.dead),
        ("actions", &resolve.actions),
        ("outcomes", &resolve.outcomes),
        ("ledger", &resolve.ledger),
        ("control", &resolve.control),
        ("feedback", &resolve.feedback),
    ] {
        assert_eq!(api["channels"][channel]["address"].as_str(), Some(&**topic), "{channel}");
    }
}

/// The page of metrics as `docs/metrics.md` has it: name, type and help from the registry.
fn metrics_table() -> String {
    let labels = triaged::metrics::Labels {
        categories: vec!["Network/VPN".into()],
        queues: vec!["network".into()],
        topics: vec!["tickets.new".into()],
        malformed: Malformed::REASONS.to_vec(),
        masks: triaged::stage::route::mask_kinds(),
        doubts: Doubt::ALL.iter().map(|d| d.as_str()).collect(),
        playbooks: vec!["unlock_account".into()],
        hosts: vec!["runbooks.example.com:443".into()],
        failures: Failure::REASONS.to_vec(),
    };
    let metrics = triaged::metrics::Metrics::new(&labels, 1).expect("metrics");
    metrics.model_info.with_label_values(&["id", "version"]).set(1);
    let page = metrics.render().expect("a page");
    let mut table = String::from("| metric | type | labels | what |\n|---|---|---|---|\n");
    let lines: Vec<&str> = page.lines().collect();
    for (i, line) in lines.iter().enumerate() {
        let Some(help) = line.strip_prefix("# HELP triaged_") else { continue };
        let (name, help) = help.split_once(' ').expect("a help text");
        let kind = lines[i + 1].rsplit(' ').next().expect("a type");
        let sample = lines.get(i + 2).copied().unwrap_or_default();
        let labels = sample.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
        let names: Vec<&str> = labels
            .map_or("", |(inside, _)| inside)
            .split(',')
            .filter_map(|pair| pair.split_once('=').map(|(name, _)| name))
            .filter(|name| *name != "le")
            .collect();
        table.push_str(&format!("| `triaged_{name}` | {kind} | {} | {help} |\n", names.join(", ")));
    }
    table
}

#[test]
fn published_metrics_are_those_of_the_registry() {
    let published = read("docs/metrics.md");
    let table = metrics_table();
    assert!(published.contains(&table), "docs/metrics.md should hold this table:\n{table}");
}

#[test]
fn every_reason_is_explained() {
    let page = read("docs/reasons.md");
    let mut all: Vec<&str> = Vec::new();
    all.extend(Guard::ALL.map(Guard::as_str));
    all.extend(Doubt::ALL.map(Doubt::as_str));
    all.extend(AbortReason::ALL.map(AbortReason::as_str));
    all.extend(RecreateReason::ALL.map(RecreateReason::as_str));
    all.extend(Malformed::REASONS);
    all.extend(Failure::REASONS);
    let firsts: Vec<&str> = page.lines().filter_map(|line| line.split('|').nth(1)).collect();
    let told = |reason: &&str| firsts.iter().any(|cell| cell.contains(&format!("`{reason}`")));
    let missing: Vec<_> = all.into_iter().filter(|reason| !told(reason)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_recipe_to_copy_has_the_defaults() {
    let uncommented: String = read("training/recipe.toml")
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    assert!(uncommented.contains("\nversion = "), "{uncommented}");
    assert_eq!(Recipe::parse(&uncommented).unwrap(), Recipe::default());
}
