//! Orders to take back what playbooks did: found among the outcomes, written as actions, carried
//! out by the resolve stage like everything else.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::config::Config;
use crate::log::{NewRecord, Record};
use crate::playbook::NoPlaybook;
use crate::topics::{self, TopicError};

/// Which resolutions are to be taken back.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    Ticket(String),
    /// All of a playbook whose calls were made in this time, both ends included.
    Playbook {
        id: String,
        from: Timestamp,
        /// Now, where nobody says it.
        #[serde(default = "Timestamp::now")]
        to: Timestamp,
    },
}

/// Why an order to take something back cannot be meant.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Senseless {
    #[error(transparent)]
    Playbook(#[from] NoPlaybook),
    #[error("the time ends before it begins: {from} is after {to}")]
    Backwards { from: Timestamp, to: Timestamp },
}

/// Why there is nothing to take back.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Nothing {
    #[error(
        "no outcome of {0} was found in {1}: look at the spelling; a call that is still under way has \
         none yet, and an old one goes when the topic's retention says"
    )]
    NoOutcome(Which, String),
    #[error("nothing of {0} is left to take back; {1}")]
    Settled(Which, String),
}

/// Why nothing was ordered.
#[derive(Debug, thiserror::Error)]
pub enum UndoError {
    #[error(transparent)]
    Nothing(#[from] Nothing),
    #[error(transparent)]
    Topic(#[from] TopicError),
}

impl Which {
    /// # Errors
    /// [`Senseless`] for a playbook that is none of those `known`, and for a time that ends before
    /// it begins.
    pub fn check(&self, known: &[String]) -> Result<(), Senseless> {
        match self {
            Self::Playbook { id, .. } if !known.contains(id) => {
                Err(NoPlaybook::new(id, known).into())
            }
            Self::Playbook { from, to, .. } if from > to => {
                Err(Senseless::Backwards { from: *from, to: *to })
            }
            Self::Playbook { .. } | Self::Ticket(_) => Ok(()),
        }
    }

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

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ticket(id) => write!(f, "ticket {id}"),
            Self::Playbook { id, from, to } => write!(f, "playbook {id} from {from} to {to}"),
        }
    }
}

/// What the outcomes say about that.
#[derive(Debug, Default)]
struct Found {
    /// By ticket, the order that takes back what still stands, as text, which is the smallest that a
    /// ticket can be kept in.
    orders: BTreeMap<String, String>,
    /// By ticket, why there is nothing to take back.
    settled: BTreeMap<String, &'static str>,
}

impl Found {
    /// Whether there is anything to take back of `which`, after all that `topic` has.
    ///
    /// # Errors
    /// [`Nothing`], with why.
    fn anything(&self, which: &Which, topic: &str) -> Result<(), Nothing> {
        if !self.orders.is_empty() {
            return Ok(());
        }
        if self.settled.is_empty() {
            return Err(Nothing::NoOutcome(which.clone(), topic.to_owned()));
        }
        let mut tickets: BTreeMap<&str, usize> = BTreeMap::new();
        for why in self.settled.values() {
            *tickets.entry(why).or_default() += 1;
        }
        let why: Vec<String> = tickets.iter().map(|(why, n)| format!("{why}: {n}")).collect();
        Err(Nothing::Settled(which.clone(), why.join(", ")))
    }
}

/// Looks among the outcomes for what is to be taken back, by order of somebody.
///
/// # Errors
/// [`TopicError`] if outcomes cannot be read.
fn find(config: &Config, which: &Which, by: &str) -> Result<Found, TopicError> {
    let mut found = Found::default();
    topics::read(config, &config.resolve.topics.outcomes, false, |record| {
        note(&mut found, which, by, &record);
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// Writes an order for each resolution that was found; the ids of their tickets.
///
/// # Errors
/// [`TopicError`] if orders cannot be written.
fn write(config: &Config, found: Found) -> Result<Vec<String>, TopicError> {
    let tickets = found.orders.keys().cloned().collect();
    let records = found.orders.into_iter().map(|(ticket, order)| NewRecord {
        key: Some(ticket.into_bytes()),
        value: Some(order.into_bytes()),
        ..NewRecord::default()
    });
    topics::put(config, &config.resolve.topics.actions, records)?;
    Ok(tickets)
}

/// Writes an order for each resolution that is to be taken back; the ids of their tickets, of which
/// there is at least one.
///
/// # Errors
/// [`UndoError`] if there is nothing to take back, outcomes cannot be read or orders not be written.
pub fn order(config: &Config, which: &Which, by: &str) -> Result<Vec<String>, UndoError> {
    let found = find(config, which, by)?;
    found.anything(which, &config.resolve.topics.outcomes)?;
    Ok(write(config, found)?)
}

/// Takes in the next outcome: what it did still stands, or why nothing does.
fn note(found: &mut Found, which: &Which, by: &str, record: &Record) {
    let Some(value) = record.value.as_deref() else { return };
    let Ok(outcome) = serde_json::from_slice::<Value>(value) else { return };
    let Some(ticket) = outcome["ticket_id"].as_str().map(str::to_owned) else { return };
    let takes = which.takes(&outcome);
    match outcome["outcome"].as_str() {
        // It does not say when the call was made that it took back: the ticket tells.
        Some("undone") => {
            let stood = found.orders.remove(&ticket).is_some();
            if stood || takes {
                found.settled.insert(ticket, "taken back already");
            }
        }
        Some("done" | "unknown") if outcome["known_request"].is_object() && takes => {
            found.settled.remove(&ticket);
            found.orders.insert(ticket, undo(outcome, by).to_string());
        }
        Some(_) if takes && !found.orders.contains_key(&ticket) => {
            found.settled.entry(ticket).or_insert_with(|| why(&outcome));
        }
        _ => {}
    }
}

/// Why an outcome leaves nothing to take back.
fn why(outcome: &Value) -> &'static str {
    match (outcome["outcome"].as_str(), outcome["reason"].as_str()) {
        (Some("handed_back"), reason) if reason != Some("not_helped") => {
            "left to people, so nothing was done"
        }
        // A repetition, feedback, or an undo that failed: of a call that must have been before.
        _ => "acted on, but the outcome that says how is no longer there",
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

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    fn found(which: &Which, outcomes: &[(&str, &str, i64)]) -> Found {
        let mut found = Found::default();
        for (ticket, outcome, ms) in outcomes {
            note(&mut found, which, "ops", &record(ticket, outcome, *ms));
        }
        found
    }

    #[test]
    fn what_stands_within_the_time_is_found() {
        let which = Which::Playbook { id: String::from("p"), from: at(10), to: at(20) };
        let found = found(
            &which,
            &[
                ("early", "done", 9),
                ("a", "done", 10),
                ("b", "done", 20),
                ("late", "done", 21),
                ("c", "unknown", 15),
                ("d", "handed_back", 15),
                ("a", "undone", 10),
            ],
        );
        assert_eq!(found.orders.keys().collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(found.anything(&which, "tickets.outcomes"), Ok(()));
        let order: Value = serde_json::from_str(&found.orders["b"]).expect("an order");
        assert_eq!((&order["undo"]["by"], &order["ticket"]["body"]), (&json!("ops"), &json!("x")));
    }

    #[test]
    fn where_there_is_nothing_it_is_said_why() {
        let ticket = Which::Ticket(String::from("a"));
        let playbook = Which::Playbook { id: String::from("p"), from: at(10), to: at(20) };
        let nothing = |which: &Which, outcomes: &[(&str, &str, i64)]| {
            let nothing = found(which, outcomes).anything(which, "tickets.outcomes");
            nothing.expect_err("nothing to take back").to_string()
        };
        let none = nothing(&ticket, &[("b", "done", 10), ("b", "undone", 0)]);
        assert!(none.contains("no outcome of ticket a was found in tickets.outcomes"), "{none}");
        let none = nothing(&playbook, &[("a", "done", 9)]);
        assert!(none.contains("no outcome of playbook p from 1970-01-01"), "{none}");
        for (outcomes, says) in [
            (&[("a", "done", 10), ("a", "undone", 0)][..], "taken back already: 1"),
            // What a requester says afterwards changes nothing about it.
            (&[("a", "undone", 0), ("a", "handed_back", 0)][..], "taken back already: 1"),
            (&[("a", "handed_back", 0)][..], "left to people, so nothing was done: 1"),
            (&[("a", "already_handled", 0)][..], "no longer there: 1"),
        ] {
            let settled = nothing(&ticket, outcomes);
            assert!(settled.contains("nothing of ticket a is left to take back"), "{settled}");
            assert!(settled.contains(says), "{says}: {settled}");
        }
        let undone = [("a", "done", 10), ("b", "done", 11), ("a", "undone", 0), ("b", "undone", 0)];
        let settled = nothing(&playbook, &undone);
        assert!(settled.contains("taken back already: 2"), "{settled}");
        // An undo that failed leaves standing what it did not take back.
        assert!(!found(&ticket, &[("a", "done", 10), ("a", "not_undone", 0)]).orders.is_empty());
    }

    #[test]
    fn an_order_names_a_playbook_that_is_there_and_a_time_that_ends() {
        let known = [String::from("p"), String::from("q")];
        let check = |id: &str, from, to| {
            let which = Which::Playbook { id: id.to_owned(), from: at(from), to: at(to) };
            which.check(&known).map_err(|senseless| senseless.to_string())
        };
        assert_eq!(check("p", 10, 10), Ok(()));
        assert_eq!(Which::Ticket(String::from("a")).check(&[]), Ok(()));
        let unknown = check("r", 10, 20).expect_err("an unknown playbook");
        assert_eq!(unknown, "there is no playbook r; there are: p, q");
        let backwards = check("p", 20, 10).expect_err("a time that ends before it begins");
        assert!(backwards.contains("ends before it begins"), "{backwards}");
    }
}
