//! A whole ticket: its labels first, then the text and the reporter's own, less reliable, hints.

use serde::Serialize;

use crate::grammar::{Grammar, Lang, Leaf};
use crate::rng::Rng;
use crate::text::{Plan, Writer};

pub const LEVELS: [&str; 3] = ["1-high", "2-medium", "3-low"];

#[derive(Serialize)]
pub struct Ticket {
    pub ticket_id: String,
    pub subject: String,
    pub body: String,
    pub created_at: String,
    pub requester: String,
    pub source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reporter_category: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impact: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub urgency: Option<&'static str>,
    pub label_category: String,
    pub label_impact: &'static str,
    pub label_urgency: &'static str,
}

/// Each file draws from a stream of its own.
#[derive(Clone, Copy, PartialEq)]
pub enum Stream {
    Training,
    Demo,
    RequestsTrain,
    RequestsDay,
}

/// Ticket `n` of a stream, with a text of at least so many bytes.
pub fn ticket(grammar: &Grammar, seed: u64, stream: Stream, n: u32, bytes: usize) -> Ticket {
    let mut rng = Rng::new(seed, stream as u64, u64::from(n));
    let rng = &mut rng;

    let leaf = &grammar.leaves[rng.weighted(grammar.leaves.iter().map(|leaf| leaf.weight))];
    let impact = rng.weighted(leaf.impact.into_iter());
    let mut urgency = rng.weighted(leaf.urgency.into_iter());
    // What hits many people is seldom left for later.
    if impact == 0 {
        urgency = urgency.min(rng.weighted(leaf.urgency.into_iter()));
    }

    let (lang, both) = match rng.below(100) {
        // Alerts, all English, come on top of these.
        0..57 => (Lang::En, false),
        57..95 => (Lang::Ko, false),
        _ => (if rng.chance(400) { Lang::En } else { Lang::Ko }, true),
    };
    let alert = !leaf.alert.is_empty() && rng.chance(220);
    let lang = if alert { Lang::En } else { lang };
    let person = rng.pick(grammar.persons.of(lang));
    let plan = Plan { leaf, impact, urgency, lang, person };
    let writer = Writer::new(grammar, plan, rng);
    let mut text = match (alert, both) {
        (true, _) => writer.write_alert(),
        (false, true) => writer.write_both(),
        (false, false) => writer.write(),
    };
    while text.subject.len() + text.body.len() < bytes {
        text.body.push_str("\n\n");
        text.body.push_str(&Writer::new(grammar, plan, rng).write_more());
    }

    let source = if alert {
        "monitoring"
    } else {
        ["email", "portal", "chat", "phone"][rng.weighted([40, 35, 17, 8].into_iter())]
    };
    let tag = if lang == Lang::En { "en" } else { "ko" };
    let label = match stream {
        Stream::Training if rng.chance(30) => mislabel(grammar, leaf, rng),
        _ => leaf,
    };
    Ticket {
        ticket_id: match stream {
            Stream::Training => format!("SYN-{n:06}"),
            _ => format!("SYN-{:06}", 900_000 + n),
        },
        subject: text.subject,
        body: text.body,
        created_at: created_at(lang, alert, rng),
        requester: if alert { "monitoring@example.com".to_owned() } else { person.mail.clone() },
        source,
        language: rng.chance(850).then_some(tag),
        reporter_category: if alert { None } else { reporter_category(grammar, leaf, lang, rng) },
        impact: rng.chance(600).then(|| LEVELS[hint(impact, rng)]),
        urgency: rng.chance(600).then(|| LEVELS[hint(urgency, rng)]),
        label_category: label.label.clone(),
        label_impact: LEVELS[impact],
        label_urgency: LEVELS[urgency],
    }
}

/// A wrong label as tired people set it: a near leaf, or whatever was first in the list.
fn mislabel<'a>(grammar: &'a Grammar, leaf: &'a Leaf, rng: &mut Rng) -> &'a Leaf {
    if rng.chance(700) {
        let label = rng.pick(&leaf.near);
        return grammar.leaf(label).unwrap_or(leaf);
    }
    rng.pick(&grammar.leaves)
}

/// A reporter's level: right, inflated by one, or anything.
fn hint(level: usize, rng: &mut Rng) -> usize {
    match rng.below(100) {
        0..50 => level,
        50..85 => level.saturating_sub(1),
        _ => rng.below(3),
    }
}

/// What the reporter picked in the form: the right top level in two of five, something vague, or a neighbour's.
fn reporter_category(grammar: &Grammar, leaf: &Leaf, lang: Lang, rng: &mut Rng) -> Option<String> {
    if !rng.chance(450) {
        return None;
    }
    let top = |label: &str| label.split('/').next().unwrap_or(label).to_owned();
    Some(match rng.below(100) {
        0..40 => top(&leaf.label),
        40..75 => rng.pick(&grammar.pools.of(lang).vague_category).clone(),
        75..90 => {
            let near: &String = rng.pick(&leaf.near);
            top(near)
        }
        _ => top(&rng.pick(&grammar.leaves).label),
    })
}

/// A moment of the first half of 2026, by the wall clock of the reporter's office: mostly working days and hours, alerts at any time.
pub fn created_at(lang: Lang, alert: bool, rng: &mut Rng) -> String {
    const MONTHS: [usize; 6] = [31, 28, 31, 30, 31, 30];
    // 1 January 2026 is a Thursday: Saturdays are the days 2, 9, ...
    let mut day = rng.below(MONTHS.iter().sum());
    while matches!(day % 7, 2 | 3) && !alert && rng.chance(900) {
        day = rng.below(MONTHS.iter().sum());
    }
    let by_hour =
        [1, 1, 1, 1, 1, 2, 5, 20, 60, 100, 90, 70, 40, 75, 85, 75, 60, 40, 20, 10, 6, 5, 3, 2];
    let hour = if alert { rng.below(24) } else { rng.weighted(by_hour.into_iter()) };
    let (minute, second) = (rng.below(60), rng.below(60));
    let zone = match lang {
        Lang::Ko => "+09:00",
        Lang::En => {
            ["+00:00", "+01:00", "-05:00", "+09:00"][rng.weighted([35, 25, 20, 20].into_iter())]
        }
    };
    let mut month = 0;
    while day >= MONTHS[month] {
        day -= MONTHS[month];
        month += 1;
    }
    format!("2026-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}{zone}", month + 1, day + 1)
}
