//! Orders to take back what playbooks did: found among the outcomes, written as actions, carried
//! out by the resolve stage like everything else.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::config::Config;
use crate::log::{NewRecord, Record};
use crate::topics::{self, TopicError};

/// Which resolutions are to be taken back.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    Ticket(String),
    /// All of a playbook whose calls were made in this time, both ends included.
    Playbook {
        id: String,
        from: Timestamp,
        to: Timestamp,
    },
}

impl Which {
    fn takes(&self, outcome: &Value) -> bool {
        match self {
            Self::Ticket(id) => outcome["ticket_id"] == id.as_str(),
            Self::Playbook { id, from, to } => {
                let called = outcome["called_ms"].as_i64();
                let within = from.as_millisecond()..=to.as_millisecond();
                outcome["playbook"] == id.as_str() && called.is_some_and(|ms| within.contains(&ms))
            }
        }
    }
}

/// Writes an order for each resolution that is to be taken back; the ids of their tickets.
///
/// # Errors
/// [`TopicError`] if outcomes cannot be read or orders not be written.
pub fn order(config: &Config, which: &Which, by: &str) -> Result<Vec<String>, TopicError> {
    let mut found = BTreeMap::new();
    topics::read(config, &config.resolve.topics.outcomes, false, |record| {
        note(&mut found, which, by, &record);
        ControlFlow::Continue(())
    })?;
    let tickets = found.keys().cloned().collect();
    let records = found.into_iter().map(|(ticket, order)| NewRecord {
        key: Some(ticket.into_bytes()),
        value: Some(order.into_bytes()),
        ..NewRecord::default()
    });
    topics::put(config, &config.resolve.topics.actions, records)?;
    Ok(tickets)
}

/// What still stands after this outcome: by ticket, the order that takes it back, as text, which is
/// the smallest that a ticket can be kept in.
fn note(found: &mut BTreeMap<String, String>, which: &Which, by: &str, record: &Record) {
    let Some(value) = record.value.as_deref() else { return };
    let Ok(outcome) = serde_json::from_slice::<Value>(value) else { return };
    let Some(ticket) = outcome["ticket_id"].as_str().map(str::to_owned) else { return };
    match outcome["outcome"].as_str() {
        Some("undone") => {
            found.remove(&ticket);
        }
        Some("done" | "unknown")
            if outcome["known_request"].is_object() && which.takes(&outcome) =>
        {
            found.insert(ticket, undo(outcome, by).to_string());
        }
        _ => {}
    }
}

/// The action that takes an outcome back.
fn undo(mut outcome: Value, by: &str) -> Value {
    const SAID: [&str; 7] =
        ["ticket_id", "queue", "category", "priority", "language", "known_request", "ticket"];
    let said = SAID.into_iter().map(|name| (name.to_owned(), outcome[name].take()));
    let mut order: Map<String, Value> = said.collect();
    order.insert(String::from("undo"), json!({ "by": by }));
    Value::Object(order)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Origin;

    fn record(ticket: &str, outcome: &str, called_ms: i64) -> Record {
        let value = json!({
            "ticket_id": ticket, "outcome": outcome, "playbook": "p", "called_ms": called_ms,
            "known_request": { "playbook": "p" }, "ticket": { "body": "x" },
        });
        Record {
            origin: Origin { topic: "tickets.outcomes".into(), partition: 0, offset: 0 },
            key: None,
            value: Some(value.to_string().into_bytes()),
            headers: Vec::new(),
            timestamp_ms: None,
        }
    }

    #[test]
    fn what_stands_within_the_time_is_found() {
        let at = |ms| Timestamp::from_millisecond(ms).unwrap();
        let which = Which::Playbook { id: String::from("p"), from: at(10), to: at(20) };
        let mut found = BTreeMap::new();
        for (ticket, outcome, ms) in [
            ("early", "done", 9),
            ("a", "done", 10),
            ("b", "done", 20),
            ("late", "done", 21),
            ("c", "unknown", 15),
            ("d", "handed_back", 15),
            ("a", "undone", 10),
        ] {
            note(&mut found, &which, "ops", &record(ticket, outcome, ms));
        }
        assert_eq!(found.keys().collect::<Vec<_>>(), ["b", "c"]);
        let order: Value = serde_json::from_str(&found["b"]).expect("an order");
        assert_eq!((&order["undo"]["by"], &order["ticket"]["body"]), (&json!("ops"), &json!("x")));
    }
}
