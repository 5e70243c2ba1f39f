//! The page on playbooks does what it says: its files are saved and its commands carried out as they
//! stand there, from an empty folder to undo. Only ports, days and the token's place are others.

#[path = "support/ports.rs"]
mod ports;
#[path = "support/process.rs"]
#[allow(dead_code, reason = "used in part")]
mod process;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use ports::Port;
use process::Process;
use serde_json::{Value, json};
use triaged::runbooks::Runbooks;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// What the page starts beside its other commands: its runbooks, which the test plays, and the daemon.
const RUNBOOKS: &str = "cargo run --example runbooks";
const DAEMON: &str = "triaged run --config my.toml";
const RESTART: &str = "Stop the daemon with Ctrl-C, start it again as above";
/// Longer than anything here should take on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// A block of the page, and the words above it.
struct Block {
    above: String,
    language: String,
    text: String,
}

/// The blocks below a heading, until the next one.
fn blocks(heading: &str) -> Vec<Block> {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/playbooks.md")).expect("the page");
    let (_, below) = page.split_once(&format!("\n{heading}\n")).expect(heading);
    let below = below.split("\n## ").next().unwrap_or_default();
    let below = below.split("\n### ").next().unwrap_or_default();
    let chunks: Vec<&str> = below.split("```").collect();
    let pairs = chunks.chunks_exact(2).map(|pair| {
        let (language, text) = pair[1].split_once('\n').expect("a language");
        Block { above: pair[0].to_owned(), language: language.to_owned(), text: text.to_owned() }
    });
    pairs.collect()
}

/// The tickets that the page puts in, as the desk has them.
fn tickets() -> BTreeMap<String, Value> {
    let text = fs::read_to_string(Path::new(ROOT).join("examples/tickets.jsonl")).expect("tickets");
    let tickets = text.lines().map(|line| {
        let ticket: Value = serde_json::from_str(line).expect("a ticket");
        (ticket["ticket_id"].as_str().expect("an id").to_owned(), ticket)
    });
    tickets.collect()
}

/// A person who follows the page in the project's folder.
struct Reader {
    daemon: Option<Process>,
    dir: tempfile::TempDir,
    control: Port,
    /// What stands on the page, and what is put in its place here.
    instead: Vec<(&'static str, String)>,
}

impl Reader {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let here = |name: &str| dir.path().join(name);
        for name in ["examples", "models"] {
            symlink(Path::new(ROOT).join(name), here(name)).expect("a link");
        }
        fs::create_dir(here("bin")).expect("a folder");
        symlink(env!("CARGO_BIN_EXE_triaged"), here("bin/triaged")).expect("a link");
        fs::write(here("token"), "a-token-that-is-long-enough\n").expect("a token");
        let runbooks = Runbooks { tickets: tickets(), ..Runbooks::default() };
        let runbooks = runbooks.start().expect("runbooks");
        let control = Port::reserve();
        let now = Timestamp::now();
        let hours = |n: i64| (now + Span::new().hours(n)).to_string();
        let next_year = now.to_zoned(TimeZone::UTC).date().saturating_add(Span::new().years(1));
        let instead = vec![
            ("127.0.0.1:8199", format!("127.0.0.1:{runbooks}")),
            ("127.0.0.1:9465", control.address()),
            ("/run/secrets/control-token", String::from("token")),
            ("2027-06-30", next_year.to_string()),
            // The time in which a playbook's work is taken back: that of this test.
            ("2026-11-02T09:00:00Z", hours(-1)),
            ("2026-11-02T10:00:00Z", hours(1)),
        ];
        Self { daemon: None, dir, control, instead }
    }

    fn here(&self, text: &str) -> String {
        self.instead.iter().fold(text.to_owned(), |text, (page, here)| text.replace(page, here))
    }

    /// A command in the folder, with `triaged` on its path.
    fn command(&self, program: &str) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", self.dir.path().join("bin").display());
        let mut command = Command::new(program);
        command.current_dir(self.dir.path()).env_clear();
        command.env("PATH", path).env("HOSTNAME", "test");
        command
    }

    /// What a script of the page prints.
    fn sh(&self, script: &str) -> String {
        // In a group of its own, so that no command outlives it.
        let mut command = self.command("timeout");
        command.arg(SOON.as_secs().to_string()).args(["sh", "-ec", &self.here(script)]);
        let output = command.output().expect("a shell");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {script}\n{said}\n{}", output.status, self.log());
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("daemon.log")).unwrap_or_default()
    }

    fn start(&mut self) {
        let file = self.dir.path().join("daemon.log");
        let log = fs::OpenOptions::new().create(true).append(true).open(file).expect("a log");
        let mut command = self.command("sh");
        command.args(["-ec", &format!("exec {DAEMON}")]);
        command.env("TRIAGED_ADMIN__LISTEN", "127.0.0.1:0");
        command.env("TRIAGED_CONTROL__LISTEN", self.control.address());
        command.env("TRIAGED_CONTROL__TOKEN_FILE", "token");
        command.stdout(log.try_clone().expect("a second handle")).stderr(log);
        self.daemon = Some(Process::spawn(&mut command).expect("a daemon"));
    }

    fn stop(&mut self) {
        let mut daemon = self.daemon.take().expect("it runs");
        daemon.signal("INT");
        let ended = daemon.wait(SOON).expect("an end");
        assert!(ended.success(), "{ended}\n{}", self.log());
    }

    /// Does what blocks say; what each script printed.
    fn follow(&mut self, blocks: Vec<Block>) -> Vec<String> {
        let mut printed = Vec::new();
        for Block { above, language, text } in blocks {
            if above.contains(RESTART) {
                self.stop();
                self.start();
            }
            match (&*language, text.trim_end()) {
                // "Save this as `FILE`:"
                ("toml", _) => {
                    let file = above.rsplit('`').nth(1).expect("a file's name");
                    let path = self.dir.path().join(file);
                    fs::write(path, self.here(&text)).expect("written");
                }
                ("sh", RUNBOOKS) => {}
                ("sh", DAEMON) => self.start(),
                ("sh", script) => printed.push(self.sh(script)),
                (other, _) => panic!("what is to be done with {other}? {text}"),
            }
        }
        printed
    }

    /// Steps 1 to 6: a playbook that was tried, ran dry, and is live.
    fn goes_live(&mut self) {
        assert_eq!(self.follow(blocks("### 1. Write")), [""]);
        let tried = self.follow(blocks("### 2. Test")).concat();
        assert_eq!(tried.lines().filter(|line| line.starts_with("ok")).count(), 2, "{tried}");
        let checked = self.follow(blocks("### 3. Configure and check")).concat();
        let standing = "playbook  unlock_me  version 1, unapproved, dry-run, at-least-once";
        assert!(checked.contains(standing), "{checked}");
        let approved = self.follow(blocks("### 4. Approve")).concat();
        assert!(approved.contains(&self.here("approved until 2027-06-30, dry-run")), "{approved}");

        let dry = json_lines(&self.follow(blocks("### 5. Run it dry")).concat());
        let [routed, state] = &dry[..] else { panic!("{dry:?}") };
        let known = &routed["value"]["known_request"];
        assert_eq!(known["playbook"], "unlock_me");
        assert_eq!(known["held_by"], "dry_run");
        assert_eq!(known["slots"]["user"], "kim.minji");
        assert_eq!(state["effects_by_key"], json!({}), "the server has changed nothing");

        let live = self.follow(blocks("### 6. Switch it on"));
        let [approved, live] = &live[..] else { panic!("{live:?}") };
        assert!(approved.contains(&self.here("approved until 2027-06-30, live")), "{approved}");
        let live = json_lines(live);
        let [outcome, state] = &live[..] else { panic!("{live:?}") };
        assert_eq!(outcome["value"]["outcome"], "done", "{outcome}");
        assert_eq!(state["accounts_locked"], json!({ "choi.yuna": false }));
        let effects = state["effects_by_key"].as_object().expect("effects");
        assert!(effects.len() == 1 && effects.values().all(|n| *n == 1), "{state}");
    }

    /// Waits until a topic has a record with this in it.
    fn wait_for(&self, topic: &str, is_it: impl Fn(&Value) -> bool) {
        let start = Instant::now();
        let tail = format!("triaged tail --config my.toml --values {topic}");
        while !json_lines(&self.sh(&tail)).iter().any(&is_it) {
            assert!(start.elapsed() < SOON, "it never came to {topic}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until the ticket of step 6 was taken back.
    fn is_undone(&self) {
        self.wait_for("tickets.outcomes", |record| {
            record["ticket_id"] == "DEMO-9" && record["outcome"] == "undone"
        });
        let state = self.sh("curl -s http://127.0.0.1:8199/state");
        assert_eq!(json_lines(&state)[0]["accounts_locked"], json!({ "choi.yuna": true }));
    }
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

#[test]
fn the_page_works_as_written() {
    let mut reader = Reader::new();
    reader.goes_live();
    let undone = reader.follow(blocks("### 7. Undo"));
    let [undone, feedback] = &undone[..] else { panic!("{undone:?}") };
    let (ordered, rest) = undone.split_once('\n').expect("the order's ticket");
    let rest = json_lines(rest);
    let [done, outcome, state] = &rest[..] else { panic!("{rest:?}") };
    assert_eq!((ordered, feedback.as_str()), ("DEMO-9", ""));
    assert_eq!(done["value"]["outcome"], "done");
    assert_eq!(outcome["value"]["outcome"], "undone", "{outcome}");
    assert_eq!(state["accounts_locked"], json!({ "choi.yuna": true }), "it is locked again");
    reader.wait_for("tickets.routed", |record| {
        record["ticket_id"] == "DEMO-9" && record["queue"] == "identity"
    });
    reader.stop();
}

#[test]
fn orders_on_the_page_work_as_written_by_command_and_by_http() {
    let orders = || blocks("## For operators: stop, let go, take back").into_iter();
    for way in ["triaged ", "curl "] {
        let mut reader = Reader::new();
        reader.goes_live();
        let ours: Vec<Block> = orders().filter(|block| block.text.contains(way)).collect();
        assert_eq!(ours.len(), 1, "{way}");
        let printed = reader.follow(ours).concat();
        reader.is_undone();
        let says: &[&str] = match way {
            "curl " => &["kill\"", "resume\"", "off\"", "on\"", "{\"ordered\":[\"DEMO-9\"]}"],
            _ => &["DEMO-9"],
        };
        for says in says {
            assert!(printed.contains(says), "{says}: {printed}");
        }
        reader.stop();
    }
}
