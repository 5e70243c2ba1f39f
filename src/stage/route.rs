//! The route stage: reads each record as a ticket, decides, and writes exactly one main output.
//! Glue only; what is decided and why stands in [`crate::triage`].

use std::collections::BTreeMap;
use std::sync::Arc;

use prometheus::IntCounter;

use super::Stage;
use super::event::{self, Keep, Mode};
use super::size;
use crate::clock::now_ms;
use crate::desk;
use crate::log::{Batch, Origin, Outgoing, Record};
use crate::metrics::Metrics;
use crate::resolve::guard::Guard;
use crate::triage::Triage;
use crate::triage::decision::{Decision, Doubt, KnownRequest, Outcome};
use crate::triage::model::Scratch;
use crate::triage::text::redact::MaskKind;
use crate::triage::ticket::{Malformed, Ticket};

/// Where outputs go and in which form.
#[derive(Clone, Debug)]
pub struct RouteSettings {
    pub routed: Arc<str>,
    pub review: Arc<str>,
    pub dead: Arc<str>,
    /// Where the resolve stage reads what it is asked to do; none without playbooks.
    pub actions: Option<Arc<str>>,
    /// One topic a queue, named `<routed>.<queue>`, instead of one for all.
    pub topic_per_queue: bool,
    pub mode: Mode,
    /// `source` of the events: who says this.
    pub source: String,
    /// Largest input value, in bytes; a larger one is a dead letter.
    pub max_input_bytes: usize,
    /// Largest output, in bytes, with its key, its headers and what the log adds: what the log's
    /// topics take.
    pub max_output_bytes: usize,
}

impl RouteSettings {
    /// The topic of a routed ticket.
    pub fn routed_topic(&self, queue: &str) -> Arc<str> {
        if self.topic_per_queue {
            format!("{}.{queue}", self.routed).into()
        } else {
            Arc::clone(&self.routed)
        }
    }

    /// Every topic that the stage can write to, given the policy's queues.
    pub fn output_topics(&self, queues: &[String]) -> Vec<Arc<str>> {
        let mut topics: Vec<Arc<str>> = if self.topic_per_queue {
            queues.iter().map(|q| self.routed_topic(q)).collect()
        } else {
            vec![Arc::clone(&self.routed)]
        };
        topics.extend([Arc::clone(&self.review), Arc::clone(&self.dead)]);
        topics.extend(self.actions.clone());
        topics
    }

    /// The event for a decision, in the topic that it goes to.
    fn event(&self, record: &Record, ticket: &Ticket<'_>, decision: &Decision<'_>) -> Outgoing {
        let (topic, mode) = match (decision.outcome, &self.actions) {
            (Outcome::Review, _) => (Arc::clone(&self.review), self.mode),
            // The resolve stage reads one form only.
            (Outcome::Resolve, Some(actions)) => (Arc::clone(actions), Mode::Binary),
            (Outcome::Routed | Outcome::Resolve, _) => {
                (self.routed_topic(decision.queue), self.mode)
            }
        };
        event::decided(record, ticket, decision, topic, mode, &self.source)
    }
}

/// What to count once the batch is committed: an aborted batch comes again and must not count
/// twice.
enum Note {
    Decided {
        decisions: IntCounter,
        outcome: Outcome,
        doubt: Option<Doubt>,
        confidence: f64,
        held_by: Option<Guard>,
        masked: Vec<(&'static str, u32)>,
    },
    Dead(&'static str),
}

/// The route stage.
pub struct Route {
    triage: Arc<Triage>,
    settings: RouteSettings,
    metrics: Arc<Metrics>,
    scratch: Scratch,
    notes: Vec<(Origin, Note)>,
}

impl Route {
    pub fn new(triage: Arc<Triage>, settings: RouteSettings, metrics: Arc<Metrics>) -> Self {
        Self { triage, settings, metrics, scratch: Scratch::default(), notes: Vec::new() }
    }

    fn answer(&mut self, record: &Record) -> Result<Outgoing, Malformed> {
        let ticket = desk::parse(&desk::Input {
            value: record.value.as_deref(),
            headers: &record.headers,
            max_bytes: self.settings.max_input_bytes,
        })?;
        let limit = self.settings.max_output_bytes;
        let mut decision = self.triage.decide(&mut self.scratch, &ticket);
        let mut output = self.settings.event(record, &ticket, &decision);
        if decision.outcome == Outcome::Resolve && !size::leaves_room(&output, limit) {
            let known_request = decision.known_request.map(|known| KnownRequest {
                held_by: Some(Guard::NotRecorded),
                detail: Some(size::NO_ROOM.to_owned()),
                ..known
            });
            let unaided = self.triage.decide_unaided(&mut self.scratch, &ticket);
            decision = Decision { known_request, ..unaided };
            output = self.settings.event(record, &ticket, &decision);
        }
        size::check(&output, limit)?;
        let note = Note::Decided {
            decisions: self
                .metrics
                .decisions
                .with_label_values(&[decision.category.label, decision.queue]),
            outcome: decision.outcome,
            doubt: decision.review.as_ref().map(|r| r.reason),
            confidence: decision.category.confidence.0,
            held_by: decision.known_request.as_ref().and_then(|known| known.held_by),
            masked: decision.masked.iter().map(|(kind, n)| (*kind, *n)).collect(),
        };
        self.notes.push((record.origin.clone(), note));
        Ok(output)
    }

    fn dead(&mut self, record: &Record, malformed: &Malformed, keep: Keep) -> Outgoing {
        self.notes.push((record.origin.clone(), Note::Dead(malformed.reason())));
        event::dead(record, malformed, Arc::clone(&self.settings.dead), now_ms(), keep)
    }

    /// The dead letter that stands in for whatever was decided about the record before.
    fn refused(&mut self, record: &Record, keep: Keep) -> Outgoing {
        self.notes.retain(|(origin, _)| *origin != record.origin);
        self.dead(record, &Malformed::Refused, keep)
    }

    fn count(&self, note: &Note) {
        let m = &self.metrics;
        match note {
            Note::Decided { decisions, outcome, doubt, confidence, held_by, masked } => {
                decisions.inc();
                let outcome = outcome.as_str();
                m.records_out.with_label_values(&[outcome]).inc();
                m.confidence.with_label_values(&[outcome]).observe(*confidence);
                if let Some(doubt) = doubt {
                    m.reviews.with_label_values(&[doubt.as_str()]).inc();
                }
                if let Some(guard) = held_by {
                    m.resolve.guards.with_label_values(&[guard.as_str()]).inc();
                }
                for (kind, n) in masked {
                    m.masked.with_label_values(&[kind]).inc_by(u64::from(*n));
                }
            }
            Note::Dead(reason) => {
                m.records_out.with_label_values(&["dead"]).inc();
                m.malformed.with_label_values(&[reason]).inc();
            }
        }
    }
}

impl Stage for Route {
    fn run(&mut self, batch: &Batch) -> Vec<Outgoing> {
        self.notes.clear();
        let mut unreadable = Unreadable::default();
        let records = batch.records.iter();
        let outputs = records.map(|record| match self.answer(record) {
            Ok(output) => output,
            Err(malformed) => {
                unreadable.add(record, &malformed);
                self.dead(record, &malformed, Keep::Value)
            }
        });
        let outputs = outputs.collect();
        unreadable.log();
        outputs
    }

    fn refuse(&mut self, record: &Record) -> Outgoing {
        self.refused(record, Keep::Value)
    }

    fn refuse_by_reference(&mut self, record: &Record) -> Outgoing {
        self.refused(record, Keep::Reference)
    }

    fn committed(&mut self, _: &Batch) {
        for (_, note) in &self.notes {
            self.count(note);
        }
        self.notes.clear();
    }
}

/// Dead letters of one batch by reason: a flood of them must not become a flood of log lines.
#[derive(Default)]
struct Unreadable(BTreeMap<&'static str, (usize, Origin, String)>);

impl Unreadable {
    fn add(&mut self, record: &Record, malformed: &Malformed) {
        self.0
            .entry(malformed.reason())
            .or_insert_with(|| (0, record.origin.clone(), malformed.to_string()))
            .0 += 1;
    }

    fn log(&self) {
        for (reason, (records, first, error)) in &self.0 {
            tracing::warn!(reason, records, %first, error, "records go to the dead letters");
        }
    }
}

/// The kinds of masked data, for the metric's closed label set.
pub fn mask_kinds() -> Vec<&'static str> {
    MaskKind::ALL.iter().map(|k| k.as_str()).collect()
}
