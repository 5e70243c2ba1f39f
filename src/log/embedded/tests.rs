use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::log::Origin;
use crate::metrics::Labels;

const LIMIT: Limit = Limit { records: 10, bytes: 1 << 20, linger: Duration::ZERO };

fn open(dir: &Path, group: &str, inputs: &[&str]) -> EmbeddedLog {
    let settings = EmbeddedSettings {
        dir: dir.to_owned(),
        group: group.to_owned(),
        inputs: inputs.iter().map(|topic| Arc::from(*topic)).collect(),
        outputs: vec!["out".into()],
        retention: None,
    };
    let metrics = Metrics::new(&Labels::default(), 1).unwrap();
    EmbeddedLog::open(settings, metrics, WorkerHealth::new(), 0, Stop::new()).unwrap()
}

fn values(texts: &[&str]) -> Vec<NewRecord> {
    texts
        .iter()
        .map(|text| NewRecord { value: Some(text.as_bytes().to_vec()), ..NewRecord::default() })
        .collect()
}

fn copies(batch: &Batch) -> Vec<Outgoing> {
    let copy = |record: &Record| Outgoing {
        cause: record.origin.clone(),
        topic: "out".into(),
        key: record.key.clone(),
        value: record.value.clone(),
        headers: record.headers.clone(),
        timestamp_ms: record.timestamp_ms,
    };
    batch.records.iter().map(copy).collect()
}

fn texts(records: &[Record]) -> Vec<String> {
    let text = |r: &Record| String::from_utf8(r.value.clone().unwrap()).unwrap();
    records.iter().map(text).collect()
}

fn all(store: &Store, topic: &str) -> Vec<Record> {
    let mut records = Vec::new();
    store
        .tail(topic, 0, None, |record| {
            records.push(record);
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    records
}

#[test]
fn a_batch_is_taken_committed_and_not_seen_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.put("in", &values(&["a", "b"])).unwrap(), 0..2);
    assert_eq!(store.put("in", &values(&["c"])).unwrap(), 2..3);

    let mut log = open(dir.path(), "g", &["in"]);
    let batch = log.next(LIMIT).unwrap();
    assert_eq!(texts(&batch.records), ["a", "b", "c"]);
    assert_eq!(log.health.lag_messages(), 3, "what is not committed is lag");
    assert!(log.next(LIMIT).unwrap().is_empty(), "a batch is handed out once");
    log.commit(&batch.from, &batch.upto, copies(&batch)).unwrap();
    assert_eq!(texts(&all(&store, "out")), ["a", "b", "c"]);
    assert!(log.next(LIMIT).unwrap().is_empty());
    assert_eq!(log.health.lag_messages(), 0);
    drop(log);
    assert!(open(dir.path(), "g", &["in"]).next(LIMIT).unwrap().is_empty());
    assert_eq!(open(dir.path(), "other", &["in"]).next(LIMIT).unwrap().records.len(), 3);
}

#[test]
fn a_batch_that_was_not_committed_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    Store::open(dir.path()).unwrap().put("in", &values(&["a"])).unwrap();
    drop(open(dir.path(), "g", &["in"]).next(LIMIT).unwrap());
    let again = open(dir.path(), "g", &["in"]).next(LIMIT).unwrap();
    assert_eq!(texts(&again.records), ["a"]);
}

#[test]
fn of_two_processes_of_one_group_one_stands_by_until_the_other_ends() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.put("in", &values(&["a", "b"])).unwrap();
    let mut first = open(dir.path(), "g", &["in"]);
    let mut second = open(dir.path(), "g", &["in"]);
    let held = |log: &EmbeddedLog| log.metrics.assigned_partitions.with_label_values(&["0"]).get();
    assert_eq!((held(&first), held(&second)), (1, 0));
    // As a spare member of a Kafka group: it does all that it is given to do.
    assert!(second.health.has_assignment());
    assert_eq!(second.health.lag_messages(), 0);
    let linger = Duration::from_millis(100);
    let start = Instant::now();
    assert!(second.next(Limit { linger, ..LIMIT }).unwrap().is_empty());
    assert!(start.elapsed() >= linger);

    let one = first.next(Limit { records: 1, ..LIMIT }).unwrap();
    first.commit(&one.from, &one.upto, copies(&one)).unwrap();
    drop(first);
    let rest = second.next(LIMIT).unwrap();
    assert_eq!(texts(&rest.records), ["b"]);
    assert_eq!(held(&second), 1);
    second.commit(&rest.from, &rest.upto, copies(&rest)).unwrap();
    assert_eq!(texts(&all(&store, "out")), ["a", "b"]);
}

/// What a stage commits before it acts moves no position: only the lock tells two apart.
#[test]
fn only_one_process_commits_where_a_batch_begins() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.put("in", &values(&["a", "b"])).unwrap();
    let mut first = open(dir.path(), "g", &["in"]);
    let mut second = open(dir.path(), "g", &["in"]);
    let batch = first.next(LIMIT).unwrap();
    first.commit(&batch.from, &batch.from, copies(&batch)).unwrap();
    assert!(matches!(
        second.commit(&batch.from, &batch.from, copies(&batch)),
        Err(LogError::Aborted(AbortReason::Rebalance))
    ));
    assert_eq!(all(&store, "out").len(), 2);

    drop(first);
    assert_eq!(second.next(LIMIT).unwrap(), batch);
    second.commit(&batch.from, &batch.from, copies(&batch)).unwrap();
    second.commit(&batch.from, &batch.upto, Vec::new()).unwrap();
    assert_eq!(all(&store, "out").len(), 4);
    assert!(second.next(LIMIT).unwrap().is_empty());
}

#[test]
fn positions_that_somebody_else_moved_abort_a_batch() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.put("in", &values(&["a", "b"])).unwrap();
    let mut log = open(dir.path(), "g", &["in"]);
    let both = log.next(LIMIT).unwrap();
    store.connection.execute_batch("UPDATE positions SET next = 1").unwrap();
    assert!(matches!(
        log.commit(&both.from, &both.upto, copies(&both)),
        Err(LogError::Aborted(AbortReason::Rebalance))
    ));
    assert!(all(&store, "out").is_empty());
    assert_eq!(texts(&log.next(LIMIT).unwrap().records), ["b"]);
}

#[test]
fn a_flood_in_one_input_does_not_starve_another() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.put("flood", &vec![NewRecord::default(); 100]).unwrap();
    store.put("drops", &vec![NewRecord::default(); 2]).unwrap();
    let mut log = open(dir.path(), "g", &["flood", "drops"]);
    let seen: Vec<_> = (0..2).map(|_| log.next(LIMIT).unwrap()).collect();
    let drops =
        |batch: &Batch| batch.records.iter().filter(|r| &*r.origin.topic == "drops").count();
    assert_eq!(seen.iter().map(drops).sum::<usize>(), 2);
    assert!(seen.iter().all(|batch| batch.records.len() == 10));
}

#[test]
fn a_batch_ends_with_the_record_that_passes_the_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.put("in", &values(&["aaaa", "bbbb", "cccc"])).unwrap();
    let mut log = open(dir.path(), "g", &["in"]);
    let small = Limit { bytes: 5, ..LIMIT };
    assert_eq!(texts(&log.next(small).unwrap().records), ["aaaa", "bbbb"]);
    assert_eq!(texts(&log.next(small).unwrap().records), ["cccc"]);
}

#[test]
fn a_record_put_while_the_log_waits_is_taken_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path(), "g", &["in"]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(100));
            Store::open(dir.path()).unwrap().put("in", &values(&["a"])).unwrap();
        });
        let batch = log.next(Limit { linger: Duration::from_secs(20), ..LIMIT }).unwrap();
        assert_eq!(texts(&batch.records), ["a"]);
    });
}

#[test]
fn a_locked_file_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.put("in", &values(&["a"])).unwrap();
    let mut log = open(dir.path(), "g", &["in"]);
    let batch = log.next(LIMIT).unwrap();
    store.connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    std::thread::scope(|scope| {
        let commit = scope.spawn(|| log.commit(&batch.from, &batch.upto, copies(&batch)));
        std::thread::sleep(Duration::from_millis(1500));
        store.connection.execute_batch("COMMIT").unwrap();
        commit.join().unwrap().unwrap();
    });
}

#[test]
fn a_locked_file_does_not_outlast_the_grace_of_a_stop() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.put("in", &values(&["a"])).unwrap();
    let mut log = open(dir.path(), "g", &["in"]);
    let batch = log.next(LIMIT).unwrap();
    store.connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    log.stop.request(Duration::ZERO);
    assert!(matches!(
        log.commit(&batch.from, &batch.upto, copies(&batch)),
        Err(LogError::Aborted(AbortReason::Shutdown))
    ));
}

#[test]
fn a_full_disk_is_fatal_and_nothing_of_the_batch_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.put("in", &values(&["a"])).unwrap();
    let mut log = open(dir.path(), "g", &["in"]);
    let batch = log.next(LIMIT).unwrap();
    let pages: i64 =
        log.store.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    log.store.connection.pragma_update(None, "max_page_count", pages).unwrap();
    let mut outputs = copies(&batch);
    outputs[0].value = Some(vec![b'x'; 1 << 20]);
    match log.commit(&batch.from, &batch.upto, outputs) {
        Err(LogError::Fatal(why)) => assert!(why.contains("no space left"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert!(all(&store, "out").is_empty());
    drop(log);
    assert_eq!(texts(&open(dir.path(), "g", &["in"]).next(LIMIT).unwrap().records), ["a"]);
}

#[test]
fn a_file_that_cannot_be_written_is_fatal() {
    let dir = tempfile::tempdir().unwrap();
    Store::open(dir.path()).unwrap().put("in", &values(&["a"])).unwrap();
    let mut log = open(dir.path(), "g", &["in"]);
    let batch = log.next(LIMIT).unwrap();
    log.store.connection.pragma_update(None, "query_only", true).unwrap();
    match log.commit(&batch.from, &batch.upto, copies(&batch)) {
        Err(LogError::Fatal(why)) => assert!(why.contains("cannot be written"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_value_that_the_file_cannot_hold_blames_the_record() {
    let too_big = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_TOOBIG);
    let error = StoreError::sorted(Path::new("x"), &rusqlite::Error::SqliteFailure(too_big, None));
    assert!(matches!(error, StoreError::TooLarge { .. }));
}

#[test]
fn files_that_are_not_ours_are_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    assert!(matches!(Store::open_existing(dir.path()), Err(StoreError::Missing { .. })));

    std::fs::write(&path, "not a database at all, but long enough to look into".repeat(100))
        .unwrap();
    assert!(matches!(Store::open(dir.path()), Err(StoreError::Damaged { .. })));

    std::fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(Store::open(dir.path()), Err(StoreError::NotOurs { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), before);

    std::fs::remove_file(&path).unwrap();
    Store::open(dir.path()).unwrap();
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 3).unwrap();
    assert!(matches!(Store::open(dir.path()), Err(StoreError::Newer { found: 3, .. })));
}

#[test]
fn damage_within_the_file_is_fatal() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store
        .put("in", &vec![NewRecord { value: Some(vec![7; 3000]), ..NewRecord::default() }; 50])
        .unwrap();
    drop(store);
    let path = dir.path().join(FILE);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096..].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let settings = EmbeddedSettings {
        dir: dir.path().to_owned(),
        group: "g".to_owned(),
        inputs: vec!["in".into()],
        outputs: Vec::new(),
        retention: None,
    };
    let metrics = Metrics::new(&Labels::default(), 1).unwrap();
    let opened = EmbeddedLog::open(settings, metrics, WorkerHealth::new(), 0, Stop::new());
    assert!(matches!(opened.map(drop), Err(StoreError::Damaged { .. })));
}

#[test]
fn topics_have_names_that_kafka_would_take() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for topic in ["", ".", "..", "a b", "a/b", "ä", &"x".repeat(250)] {
        assert!(matches!(store.put(topic, &[]), Err(StoreError::InvalidTopic { .. })), "{topic}");
    }
    store.put("tickets.new_1-b", &[]).unwrap();
    match store.tail("ticket.new", 0, None, |_| panic!("no record")) {
        Err(StoreError::UnknownTopic { known, .. }) => assert_eq!(known, "tickets.new_1-b"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_old_records_that_every_group_has_passed_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.put("in", &values(&["a", "b", "c", "d"])).unwrap();
    store.put("out", &values(&["x", "y"])).unwrap();
    let mut ahead = open(dir.path(), "ahead", &["in"]);
    let mut behind = open(dir.path(), "behind", &["in"]);
    let batch = ahead.next(LIMIT).unwrap();
    ahead.commit(&batch.from, &batch.upto, Vec::new()).unwrap();
    let batch = behind.next(Limit { records: 2, ..LIMIT }).unwrap();
    behind.commit(&batch.from, &batch.upto, Vec::new()).unwrap();

    assert_eq!(store.retain(&old(3600), 100).unwrap(), 0, "nothing is old");
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(store.retain(&old(0), 1).unwrap(), 1, "no more than asked for");
    assert_eq!(store.retain(&old(0), 100).unwrap(), 3);
    let topics = store.topics().unwrap();
    assert_eq!((topics["in"].clone(), topics["out"].clone()), (2..4, 2..2));
    assert_eq!(texts(&all(&store, "in")), ["c", "d"]);

    assert_eq!(store.put("out", &values(&["z"])).unwrap(), 2..3, "offsets are never used twice");
    let mut late = open(dir.path(), "late", &["in"]);
    assert_eq!(late.next(LIMIT).unwrap().records[0].origin.offset, 2);
    assert_eq!(late.health.lag_messages(), 2);
    drop(late);
    let mut origin_only = open(dir.path(), "late", &["out"]);
    let first = origin_only.next(LIMIT).unwrap().records.remove(0).origin;
    assert_eq!(first, Origin { topic: "out".into(), partition: 0, offset: 2 });
}

#[test]
fn processes_that_make_the_file_at_once_do_not_trip_over_each_other() {
    for _ in 0..5 {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope
                    .spawn(|| Store::open(dir.path()).unwrap().put("in", &values(&["a"])).unwrap());
            }
        });
        assert_eq!(Store::open(dir.path()).unwrap().topics().unwrap()["in"], 0..8);
    }
}

fn old(seconds: u64) -> Retention {
    Retention { age: Duration::from_secs(seconds), ages: BTreeMap::new() }
}

#[test]
fn topics_may_be_kept_for_longer_than_others_or_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let record = NewRecord { value: Some(b"x".to_vec()), ..NewRecord::default() };
    for topic in ["tickets.control", "tickets.outcomes", "tickets.routed"] {
        store.put(topic, std::slice::from_ref(&record)).unwrap();
    }
    std::thread::sleep(Duration::from_millis(5));
    let ages = |outcomes: u64| -> BTreeMap<Arc<str>, _> {
        let outcomes = Some(Duration::from_secs(outcomes));
        BTreeMap::from([("tickets.control".into(), None), ("tickets.outcomes".into(), outcomes)])
    };
    let kept = || {
        let topics = store.topics().unwrap().into_iter();
        topics.filter(|(_, range)| !range.is_empty()).map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(store.retain(&Retention { ages: ages(3600), ..old(0) }, 100).unwrap(), 1);
    assert_eq!(kept(), ["tickets.control", "tickets.outcomes"]);
    assert_eq!(store.retain(&Retention { ages: ages(0), ..old(3600) }, 100).unwrap(), 1);
    assert_eq!(kept(), ["tickets.control"]);
}
