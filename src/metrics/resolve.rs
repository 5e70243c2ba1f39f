//! The metrics of auto-resolution.

use prometheus::{
    CounterVec, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

use super::{Labels, Maker};
use crate::resolve::guard::Guard;

/// What can become of an action: the values of the label `outcome`.
pub const ACTION_OUTCOMES: [&str; 6] =
    ["done", "already_handled", "handed_back", "unknown", "undone", "not_undone"];

const CALL_SECONDS: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
const RESOLUTION_SECONDS: [f64; 11] =
    [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0];

/// Everything that says how auto-resolution goes.
#[derive(Clone)]
pub struct ResolveMetrics {
    pub guards: IntCounterVec,
    pub actions: IntCounterVec,
    pub calls: IntCounterVec,
    pub call_seconds: HistogramVec,
    pub retries: IntCounter,
    pub breaker: IntGaugeVec,
    pub kill_switch: IntGauge,
    pub playbook_off: IntGaugeVec,
    pub remembered: IntGauge,
    pub resolution_seconds: Histogram,
    pub minutes_saved: CounterVec,
    pub control_calls: IntCounterVec,
}

impl ResolveMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let make = Maker(registry);
        Ok(Self {
            guards: make.counters(
                "triaged_guards_total",
                "Known requests that were left to people, by what held the machine back.",
                &["reason"],
            )?,
            actions: make.counters(
                "triaged_actions_total",
                "Actions that were finished and committed, by playbook and outcome.",
                &["playbook", "outcome"],
            )?,
            calls: make.counters(
                "triaged_calls_total",
                "Calls of runbooks, by host and result.",
                &["host", "result"],
            )?,
            call_seconds: make.register(HistogramVec::new(
                prometheus::HistogramOpts::new(
                    "triaged_call_seconds",
                    "Time of one request to a runbook, by host.",
                )
                .buckets(CALL_SECONDS.to_vec()),
                &["host"],
            ))?,
            retries: make.register(IntCounter::new(
                "triaged_call_retries_total",
                "Requests to runbooks that repeated an earlier one.",
            ))?,
            breaker: make.int_gauges(
                "triaged_breaker_state",
                "The circuit breaker of a runbook's host: 0 closed, 1 half open, 2 open.",
                &["host"],
            )?,
            kill_switch: make.register(IntGauge::new(
                "triaged_kill_switch",
                "1 while a kill switch stops all calls.",
            ))?,
            playbook_off: make.int_gauges(
                "triaged_playbook_off",
                "1 while a playbook is switched off, by itself or by a person.",
                &["playbook"],
            )?,
            remembered: make.register(IntGauge::new(
                "triaged_remembered_tickets",
                "Tickets of the ledger that are remembered.",
            ))?,
            resolution_seconds: make.histogram(
                "triaged_resolution_seconds",
                "From the ticket's record to its resolution, for tickets that were resolved.",
                &RESOLUTION_SECONDS,
            )?,
            minutes_saved: make.register(CounterVec::new(
                Opts::new(
                    "triaged_minutes_saved_total",
                    "People's minutes saved, as the playbooks state them, by playbook.",
                ),
                &["playbook"],
            ))?,
            control_calls: make.counters(
                "triaged_control_calls_total",
                "Calls of the control endpoint, by order and result.",
                &["call", "result"],
            )?,
        })
    }

    pub(super) fn start_at_zero(&self, labels: &Labels) {
        for guard in Guard::ALL {
            self.guards.with_label_values(&[guard.as_str()]);
        }
        for playbook in labels.playbooks.iter().map(String::as_str).chain(["other"]) {
            for outcome in ACTION_OUTCOMES {
                self.actions.with_label_values(&[playbook, outcome]);
            }
            self.playbook_off.with_label_values(&[playbook]);
            self.minutes_saved.with_label_values(&[playbook]);
        }
        for call in ["kill", "resume", "off", "on", "undo", "unknown"] {
            for result in ["done", "refused", "bad", "failed"] {
                self.control_calls.with_label_values(&[call, result]);
            }
        }
        for host in &labels.hosts {
            self.call_seconds.with_label_values(&[host]);
            self.breaker.with_label_values(&[host]);
            for result in labels.failures.iter().copied().chain(["ok"]) {
                self.calls.with_label_values(&[host.as_str(), result]);
            }
        }
    }
}
