//! The stage's world: topics in memory, a runbook on loopback, and processes that come and go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use triaged::controls::Controls;
use triaged::health::{Stop, WorkerHealth};
use triaged::log::memory::MemoryCluster;
use triaged::log::{Follow, Limit, LogError, NewRecord};
use triaged::metrics::{Labels, Metrics};
use triaged::playbook::{Library, TextFile};
use triaged::resolve::control::{Order, Switch};
use triaged::resolve::limits::{Cap, Limits, SwitchOff};
use triaged::stage::drive::Driver;
use triaged::stage::resolve::{LONGEST_BATCH, Parts, Resolve, ResolveSettings, Writer};
use triaged::stage::runbook::address::AddressFilter;
use triaged::stage::runbook::breaker::BreakerRule;
use triaged::stage::runbook::{Caller, CallerSettings};

use crate::playbook;
use crate::runbook::Runbook;

const LIMIT: Limit = Limit { records: 8, bytes: usize::MAX, linger: Duration::from_millis(1) };

const MANY: Cap = Cap { a_minute: 10_000, an_hour: 10_000 };

const LIMITS: Limits = Limits {
    playbook: MANY,
    requester: MANY,
    overall: MANY,
    switch_off: SwitchOff { of: 50, at_least: 50, failures: 0.5, reopenings: 0.5 },
    remember_ms: None,
};

/// A library of these files and this lock.
pub fn library(approved: &(Vec<TextFile>, String)) -> Arc<Library> {
    let (files, lock) = approved;
    Arc::new(Library::read(files, Some(lock.as_str())).expect("a playbook"))
}

/// Calls without repetitions, and without a breaker: not what most of these tests are about.
fn calls(runbook: &Runbook) -> CallerSettings {
    let mut settings = CallerSettings::new(vec![runbook.host().parse().expect("a host")]);
    let loopback = "127.0.0.0/8".parse().expect("a network");
    settings.addresses = AddressFilter::new(vec![loopback]).expect("a filter");
    settings.breaker = BreakerRule { minimum: 100_000, window: 100_000, ..BreakerRule::default() };
    settings.retries.attempts = 1;
    settings
}

/// A cluster with the stage's topics.
pub struct World {
    pub cluster: MemoryCluster,
    pub runbook: Runbook,
    pub delivery: &'static str,
    pub library: Arc<Library>,
    pub limits: Limits,
    /// How the runbook is called.
    pub calls: CallerSettings,
    pub longest_batch: Duration,
    /// The largest output that is written.
    pub max_output_bytes: usize,
    pub controls: Arc<Controls>,
    pub health: Arc<WorkerHealth>,
    pub metrics: Arc<Metrics>,
}

impl World {
    pub fn new(delivery: &'static str, runbook: Runbook) -> Self {
        let topics = ["tickets.actions", "tickets.feedback", "tickets.ledger", "tickets.outcomes"];
        let mut topics: Vec<_> = topics.into_iter().map(|topic| (topic, 1)).collect();
        topics.extend([("tickets.routed", 1), ("tickets.dead", 1)]);
        let controls = Controls::new(None);
        controls.apply([]);
        let text = playbook::text("unlock", runbook.port, delivery);
        Self {
            cluster: MemoryCluster::new(&topics),
            calls: calls(&runbook),
            longest_batch: LONGEST_BATCH,
            max_output_bytes: 1_000_000,
            runbook,
            delivery,
            library: library(&playbook::approved([text])),
            limits: LIMITS,
            controls,
            health: WorkerHealth::new(),
            metrics: Metrics::new(&Labels::default(), 1).expect("metrics"),
        }
    }

    /// The world's playbook, as it was before any edit.
    pub fn text(&self) -> String {
        playbook::text("unlock", self.runbook.port, self.delivery)
    }

    /// Approves the playbook as `edit` makes it.
    pub fn edit(&mut self, edit: impl FnOnce(String) -> String) {
        self.library = library(&playbook::approved([edit(self.text())]));
    }

    /// Approves the playbook with these tables in it, in which `HOST` stands for the runbook.
    pub fn add(&mut self, tables: &str) {
        let tables = tables.replace("HOST", &self.runbook.host());
        let reads_again = tables.contains("[unchanged]");
        self.edit(|text| {
            let text = if reads_again { text.replace(playbook::UNREAD, "") } else { text };
            text.replace("[undo]", &format!("{tables}\n[undo]"))
        });
    }

    pub fn put(&self, topic: &str, key: &str, value: &Value) {
        let record = NewRecord {
            key: Some(key.as_bytes().to_vec()),
            value: Some(value.to_string().into_bytes()),
            ..NewRecord::default()
        };
        self.cluster.put(topic, 0, record);
    }

    pub fn act(&self, id: &str) {
        self.put("tickets.actions", id, &action(id, "kim"));
    }

    pub fn stage(&self) -> Resolve {
        self.stage_reading(Box::new(self.cluster.follow("tickets.ledger")))
    }

    /// A stage that sees of the ledger what `ledger` shows.
    pub fn stage_reading(&self, ledger: Box<dyn Follow>) -> Resolve {
        let topic = |name: &str| Arc::<str>::from(name);
        Resolve::new(Parts {
            settings: ResolveSettings {
                limits: self.limits,
                priorities: vec!["P1".into(), "P2".into()],
                feedback: topic("tickets.feedback"),
                default_queue: topic("service-desk"),
                max_output_bytes: self.max_output_bytes,
                routed: Box::new(|_| "tickets.routed".into()),
                writer: Writer {
                    outcomes: topic("tickets.outcomes"),
                    ledger: topic("tickets.ledger"),
                    dead: topic("tickets.dead"),
                    source: String::from("/test"),
                },
            },
            library: Arc::clone(&self.library),
            caller: Caller::new(self.calls.clone(), Arc::new(())).expect("a caller"),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime"),
            controls: Arc::clone(&self.controls),
            topic: ledger,
            metrics: Arc::clone(&self.metrics),
            health: Arc::clone(&self.health),
            stop: Stop::new(),
        })
        .with_longest_batch(self.longest_batch)
    }

    /// Runs processes, one after the other as they die, until `outcomes` outcomes are there.
    pub fn run_until(&self, outcomes: usize) {
        for _ in 0..100 {
            let (mut stage, health) = (self.stage(), WorkerHealth::new());
            let inputs = ["tickets.actions", "tickets.feedback"];
            let mut log = self.cluster.join("resolve", "a", &inputs);
            let mut driver = Driver::new(LIMIT, &self.metrics, &health, 0);
            for _ in 0..200 {
                match driver.turn(&mut log, &mut stage) {
                    Ok(_) if self.cluster.committed("tickets.outcomes").len() >= outcomes => return,
                    Ok(_) => {}
                    Err(LogError::Fatal(_)) => break,
                    Err(other) => panic!("{other}"),
                }
            }
        }
        panic!("the outcomes never came");
    }

    /// Runs one process until it dies of a scheduled crash.
    pub fn run_until_it_dies(&self) {
        let (mut stage, health) = (self.stage(), WorkerHealth::new());
        let mut log = self.cluster.join("resolve", "a", &["tickets.actions", "tickets.feedback"]);
        let mut driver = Driver::new(LIMIT, &self.metrics, &health, 0);
        while driver.turn(&mut log, &mut stage).is_ok() {}
    }

    /// Runs one process: a turn with at most so many records for each of `limits`.
    pub fn run_turns(&self, limits: &[usize]) {
        let (mut stage, health) = (self.stage(), WorkerHealth::new());
        let mut log = self.cluster.join("resolve", "a", &["tickets.actions", "tickets.feedback"]);
        for records in limits {
            let limit = Limit { records: *records, ..LIMIT };
            let mut driver = Driver::new(limit, &self.metrics, &health, 0);
            driver.turn(&mut log, &mut stage).expect("the process goes on");
        }
    }

    /// Runs one turn of a process with this stage, which reads from where `group` stands.
    pub fn run_turn(&self, stage: &mut Resolve, group: &str) {
        let mut log = self.cluster.join(group, "a", &["tickets.actions", "tickets.feedback"]);
        let health = WorkerHealth::new();
        let mut driver = Driver::new(LIMIT, &self.metrics, &health, 0);
        driver.turn(&mut log, stage).expect("the process goes on");
    }

    pub fn values(&self, topic: &str) -> Vec<Value> {
        let records = self.cluster.committed(topic).into_iter();
        records
            .map(|c| serde_json::from_slice(&c.record.value.expect("a value")).expect("JSON"))
            .collect()
    }

    /// Outcomes by ticket, each ticket's in order.
    pub fn outcomes(&self) -> BTreeMap<String, Vec<(String, Option<String>)>> {
        let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for value in self.values("tickets.outcomes") {
            let text = |name: &str| value[name].as_str().map(str::to_owned);
            found
                .entry(text("ticket_id").expect("an id"))
                .or_default()
                .push((text("outcome").expect("an outcome"), text("reason")));
        }
        found
    }

    pub fn outcome(&self, id: &str) -> (String, Option<String>) {
        let all = self.outcomes();
        let of = &all[id];
        assert_eq!(of.len(), 1, "{of:?}");
        of[0].clone()
    }
}

pub fn action(id: &str, user: &str) -> Value {
    json!({
        "ticket_id": id,
        "outcome": "resolve",
        "queue": "service-desk",
        "category": { "label": "Account/Password" },
        "priority": { "label": "P2" },
        "language": "ko",
        "known_request": { "playbook": "unlock", "version": 1, "slots": { "user": user } },
        "ticket": {
            "ticket_id": id, "subject": "unlock", "body": "비밀번호", "user": user,
            "created_at": "2026-03-04T09:12:00+09:00", "requester": format!("{id}@example.com"),
            "source": "portal", "n": 1.50,
        },
    })
}

/// The same action, as an order to take it back.
pub fn undo(id: &str, user: &str) -> Value {
    let mut order = action(id, user);
    order["undo"] = json!({ "by": "ops" });
    order
}

/// What stops a call of the playbook: the kill switch, and a person who switches the playbook off.
pub fn stops() -> [Order; 2] {
    [Switch::Everything, Switch::Playbook(String::from("unlock"))].map(|switch| Order {
        switch,
        on: false,
        by: String::from("ops"),
        at_ms: 1,
    })
}

pub fn said(outcome: &str, reason: Option<&str>) -> (String, Option<String>) {
    (outcome.to_owned(), reason.map(str::to_owned))
}
