//! The resolve stage: carries out what playbooks say about known requests. Calls are made outside
//! any transaction; what came of them, what the ledger has to remember and the positions are
//! committed in one.
//!
//! A batch is planned against the ledger ([`plan`]), its calls are in flight together
//! ([`perform`]), and the batch is committed when the last of them has ended. A call that was made
//! in an attempt that was aborted is not made again in this process; in another one, which finds
//! its start in the ledger, it is made with the same idempotency key, or, at most once, never.

mod answer;
mod calls;
mod input;
mod kept;
mod note;
mod outcome;
mod perform;
mod plan;
mod settle;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::runtime::Runtime;

use self::answer::entry;
pub use self::calls::LONGEST_BATCH;
pub use self::input::UndoOrder;
use self::kept::Kept;
use self::note::Note;
pub use self::outcome::{
    CAME_BACK_TYPE, Came, CameBackSchema, OUTCOME_TYPE, Outcome, OutcomeSchema, UndoBy, Writer,
};
use self::plan::{Plan, Planner, Verdict};
use super::Stage;
use super::event::Keep;
use super::runbook::Caller;
use crate::clock::now_ms;
use crate::controls::Controls;
use crate::health::{Stop, WorkerHealth};
use crate::log::{Batch, Follow, LogError, Outgoing, Record};
use crate::metrics::Metrics;
use crate::playbook::Library;
use crate::resolve::admissions::Admissions;
use crate::resolve::ledger::{Ledger, Line, State};
use crate::resolve::limits::Limits;
use crate::triage::ticket::Malformed;

/// The topic of a queue.
pub type TopicOf = Box<dyn Fn(&str) -> Arc<str> + Send>;

/// What the stage is told.
pub struct ResolveSettings {
    pub limits: Limits,
    /// The matrix' priorities, the highest first.
    pub priorities: Vec<Arc<str>>,
    pub feedback: Arc<str>,
    /// Where a handed-back ticket goes, by queue.
    pub routed: TopicOf,
    /// For feedback about tickets whose playbook is gone.
    pub default_queue: Arc<str>,
    /// Largest output, in bytes, with its key, its headers and what the log adds.
    pub max_output_bytes: usize,
    pub writer: Writer,
}

/// What the stage stands between.
pub struct Parts {
    pub settings: ResolveSettings,
    pub library: Arc<Library>,
    pub caller: Caller,
    /// Drives the calls.
    pub runtime: Runtime,
    pub controls: Arc<Controls>,
    /// The ledger's topic.
    pub topic: Box<dyn Follow>,
    pub metrics: Arc<Metrics>,
    pub health: Arc<WorkerHealth>,
    pub stop: Stop,
}

/// The stage.
pub struct Resolve {
    parts: Parts,
    ledger: Ledger,
    plans: Vec<Plan>,
    /// Calls of attempts that were aborted.
    kept: Kept,
    notes: Vec<Note>,
    /// Playbooks that go off with the batch.
    went_off: Vec<String>,
    /// When the batch came.
    begun: Instant,
    /// How long after that the last of its calls ends.
    longest: Duration,
}

impl Resolve {
    pub fn new(parts: Parts) -> Self {
        Self {
            parts,
            ledger: Ledger::default(),
            plans: Vec::new(),
            kept: Kept::default(),
            notes: Vec::new(),
            went_off: Vec::new(),
            begun: Instant::now(),
            longest: LONGEST_BATCH,
        }
    }

    /// The same with another longest time for a batch: tests cannot wait for minutes.
    #[doc(hidden)]
    #[must_use]
    pub fn with_longest_batch(self, longest: Duration) -> Self {
        Self { longest, ..self }
    }

    /// Takes in what was added to the ledger's topic. Worth a call before the first batch as well:
    /// from then on it shows which playbooks are off.
    ///
    /// # Errors
    /// [`LogError::Aborted`] when the service stops meanwhile, [`LogError::Fatal`] when the topic
    /// cannot be read.
    pub fn catch_up(&mut self) -> Result<(), LogError> {
        // Before the first reading too: a topic of years must not be in memory even for a moment.
        if let Some(age_ms) = self.parts.settings.limits.remember_ms {
            self.ledger.forget(now_ms(), age_ms);
        }
        let ledger = &mut self.ledger;
        self.parts.topic.catch_up(&mut |record| match record
            .value
            .as_deref()
            .map(serde_json::from_slice)
        {
            Some(Ok(line)) => ledger.apply(line),
            Some(Err(_)) => {
                tracing::warn!(origin = %record.origin, "no line of the ledger, skipped");
            }
            None => {}
        })?;
        self.parts
            .metrics
            .resolve
            .remembered
            .set(i64::try_from(self.ledger.len()).unwrap_or(i64::MAX));
        self.tell_off();
        Ok(())
    }

    /// Tells the switches, which show it, what playbooks are off by themselves.
    fn tell_off(&self) {
        let controls = &self.parts.controls;
        for id in self.parts.library.iter().map(|playbook| &playbook.id) {
            let on_again = controls.on_again_ms(id);
            let is_off = self.went_off.contains(id) || self.ledger.is_off(id, on_again);
            // Just after the order that it follows, which may be ahead of our clock.
            controls.went_off(id, if is_off { on_again.saturating_add(1) } else { i64::MIN });
        }
    }

    fn planner(&self) -> Planner<'_> {
        Planner {
            library: &self.parts.library,
            controls: &self.parts.controls,
            priorities: &self.parts.settings.priorities,
            feedback: &self.parts.settings.feedback,
            max_output_bytes: self.parts.settings.max_output_bytes,
            now: Timestamp::now(),
        }
    }

    /// Lets go of calls that another process has settled, as the ledger says.
    fn drop_settled(&mut self, batch: &Batch) {
        for (plan, record) in self.plans.iter().zip(&batch.records) {
            let settled = match plan {
                Plan::Act(_, verdict) => *verdict != Verdict::Kept,
                Plan::Undo(action) => {
                    let known = self.ledger.find(&action.ticket_id);
                    known.is_some_and(|k| matches!(k.state, State::Undone | State::HandedBack))
                }
                Plan::Dead(_) | Plan::Feedback(_) => false,
            };
            if settled {
                self.kept.drop_one(&record.origin);
            }
        }
    }

    fn dead(&mut self, record: &Record, malformed: &Malformed, keep: Keep) -> Outgoing {
        self.notes.retain(|note| note.origin != record.origin);
        self.notes.push(Note {
            origin: record.origin.clone(),
            playbook: String::new(),
            came: None,
            guard: None,
            since_ms: None,
            dead: Some(malformed.reason()),
        });
        let now_ms = now_ms();
        self.parts.settings.writer.dead(record, malformed, now_ms, keep)
    }
}

impl Stage for Resolve {
    fn prepare(&mut self, batch: &Batch) -> Result<Vec<Outgoing>, LogError> {
        self.begun = Instant::now();
        self.went_off.clear();
        self.catch_up()?;
        // Not before: a ledger that cannot be read is no work.
        self.parts.health.works_for(self.longest);
        self.kept.drop_before(&batch.from);
        let mut admissions = Admissions::new(&self.ledger, &self.parts.settings.limits);
        let planner = self.planner();
        let kept = |record: &Record| self.kept.has(&record.origin);
        let records = batch.records.iter();
        let plans = records.map(|record| planner.plan(record, kept(record), &mut admissions));
        self.plans = plans.collect();
        self.drop_settled(batch);
        let started = self.plans.iter().zip(&batch.records).filter_map(|(plan, record)| {
            let Plan::Act(action, Verdict::Go { called_ms }) = plan else { return None };
            let on_ms = self.parts.controls.on_again_ms(&action.known_request.playbook);
            let entry = entry(action, State::Started, Some(*called_ms), Some(on_ms));
            Some(self.parts.settings.writer.line(record, &Line::Ticket(entry)))
        });
        Ok(started.collect())
    }

    fn run(&mut self, batch: &Batch) -> Vec<Outgoing> {
        self.notes.clear();
        let mut plans = std::mem::take(&mut self.plans);
        self.check_started(&mut plans);
        self.act_all(&plans, batch);
        self.undo_all(&plans, batch);
        let mut now = HashMap::new();
        let mut outputs = Vec::with_capacity(batch.records.len() * 3);
        for (plan, record) in plans.iter().zip(&batch.records) {
            outputs.extend(self.answer(plan, record, &mut now));
        }
        outputs.extend(self.switch_off(&plans, batch, &now));
        outputs
    }

    fn refuse(&mut self, record: &Record) -> Outgoing {
        self.dead(record, &Malformed::Refused, Keep::Value)
    }

    fn refuse_by_reference(&mut self, record: &Record) -> Outgoing {
        self.dead(record, &Malformed::Refused, Keep::Reference)
    }

    fn stays(&self, output: &Outgoing) -> bool {
        // What was done is never to be done again, whether or not it could be told.
        output.topic == self.parts.settings.writer.ledger
    }

    fn committed(&mut self, batch: &Batch) {
        for note in &self.notes {
            note.count(&self.parts.metrics, &self.parts.library);
        }
        self.notes.clear();
        // The batch may be shorter than the one whose calls were made: the rest comes again.
        for record in &batch.records {
            self.kept.drop_one(&record.origin);
        }
        // Not with the next batch, which may be hours away.
        self.tell_off();
    }
}
