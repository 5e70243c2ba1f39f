//! The broker harness itself: without it no other test on a real Kafka means anything.

mod support;

use libtest_mimic::{Arguments, Failed, Trial};
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::time::Duration;
use support::broker::{self, Kafka, Setup, VERSIONS, client};

fn main() {
    let trials = VERSIONS.map(|version| {
        Trial::test(format!("bounce_{version}"), move || bounce(version))
            .with_ignored_flag(broker::missing(version))
    });
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit();
}

/// A node comes back with its topics after a clean stop, a hard kill and a pause.
fn bounce(version: &str) -> Result<(), Failed> {
    let kafka = Kafka::start(Setup::single(version)).map_err(|s| s.to_string())?;
    kafka.create_topic("kept", 6, 1, &[("max.message.bytes", "2048")]);
    let node = kafka.node(0);
    node.stop();
    node.start();
    node.kill9();
    node.start();
    node.pause();
    let consumer: BaseConsumer = client(&kafka.bootstrap()).create()?;
    let silent = consumer.fetch_metadata(Some("kept"), Duration::from_secs(1)).is_err();
    node.resume();
    if !silent {
        return Err("a paused node answered".into());
    }
    let metadata = consumer.fetch_metadata(Some("kept"), Duration::from_secs(20))?;
    let partitions = metadata.topics()[0].partitions().len();
    if partitions != 6 {
        return Err(format!("{partitions} partitions of 6 came back").into());
    }
    Ok(())
}
