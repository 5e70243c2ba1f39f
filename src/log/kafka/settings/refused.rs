//! Which librdkafka properties an operator cannot set, and why: those that would break exactly
//! once, order or progress, those with a setting of their own, and those that librdkafka refuses.

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

const HAS_SETTING: &str = "there is a setting of its own for it";
const POSITIONS: &str = "positions are committed inside the transaction and nowhere else";
const RETRIES: &str = "retries and order are what the transactional producer rests on";
const OURS: &str = "the service sets it itself";
const QUEUE: &str = "the queue holds one batch, which batch.records and batch.bytes size";
const VERSIONS: &str = "brokers must say what they can do: older ways of speaking to them know no \
                        transactions and show aborted records";

/// Why the librdkafka property `key` cannot be set to `value`, if so. The reason never has the
/// value, which may be a secret.
pub fn refused_property(key: &str, value: &str) -> Option<&'static str> {
    // In this order: to try a property can mean to do something, such as loading a plug-in.
    breaks_a_promise(key.trim(), value.trim()).or_else(|| not_taken(key, value))
}

/// What librdkafka itself has against it.
fn not_taken(key: &str, value: &str) -> Option<&'static str> {
    match ClientConfig::new().set(key, value).create_native_config() {
        Ok(_) => None,
        Err(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)) => {
            Some("librdkafka knows no such property")
        }
        Err(_) => Some("librdkafka does not take this value, or was built without what it needs"),
    }
}

fn breaks_a_promise(key: &str, value: &str) -> Option<&'static str> {
    let unless = |allowed: &[&str], reason| (!allowed.contains(&value)).then_some(reason);
    match key {
        "bootstrap.servers"
        | "metadata.broker.list"
        | "group.id"
        | "group.instance.id"
        | "transactional.id"
        | "session.timeout.ms"
        | "max.poll.interval.ms"
        | "transaction.timeout.ms"
        | "message.max.bytes"
        | "compression.type"
        | "compression.codec" => Some(HAS_SETTING),
        "client.id" => {
            Some("it is the worker's name, by which the group's members know each other")
        }

        // Positions, and what is read.
        "enable.auto.commit"
        | "enable.auto.offset.store"
        | "auto.commit.enable"
        | "auto.commit.interval.ms"
        | "offset.store.method"
        | "offset.store.path"
        | "offset.store.sync.interval.ms" => Some(POSITIONS),
        "isolation.level" => {
            unless(&["read_committed"], "records of aborted transactions would be triaged")
        }
        "auto.offset.reset" => unless(
            &["earliest", "smallest", "beginning"],
            "any other start loses the tickets that came before the first commit",
        ),
        "enable.partition.eof" => unless(&["false"], OURS),
        "topic.metadata.refresh.interval.ms" => {
            let refreshes = value.parse().is_ok_and(|ms: u32| ms > 0);
            (!refreshes).then_some("partitions that a topic is given later would never be read")
        }
        "allow.auto.create.topics" => {
            unless(&["false"], "a mistyped topic would be made instead of reported")
        }

        // The group.
        "partition.assignment.strategy" => unless(
            &["cooperative-sticky"],
            "one strategy must hold for the group; the service uses cooperative-sticky",
        ),
        "group.protocol" => unless(
            &["classic"],
            "with the consumer protocol a restarted worker is locked out until its session ends",
        ),
        "heartbeat.interval.ms" => {
            Some("it must stay far below kafka.session_timeout_ms, which the service sees to")
        }
        "reconnect.backoff.ms" | "group.remote.assignor" | "group.protocol.type" => Some(OURS),

        // Order, repetition and reports of what is written.
        "message.send.max.retries" | "retries" => Some(RETRIES),
        "enable.idempotence" => unless(&["true"], RETRIES),
        "acks" | "request.required.acks" => unless(&["all", "-1"], RETRIES),
        "max.in.flight" | "max.in.flight.requests.per.connection" => {
            unless(&["1", "2", "3", "4", "5"], RETRIES)
        }
        "queuing.strategy" => unless(&["fifo"], RETRIES),
        "queue.buffering.backpressure.threshold" => unless(&["1"], RETRIES),
        "partitioner" => unless(
            &["murmur2_random"],
            "a key's order rests on every writer finding the same partition for it, as Java does",
        ),
        "delivery.report.only.error" => {
            unless(&["false"], "a batch is committed once each of its records was reported")
        }
        "enable.gapless.guarantee" => {
            unless(&["false"], "a record that is refused would end the producer, not its own batch")
        }
        "message.timeout.ms" | "delivery.timeout.ms" => {
            Some("it follows the transaction's time-out")
        }
        "linger.ms" | "queue.buffering.max.ms" => {
            Some("waiting in the producer only delays the commit; batches are sized by the service")
        }
        "queue.buffering.max.messages" | "queue.buffering.max.kbytes" => Some(QUEUE),

        // Connections, and how it is known that one broke.
        "statistics.interval.ms" => Some("lag is read from the statistics"),
        "log.connection.close" => {
            unless(&["true"], "a broken connection must be seen, or a late request can do harm")
        }
        "socket.max.fails" => unless(
            &["1"],
            "a request without an answer must break the connection, or it can do harm later",
        ),
        "log_level" | "log.queue" => {
            Some("a broken connection is seen in librdkafka's own log, which must stay on")
        }
        "api.version.request" => unless(&["true"], VERSIONS),
        "api.version.fallback.ms" => unless(&["0"], VERSIONS),
        "broker.version.fallback" => Some(VERSIONS),

        // What reaches into the process.
        "plugin.library.paths" => Some("a plug-in can change what is read and written"),
        "internal.termination.signal" => unless(&["0"], "the service answers to signals itself"),
        "enabled_events" | "enable_sasl_queue" | "ut_handle_ProduceResponse" => Some(OURS),
        "test.mock.num.brokers" | "test.mock.broker.rtt" => {
            Some("a mock cluster keeps no positions and shows aborted records")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_that_break_the_guarantee_are_refused() {
        for (key, value) in [
            ("enable.auto.commit", "true"),
            ("enable.auto.commit", "false"),
            ("auto.commit.enable", "false"),
            ("offset.store.method", "file"),
            ("isolation.level", "read_uncommitted"),
            ("auto.offset.reset", "latest"),
            ("auto.offset.reset", "error"),
            ("topic.metadata.refresh.interval.ms", "-1"),
            ("topic.metadata.refresh.interval.ms", "0"),
            ("acks", "1"),
            ("request.required.acks", "0"),
            ("max.in.flight", "6"),
            ("enable.idempotence", "false"),
            ("queuing.strategy", "lifo"),
            ("queue.buffering.backpressure.threshold", "2"),
            ("partitioner", "random"),
            ("partitioner", "consistent_random"),
            ("delivery.report.only.error", "true"),
            ("enable.gapless.guarantee", "true"),
            ("delivery.timeout.ms", "0"),
            ("queue.buffering.max.kbytes", "1"),
            ("queue.buffering.max.messages", "1"),
            ("partition.assignment.strategy", "range"),
            ("group.protocol", "consumer"),
            ("heartbeat.interval.ms", "60000"),
            ("client.id", "all-the-same"),
            ("log_level", "3"),
            ("log.connection.close", "false"),
            ("socket.max.fails", "0"),
            ("api.version.request", "false"),
            ("api.version.fallback.ms", "1000"),
            ("broker.version.fallback", "0.9.0"),
            ("plugin.library.paths", "/tmp/plug-in.so"),
            ("internal.termination.signal", "15"),
            ("ut_handle_ProduceResponse", "x"),
            ("transactional.id", "x"),
        ] {
            let reason = refused_property(key, value);
            assert!(reason.is_some_and(|why| !why.contains("librdkafka does")), "{key}={value}");
        }
        for (key, value) in [
            ("sasl.username", "triaged"),
            ("acks", "all"),
            ("auto.offset.reset", "earliest"),
            ("partitioner", "murmur2_random"),
            ("delivery.report.only.error", "false"),
            ("topic.metadata.refresh.interval.ms", "60000"),
            ("debug", "cgrp"),
            ("fetch.wait.max.ms", "100"),
            ("check.crcs", "true"),
        ] {
            assert_eq!(refused_property(key, value), None, "{key}={value}");
        }
    }

    #[test]
    fn what_librdkafka_does_not_take_is_refused() {
        let unknown = Some("librdkafka knows no such property");
        assert_eq!(refused_property("nosuch.property", "1"), unknown);
        assert_eq!(refused_property("security", "ssl"), unknown);
        for (key, value) in [("security.protocol", "SASL_SSLX"), ("socket.timeout.ms", "soon")] {
            let why = refused_property(key, value).unwrap_or_default();
            assert!(why.starts_with("librdkafka does not take this value"), "{key}: {why}");
        }
    }
}
