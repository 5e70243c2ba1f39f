//! From the configuration as written to checked settings.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::layers::Problem;
use super::matrix::matrix;
use super::resolve::{self, ResolveTopics, Stages};
use super::secret::secret;
use super::{
    AdminConfig, AsWritten, Config, EmbeddedConfig, KafkaConfig, KafkaSection, LogConfig,
    LogFormat, LoggingConfig, PolicySection, RouteSection, Secret, values,
};
use crate::log::{Limit, kafka};
use crate::stage::event::Mode;
use crate::stage::resolve::LONGEST_BATCH;
use crate::stage::route::RouteSettings;
use crate::triage::policy::{Pattern, Policy, Route};
use crate::triage::priority::Matrix;

/// What the poll interval must leave after the longest batch of calls: to write down what came of it.
const COMMIT_TIME: Duration = Duration::from_secs(30);

/// Problems found so far; checking goes on after each.
#[derive(Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, path: impl Into<String>, what: impl Into<String>) {
        self.0.push(Problem::new(path, what));
    }

    /// A number within bounds, or the lower bound and a problem.
    pub(super) fn within<T: TryFrom<i64> + Default>(
        &mut self,
        path: &str,
        n: i64,
        low: i64,
        high: i64,
    ) -> T {
        if !(low..=high).contains(&n) {
            self.add(path, format!("must be between {low} and {high}, not {n}"));
        }
        T::try_from(n.clamp(low, high)).unwrap_or_default()
    }

    /// A number from 1 on.
    pub(super) fn positive(&mut self, path: &str, n: i64) -> NonZeroU32 {
        NonZeroU32::new(self.within(path, n, 1, 1_000_000)).unwrap_or(NonZeroU32::MIN)
    }

    pub(super) fn millis(&mut self, path: &str, n: i64, low: i64, high: i64) -> Duration {
        Duration::from_millis(self.within(path, n, low, high))
    }

    pub(super) fn share(&mut self, path: &str, x: f64) -> f64 {
        if !(0.0..=1.0).contains(&x) {
            self.add(path, format!("must be between 0 and 1, not {x}"));
        }
        x
    }

    /// A name that can be a part of a topic's, or a metric label.
    pub(super) fn name(&mut self, path: &str, name: &str) -> Arc<str> {
        if name.is_empty() || name.len() > 200 || !values::is_plain(name) {
            self.add(path, "must be 1 to 200 of the characters a-z A-Z 0-9 . _ -");
        }
        name.into()
    }

    pub(super) fn topic(&mut self, path: &str, name: &str) -> Arc<str> {
        if !values::is_topic(name) {
            self.add(path, "must be 1 to 249 of the characters a-z A-Z 0-9 . _ -, not . or ..");
        }
        name.into()
    }
}

pub(super) fn check(written: AsWritten) -> Result<Config, Vec<Problem>> {
    let mut p = Problems::default();
    let stages = resolve::stages(&written.stages, &mut p);
    let inputs = inputs(&written.topics.input, &mut p);
    let mut route = RouteSettings {
        routed: p.topic("topics.routed", &written.topics.routed),
        review: p.topic("topics.review", &written.topics.review),
        dead: p.topic("topics.dead", &written.topics.dead),
        actions: None,
        topic_per_queue: written.topics.per_queue,
        mode: mode(&written.output.mode, &mut p),
        source: written.output.source,
        max_input_bytes: p.within("limits.input_bytes", written.limits.input_bytes, 1, 1 << 30),
        max_output_bytes: p.within(
            "limits.output_bytes",
            written.limits.output_bytes,
            1000,
            1_000_000_000, // librdkafka goes no further
        ),
    };
    if route.source.is_empty() {
        p.add("output.source", "must not be empty: it names who wrote the events");
    } else if !values::is_uri_reference(&route.source) {
        p.add("output.source", "must be a URI reference, such as /triaged or urn:desk:1");
    }
    let batch = Limit {
        records: p.within("batch.records", written.batch.records, 1, 100_000),
        bytes: p.within("batch.bytes", written.batch.bytes, 1, 1 << 30),
        linger: p.millis("batch.linger_ms", written.batch.linger_ms, 1, 10_000),
    };
    let log = match written.log.kind.as_str() {
        "embedded" => LogConfig::Embedded(EmbeddedConfig {
            dir: written.embedded.dir,
            group: p.name("kafka.group", &written.kafka.group).to_string(),
            retain: match p.within("embedded.retain_days", written.embedded.retain_days, 0, 36_500)
            {
                0 => None,
                days => Some(Duration::from_secs(days * 86_400)),
            },
        }),
        kind => {
            if kind != "kafka" {
                p.add("log.kind", "must be \"kafka\" or \"embedded\"");
            }
            LogConfig::Kafka(kafka(written.kafka, stages, &mut p))
        }
    };
    let matrix = matrix(written.priority, &mut p);
    let policy = policy(written.policy, matrix, &mut p);
    let resolve = resolve::resolve(written.resolve, &written.topics, stages, &mut p);
    let control = resolve::control(written.control, &mut p);
    all_apart(&inputs, &route, &resolve.topics, &policy, &mut p);
    route.actions = resolve.playbooks.is_some().then(|| Arc::clone(&resolve.topics.actions));
    let admin = AdminConfig {
        listen: written.admin.listen.parse().unwrap_or_else(|_| {
            p.add("admin.listen", "must be an address and a port, such as 127.0.0.1:9464");
            SocketAddr::from(([127, 0, 0, 1], 0))
        }),
        stuck_after: p.millis(
            "admin.stuck_after_ms",
            written.admin.stuck_after_ms,
            1000,
            3_600_000,
        ),
        stalled_after: p.millis(
            "admin.stalled_after_ms",
            written.admin.stalled_after_ms,
            1000,
            3_600_000,
        ),
    };
    let grace = p.millis("shutdown.grace_ms", written.shutdown.grace_ms, 0, 600_000);
    let logging = LoggingConfig {
        format: match written.logging.format.as_str() {
            "auto" => LogFormat::Auto,
            "json" => LogFormat::Json,
            "text" => LogFormat::Text,
            _ => {
                p.add("logging.format", "must be \"auto\", \"json\" or \"text\"");
                LogFormat::Auto
            }
        },
        level: values::directives(&written.logging.level).unwrap_or_else(|what| {
            p.add("logging.level", what);
            String::new()
        }),
    };
    if !p.0.is_empty() {
        return Err(p.0);
    }
    Ok(Config {
        stages,
        log,
        inputs,
        route,
        batch,
        model_dir: written.model.dir,
        policy,
        resolve,
        control,
        admin,
        grace,
        logging,
    })
}

fn inputs(names: &[String], p: &mut Problems) -> Vec<Arc<str>> {
    if names.is_empty() {
        p.add("topics.input", "must name at least one topic");
    }
    let mut inputs: Vec<Arc<str>> = Vec::new();
    for (i, name) in names.iter().enumerate() {
        let name = p.topic(&format!("topics.input[{i}]"), name);
        if inputs.contains(&name) {
            p.add(format!("topics.input[{i}]"), "is named twice");
        }
        inputs.push(name);
    }
    inputs
}

fn mode(text: &str, p: &mut Problems) -> Mode {
    match text {
        "binary" => Mode::Binary,
        "structured" => Mode::Structured,
        _ => {
            p.add("output.mode", "must be \"binary\" or \"structured\"");
            Mode::Binary
        }
    }
}

/// A topic that is both read and written would feed the stage its own outputs for ever, and no two
/// kinds of records may share one.
fn all_apart(
    inputs: &[Arc<str>],
    route: &RouteSettings,
    resolve: &ResolveTopics,
    policy: &Policy,
    p: &mut Problems,
) {
    let mut topics = route.output_topics(&policy.queues());
    for queue in policy.queues().iter().filter(|_| route.topic_per_queue) {
        let length = route.routed.len() + 1 + queue.len();
        if values::is_topic(&route.routed) && length > values::TOPIC_LENGTH {
            p.add("topics.per_queue", format!("the topic of queue {queue} would be too long"));
        }
    }
    let ResolveTopics { actions, outcomes, ledger, control, feedback } = resolve;
    topics.extend([actions, outcomes, ledger, control, feedback].map(Arc::clone));
    topics.extend(inputs.iter().map(Arc::clone));
    topics.sort();
    let twice = topics.windows(2).filter(|pair| pair[0] == pair[1]);
    for name in twice.map(|pair| Arc::clone(&pair[0])).collect::<BTreeSet<_>>() {
        p.add("topics", format!("{name} has two uses: each needs a topic of its own"));
    }
}

fn kafka(section: KafkaSection, stages: Stages, p: &mut Problems) -> KafkaConfig {
    if section.brokers.trim().is_empty() {
        p.add("kafka.brokers", "must name at least one host:port");
    }
    let group = p.name("kafka.group", &section.group);
    let instance = if section.name.is_empty() { hostname() } else { Some(section.name) };
    let instance = instance.unwrap_or_else(|| {
        p.add("kafka.name", "is empty and the host has no name: give this instance a stable one");
        String::from("x")
    });
    let instance = p.name("kafka.name", &instance);
    if !["none", "gzip", "snappy", "lz4", "zstd"].contains(&section.compression.as_str()) {
        p.add("kafka.compression", "must be none, gzip, snappy, lz4 or zstd");
    }
    let session = p.millis("kafka.session_timeout_ms", section.session_timeout_ms, 3000, 600_000);
    let max_poll =
        p.millis("kafka.max_poll_interval_ms", section.max_poll_interval_ms, 10_000, 86_400_000);
    if max_poll < session {
        p.add("kafka.max_poll_interval_ms", "must not be less than kafka.session_timeout_ms");
    }
    let least = LONGEST_BATCH + COMMIT_TIME;
    if stages.resolve && max_poll < least {
        let (least, longest) = (least.as_millis(), LONGEST_BATCH.as_secs());
        let what = format!(
            "must be at least {least} where stages.run has \"resolve\": a batch of calls may take \
             {longest} s, and after the interval another instance takes over what is still being called"
        );
        p.add("kafka.max_poll_interval_ms", what);
    }
    let mut properties = BTreeMap::new();
    for (key, value) in section.properties {
        let text = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(n) => n.to_string(),
            toml::Value::Boolean(b) => b.to_string(),
            toml::Value::Float(x) => x.to_string(),
            _ => {
                p.add(format!("kafka.properties.{key}"), "must be a string");
                continue;
            }
        };
        refuse("properties", &key, &text, p);
        properties.insert(key, Secret::new(text));
    }
    for (key, value) in section.secrets {
        match secret(&value) {
            Ok(secret) => {
                refuse("secrets", &key, secret.reveal(), p);
                properties.insert(key, secret);
            }
            Err(what) => p.add(format!("kafka.secrets.{key}"), what),
        }
    }
    KafkaConfig {
        brokers: section.brokers,
        name: format!("{group}-{instance}"),
        group: group.to_string(),
        workers: p.within("kafka.workers", section.workers, 1, 256),
        session_timeout: session,
        max_poll_interval: max_poll,
        transaction_timeout: p.millis(
            "kafka.transaction_timeout_ms",
            section.transaction_timeout_ms,
            5000,
            900_000,
        ),
        compression: section.compression,
        properties,
    }
}

fn refuse(section: &str, key: &str, value: &str, p: &mut Problems) {
    if let Some(why) = kafka::refused_property(key, value) {
        p.add(format!("kafka.{section}.{key}"), format!("is refused: {why}"));
    }
}

fn hostname() -> Option<String> {
    let from_env = std::env::var("HOSTNAME").ok();
    let name = from_env.or_else(|| std::fs::read_to_string("/etc/hostname").ok())?;
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

fn policy(section: PolicySection, matrix: Matrix, p: &mut Problems) -> Policy {
    if section.version.trim().is_empty() {
        p.add("policy.version", "must not be empty: it goes into every event");
    }
    let routes = section.routes.into_iter().enumerate();
    let routes = routes.map(|(i, route)| self::route(i, route, &matrix, p)).collect();
    Policy {
        version: section.version.into(),
        default_queue: p.name("policy.default_queue", &section.default_queue),
        min_confidence: p.share("policy.min_confidence", section.min_confidence),
        thresholds: thresholds(section.thresholds, p),
        min_margin: p.share("policy.min_margin", section.min_margin),
        min_known_words: p.within("policy.min_known_words", section.min_known_words, 0, 10_000),
        max_unknown_share: p.share("policy.max_unknown_share", section.max_unknown_share),
        matrix,
        routes,
    }
}

fn thresholds(section: BTreeMap<String, toml::Value>, p: &mut Problems) -> BTreeMap<String, f64> {
    let mut thresholds = BTreeMap::new();
    for (label, value) in section {
        let number = value.as_float().or_else(|| value.as_integer().map(|n| n as f64));
        match number.filter(|t| (0.0..=2.0).contains(t)) {
            Some(threshold) => {
                thresholds.insert(label, threshold);
            }
            None => p.add(
                format!("policy.thresholds.{label}"),
                format!("must be a number from 0 to 1, or 1.01 for never, not {value}"),
            ),
        }
    }
    thresholds
}

fn route(i: usize, section: RouteSection, matrix: &Matrix, p: &mut Problems) -> Route {
    let path = format!("policy.routes[{i}]");
    let mut priority = Vec::new();
    for name in &section.priority {
        match matrix.priority(name) {
            Some(index) => priority.push(index),
            // Without a matrix, which was noted, there is none.
            None if matrix.priorities.is_empty() => {}
            None => {
                let known = matrix.priorities.join(", ");
                p.add(format!("{path}.priority"), format!("{name} is not one of {known}"));
            }
        }
    }
    Route {
        category: section.category.iter().map(|c| Pattern::new(c)).collect(),
        priority,
        source: section.source,
        language: section.language,
        queue: p.name(&format!("{path}.queue"), &section.queue),
    }
}
