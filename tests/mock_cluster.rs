//! Errors that a broker answers with, injected into librdkafka's mock cluster one by one: each
//! must land in its class through the real log, and what the log hands out must go on where the last
//! commit was. The mock cluster keeps no positions and shows aborted records, so nothing else is
//! proven with it.

mod support;

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey as Api, RDKafkaRespErr};
use std::time::{Duration, Instant};
use support::copying::{Copier, feed};
use triaged::log::AbortReason::{Commit, Fenced, Offsets, Rebalance, RecordRefused, Unauthorized};
use triaged::log::kafka::KafkaSettings;
use triaged::log::{AbortReason, Limit, Log, LogError};
use triaged::metrics::RecreateReason;

/// What one injected error leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Repeated inside; the commit says Ok and the producer stays.
    Hidden,
    /// The commit says Ok, the producer is replaced before the next transaction.
    Replaced(RecreateReason),
    /// The batch is aborted, the producer stays.
    Aborted(AbortReason),
    /// The batch is aborted and the producer replaced.
    AbortedAndReplaced(AbortReason, RecreateReason),
}

struct Rig {
    cluster: MockCluster<'static, DefaultProducerContext>,
    copier: Copier,
    /// The offsets of the records whose commits said Ok.
    committed: Vec<i64>,
}

const ONE: Limit = Limit { records: 1, bytes: 1 << 20, linger: Duration::from_millis(50) };

impl Rig {
    fn new(name: &str) -> Self {
        Self::opened_under(name, &[])
    }

    /// The log's producer meets these errors while it takes over its name.
    fn opened_under(name: &str, errors: &[RDKafkaRespErr]) -> Self {
        let cluster = MockCluster::new(1).expect("a mock cluster");
        cluster.create_topic("in", 1, 1).expect("an input");
        cluster.create_topic("out", 1, 1).expect("an output");
        let mut settings = KafkaSettings::new(cluster.bootstrap_servers(), "group", name);
        settings.inputs = vec!["in".into()];
        settings.outputs = vec!["out".into()];
        feed(&cluster.bootstrap_servers(), "in", 0..100);
        cluster.request_errors(Api::InitProducerId, errors);
        let copier = Copier::open(settings).expect("a log");
        let mut rig = Self { cluster, copier, committed: Vec::new() };
        // The first assignment takes the mock cluster three seconds.
        rig.commit(Duration::from_secs(15)).expect("a first commit");
        rig
    }

    fn commit(&mut self, within: Duration) -> Result<(), LogError> {
        let batch = self.copier.batch(ONE, within).expect("a record");
        let outputs = batch.records.iter().map(|r| self.copier.copy_of(r)).collect();
        let result = self.copier.log.commit(&batch.from, &batch.upto, outputs);
        if result.is_ok() {
            self.committed.extend(batch.records.iter().map(|record| record.origin.offset));
        }
        result
    }

    fn replaced(&self) -> Vec<u64> {
        RecreateReason::ALL.map(|r| self.copier.recreations(r.as_str())).to_vec()
    }

    /// The outcome of a commit into which `error` was injected, once or more often.
    fn provoke(&mut self, api: Api, error: RDKafkaRespErr, times: usize) -> Outcome {
        let before = self.replaced();
        self.cluster.request_errors(api, &vec![error; times]);
        let result = self.commit(Duration::from_secs(10));
        self.cluster.clear_request_errors(api);
        // The next one goes through, with the same producer or with a new one.
        self.commit(Duration::from_secs(10)).expect("the log has recovered");
        let after = self.replaced();
        let replaced = RecreateReason::ALL
            .into_iter()
            .zip(before.iter().zip(after))
            .find(|(_, (b, a))| *b < a);
        match (result, replaced.map(|(reason, _)| reason)) {
            (Ok(()), None) => Outcome::Hidden,
            (Ok(()), Some(why)) => Outcome::Replaced(why),
            (Err(LogError::Aborted(reason)), None) => Outcome::Aborted(reason),
            (Err(LogError::Aborted(reason)), Some(why)) => Outcome::AbortedAndReplaced(reason, why),
            (Err(LogError::Fatal(why)), _) => panic!("{api:?}: {why}"),
        }
    }

    fn table(mut self, rows: &[(Api, RDKafkaRespErr, Outcome)]) {
        let mut wrong = Vec::new();
        for &(api, error, expected) in rows {
            let outcome = self.provoke(api, error, 1);
            if outcome != expected {
                wrong.push(format!("{api:?} {error:?}: {outcome:?} instead of {expected:?}"));
            }
        }
        self.close();
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    }

    /// What was aborted came again, and nothing else did.
    fn close(self) {
        self.copier.close();
        let expected: Vec<_> = (0..self.committed.len() as i64).collect();
        assert_eq!(self.committed, expected);
    }
}

use Outcome::{Aborted, AbortedAndReplaced, Hidden, Replaced};
use RDKafkaRespErr as E;
use RecreateReason::{Disconnect, Fatal, Refused};

#[test]
fn what_passes_is_repeated_inside() {
    Rig::new("hidden").table(&[
        (Api::Produce, E::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, Hidden),
        (Api::Produce, E::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, Hidden),
        (Api::AddPartitionsToTxn, E::RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, Hidden),
        (Api::AddPartitionsToTxn, E::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, Hidden),
        (Api::AddOffsetsToTxn, E::RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, Hidden),
        (Api::AddOffsetsToTxn, E::RD_KAFKA_RESP_ERR_NOT_COORDINATOR, Hidden),
        (Api::AddOffsetsToTxn, E::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, Hidden),
        (Api::TxnOffsetCommit, E::RD_KAFKA_RESP_ERR_NOT_COORDINATOR, Hidden),
        (Api::TxnOffsetCommit, E::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, Hidden),
        (Api::EndTxn, E::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, Hidden),
        (Api::EndTxn, E::RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, Hidden),
    ]);
}

#[test]
fn a_connection_that_breaks_costs_the_producer() {
    Rig::new("disconnects").table(&[
        (Api::EndTxn, E::RD_KAFKA_RESP_ERR__TRANSPORT, Replaced(Disconnect)),
        // The coordinator's connection is given up for the new coordinator's.
        (Api::EndTxn, E::RD_KAFKA_RESP_ERR_NOT_COORDINATOR, Replaced(Disconnect)),
        (Api::AddPartitionsToTxn, E::RD_KAFKA_RESP_ERR_NOT_COORDINATOR, Replaced(Disconnect)),
        (Api::AddOffsetsToTxn, E::RD_KAFKA_RESP_ERR__TRANSPORT, Replaced(Disconnect)),
        (Api::Produce, E::RD_KAFKA_RESP_ERR__TRANSPORT, Replaced(Disconnect)),
    ]);
}

#[test]
fn what_spoils_the_transaction_aborts_it() {
    Rig::new("abortable").table(&[
        (
            Api::Produce,
            E::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
            AbortedAndReplaced(RecordRefused, Refused),
        ),
        (
            Api::Produce,
            E::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
            AbortedAndReplaced(Unauthorized, Refused),
        ),
        (
            Api::Produce,
            E::RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID,
            AbortedAndReplaced(Fenced, Refused),
        ),
        (Api::TxnOffsetCommit, E::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, Aborted(Rebalance)),
        (Api::TxnOffsetCommit, E::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, Aborted(Rebalance)),
        (Api::TxnOffsetCommit, E::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, Aborted(Rebalance)),
        (Api::TxnOffsetCommit, E::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, Aborted(Rebalance)),
        (
            Api::AddOffsetsToTxn,
            E::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
            Aborted(Unauthorized),
        ),
        (Api::TxnOffsetCommit, E::RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE, Aborted(Offsets)),
        (Api::EndTxn, E::RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID, Aborted(Fenced)),
    ]);
}

#[test]
fn what_ends_the_producer_makes_a_new_one() {
    Rig::new("fatal").table(&[
        (
            Api::Produce,
            E::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH,
            AbortedAndReplaced(Fenced, Fatal),
        ),
        (
            Api::Produce,
            E::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
            AbortedAndReplaced(Fenced, Fatal),
        ),
        (
            Api::TxnOffsetCommit,
            E::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH,
            AbortedAndReplaced(Fenced, Fatal),
        ),
        (Api::EndTxn, E::RD_KAFKA_RESP_ERR_PRODUCER_FENCED, AbortedAndReplaced(Fenced, Fatal)),
        (Api::EndTxn, E::RD_KAFKA_RESP_ERR_INVALID_TXN_STATE, AbortedAndReplaced(Commit, Fatal)),
        (
            Api::EndTxn,
            E::RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
            AbortedAndReplaced(Unauthorized, Fatal),
        ),
    ]);
}

#[test]
fn a_group_that_stays_without_its_coordinator_aborts() {
    let mut rig = Rig::new("uncoordinated");
    let error = E::RD_KAFKA_RESP_ERR_NOT_COORDINATOR;
    // librdkafka repeats it every half second for as long as the call lasts.
    let outcome = rig.provoke(Api::TxnOffsetCommit, error, 20);
    assert_eq!(outcome, Aborted(Offsets));
    rig.close();
}

#[test]
fn a_coordinator_that_is_not_there_yet_is_waited_for() {
    // Longer than one call lasts.
    let mut errors = vec![E::RD_KAFKA_RESP_ERR_NOT_COORDINATOR; 8];
    errors.push(E::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS);
    let rig = Rig::opened_under("waiting", &errors);
    assert_eq!(rig.replaced(), [0; 5]);
    rig.close();
}

#[test]
fn brokers_that_go_away_are_waited_for() {
    let Rig { cluster, copier, .. } = Rig::new("away");
    let health = copier.health.clone();
    let noticed = |connected: bool, what| {
        let until = Instant::now() + Duration::from_secs(20);
        while health.is_connected() != connected {
            assert!(Instant::now() < until, "{what} was not noticed");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let stop = copier.stop.clone();
    let worker = std::thread::spawn(move || {
        let mut copier = copier;
        let aborted = copier.run(ONE, Duration::from_secs(15), |_, _| None);
        (copier, aborted)
    });
    cluster.broker_down(-1).expect("down");
    noticed(false, "an outage");
    // Alive all the while: waiting is not hanging.
    std::thread::sleep(Duration::from_secs(4));
    assert!(health.since_turn() < Duration::from_secs(4), "{health:?}");
    cluster.broker_up(-1).expect("up");
    noticed(true, "the end of the outage");
    // A stop during an outage does not wait for its end.
    cluster.broker_down(-1).expect("down");
    noticed(false, "a second outage");
    stop.request(Duration::from_secs(30));
    let begun = Instant::now();
    let (copier, _) = worker.join().expect("the worker ends");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    copier.close();
}
