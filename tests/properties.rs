//! Properties of the route stage that hold for any input: one main output a record, no panic,
//! batches can be split anywhere, weights add up, and what is read is what the schema says.

#[path = "support/tickets.rs"]
mod tickets;

use std::borrow::Cow;
use std::fs;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use serde_json::{Value, json};
use tickets::record;
use triaged::log::{Batch, Outgoing, Record};
use triaged::stage::Stage as _;
use triaged::stage::route::Route;
use triaged::triage::model::{Calibration, Scratch, Target};
use triaged::triage::text::Text;

fn route() -> Route {
    let fixture = tickets::fixture();
    Route::new(Arc::clone(&fixture.triage), fixture.settings.clone(), Arc::clone(&fixture.metrics))
}

fn run(records: &[Record]) -> Vec<Outgoing> {
    let outputs = route().run(&Batch::of(records.to_vec()));
    // The time of a dead letter is the only thing that a clock decides.
    outputs
        .into_iter()
        .map(|mut output| {
            output.headers.retain(|(name, _)| name != "triaged.errors.time");
            output
        })
        .collect()
}

/// Words that occur in tickets, so that scores are not all the same.
fn words() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        prop::sample::select(vec![
            "vpn",
            "password",
            "printer",
            "outlook",
            "laptop",
            "SAP",
            "wifi",
            "locked",
            "비밀번호",
            "접속이",
            "안",
            "됩니다",
            "계정",
            "프린터",
            "error",
            "691",
            "kim@example.com",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    prop::collection::vec(word, 0..40).prop_map(|words| words.join(" "))
}

fn ticket() -> impl Strategy<Value = Vec<u8>> {
    (words(), words(), "[A-Z]{3}[0-9]{1,6}", prop::option::of("[a-z]{2}")).prop_map(
        |(subject, body, id, language)| {
            let mut ticket = tickets::ticket(&id, &subject, &body);
            if let Some(language) = language {
                ticket["language"] = language.into();
            }
            ticket.to_string().into_bytes()
        },
    )
}

/// Tickets, broken tickets, and bytes that were never one.
fn value() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop_oneof![
        4 => ticket().prop_map(Some),
        2 => (ticket(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut t, at, byte)| {
            let at = at.index(t.len());
            t[at] = byte;
            Some(t)
        }),
        1 => (ticket(), any::<prop::sample::Index>()).prop_map(|(mut t, at)| {
            t.truncate(at.index(t.len()));
            Some(t)
        }),
        1 => any::<Vec<u8>>().prop_map(Some),
        1 => Just(None),
    ]
}

fn headers() -> impl Strategy<Value = triaged::log::Headers> {
    let name = prop::sample::select(vec![
        "content-type",
        "ce_specversion",
        "ce_id",
        "ce_source",
        "ce_type",
        "traceparent",
        "x",
    ]);
    let value = prop_oneof![
        prop::sample::select(vec!["1.0", "a", "application/json", "application/cloudevents+json"])
            .prop_map(|v| Some(v.as_bytes().to_vec())),
        prop::option::of(any::<Vec<u8>>()),
    ];
    prop::collection::vec((name.prop_map(Cow::Borrowed), value), 0..6)
}

fn records() -> impl Strategy<Value = Vec<Record>> {
    let one = (value(), headers(), prop::option::of(any::<Vec<u8>>()), any::<Option<i64>>());
    prop::collection::vec(one, 0..12).prop_map(|all| {
        let numbered = all.into_iter().enumerate();
        numbered
            .map(|(offset, (value, headers, key, timestamp_ms))| Record {
                value,
                headers,
                key,
                timestamp_ms,
                ..record(offset as i64, b"")
            })
            .collect()
    })
}

static SCHEMA: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
    let schema = schemars::schema_for!(triaged::desk::TicketSchema).to_value();
    jsonschema::validator_for(&schema).expect("a schema")
});

fn is_taken(ticket: &Value) -> bool {
    let text = ticket.to_string();
    let input =
        triaged::desk::Input { value: Some(text.as_bytes()), headers: &[], max_bytes: 1 << 20 };
    triaged::desk::parse(&input).is_ok()
}

/// What a field may hold, right and wrong. Numbers with a point are so small that each is told
/// exactly.
fn field_value() -> impl Strategy<Value = Value> {
    let edges = prop::sample::select(vec![
        'a', '가', ' ', '\u{0}', '\u{1f}', '\u{7f}', '\u{85}', '\u{a0}', '\u{1680}', '\u{200b}',
        '\u{2028}', '\u{3000}', '\u{feff}',
    ]);
    let short = prop::collection::vec(edges, 0..4);
    prop_oneof![
        3 => short.prop_map(|chars| Value::from(chars.into_iter().collect::<String>())),
        1 => "a{198,202}".prop_map(Value::from),
        1 => any::<String>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<u64>().prop_map(Value::from),
        1 => any::<i32>().prop_map(|n| Value::from(f64::from(n))),
        1 => (-1e6_f64..1e6).prop_map(Value::from),
        1 => prop::sample::select(vec![json!(null), json!(true), json!({"id": 7}), json!([])]),
    ]
}

/// Times as desks write them, and some that are none.
fn time() -> impl Strategy<Value = String> {
    let any_of = |texts: &[&'static str]| prop::sample::select(texts.to_vec());
    (
        any_of(&[
            "2024-01-02",
            "20240102",
            "+002024-01-02",
            "2024-0102",
            "2024-13-02",
            "9999-12-31",
        ]),
        any_of(&["T", "t", " ", "", "_"]),
        any_of(&["03", "03:04", "0304", "03:04:05", "03:04:60.123456789", "030405,5", "24:00"]),
        any_of(&["Z", "z", "+09", "+0900", "-09:00", "+09:00:30.5", "", " Z"]),
        any_of(&["", "", "[Asia/Seoul]", "[UTC][u-ca=iso8601]", "x", " "]),
    )
        .prop_map(|(day, between, time, offset, zone)| [day, between, time, offset, zone].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_record_is_the_cause_of_exactly_one_output(records in records()) {
        let outputs = run(&records);
        let causes: Vec<_> = outputs.iter().map(|o| &o.cause).collect();
        let origins: Vec<_> = records.iter().map(|r| &r.origin).collect();
        prop_assert_eq!(causes, origins);
    }

    #[test]
    fn dead_letters_keep_every_byte(records in records()) {
        for (record, output) in records.iter().zip(run(&records)) {
            if &*output.topic != "tickets.dead" {
                continue;
            }
            prop_assert_eq!(&output.key, &record.key);
            prop_assert_eq!(&output.value, &record.value);
            prop_assert_eq!(output.timestamp_ms, record.timestamp_ms);
            prop_assert_eq!(&output.headers[..record.headers.len()], &record.headers[..]);
        }
    }

    #[test]
    fn decided_events_are_json_with_the_ticket_untouched(body in words(), subject in words()) {
        let ticket = tickets::ticket("T1", &subject, &body).to_string();
        let outputs = run(&[record(0, ticket.as_bytes())]);
        let value = outputs[0].value.as_deref().expect("a value");
        let event: serde_json::Value = serde_json::from_slice(value).expect("JSON");
        prop_assert_eq!(&event["ticket"], &serde_json::from_str::<serde_json::Value>(&ticket).expect("JSON"));
        let confidence = event["category"]["confidence"].as_f64().expect("a number");
        prop_assert!((0.0..=1.0).contains(&confidence));
    }

    #[test]
    fn splitting_a_batch_changes_nothing(records in records(), at in any::<prop::sample::Index>()) {
        let whole = run(&records);
        let (left, right) = records.split_at(at.index(records.len() + 1));
        let parts: Vec<Outgoing> = run(left).into_iter().chain(run(right)).collect();
        prop_assert!(whole == parts);
    }

    #[test]
    fn one_stage_over_many_batches_is_the_same_as_a_fresh_one(records in records()) {
        let mut stage = route();
        for record in &records {
            let batch = Batch::of(vec![record.clone()]);
            let again = stage.run(&batch);
            let fresh = route().run(&batch);
            prop_assert_eq!(&again[0].topic, &fresh[0].topic);
            prop_assert_eq!(&again[0].value, &fresh[0].value);
        }
    }

    #[test]
    fn weights_sum_to_the_score(subject in words(), body in words()) {
        let model = tickets::fixture().triage.model();
        let all = model.explain_all(&mut Scratch::default(), &Text::new(&subject, &body)).explanation;
        let sum: f64 = all.words.iter().map(|w| w.weight).sum::<f64>() + all.other + all.prior;
        prop_assert!((sum - all.total).abs() < 1e-9, "{sum} is not {}", all.total);
    }

    /// No ticket that the schema allows is a dead letter, and no other is in an event.
    #[test]
    fn what_is_taken_is_what_the_schema_says(
        field in prop::sample::select(vec![
            "ticket_id", "subject", "body", "requester", "source", "language",
            "reporter_category", "impact", "urgency", "priority",
        ]),
        value in field_value(),
    ) {
        let mut ticket = tickets::ticket("x", "vpn", "down");
        ticket[field] = value;
        prop_assert_eq!(is_taken(&ticket), SCHEMA.is_valid(&ticket), "{}: {}", field, ticket[field]);
    }

    #[test]
    fn every_time_that_is_taken_is_as_the_schema_says(time in time()) {
        let mut ticket = tickets::ticket("x", "vpn", "down");
        ticket["created_at"] = time.into();
        prop_assert!(!is_taken(&ticket) || SCHEMA.is_valid(&ticket), "{}", ticket["created_at"]);
    }

    #[test]
    fn parsing_never_panics(bytes in any::<Vec<u8>>(), headers in headers()) {
        let input = triaged::desk::Input { value: Some(&bytes), headers: &headers, max_bytes: 1 << 20 };
        let _ = triaged::desk::parse(&input);
    }
}

#[test]
fn each_doubt_has_its_ticket() {
    let doubts = [
        ("unknown_words", "qqqxz zzzvq xxxkj wwwqz"),
        ("too_short", ""),
        ("too_short", "?!"),
        ("low_confidence", "hello please help thank you"),
        ("out_of_scope", "vpn password printer account qqqxz zzzvq xxxkj wwwqz"),
    ];
    for (reason, body) in doubts {
        let ticket = tickets::ticket("D", "", body).to_string();
        let output = &run(&[record(0, ticket.as_bytes())])[0];
        let event: serde_json::Value =
            serde_json::from_slice(output.value.as_deref().expect("a value")).expect("JSON");
        assert_eq!(event["review"]["reason"], reason, "{body:?}");
        assert_eq!(&*output.topic, "tickets.review");
    }
}

/// A head's probabilities from its scores, as [`Calibration`] describes them.
fn calibrated(scores: &[f64], known_words: u32, c: Calibration) -> Vec<f64> {
    let temperature = c.temperature * f64::from(known_words.max(1)).powf(c.exponent);
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = scores.iter().map(|s| ((s - top) / temperature).exp()).collect();
    let p: Vec<f64> = powers.iter().map(|power| power / powers.iter().sum::<f64>()).collect();
    let roots: f64 = p.iter().map(|p| p.powf(0.25)).sum();
    let mixed = |p: &f64| {
        let even = c.noise / scores.len() as f64;
        (1.0 - c.noise - c.confusion) * p + even + c.confusion * p.powf(0.25) / roots
    };
    p.iter().map(mixed).collect()
}

#[test]
fn the_confidence_in_an_event_is_the_models_calibrated_probability() {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/training/corpus/demo.jsonl");
    let sample = fs::read_to_string(sample).expect("the sample");
    let lines: Vec<&str> = sample.lines().collect();
    let records: Vec<Record> =
        (0..).zip(&lines).map(|(offset, line)| record(offset, line.as_bytes())).collect();
    let triage = &tickets::fixture().triage;
    let (model, mut scratch) = (triage.model(), Scratch::default());
    let mut compared = 0;
    for (line, output) in lines.iter().zip(run(&records)) {
        let ticket = triaged::desk::parse_text(line).expect("a ticket");
        let text = Text::new(&ticket.subject, &ticket.body);
        let scores = model.scores(&mut scratch, &text);
        let judged = model.judge(&mut scratch, &text);
        let decision = triage.decide(&mut scratch, &ticket);
        let event: Value =
            serde_json::from_slice(output.value.as_deref().expect("a value")).expect("JSON");
        let mut first = 0;
        for head in model.heads() {
            let own = &scores[first..][..head.labels.len()];
            first += head.labels.len();
            let answer = judged.head(head.target).expect("an answer");
            let known = judged.words - judged.unknown;
            let expected = calibrated(own, known, head.calibration.of(judged.language));
            for (ours, expected) in answer.probabilities.iter().zip(expected) {
                assert!((ours - expected).abs() < 1e-9, "{}: {ours} {expected}", ticket.id);
            }
            let (decided, place) = match head.target {
                Target::Category => (Some(&decision.category), "/category"),
                Target::Impact => {
                    (decision.priority.impact.model.as_ref(), "/priority/impact/model")
                }
                Target::Urgency => {
                    (decision.priority.urgency.model.as_ref(), "/priority/urgency/model")
                }
                Target::Priority => continue,
            };
            let decided = decided.expect("a proposal");
            assert_eq!(decided.confidence.0, answer.confidence(), "{}", ticket.id);
            let told = event.pointer(place).expect("a proposal");
            assert_eq!(told["label"].as_str(), Some(&*head.labels[answer.best]), "{}", ticket.id);
            // Events have six decimals.
            let rounded = (answer.confidence() * 1e6).round() / 1e6;
            assert_eq!(told["confidence"].as_f64(), Some(rounded), "{}", ticket.id);
            compared += 1;
        }
    }
    assert_eq!(compared, 3 * lines.len());
}

#[test]
fn very_long_texts_are_decided() {
    let body = "vpn 접속이 안 됩니다 ".repeat(25_000);
    let ticket = tickets::ticket("LONG", "long", &body).to_string();
    let mut fixture = tickets::fixture().settings.clone();
    fixture.max_input_bytes = 1 << 24;
    fixture.max_output_bytes = 1 << 24;
    let shared = tickets::fixture();
    let mut stage = Route::new(Arc::clone(&shared.triage), fixture, Arc::clone(&shared.metrics));
    let outputs = stage.run(&Batch::of(vec![record(0, ticket.as_bytes())]));
    assert_ne!(&*outputs[0].topic, "tickets.dead");
}
