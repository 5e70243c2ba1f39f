use rdkafka::client::ClientContext as _;
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::super::tool;
use super::*;
use crate::health::{Stop, WorkerHealth};
use crate::log::NewRecord;
use crate::metrics::Labels;

fn record(partition: i32, offset: i64) -> Record {
    let origin = Origin { topic: "t".into(), partition, offset };
    Record { origin, key: None, value: None, headers: Vec::new(), timestamp_ms: None }
}

#[test]
fn a_record_from_before_what_was_read_is_noticed_in_a_batch_and_over_several() {
    let mut read = Positions::new();
    let mut again = |places: &[(i32, i64)]| {
        let records: Vec<_> = places.iter().map(|(p, o)| record(*p, *o)).collect();
        read_again(&mut read, &records).map(|origin| (origin.partition, origin.offset))
    };
    // Gaps are the ends of transactions, and each partition counts on its own.
    assert_eq!(again(&[(0, 5), (1, 2), (0, 6), (0, 9)]), None);
    assert_eq!(again(&[(1, 3), (0, 10)]), None);
    assert_eq!(again(&[(1, 4), (0, 10)]), Some((0, 10)));
    assert_eq!(again(&[(1, 7), (1, 7)]), Some((1, 7)));
}

fn patience() -> Patience {
    Patience { health: WorkerHealth::new(), stop: Stop::new() }
}

fn reader(settings: &KafkaSettings) -> Reader {
    let metrics = Metrics::new(&Labels::default(), 1).unwrap();
    Reader::open(settings, &metrics, &patience(), 0).unwrap()
}

#[test]
fn only_a_refusal_after_many_others_ends_a_worker() {
    let mut reader = reader(&KafkaSettings::new("127.0.0.1:1", "g", "n"));
    let refused = |reader: &mut Reader| {
        reader.events().error(KafkaError::Global(Code::Authentication), "");
        reader.note(&KafkaError::MessageConsumption(Code::Authentication))
    };
    for _ in 1..REFUSALS_AT_WORK {
        assert!(refused(&mut reader).is_ok());
    }
    // Records came in between, so these were another matter.
    reader.events().accepted();
    for _ in 1..REFUSALS_AT_WORK {
        assert!(refused(&mut reader).is_ok());
    }
    reader.events().error(KafkaError::Global(Code::Authentication), "");
    let harmless = KafkaError::MessageConsumption(Code::AllBrokersDown);
    assert!(reader.note(&harmless).is_ok());
    assert!(matches!(refused(&mut reader), Err(Broken::Denied(_))));
}

#[test]
fn a_consumer_whose_name_another_one_took_says_so() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("in", 1, 1).unwrap();
    let mut settings = KafkaSettings::new(cluster.bootstrap_servers(), "g", "n");
    settings.inputs = vec!["in".into()];
    let fenced = RDKafkaRespErr::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID;
    cluster.request_errors(RDKafkaApiKey::JoinGroup, &[fenced; 5]);
    let mut reader = reader(&settings);
    reader.subscribe().unwrap();
    let limit = Limit { records: 1, bytes: 1 << 20, linger: Duration::from_millis(200) };
    let until = Instant::now() + Duration::from_secs(60);
    let broken = loop {
        assert!(Instant::now() < until, "nothing broke");
        if let Err(broken) = reader.next(limit) {
            break broken;
        }
    };
    assert!(matches!(broken, Broken::Fenced(_)), "{broken:?}");
}

#[test]
fn a_rewind_leaves_alone_what_is_known_to_be_committed() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("in", 1, 1).unwrap();
    let mut settings = KafkaSettings::new(cluster.bootstrap_servers(), "g", "n");
    settings.inputs = vec!["in".into()];
    let put = tool::put(&settings, "in", vec![NewRecord::default(); 2]).unwrap();
    assert_eq!(put.written, 2);
    let mut reader = reader(&settings);
    reader.subscribe().unwrap();
    let limit = Limit { records: 1, bytes: 1 << 20, linger: Duration::from_millis(200) };
    let until = Instant::now() + Duration::from_secs(60);
    let next = |reader: &mut Reader| loop {
        assert!(Instant::now() < until, "nothing came");
        let batch = reader.next(limit).unwrap();
        if !batch.is_empty() {
            return batch;
        }
    };
    let first = next(&mut reader);
    reader.seek(&first.from).unwrap();
    assert!(reader.positions().is_empty(), "nothing was committed");
    assert_eq!(next(&mut reader), first);

    // As if the end of a transaction was in the place of the first record.
    reader.stand_at(&first.from);
    let second = next(&mut reader);
    reader.seek(&second.from).unwrap();
    assert_eq!(reader.positions(), &first.from);
    assert_eq!(next(&mut reader), second);
    reader.advance(&second.upto);
    assert_eq!(reader.positions(), &second.upto);
}
