//! One process of a real Kafka: its settings, its start and its ends.

use super::broker::{Setup, wait_for_metadata};
use super::jars;
use super::ports::Port;
use super::process::Process;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Sixteen bytes in base64, as Kafka wants a cluster's id.
const CLUSTER_ID: &str = "dHJpYWdlZC10ZXN0LWthZg";
const START_WITHIN: Duration = Duration::from_secs(90);

/// One broker process, which is also a controller.
pub struct Node {
    pub client: Port,
    pub direct: Port,
    _controller: Port,
    jars: PathBuf,
    folder: PathBuf,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    process: Option<Process>,
    starts: u32,
}

impl Node {
    /// Makes its folder, with its settings in it.
    pub fn prepare(
        setup: &Setup<'_>,
        index: usize,
        ports: [Port; 3],
        voters: &str,
        jars: PathBuf,
        folder: PathBuf,
    ) -> Self {
        fs::create_dir(&folder).expect("a folder for the node");
        let properties = properties(setup, index, &ports, voters, &folder);
        fs::write(folder.join("server.properties"), properties).expect("the node's settings");
        let [client, direct, _controller] = ports;
        Self { client, direct, _controller, jars, folder, running: Mutex::default() }
    }

    /// Its own address, whatever it advertises.
    pub fn address(&self) -> String {
        self.client.address()
    }

    pub fn kill9(&self) {
        drop(self.take());
    }

    /// SIGTERM: hands its partitions over, then ends.
    pub fn stop(&self) {
        let mut process = self.take().expect("the node is running");
        process.signal("TERM");
        process.wait(Duration::from_secs(60)).expect("a broker ends within a minute of SIGTERM");
    }

    /// SIGSTOP: connections stay open, nothing answers.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Starts it again and waits until it serves.
    pub fn start(&self) {
        self.launch();
        self.wait_for_log();
        wait_for_metadata(&self.direct.address(), 1).expect("a started node answers");
    }

    /// The log of its latest run.
    pub fn log(&self) -> String {
        let starts = self.running.lock().expect("not poisoned").starts;
        fs::read_to_string(self.log_file(starts)).unwrap_or_default()
    }

    fn log_file(&self, starts: u32) -> PathBuf {
        self.folder.join(format!("run-{starts}.log"))
    }

    fn signal(&self, name: &str) {
        let running = self.running.lock().expect("not poisoned");
        running.process.as_ref().expect("the node is running").signal(name);
    }

    fn take(&self) -> Option<Process> {
        self.running.lock().expect("not poisoned").process.take()
    }

    fn java(&self) -> Command {
        let kafka = jars::root().join("tests/kafka");
        let mut command = Command::new("java");
        command
            .current_dir(&self.folder)
            .args(["-Xmx512m", "-Xms256m", "-XX:+UseSerialGC"])
            .arg(format!("-Dlog4j.configuration=file:{}/log4j.properties", kafka.display()))
            .arg(format!("-Dlog4j2.configurationFile=file:{}/log4j2.properties", kafka.display()))
            .arg("-cp")
            .arg(self.jars.join("*"));
        command
    }

    pub fn format(&self) {
        let output = self
            .java()
            .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID])
            .args(["-c", "server.properties"])
            .output()
            .expect("`java` starts");
        assert!(
            output.status.success(),
            "Kafka's storage was not formatted: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    pub fn launch(&self) {
        let mut running = self.running.lock().expect("not poisoned");
        assert!(running.process.is_none(), "the node is running already");
        running.starts += 1;
        let log = File::create(self.log_file(running.starts)).expect("the node's log");
        let mut command = self.java();
        command.args(["kafka.Kafka", "server.properties"]);
        command.stdout(log.try_clone().expect("a second handle")).stderr(log);
        running.process = Some(Process::spawn(&mut command).expect("`java` starts"));
    }

    pub fn wait_for_log(&self) {
        let deadline = Instant::now() + START_WITHIN;
        while !self.log().contains("Kafka Server started") {
            let ended = {
                let mut running = self.running.lock().expect("not poisoned");
                running.process.as_mut().is_none_or(|process| process.ended().is_some())
            };
            assert!(
                !ended && Instant::now() < deadline,
                "Kafka did not start ({}):\n{}",
                if ended { "it ended" } else { "too slow" },
                self.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn properties(
    setup: &Setup<'_>,
    index: usize,
    [client, direct, controller]: &[Port; 3],
    voters: &str,
    folder: &Path,
) -> String {
    let advertised = setup.advertise.get(index).cloned().unwrap_or_else(|| client.address());
    let replicas = setup.nodes.min(3);
    let in_sync = replicas.min(2);
    format!(
        "process.roles=broker,controller
node.id={id}
controller.quorum.voters={voters}
listeners=PLAINTEXT://{client},DIRECT://{direct},CONTROLLER://{controller}
advertised.listeners=PLAINTEXT://{advertised},DIRECT://{direct}
inter.broker.listener.name=DIRECT
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,DIRECT:PLAINTEXT
log.dirs={data}
num.partitions=3
default.replication.factor={replicas}
min.insync.replicas={in_sync}
offsets.topic.replication.factor={replicas}
offsets.topic.num.partitions=3
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={in_sync}
transaction.state.log.num.partitions=3
share.coordinator.state.topic.replication.factor={replicas}
share.coordinator.state.topic.min.isr={in_sync}
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=500
transaction.max.timeout.ms=900000
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
auto.create.topics.enable=false
metrics.jmx.exclude=.*
",
        id = index + 1,
        client = client.address(),
        direct = direct.address(),
        controller = controller.address(),
        data = folder.join("data").display(),
    )
}
