//! Tickets, records and a route stage with the default model, for tests without a broker.
#![allow(dead_code, reason = "each binary that includes this uses its own part of it")]

use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};
use triaged::config::Config;
use triaged::log::{Origin, Record};
use triaged::metrics::{Labels, Metrics};
use triaged::stage::route::RouteSettings;
use triaged::triage::Triage;

/// What a route stage needs; loaded once for all tests of a binary.
pub struct Fixture {
    pub triage: Arc<Triage>,
    pub settings: RouteSettings,
    pub metrics: Arc<Metrics>,
}

pub fn config() -> Config {
    let none: [(String, String); 0] = [];
    let mut config = Config::from_layers(None, none, &[]).expect("the default configuration");
    config.model_dir = concat!(env!("CARGO_MANIFEST_DIR"), "/models/default").into();
    config
}

pub fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let config = config();
        Fixture {
            triage: Arc::new(triaged::service::triage(&config).expect("the default model")),
            settings: config.route,
            metrics: Metrics::new(&Labels::default(), 1).expect("metrics"),
        }
    })
}

pub fn ticket(id: &str, subject: &str, body: &str) -> Value {
    json!({
        "ticket_id": id,
        "subject": subject,
        "body": body,
        "created_at": "2026-03-04T09:12:00+09:00",
        "requester": "someone@example.com",
        "source": "email",
        "x_unknown": { "kept": [1, 2.5, "三"] },
    })
}

pub fn record(offset: i64, value: &[u8]) -> Record {
    Record {
        origin: Origin { topic: "tickets.new".into(), partition: 0, offset },
        key: None,
        value: Some(value.to_vec()),
        headers: Vec::new(),
        timestamp_ms: Some(1_772_582_400_000),
    }
}
