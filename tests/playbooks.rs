//! Playbooks as people use them: those that ship, and the commands.

#[path = "support/command.rs"]
mod command;
#[path = "support/playbook.rs"]
mod playbook;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use command::{bad, good, run};
use serde_json::{Value, json};
use triaged::playbook::{Library, Mode, Slots, Standing, Values};
use triaged::playbook_dir;
use triaged::resolve::control::{Order, Switch};

const REQUESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/requests");
/// The playbooks in the folder, and a log there as well.
const HERE: [&str; 4] = ["--set", "log.kind=embedded", "--set", "resolve.playbooks=playbooks"];

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/playbooks")
}

fn library() -> Library {
    playbook_dir::library(&shipped()).expect("the playbooks that ship")
}

/// A folder of its own with the playbooks that ship in `playbooks`.
fn copied() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let to = dir.path().join("playbooks");
    fs::create_dir(&to).expect("a folder");
    for entry in fs::read_dir(shipped()).expect("the examples") {
        let from = entry.expect("an entry").path();
        fs::copy(&from, to.join(from.file_name().expect("a name"))).expect("a copy");
    }
    dir
}

/// Replaces a part of one of the copied playbooks.
fn edit(dir: &Path, file: &str, from: &str, to: &str) {
    let path = dir.join("playbooks").join(file);
    let text = fs::read_to_string(&path).expect("a playbook");
    assert!(text.contains(from), "{from}");
    fs::write(&path, text.replacen(from, to, 1)).expect("written");
}

/// A day on which no approval of today has ended.
fn next_year() -> String {
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    today.saturating_add(jiff::Span::new().years(1)).to_string()
}

/// What a command says besides its output, where it succeeds.
fn said(dir: &Path, args: &[&str]) -> String {
    let output = run(dir, args);
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(output.status.success(), "{args:?}: {said}");
    said
}

#[test]
fn those_that_ship_are_approved_and_act_on_nothing_yet() {
    let library = library();
    assert_eq!(library.len(), 4);
    let day = |text: &str| text.parse().expect("a date");
    for playbook in library.iter() {
        assert_eq!(playbook.standing(day("2027-12-31")), Standing::Approved, "{}", playbook.id);
        assert_eq!(playbook.standing(day("2028-01-01")), Standing::Expired, "{}", playbook.id);
        assert_eq!(playbook.mode, Mode::DryRun, "{}: live is its owner's step", playbook.id);
        assert!(playbook.unchanged.is_some() && playbook.verify.is_some(), "{}", playbook.id);
        let slots: Slots =
            playbook.examples.iter().map(|e| e.expect.clone()).next().expect("an example");
        let values = Values {
            ticket_id: "T-1",
            playbook_id: &playbook.id,
            idempotency_key: "00000000-0000-0000-0000-000000000000",
            slots: &slots,
        };
        let english = playbook.reply("en", &values).expect("a reply");
        let korean = playbook.reply("ko", &values).expect("a reply");
        assert!(english.contains("T-1") && korean.contains("T-1") && english != korean);
        for step in playbook.calls() {
            step.call(&values).expect("a call");
        }
    }
    let none = BTreeMap::new();
    assert_eq!(library.forbidden(&["http://127.0.0.1:8199".to_owned()], &none), []);
    assert_eq!(library.forbidden(&["127.0.0.1:8199".to_owned()], &none).len(), 14);
}

#[test]
fn examples_are_tried_and_a_wrong_one_fails() {
    let dir = copied();
    let test = ["test", "--playbooks", "playbooks"];
    let table = good(dir.path(), &[&test[..], &["--model", REQUESTS]].concat());
    assert!(table.contains("26 ok, 0 failed"), "{table}");
    let rows = good(dir.path(), &[&test[..], &["--untried", "--json"]].concat());
    let rows: Value = serde_json::from_str(&rows).expect("JSON");
    let rows = rows.as_array().expect("a list");
    let printing: Vec<_> = rows.iter().filter(|r| r["playbook"] == "clear_print_queue").collect();
    assert!(printing.iter().all(|r| r["verdict"] != "failed"), "{printing:?}");
    let by_rule = printing.iter().filter(|r| r["kind"] == "example" && r["verdict"] == "ok");
    assert_eq!(by_rule.count(), 3);

    edit(dir.path(), "clear_print_queue.toml", "version = 2", "version = 3");
    edit(dir.path(), "clear_print_queue.toml", "printer = \"prn-0042\" }", "printer = \"prn-1\" }");
    let problem = bad(dir.path(), &test);
    assert!(problem.contains("1 of 26 examples failed"), "{problem}");
    let until = next_year();
    let approve = ["approve", "clear_print_queue", "--by", "b", "--until", &until];
    let problem = bad(dir.path(), &[&approve[..], &["--playbooks", "playbooks"]].concat());
    assert!(problem.contains("is not approved: 1 of 6 examples failed"), "{problem}");
}

#[test]
fn what_only_the_model_can_tell_is_not_passed_over() {
    let dir = copied();
    let test = ["test", "--playbooks", "playbooks"];
    let problem = bad(dir.path(), &test);
    assert!(problem.contains("6 of 26 examples were not tried"), "{problem}");
    assert!(problem.contains("--model") && problem.contains("--untried"), "{problem}");
    let until = next_year();
    let approve = |more: &[&'static str]| {
        let given = ["--by", "b", "--until", &until, "--playbooks", "playbooks"];
        [&["approve", "resend_vpn_profile"][..], &given, more].concat()
    };
    let problem = bad(dir.path(), &approve(&[]));
    assert!(problem.contains("is not approved: 3 of 6 examples were not tried"), "{problem}");
    let page = good(dir.path(), &approve(&["--untried"]));
    assert!(page.contains("3 of its examples were not tried"), "{page}");
    let page = good(dir.path(), &approve(&["--model", REQUESTS]));
    assert!(page.contains("is approved until") && !page.contains("not tried"), "{page}");
}

#[test]
fn a_live_playbook_that_does_not_look_is_warned_of() {
    let dir = copied();
    let text = playbook::text("unlock", 9, "at-least-once");
    fs::write(dir.path().join("playbooks/unlock.toml"), text).expect("written");
    let until = next_year();
    let approve = ["approve", "unlock", "--by", "board", "--until", &until];
    for command in [&["test", "--model", REQUESTS][..], &["test", "--untried", "--json"], &approve]
    {
        let warned = said(dir.path(), &[command, &["--playbooks", "playbooks"]].concat());
        for says in ["unchanged: is missing", "verify: is missing"] {
            assert!(warned.contains(&format!("warning: unlock.toml: {says}")), "{warned}");
        }
        assert_eq!(warned.matches("warning").count(), 2, "{warned}");
    }
    let page = good(dir.path(), &["check", "--playbooks", "playbooks"]);
    assert!(page.contains("warning   unlock.toml: unchanged: is missing"), "{page}");
    assert!(page.contains("warning   unlock.toml: verify: is missing"), "{page}");
}

#[test]
fn a_queue_to_fall_back_to_is_there() {
    let dir = copied();
    let check = ["check", "--playbooks", "playbooks"];
    let per_queue = [&check[..], &["--set", "topics.per_queue=true"]].concat();
    assert!(!good(dir.path(), &check).contains("is no queue"));
    edit(dir.path(), "clear_print_queue.toml", "version = 2", "version = 3");
    edit(dir.path(), "clear_print_queue.toml", "\"workplace\"", "\"Printing\"");
    let page = good(dir.path(), &per_queue);
    assert!(page.contains("\"Printing\" is no queue of the policy"), "{page}");
    let outputs = page.lines().find(|line| line.starts_with("outputs")).expect("the outputs");
    assert!(outputs.contains("tickets.routed.Printing"), "{outputs}");
    edit(dir.path(), "clear_print_queue.toml", "\"Printing\"", "\"Print room\"");
    assert!(good(dir.path(), &check).contains("\"Print room\" is no queue"));
    let problem = bad(dir.path(), &per_queue);
    assert!(
        problem.contains("clear_print_queue.toml: fallback_queue: \"Print room\""),
        "{problem}"
    );
    assert!(problem.contains("names no topic"), "{problem}");
}

#[test]
fn a_folder_that_is_not_there_is_said_once() {
    let dir = copied();
    let problem = bad(dir.path(), &["test", "--playbooks", "none"]);
    assert_eq!(problem.matches("No such file").count(), 1, "{problem}");
    // A new folder is checked instead of the configured one, which it may be about to mend.
    let instead = ["check", "--set", "resolve.playbooks=none", "--playbooks", "playbooks"];
    good(dir.path(), &instead);
}

#[test]
fn orders_are_records_as_the_control_endpoint_writes_them() {
    let dir = copied();
    // The runbook's credential is on another machine than the one that orders are given at.
    let service = "log.kind = 'embedded'\nstages.run = ['resolve']\n[resolve]\n\
                   playbooks = 'playbooks'\nhosts = ['desk.example.com']\n\
                   [resolve.credentials.desk]\n\
                   kind = 'bearer'\nfile = 'elsewhere'\nhosts = ['desk.example.com']\n";
    fs::write(dir.path().join("service.toml"), service).expect("written");
    let with = |args: &[&'static str]| [args, &["--config", "service.toml"]].concat();
    let unheard = bad(dir.path(), &with(&["kill"]));
    assert!(unheard.contains("nobody would hear it"), "{unheard}");
    fs::write(dir.path().join("in"), "x").expect("written");
    good(dir.path(), &with(&["put", "tickets.new", "in"]));

    let kill = good(dir.path(), &with(&["kill", "--by", "kim"]));
    for says in ["ordered by kim", "within a second", "to lift it: triaged resume"] {
        assert!(kill.contains(says), "{says}: {kill}");
    }
    let off = good(dir.path(), &with(&["playbook", "unlock_account", "off"]));
    assert!(off.contains("to lift it: triaged playbook unlock_account on"), "{off}");
    good(dir.path(), &with(&["playbook", "unlock_account", "on"]));
    good(dir.path(), &with(&["resume"]));
    let unknown = bad(dir.path(), &with(&["playbook", "unlock", "off"]));
    assert!(unknown.contains("there is no playbook unlock; there are: clear_print"), "{unknown}");
    // What somebody is about to write does not keep a playbook from being switched off.
    edit(dir.path(), "unlock_account.toml", "title =", "titel =");
    good(dir.path(), &with(&["playbook", "unlock_account", "off"]));

    let page = good(dir.path(), &with(&["tail", "tickets.control"]));
    let orders = page.lines().map(|line| {
        let record: Value = serde_json::from_str(line).expect("JSON");
        let order: Order = serde_json::from_value(record["value"].clone()).expect("an order");
        assert_eq!(record["key"], order.key(), "compaction needs it");
        assert!(order.at_ms > 0 && !order.by.is_empty());
        (order.switch, order.on)
    });
    let playbook = || Switch::Playbook(String::from("unlock_account"));
    let expected = [
        (Switch::Everything, false),
        (playbook(), false),
        (playbook(), true),
        (Switch::Everything, true),
        (playbook(), false),
    ];
    assert_eq!(orders.collect::<Vec<_>>(), expected);
}

#[test]
fn an_undo_that_finds_nothing_fails_and_says_why() {
    let dir = copied();
    let undo = |args: &[&'static str]| [&["undo"][..], args, &HERE].concat();
    let outcome = |ticket: &str, outcome: &str| {
        let known = json!({ "playbook": "unlock_account" });
        let line = json!({
            "ticket_id": ticket, "outcome": outcome, "playbook": "unlock_account",
            "called_ms": 1_000, "known_request": known,
        });
        line.to_string()
    };
    let outcomes =
        [outcome("done", "done"), outcome("undone", "done"), outcome("undone", "undone")];
    fs::write(dir.path().join("in"), outcomes.join("\n")).expect("written");
    let put = ["put", "tickets.outcomes", "in"];
    good(dir.path(), &[&put[..], &HERE].concat());

    assert_eq!(good(dir.path(), &undo(&["--ticket", "done"])), "done\n");
    let time = ["--from", "1970-01-01T00:00:00Z", "--to", "1970-01-02T00:00:00Z"];
    let all = undo(&[&["--playbook", "unlock_account"][..], &time].concat());
    assert_eq!(good(dir.path(), &all), "done\n");
    for (args, says) in [
        (&["--ticket", "T-1"][..], "no outcome of ticket T-1 was found in tickets.outcomes"),
        (&["--ticket", "undone"][..], "nothing of ticket undone is left to take back; taken back"),
        (
            &["--playbook", "clear_print_queue", "--from", "1970-01-01T00:00:00Z"][..],
            "no outcome of playbook clear_print_queue from",
        ),
        (
            &["--playbook", "unlock", "--from", "1970-01-01T00:00:00Z"][..],
            "there is no playbook unlock; there are",
        ),
        (
            &["--playbook", "unlock_account", "--from", "2999-01-01T00:00:00Z"][..],
            "the time ends before it begins",
        ),
    ] {
        let problem = bad(dir.path(), &undo(args));
        assert!(problem.contains(says), "{says}: {problem}");
    }
    let output = run(dir.path(), &undo(&[&["--ticket", "done"][..], &time].concat()));
    let problem = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(!output.status.success() && problem.contains("cannot be used with"), "{problem}");
}

#[test]
fn a_change_needs_a_version_and_an_approval() {
    let dir = copied();
    let check = ["check", "--playbooks", "playbooks"];
    let page = good(dir.path(), &check);
    assert!(page.contains("version 2, approved until 2027-12-31, dry-run, at-most-once"), "{page}");
    edit(dir.path(), "unlock_account.toml", "mode = \"dry-run\"", "mode = \"live\"");
    edit(dir.path(), "clear_print_queue.toml", "title =", "titel =");
    let problems = bad(dir.path(), &check);
    for says in [
        "the playbooks have 3 problems",
        "unlock_account.toml: was changed without a new version",
        "clear_print_queue.toml: title: is missing",
        "clear_print_queue.toml: titel: is not a key here",
    ] {
        assert!(problems.contains(says), "{says}: {problems}");
    }
    edit(dir.path(), "clear_print_queue.toml", "titel =", "title =");
    edit(dir.path(), "unlock_account.toml", "version = 3", "version = 4");
    assert!(good(dir.path(), &check).contains("version 4, unapproved, live"));
    let until = next_year();
    let approve =
        |id, by| ["approve", id, "--by", by, "--until", &until, "--playbooks", "playbooks"];
    let owner = bad(dir.path(), &approve("unlock_account", "identity-team@example.com"));
    assert!(owner.contains("two people have to agree"), "{owner}");
    assert!(bad(dir.path(), &approve("unlock", "board")).contains("there is no playbook unlock"));
    let said = good(dir.path(), &approve("unlock_account", "board"));
    assert!(
        said.contains(&format!("unlock_account version 4 is approved until {until}")),
        "{said}"
    );
    let standing = format!("version 4, approved until {until}, live");
    assert!(good(dir.path(), &check).contains(&standing));
    let ever = ["--by", "board", "--until", "9999-12-31", "--playbooks", "playbooks"];
    let ever = bad(dir.path(), &[&["approve", "unlock_account"][..], &ever].concat());
    assert!(ever.contains("an approval must end within 2 years"), "{ever}");
    let text = fs::read_to_string(dir.path().join("playbooks/unlock_account.toml")).expect("text");
    assert!(text.contains("# Questions about unlocking"), "comments are kept");
}

#[test]
fn what_playbooks_and_settings_name_must_be_there() {
    let dir = copied();
    let model = format!("resolve.model={REQUESTS}");
    let check = ["check", "--playbooks", "playbooks"];
    let with_model = [&check[..], &["--set", &model]].concat();
    assert!(!good(dir.path(), &with_model).contains("warning"));
    let page = good(dir.path(), &check);
    assert!(page.contains("warning   playbook resend_vpn_profile can never act"), "{page}");
    assert!(!page.contains("unlock_account can never act"), "it has rules: {page}");

    let security = ["--set", "resolve.security_categories=Security/*,Audit/*"];
    let problem = bad(dir.path(), &[&with_model[..], &security].concat());
    assert!(problem.contains("no category of the model fits Audit/*"), "{problem}");

    // Where calls are made, hosts have to be on the list.
    let calls = |to| [&["check", "--set", "stages.run=resolve", "--set", to][..], &HERE].concat();
    good(dir.path(), &calls("resolve.hosts=http://127.0.0.1:8199"));
    let problem = bad(dir.path(), &calls("resolve.hosts=other.example.com"));
    assert!(problem.contains("http://127.0.0.1:8199 is not on the list"), "{problem}");

    edit(dir.path(), "unlock_account.toml", "version = 3", "version = 4");
    edit(dir.path(), "unlock_account.toml", "[\"unlock_account\"]", "[\"unlock_acount\"]");
    let problem = bad(dir.path(), &with_model);
    assert!(problem.contains("the known-request model has no request unlock_acount"), "{problem}");
}
