//! Partitions that nobody has, on a real Kafka: a member gives partitions away for the daemon and is
//! gone before it has joined again, as a crash can have it.

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use support::broker::{self, Kafka, NEWEST};
use support::daemon::{self, Instance, Settings};
use support::process::Process;
use support::verify::Topics;
use support::{broker::client, feed};

/// Brokers, topic and group of a process that is a member, and whether it dies as it gives away.
const MEMBER: &str = "TRIAGED_TEST_MEMBER";

fn main() {
    if let Ok(member) = std::env::var(MEMBER) {
        let told: Vec<&str> = member.split(' ').collect();
        return be_a_member(told[0], told[1], told[2], told[3] == "dies");
    }
    let skip = broker::missing(NEWEST) && broker::named().is_none();
    let trial = Trial::test("what_a_member_left_to_nobody_is_dealt_anew", dealt_anew);
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, vec![trial.with_ignored_flag(skip)]).exit();
}

struct Member {
    dies: bool,
}

impl ClientContext for Member {}

impl ConsumerContext for Member {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if self.dies && matches!(rebalance, Rebalance::Revoke(_)) {
            // Before it gives away and joins again: the group waits for that to deal once more.
            std::process::exit(0);
        }
    }
}

fn be_a_member(brokers: &str, topic: &str, group: &str, dies: bool) {
    let consumer: BaseConsumer<Member> = client(brokers)
        .set("client.id", "z-member")
        .set("group.id", group)
        .set("group.instance.id", "z-member")
        .set("session.timeout.ms", "45000")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("enable.auto.commit", "false")
        .create_with_context(Member { dies })
        .expect("a consumer");
    consumer.subscribe(&[topic]).expect("a subscription");
    loop {
        let _ = consumer.poll(Duration::from_millis(100));
    }
}

fn member(kafka: &Kafka, topics: &Topics, group: &str, how: &str) -> Process {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.env(MEMBER, format!("{} {} {group} {how}", kafka.direct(), topics.input));
    Process::spawn(&mut command).expect("a member")
}

/// The partitions that members have, each as often as it is had, once the group has so many members and
/// is at rest.
fn had(consumer: &BaseConsumer, group: &str, members: usize) -> Option<Vec<u32>> {
    let groups = consumer.fetch_group_list(Some(group), Duration::from_secs(5)).ok()?;
    let group = groups.groups().first()?;
    let at_rest = group.state() == "Stable" && group.members().len() == members;
    let members = group.members().iter().filter_map(|member| member.assignment());
    at_rest.then(|| members.flat_map(partitions).collect())
}

/// Those of the one topic, as the consumer protocol writes them: a version, the number of topics, and
/// for each its name and its partitions.
fn partitions(assignment: &[u8]) -> Vec<u32> {
    let number = |at: usize| {
        let bytes = assignment.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_be_bytes)
    };
    if number(2) == 0 {
        return Vec::new();
    }
    let begin = 2 + 4 + 2 + usize::from(assignment[7]);
    (1..=number(begin) as usize).map(|i| number(begin + 4 * i)).collect()
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) -> Result<(), Failed> {
    let deadline = Instant::now() + Duration::from_secs(90);
    while !done() {
        if Instant::now() > deadline {
            return Err(format!("{what} never came").into());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn dealt_anew() -> Result<(), Failed> {
    let kafka = Kafka::obtain(NEWEST).map_err(|skipped| skipped.to_string())?;
    let group = broker::unique("covered");
    let topics = Topics::named(&format!("{group}."));
    daemon::create(&kafka, &topics);
    let looker: BaseConsumer = client(&kafka.direct()).create()?;
    let all = feed::PARTITIONS as usize;
    let had = |members| had(&looker, &group, members);

    let mut first = member(&kafka, &topics, &group, "dies");
    wait_for("a member with all", || had(1).is_some_and(|had| had.len() == all))?;
    let brokers = kafka.direct();
    let mut daemon = Instance::daemon(
        Path::new(env!("CARGO_BIN_EXE_triaged")),
        &Settings {
            brokers: &brokers,
            topics: &topics,
            group: &group,
            name: "a",
            workers: 1,
            extra: "",
        },
    );
    daemon.launch();
    wait_for("the member's end", || first.ended().is_some())?;
    let _again = member(&kafka, &topics, &group, "lives");
    // The group is at rest, and half of it is with nobody.
    wait_for("a rest with partitions left over", || had(2).is_some_and(|had| had.len() < all))?;
    wait_for("a daemon that deals anew", || {
        let had = had(2).unwrap_or_default();
        had.len() == all && had.iter().collect::<BTreeSet<_>>().len() == all
    })?;
    let page = daemon.get("/metrics").map(|(_, page)| page).unwrap_or_default();
    let metric = format!("triaged_unassigned_partitions{{topic=\"{}\"}}", topics.input);
    if !page.contains(&metric) {
        return Err("the metric is missing".into());
    }
    let _ = daemon.term(Duration::from_secs(30));
    Ok(())
}
