//! Tickets with known requests among ordinary ones, and near misses that look like requests. What is trained on and the
//! day's stream that it is measured on share no sentence that asks for something.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::grammar::{Both, Grammar, Lang, Leaf, read};
use crate::near::Kind;
use crate::rng::Rng;
use crate::text::{Plan, Said, Writer};
use crate::ticket::{LEVELS, Stream, Ticket, created_at, ticket};

/// Which wordings, and how much of what.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// What a model is trained on
    Train,
    /// A day's stream, two fifths of it requests
    Day,
}

impl Part {
    pub fn file(self) -> &'static str {
        match self {
            Self::Train => "requests.jsonl",
            Self::Day => "day.jsonl",
        }
    }

    pub fn count(self) -> u32 {
        match self {
            Self::Train => 12_000,
            Self::Day => 20_000,
        }
    }

    /// Requests and near misses in a thousand tickets; the rest is ordinary.
    fn shares(self) -> (usize, usize) {
        match self {
            Self::Train => (250, 150),
            Self::Day => (400, 50),
        }
    }

    fn stream(self) -> Stream {
        match self {
            Self::Train => Stream::RequestsTrain,
            Self::Day => Stream::RequestsDay,
        }
    }
}

/// Tickets of this category are left out: many of them ask for an unlock in the grammar's own words, and no label says
/// which.
const UNCLEAR: &str = "Account/Lockout";

/// A known request, as its file tells it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub request: String,
    /// What a desk files such tickets under.
    category: String,
    /// The structured field that holds what the request is about.
    field: String,
    value: Value,
    weight: u32,
    pub train: Both<Wordings>,
    pub day: Both<Wordings>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Value {
    User,
    Desktop,
    Printer,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wordings {
    pub subject: Vec<String>,
    pub ask: Vec<String>,
    pub why: Vec<String>,
    /// Names what the request is about, as `%slot%`.
    pub name: Vec<String>,
    /// Whole texts that must not be taken for the request.
    near: Vec<Near>,
}

/// A near miss. Those of the day say of which kind they are, for its wrong actions to be explained.
#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Near {
    Text(String),
    OfKind { kind: Kind, text: String },
}

impl Near {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::OfKind { text, .. } => text,
        }
    }

    fn kind(&self) -> Option<Kind> {
        match self {
            Self::Text(_) => None,
            Self::OfKind { kind, .. } => Some(*kind),
        }
    }
}

impl Wordings {
    /// All templates by list, the subjects first.
    pub fn lists(&self) -> [Vec<&str>; 5] {
        let [subject, ask, why, name] = [&self.subject, &self.ask, &self.why, &self.name]
            .map(|list| list.iter().map(String::as_str).collect());
        [subject, ask, why, name, self.near.iter().map(Near::text).collect()]
    }
}

impl Request {
    pub fn wordings(&self, part: Part, lang: Lang) -> &Wordings {
        match part {
            Part::Train => self.train.of(lang),
            Part::Day => self.day.of(lang),
        }
    }
}

/// A ticket with what it asks for.
#[derive(Serialize)]
pub struct Line {
    #[serde(flatten)]
    pub ticket: Ticket,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub custom: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_request: Option<String>,
    /// What the request is about; without it nobody could carry the request out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_slot: Option<String>,
    /// The request that an ordinary ticket looks like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_near: Option<String>,
    /// What such a ticket really says, in the day's stream. Training tickets keep the bytes whose checksum the model that
    /// ships names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_near_kind: Option<Kind>,
}

/// The requests in a folder, in the order of their files' names.
pub fn load(dir: &Path, grammar: &Grammar) -> Result<Vec<Request>> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .with_context(|| format!("reading {}", dir.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.sort();
    let requests: Vec<Request> = files.iter().map(|file| read(file)).collect::<Result<_>>()?;
    for request in &requests {
        let name = &request.request;
        ensure!(grammar.leaf(&request.category).is_some(), "{name}: no such category");
        for wordings in [&request.train, &request.day].map(|both| [&both.en, &both.ko]).concat() {
            for templates in wordings.lists() {
                ensure!(!templates.is_empty(), "{name}: a list is empty");
                for template in templates {
                    grammar.check_slots(template).with_context(|| name.clone())?;
                }
            }
        }
        for near in [&request.day.en, &request.day.ko].into_iter().flat_map(|w| &w.near) {
            ensure!(near.kind().is_some(), "{name}: of which kind is {:?}?", near.text());
        }
    }
    Ok(requests)
}

/// Line `n` of a part.
pub fn line(grammar: &Grammar, requests: &[Request], seed: u64, part: Part, n: u32) -> Line {
    let mut rng = Rng::new(seed, part.stream() as u64, u64::from(n) | 1 << 40);
    let rng = &mut rng;
    let (asked, near) = part.shares();
    let at = rng.below(1_000);
    let mut line = if at < asked + near {
        asking(grammar, requests, part, at < asked, rng)
    } else {
        ordinary(grammar, seed, part, n)
    };
    let kind = match part {
        Part::Train => "REQ",
        Part::Day => "DAY",
    };
    line.ticket.ticket_id = format!("{kind}-{n:06}");
    line
}

fn ordinary(grammar: &Grammar, seed: u64, part: Part, n: u32) -> Line {
    let mut draws =
        (0..).map(|again| ticket(grammar, seed, part.stream(), n + again * 1_000_000, 0));
    let ticket = loop {
        if let Some(ticket) = draws.next().filter(|t| t.label_category != UNCLEAR) {
            break ticket;
        }
    };
    Line {
        ticket,
        custom: BTreeMap::new(),
        label_request: None,
        label_slot: None,
        label_near: None,
        label_near_kind: None,
    }
}

/// A request, or what only looks like one.
fn asking(grammar: &Grammar, requests: &[Request], part: Part, real: bool, rng: &mut Rng) -> Line {
    let request = &requests[rng.weighted(requests.iter().map(|request| request.weight))];
    let lang = if rng.chance(600) { Lang::En } else { Lang::Ko };
    let words = request.wordings(part, lang);
    let person = rng.pick(grammar.persons.of(lang));
    let value = value(request.value, rng);
    let leaf: &Leaf = grammar.leaf(&request.category).unwrap_or(&grammar.leaves[0]);
    let plan = Plan { leaf, impact: 2, urgency: 1, lang, person };

    let place = rng.below(100);
    let (in_field, in_text) = (place < 50, (50..95).contains(&place));
    let [_, ask, _, _, near] = words.lists();
    let said = Said {
        // A subject that asks would contradict a text that does not.
        subject: if real { &words.subject } else { &leaf.phrases(lang).subject },
        main: if real { &ask } else { &near },
        why: if real { &words.why } else { &[] },
        name: if real && in_text { &words.name } else { &[] },
        slot: &value,
    };
    let (text, main) = Writer::new(grammar, plan, rng).write_request(said);
    let mut custom = BTreeMap::new();
    if in_field {
        custom.insert(request.field.clone(), value.clone());
    }
    let tag = if lang == Lang::En { "en" } else { "ko" };
    let ticket = Ticket {
        ticket_id: String::new(),
        subject: text.subject,
        body: text.body,
        created_at: created_at(lang, false, rng),
        requester: person.mail.clone(),
        source: ["email", "portal", "chat"][rng.weighted([40, 45, 15].into_iter())],
        language: rng.chance(850).then_some(tag),
        reporter_category: None,
        impact: None,
        urgency: None,
        label_category: request.category.clone(),
        label_impact: LEVELS[plan.impact],
        label_urgency: LEVELS[plan.urgency],
    };
    Line {
        ticket,
        custom,
        label_request: real.then(|| request.request.clone()),
        label_slot: (real && (in_field || in_text)).then_some(value),
        label_near: (!real).then(|| request.request.clone()),
        label_near_kind: if real { None } else { words.near[main].kind() },
    }
}

/// What a request is about. People and machines are invented.
fn value(kind: Value, rng: &mut Rng) -> String {
    const FAMILY: [&str; 12] = [
        "kim",
        "lee",
        "park",
        "choi",
        "jung",
        "kang",
        "whitfield",
        "brandt",
        "okafor",
        "ferrante",
        "reyes",
        "tan",
    ];
    const GIVEN: [&str; 12] = [
        "minji", "doyun", "seoyeon", "jiho", "yuna", "hajun", "dana", "marcus", "priya", "lucia",
        "owen", "nora",
    ];
    match kind {
        Value::User => format!("{}.{}", rng.pick(&FAMILY), rng.pick(&GIVEN)),
        Value::Desktop => format!("vdi-{:04}", rng.below(10_000)),
        Value::Printer => format!("prn-{:04}", rng.below(10_000)),
    }
}
