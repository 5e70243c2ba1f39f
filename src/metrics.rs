//! Every metric: its name, help, labels and buckets, in this one place. Label sets are closed and
//! start at zero, so that a missing series always means a broken scrape.

mod resolve;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

pub use self::resolve::{ACTION_OUTCOMES, ResolveMetrics};
use crate::log::AbortReason;

/// Why a producer was thrown away and made anew. A closed list: it is a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecreateReason {
    /// The connection broke while a transaction was open or ending.
    Disconnect,
    /// A commit or abort was retried, so its outcome was unknown for a while.
    Indefinite,
    /// librdkafka called the producer's state fatal (fenced, timed out).
    Fatal,
    /// `init_transactions` did not succeed with this producer.
    Init,
    /// The broker refused a record, which leaves a gap in the numbers of those that follow.
    Refused,
}

impl RecreateReason {
    pub const ALL: [Self; 5] =
        [Self::Disconnect, Self::Indefinite, Self::Fatal, Self::Init, Self::Refused];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disconnect => "disconnect",
            Self::Indefinite => "indefinite",
            Self::Fatal => "fatal",
            Self::Init => "init",
            Self::Refused => "refused",
        }
    }
}

/// The label values that are known only at run time; they bound the number of series.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    /// Every category of the loaded model.
    pub categories: Vec<String>,
    /// Every queue that the policy can name.
    pub queues: Vec<String>,
    /// Input topics.
    pub topics: Vec<String>,
    /// Reasons of malformed input.
    pub malformed: Vec<&'static str>,
    /// Kinds of masked personal data.
    pub masks: Vec<&'static str>,
    /// Reasons for review.
    pub doubts: Vec<&'static str>,
    /// Every playbook.
    pub playbooks: Vec<String>,
    /// Every host of runbooks.
    pub hosts: Vec<String>,
    /// Reasons of failed calls.
    pub failures: Vec<&'static str>,
}

/// Outcomes of a record: the values of the label `outcome`.
pub const OUTCOMES: [&str; 4] = ["routed", "review", "resolve", "dead"];

/// All metrics of the process.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    pub records_in: IntCounterVec,
    pub records_out: IntCounterVec,
    pub decisions: IntCounterVec,
    pub confidence: HistogramVec,
    pub reviews: IntCounterVec,
    pub malformed: IntCounterVec,
    pub masked: IntCounterVec,
    pub stage_seconds: Histogram,
    pub commit_seconds: Histogram,
    pub batch_records: Histogram,
    pub transactions: IntCounterVec,
    pub aborts: IntCounterVec,
    pub producer_recreations: IntCounterVec,
    pub consumer_rebuilds: IntCounter,
    pub rebalances: IntCounterVec,
    pub lag_messages: IntGaugeVec,
    pub lag_seconds: GaugeVec,
    pub assigned_partitions: IntGaugeVec,
    pub unassigned_partitions: IntGaugeVec,
    pub last_poll: GaugeVec,
    pub last_commit: GaugeVec,
    pub model_info: IntGaugeVec,
    pub build_info: IntGaugeVec,
    pub ready: Gauge,
    pub resolve: ResolveMetrics,
}

const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0];
const RECORDS: [f64; 12] =
    [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2000.0, 5000.0];
const CONFIDENCE: [f64; 11] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0];

/// Registers metrics one by one; a name that is registered twice is a programming error that the
/// first start of any test shows.
struct Maker<'a>(&'a Registry);

impl Maker<'_> {
    fn register<C: prometheus::core::Collector + Clone + 'static>(
        &self,
        collector: prometheus::Result<C>,
    ) -> prometheus::Result<C> {
        let collector = collector?;
        self.0.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntCounterVec> {
        self.register(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn int_gauges(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntGaugeVec> {
        self.register(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<GaugeVec> {
        self.register(GaugeVec::new(Opts::new(name, help), labels))
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> prometheus::Result<Histogram> {
        self.register(Histogram::with_opts(
            HistogramOpts::new(name, help).buckets(buckets.to_vec()),
        ))
    }
}

impl Metrics {
    /// All metrics, every label set at zero, for `workers` workers.
    ///
    /// # Errors
    /// Only if two metrics have one name, which is a defect.
    pub fn new(labels: &Labels, workers: usize) -> prometheus::Result<Arc<Self>> {
        let registry = Registry::new();
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        let make = Maker(&registry);
        let metrics = Self {
            records_in: make.counters(
                "triaged_records_in_total",
                "Records of committed batches, by input topic.",
                &["topic"],
            )?,
            records_out: make.counters(
                "triaged_records_out_total",
                "Records written and committed, by outcome.",
                &["outcome"],
            )?,
            decisions: make.counters(
                "triaged_decisions_total",
                "Committed decisions, by category and by the queue routed to or proposed.",
                &["category", "queue"],
            )?,
            confidence: make.register(HistogramVec::new(
                HistogramOpts::new(
                    "triaged_confidence_ratio",
                    "Calibrated confidence of the category, by outcome.",
                )
                .buckets(CONFIDENCE.to_vec()),
                &["outcome"],
            ))?,
            reviews: make.counters(
                "triaged_reviews_total",
                "Tickets left to people, by reason.",
                &["reason"],
            )?,
            malformed: make.counters(
                "triaged_malformed_total",
                "Records that could not be read and went to the dead letters, by reason.",
                &["reason"],
            )?,
            masked: make.counters(
                "triaged_masked_total",
                "Pieces of personal data masked before the text was looked at, by kind.",
                &["kind"],
            )?,
            stage_seconds: make.histogram(
                "triaged_stage_seconds",
                "Time in the stage (parse, decide, encode) for one batch.",
                &SECONDS,
            )?,
            commit_seconds: make.histogram(
                "triaged_commit_seconds",
                "Time from begin to commit of one batch.",
                &SECONDS,
            )?,
            batch_records: make.histogram(
                "triaged_batch_records",
                "Records in one batch.",
                &RECORDS,
            )?,
            transactions: make.counters(
                "triaged_transactions_total",
                "Transactions, by result.",
                &["result"],
            )?,
            aborts: make.counters(
                "triaged_aborts_total",
                "Batches that were not committed and will be read again, by reason.",
                &["reason"],
            )?,
            producer_recreations: make.counters(
                "triaged_producer_recreations_total",
                "Producers thrown away and made anew to keep the guarantee, by reason.",
                &["reason"],
            )?,
            consumer_rebuilds: make.register(IntCounter::new(
                "triaged_consumer_rebuilds_total",
                "Consumers rebuilt since the start, after being fenced or failing fatally.",
            ))?,
            rebalances: make.counters(
                "triaged_rebalances_total",
                "Rebalances seen, by kind.",
                &["kind"],
            )?,
            lag_messages: make.int_gauges(
                "triaged_lag_messages",
                "Messages between this worker's position and the last stable offset, by input topic.",
                &["topic", "worker"],
            )?,
            unassigned_partitions: make.int_gauges(
                "triaged_unassigned_partitions",
                "Partitions of an input topic that no member of the group has, when last looked.",
                &["topic"],
            )?,
            lag_seconds: make.gauges(
                "triaged_lag_seconds",
                "Age of the oldest record of the last batch while there is lag, else 0.",
                &["worker"],
            )?,
            assigned_partitions: make.int_gauges(
                "triaged_assigned_partitions",
                "Partitions this worker holds.",
                &["worker"],
            )?,
            last_poll: make.gauges(
                "triaged_last_poll_timestamp_seconds",
                "Unix time of the worker's last poll.",
                &["worker"],
            )?,
            last_commit: make.gauges(
                "triaged_last_commit_timestamp_seconds",
                "Unix time of the worker's last commit; 0 before the first.",
                &["worker"],
            )?,
            model_info: make.int_gauges(
                "triaged_model_info",
                "1 for the model in use.",
                &["id", "version"],
            )?,
            build_info: make.int_gauges("triaged_build_info", "1 for this build.", &["version"])?,
            ready: make.register(Gauge::new(
                "triaged_ready",
                "1 while the process is ready, as /readyz says.",
            ))?,
            resolve: ResolveMetrics::new(&registry)?,
            registry: registry.clone(),
        };
        metrics.start_at_zero(labels, workers);
        Ok(Arc::new(metrics))
    }

    fn start_at_zero(&self, labels: &Labels, workers: usize) {
        let zero = |family: &IntCounterVec, values: &mut dyn Iterator<Item = &str>| {
            for value in values {
                family.with_label_values(&[value]);
            }
        };
        zero(&self.records_in, &mut labels.topics.iter().map(String::as_str));
        zero(&self.records_out, &mut OUTCOMES.into_iter());
        zero(&self.reviews, &mut labels.doubts.iter().copied());
        zero(&self.malformed, &mut labels.malformed.iter().copied());
        zero(&self.masked, &mut labels.masks.iter().copied());
        zero(&self.transactions, &mut ["committed", "aborted"].into_iter());
        zero(&self.aborts, &mut AbortReason::ALL.iter().map(|r| r.as_str()));
        zero(&self.producer_recreations, &mut RecreateReason::ALL.iter().map(|r| r.as_str()));
        zero(&self.rebalances, &mut ["assigned", "revoked", "lost"].into_iter());
        for outcome in ["routed", "review", "resolve"] {
            self.confidence.with_label_values(&[outcome]);
        }
        for category in &labels.categories {
            for queue in &labels.queues {
                self.decisions.with_label_values(&[category, queue]);
            }
        }
        for worker in 0..workers {
            let worker = worker.to_string();
            self.lag_seconds.with_label_values(&[&worker]);
            self.assigned_partitions.with_label_values(&[&worker]);
            self.last_poll.with_label_values(&[&worker]);
            self.last_commit.with_label_values(&[&worker]);
            for topic in &labels.topics {
                self.lag_messages.with_label_values(&[topic, &worker]);
            }
        }
        for topic in &labels.topics {
            self.unassigned_partitions.with_label_values(&[topic]);
        }
        self.resolve.start_at_zero(labels);
        self.build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    }

    /// The metrics page in Prometheus' text format.
    ///
    /// # Errors
    /// If a metric cannot be encoded, which is a defect.
    pub fn render(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

/// Now, in Unix seconds, for timestamp gauges.
pub fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}
