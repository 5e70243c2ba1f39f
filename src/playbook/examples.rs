//! Examples and counter-examples: what a playbook says it does, tried.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value as Json;

use super::Playbook;
use super::fields::{self, Fields};
use super::matching::{Known, MatchedBy};
use super::problem::Found;
use super::slots::{Slot, SlotValue, Slots};
use super::view::{Facts, TicketView, example_json};

/// A made-up ticket, and for an example the slots that have to be found in it.
#[derive(Clone, Debug)]
pub struct Example {
    pub subject: String,
    pub body: String,
    pub expect: Slots,
    /// The category that triage is taken to have found.
    pub category: Option<String>,
    json: Json,
}

/// Asks the known-request model about a ticket.
pub type Recognise<'a> = dyn Fn(&TicketView<'_>) -> Option<Known> + 'a;

/// What came of one example.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be; `detail` says what was found, or what held the ticket back.
    Ok {
        detail: String,
    },
    Failed {
        detail: String,
    },
    /// It takes the known-request model to tell, and none was given.
    NeedsModel,
}

/// One example of a playbook with its verdict.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tried {
    pub playbook: String,
    /// `example` or `counter_example`.
    pub kind: &'static str,
    /// From 1 on.
    pub number: usize,
    pub subject: String,
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What a playbook makes of a ticket, as far as it can be told without the world.
enum Made {
    Acts(MatchedBy, Slots),
    Held(String),
    Unknown,
}

/// Tries every example and counter-example of a playbook.
pub fn tried(playbook: &Playbook, recognise: Option<&Recognise<'_>>) -> Vec<Tried> {
    let examples = playbook.examples.iter().enumerate().map(|(i, e)| {
        let verdict = match playbook.make(e, recognise) {
            Made::Acts(_, slots) if slots == e.expect => Verdict::Ok { detail: shown(&slots) },
            Made::Acts(_, slots) => Verdict::Failed {
                detail: format!("expected {}, found {}", shown(&e.expect), shown(&slots)),
            },
            Made::Held(why) => Verdict::Failed { detail: why },
            Made::Unknown => Verdict::NeedsModel,
        };
        (i, "example", e, verdict)
    });
    let counter = playbook.counter_examples.iter().enumerate().map(|(i, e)| {
        let verdict = match playbook.make(e, recognise) {
            Made::Acts(by, _) => Verdict::Failed { detail: format!("would act: {}", named(&by)) },
            Made::Held(why) => Verdict::Ok { detail: why },
            Made::Unknown => Verdict::NeedsModel,
        };
        (i, "counter_example", e, verdict)
    });
    let all = examples.chain(counter);
    all.map(|(i, kind, example, verdict)| Tried {
        playbook: playbook.id.clone(),
        kind,
        number: i + 1,
        subject: title(example),
        verdict,
    })
    .collect()
}

impl Playbook {
    fn make(&self, example: &Example, recognise: Option<&Recognise<'_>>) -> Made {
        let ticket = example.ticket();
        let facts = Facts { category: example.category.as_deref(), ..Facts::default() };
        if let Err(unmet) = self.preconditions.of_ticket(&ticket) {
            return Made::Held(unmet.to_string());
        }
        let slots = match self.slots(&ticket) {
            Ok(slots) => slots,
            Err(missing) => return Made::Held(missing.to_string()),
        };
        let known = recognise.and_then(|ask| ask(&ticket));
        let needs_model = recognise.is_none() && !self.matching.requests.is_empty();
        match self.matches(&ticket, &facts, known.as_ref()) {
            Some(by) => Made::Acts(by, slots),
            None if needs_model && !self.matching.refuses(&ticket, &facts) => Made::Unknown,
            None => Made::Held(match known {
                Some(known) => format!("not matched (request {})", known.request),
                None => "not matched".to_owned(),
            }),
        }
    }
}

impl Example {
    fn ticket(&self) -> TicketView<'_> {
        let text = |key| self.json.get(key).and_then(Json::as_str);
        let written = super::view::written(&self.subject, &self.body);
        TicketView {
            id: text("ticket_id").unwrap_or_default(),
            subject: &self.subject,
            body: &self.body,
            source: text("source").unwrap_or_default(),
            language: text("language").unwrap_or(written),
            json: &self.json,
        }
    }
}

fn named(by: &MatchedBy) -> String {
    match by {
        MatchedBy::Request(request) => format!("request {request}"),
        MatchedBy::Rule(index) => format!("match.rules[{index}]"),
    }
}

fn shown(slots: &Slots) -> String {
    if slots.is_empty() {
        return "no slots".to_owned();
    }
    slots.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

/// The subject, else the body's first line.
fn title(example: &Example) -> String {
    let text = if example.subject.is_empty() { &example.body } else { &example.subject };
    text.lines().next().unwrap_or_default().to_owned()
}

/// Reads `[[examples]]`, and without `slots` `[[counter_examples]]`, which expect nothing.
pub(super) fn read(
    tables: Vec<Fields>,
    slots: Option<&[Slot]>,
    found: &mut Found<'_>,
) -> Vec<Example> {
    tables.into_iter().map(|table| example(table, slots, found)).collect()
}

fn example(mut table: Fields, slots: Option<&[Slot]>, found: &mut Found<'_>) -> Example {
    let subject = table.optional_text("subject", found).unwrap_or_default();
    let body = table.optional_text("body", found).unwrap_or_default();
    if subject.is_empty() && body.is_empty() {
        found.add(table.here(), "needs a subject or a body");
    }
    let category = table.optional_text("category", found);
    let path = table.path("ticket");
    let mut more = serde_json::Map::new();
    if let Some(fields) = table.optional_table("ticket", found) {
        for (key, value) in fields.rest() {
            let path = format!("{path}.{key}");
            if key == "subject" || key == "body" {
                found.add(&path, "stands beside `ticket`, not in it");
            }
            let value = fields::json(&path, value, found);
            more.insert(key, value);
        }
    }
    let json = example_json(&subject, &body, more, table.here(), found);
    let expect = match slots {
        Some(slots) => {
            let expected = table.optional_table("expect", found);
            expected.map(|table| expectation(table, slots, found)).unwrap_or_default()
        }
        None => BTreeMap::new(),
    };
    table.end(found);
    Example { subject, body, expect, category, json }
}

fn expectation(table: Fields, slots: &[Slot], found: &mut Found<'_>) -> Slots {
    let base = table.here().to_owned();
    let mut expect = Slots::new();
    for (name, value) in table.rest() {
        let path = format!("{base}.{name}");
        if !slots.iter().any(|slot| slot.name == name) {
            found.add(&path, "is no slot of this playbook");
        }
        match value {
            toml::Value::Integer(n) => expect.insert(name, SlotValue::Integer(n)),
            value => fields::text(&path, value, found)
                .and_then(|text| expect.insert(name, SlotValue::Text(text))),
        };
    }
    expect
}
