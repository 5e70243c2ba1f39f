//! Playbooks as people use them: those that ship, the commands, and the page that explains them.

#[path = "support/command.rs"]
mod command;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use command::{bad, good};
use serde_json::Value;
use triaged::playbook::{Library, Mode, Slots, Standing, Values};
use triaged::playbook_dir;

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
    let table = good(dir.path(), &["test", "--playbooks", "playbooks"]);
    assert!(table.contains("0 failed"), "{table}");
    let rows = good(dir.path(), &["test", "--playbooks", "playbooks", "--json"]);
    let rows: Value = serde_json::from_str(&rows).expect("JSON");
    let rows = rows.as_array().expect("a list");
    let printing: Vec<_> = rows.iter().filter(|r| r["playbook"] == "clear_print_queue").collect();
    assert!(printing.iter().all(|r| r["verdict"] != "failed"), "{printing:?}");
    let by_rule = printing.iter().filter(|r| r["kind"] == "example" && r["verdict"] == "ok");
    assert_eq!(by_rule.count(), 3);

    edit(dir.path(), "clear_print_queue.toml", "version = 1", "version = 2");
    edit(dir.path(), "clear_print_queue.toml", "printer = \"prn-0042\" }", "printer = \"prn-1\" }");
    let problem = bad(dir.path(), &["test", "--playbooks", "playbooks"]);
    assert!(problem.contains("1 of "), "{problem}");
    let approve = ["approve", "clear_print_queue", "--by", "b", "--until", "2999-01-01"];
    let problem = bad(dir.path(), &[&approve[..], &["--playbooks", "playbooks"]].concat());
    assert!(problem.contains("is not approved: 1 of its examples failed"), "{problem}");
}

#[test]
fn a_change_needs_a_version_and_an_approval() {
    let dir = copied();
    let check = ["check", "--playbooks", "playbooks"];
    let page = good(dir.path(), &check);
    assert!(page.contains("version 1, approved until 2027-12-31, dry-run, at-most-once"), "{page}");
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
    edit(dir.path(), "unlock_account.toml", "version = 2", "version = 3");
    assert!(good(dir.path(), &check).contains("version 3, unapproved, live"));
    let approve =
        |id, by| ["approve", id, "--by", by, "--until", "2999-01-01", "--playbooks", "playbooks"];
    let owner = bad(dir.path(), &approve("unlock_account", "identity-team@example.com"));
    assert!(owner.contains("two people have to agree"), "{owner}");
    assert!(bad(dir.path(), &approve("unlock", "board")).contains("there is no playbook unlock"));
    let said = good(dir.path(), &approve("unlock_account", "board"));
    assert!(said.contains("unlock_account version 3 is approved until 2999-01-01"), "{said}");
    assert!(good(dir.path(), &check).contains("version 3, approved until 2999-01-01, live"));
    let text = fs::read_to_string(dir.path().join("playbooks/unlock_account.toml")).expect("text");
    assert!(text.contains("# Questions about unlocking"), "comments are kept");
}

#[test]
fn what_playbooks_and_settings_name_must_be_there() {
    let dir = copied();
    let model = concat!("resolve.model=", env!("CARGO_MANIFEST_DIR"), "/models/requests");
    let check = ["check", "--playbooks", "playbooks"];
    let with_model = [&check[..], &["--set", model]].concat();
    assert!(!good(dir.path(), &with_model).contains("warning"));
    let page = good(dir.path(), &check);
    assert!(page.contains("warning   playbook resend_vpn_profile can never act"), "{page}");
    assert!(!page.contains("unlock_account can never act"), "it has rules: {page}");

    let security = ["--set", "resolve.security_categories=Security/*,Audit/*"];
    let problem = bad(dir.path(), &[&with_model[..], &security].concat());
    assert!(problem.contains("no category of the model fits Audit/*"), "{problem}");

    edit(dir.path(), "unlock_account.toml", "version = 2", "version = 3");
    edit(dir.path(), "unlock_account.toml", "[\"unlock_account\"]", "[\"unlock_acount\"]");
    let problem = bad(dir.path(), &with_model);
    assert!(problem.contains("the known-request model has no request unlock_acount"), "{problem}");
}

/// The fenced blocks of the page in a language.
fn blocks(language: &str) -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/playbooks.md");
    let page = fs::read_to_string(page).expect("the page");
    let start = format!("```{language}\n");
    let blocks = page.split(&start).skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_page_works_as_written() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = blocks("toml").into_iter().find(|b| b.contains("\nversion = ")).expect("a playbook");
    let folder = dir.path().join("my-playbooks");
    fs::create_dir(&folder).expect("a folder");
    let path = folder.join("unlock_me.toml");
    fs::write(&path, file).expect("written");
    let mut ran = 0;
    for line in blocks("sh").iter().flat_map(|block| block.lines()) {
        let mut words = line.split(' ');
        let ours = ["test", "approve", "check"];
        match (words.next(), words.next()) {
            (Some("triaged"), Some(command)) if ours.contains(&command) => {}
            (Some("sed"), _) => {
                // What the page has a person change in the file, by hand or like this.
                let mut shell = std::process::Command::new("sh");
                let shell = shell.arg("-c").arg(line).current_dir(dir.path());
                assert!(shell.status().expect("sed").success(), "{line}");
                continue;
            }
            _ => continue,
        }
        // The configuration file is the resolve stage's; everything else is as written.
        let words: Vec<&str> = line.split(' ').skip(1).collect();
        let words: Vec<&str> = match words.iter().position(|w| *w == "--config") {
            Some(at) => [&words[..at], &words[at + 2..], &["--playbooks", "my-playbooks"]].concat(),
            None => words,
        };
        good(dir.path(), &words);
        ran += 1;
    }
    assert!(ran >= 5, "{ran} commands");
    let library = playbook_dir::library(&folder).expect("the playbook");
    let playbook = library.get("unlock_me").expect("it");
    assert_eq!((playbook.version, playbook.mode), (2, Mode::Live));
    assert_eq!(playbook.standing("2027-06-30".parse().expect("a date")), Standing::Approved);
}
