mod approval;
mod unchanged;

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const GOOD: &str = r#"
id = "unlock_account"
version = 1
title = "Unlock an account"
owner = "identity@example.com"
minutes_saved = 6
fallback_queue = "Service desk"
unread = "The desk cannot be asked."

[match]
rules = [{ all_words = ["unlock"], none_words = ["not"] }]

[slots.user]
pattern = '[a-z]{2,20}\.[a-z]{2,20}'
from = ["/custom/user_id", "text"]

[slots.room]
type = "integer"
required = false
from = ["/custom/room"]

[[steps]]
name = "unlock"
method = "POST"
url = "https://runbooks.example.com/accounts/{{slot.user}}/unlock?ticket={{ticket.id}}"
headers = { x-team = "desk" }
credential = "runbooks"
body = { user = "{{slot.user}}", room = "{{slot.room}}", why = "{{playbook.id}}: {{ticket.id}}", n = [1, true] }

[undo]
method = "POST"
url = "https://runbooks.example.com/accounts/{{slot.user}}/lock"

[reply]
en = "{{slot.user}} can sign in again ({{ticket.id}})."
ko = "{{slot.user}} 계정이 풀렸습니다."

[[examples]]
subject = "unlock kim.minji"
expect = { user = "kim.minji" }

[[counter_examples]]
subject = "do not unlock kim.minji"
"#;

fn file(name: &str, text: &str) -> TextFile {
    TextFile { name: name.to_owned(), text: text.to_owned() }
}

fn library(text: &str, lock: Option<&str>) -> Result<Library, Problems> {
    Library::read(&[file("a.toml", text)], lock)
}

fn playbook() -> Playbook {
    library(GOOD, None).expect("a playbook").get("unlock_account").expect("it").clone()
}

fn day(text: &str) -> Date {
    text.parse().expect("a date")
}

fn slots(user: &str) -> Slots {
    Slots::from([("user".to_owned(), SlotValue::Text(user.to_owned()))])
}

fn values<'a>(ticket_id: &'a str, slots: &'a Slots) -> Values<'a> {
    Values { ticket_id, playbook_id: "unlock_account", idempotency_key: "k-1", slots }
}

/// The problems of the good playbook with one thing changed.
fn problems(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    let text = GOOD.replacen(from, to, 1);
    library(&text, None).expect_err(&text).to_string()
}

#[test]
fn a_playbook_is_read_with_its_defaults() {
    let playbook = playbook();
    assert_eq!((playbook.mode, playbook.delivery), (Mode::DryRun, Delivery::AtLeastOnce));
    assert_eq!(playbook.steps[0].timeout.as_secs(), 10);
    assert_eq!(playbook.steps[0].expect, Expect::default());
    assert_eq!(playbook.standing(day("2026-01-01")), Standing::Unapproved);
    let tried = tried(&playbook, None);
    assert_eq!(tried.len(), 2);
    assert!(tried.iter().all(|t| matches!(t.verdict, Verdict::Ok { .. })), "{tried:?}");
}

#[test]
fn a_call_is_data() {
    let slots = slots("kim.minji");
    let call = playbook().steps[0].call(&values("T 1/ü", &slots)).expect("a call");
    assert_eq!(
        call.url,
        "https://runbooks.example.com/accounts/kim.minji/unlock?ticket=T%201%2F%C3%BC"
    );
    assert_eq!(
        (call.method, call.host.as_str(), call.port),
        (Method::Post, "runbooks.example.com", 443)
    );
    let body: serde_json::Value =
        serde_json::from_slice(&call.body.expect("a body")).expect("JSON");
    let expected = serde_json::json!({
        "user": "kim.minji", "room": null, "why": "unlock_account: T 1/ü", "n": [1, true],
    });
    assert_eq!(body, expected);
    assert!(call.headers.contains(&("content-type".to_owned(), "application/json".to_owned())));
    assert_eq!(call.credential.as_deref(), Some("runbooks"));
    let mut with_room = slots.clone();
    with_room.insert("room".to_owned(), SlotValue::Integer(42));
    let call = playbook().steps[0].call(&values("T", &with_room)).expect("a call");
    let body: serde_json::Value =
        serde_json::from_slice(&call.body.expect("a body")).expect("JSON");
    assert_eq!(body["room"], 42);
}

#[test]
fn a_value_that_would_climb_is_no_path_segment() {
    for user in ["", ".", "..", "../x", "a/..", "..\\x", "a\r\nb"] {
        let slots = slots(user);
        let call = playbook().steps[0].call(&values("T", &slots));
        assert_eq!(call, Err(Unfit::Path("slot.user".to_owned())), "{user:?}");
    }
    let none = Slots::new();
    let call = playbook().steps[0].call(&values("T", &none));
    assert_eq!(call, Err(Unfit::NoValue("slot.user".to_owned())));
}

#[test]
fn replies_fall_back_to_english() {
    let (playbook, slots) = (playbook(), slots("kim.minji"));
    let reply = |language| playbook.reply(language, &values("T-1", &slots)).expect("a reply");
    assert_eq!(reply("ko-KR"), "kim.minji 계정이 풀렸습니다.");
    assert_eq!(reply("de"), "kim.minji can sign in again (T-1).");
}

#[test]
fn values_from_elsewhere_are_checked_again() {
    let playbook = playbook();
    assert!(playbook.takes(&slots("kim.minji")));
    for user in ["kim", "kim.minji/../x", ""] {
        assert!(!playbook.takes(&slots(user)), "{user}");
    }
    assert!(!playbook.takes(&Slots::new()));
    let mut more = slots("kim.minji");
    more.insert("host".to_owned(), SlotValue::Integer(1));
    assert!(!playbook.takes(&more));
}

#[test]
fn every_wrong_thing_is_named_with_its_path() {
    for (from, to, says) in [
        ("version = 1", "version = 0", "a.toml: version: must be at least 1"),
        ("minutes_saved = 6", "minutes = 6", "minutes: is not a key here"),
        ("id = \"unlock_account\"", "id = \"Unlock account\"", "id: must be 1 to 64"),
        ("https://", "ftp://", "steps[0].url: must begin with https"),
        ("runbooks.example.com/acc", "{{slot.user}}.example.com/acc", "name the host literally"),
        ("https://runbooks", "https://u:p@runbooks", "no user, no password"),
        ("runbooks.example.com/acc", "RUNBOOKS.example.com/acc", "normal form"),
        ("runbooks.example.com/acc", "runbooks.example.com:443/acc", "normal form"),
        ("runbooks.example.com/acc", "runbooks.example.com/x/../acc", "normal form"),
        ("runbooks.example.com/acc", "runbooks.example.com/%2e/acc", "normal form"),
        ("runbooks.example.com/acc", "runbooks.example.com\\\\acc", "url: must not have a \\"),
        ("/{{slot.user}}/unlock", "/u-{{slot.user}}/unlock", "whole path segment"),
        ("ticket={{ticket.id}}", "{{ticket.id}}=1", "literal names in its query"),
        ("ticket={{ticket.id}}", "ticket=a#b", "fragment"),
        ("{{ticket.id}}\"", "{{ticket.subject}}\"", "is nothing to fill in"),
        ("/{{slot.user}}/unlock", "/{{slot.room}}/unlock", "names an optional slot"),
        ("x-team = \"desk\"", "x-team = \"{{slot.user}}\"", "headers.x-team: must be literal"),
        ("x-team = \"desk\"", "Host = \"desk\"", "headers.Host: is set by the caller"),
        ("x-team = \"desk\"", "x-team = \"a\\nb\"", "visible ASCII"),
        ("x-team", "\"x team\"", "is no header name"),
        ("user = \"{{slot.user}}\",", "\"{{slot.user}}\" = 1,", "only values are filled in"),
        ("method = \"POST\"", "method = \"TRACE\"", "steps[0].method: must be GET"),
        ("method = \"POST\"", "method = \"GET\"", "GET has no body"),
        ("[undo]", "irreversible = \"no\"\n[undo_]", "undo_"),
        ("ko = ", "xx-y = ", "reply.xx-y: must be a language"),
        ("en = \"{{slot.user}}", "en = \"{{idempotency_key}}", "is nothing to fill in"),
        ("expect = { user", "expect = { usr", "examples[0].expect.usr: is no slot"),
        ("[[counter_examples]]\nsubject", "[[counter_examples]]\nsubjekt", "subjekt: is not a key"),
        ("owner = \"identity@example.com\"", "owner = ''", "owner: must not be empty"),
        ("{{ticket.id}})", "{{ticket.id)", "{{ without }}"),
    ] {
        let found = problems(from, to);
        assert!(found.contains(says), "{to}: {found}");
    }
    let found = problems("pattern = '[a-z]{2,20}", "pattern = '[a-z]+");
    assert!(found.contains("have 1 problem:"), "one cause, one problem: {found}");
    let found = problems("[slots.room]", "[slots.\"\"]");
    assert!(found.contains("slots.: must be 1 to 64"), "{found}");
    let text = GOOD.replacen("[undo]", "[other]", 1).replace("version = 1\n", "");
    let found = library(&text, None).expect_err("problems").to_string();
    for says in ["version: is missing", "undo: is missing", "other: is not a key"] {
        assert!(found.contains(says), "{found}");
    }
}

#[test]
fn a_folder_has_no_two_answers_to_one_request() {
    let with = |id: &str| {
        GOOD.replace("id = \"unlock_account\"", &format!("id = \"{id}\""))
            .replace("[match]", "[match]\nrequests = [\"unlock\"]")
    };
    let files =
        [file("a.toml", &with("a")), file("b.toml", &with("b")), file("c.toml", &with("a"))];
    let found = Library::read(&files, None).expect_err("problems").to_string();
    assert!(found.contains("b.toml: match.requests: unlock is answered by a.toml"), "{found}");
    assert!(found.contains("c.toml: id: a is the id of a.toml"), "{found}");
    let library = Library::read(&files[..1], None).expect("one");
    assert_eq!(library.answering("unlock").map(|p| p.id.as_str()), Some("a"));
    assert!(library.answering("lock").is_none());
}

#[test]
fn only_listed_hosts_may_be_called() {
    let library = library(GOOD, None).expect("a playbook");
    let host = "runbooks.example.com".to_owned();
    let bound = |hosts: &[String]| BTreeMap::from([("runbooks".to_owned(), hosts.to_vec())]);
    let hosts = std::slice::from_ref(&host);
    assert_eq!(library.forbidden(hosts, &bound(hosts)), []);
    for other in [format!("http://{host}"), format!("{host}:8443"), "example.com".to_owned()] {
        let other = [other];
        assert_eq!(library.forbidden(&other, &bound(hosts)).len(), 2);
        let [problem] = library.forbidden(hosts, &bound(&other)).try_into().expect("one");
        assert_eq!(problem.what, format!("the credential runbooks is not for https://{host}"));
    }
    let [problem] = library.forbidden(hosts, &BTreeMap::new()).try_into().expect("one");
    assert_eq!(problem.what, "there is no credential runbooks");
}

#[test]
fn a_fallback_queue_is_one_of_the_policy_and_can_name_a_topic() {
    let with =
        |queue: &str| library(&GOOD.replace("Service desk", queue), None).expect("a playbook");
    let queues = ["service-desk".to_owned(), "identity".to_owned()];
    let (strange, known) = (with("Identity"), with("identity"));
    assert_eq!((known.strange_queues(&queues), known.unnameable_queues()), (vec![], vec![]));
    let [problem] = strange.strange_queues(&queues).try_into().expect("one");
    let problem = problem.to_string();
    assert!(problem.contains("a.toml: fallback_queue: \"Identity\" is no queue"), "{problem}");
    assert_eq!(strange.unnameable_queues(), []);
    for queue in ["Service desk", "a/b", "서비스", "q".repeat(201).as_str()] {
        let [problem] = with(queue).unnameable_queues().try_into().expect("one");
        assert!(problem.what.contains("names no topic"), "{problem}");
    }
}

#[test]
fn a_playbook_is_known_by_its_id_while_somebody_breaks_it() {
    let broken = GOOD.replace("title =", "titel =");
    let files = [file("a.toml", &broken), file("b.toml", "id = "), file("c.toml", "")];
    assert_eq!(ids(&files), ["unlock_account"]);
}

#[test]
fn a_host_is_the_same_however_it_is_written() {
    let allows = |origin: &str, listed: &str| {
        let text = GOOD
            .replace("https://runbooks.example.com", origin)
            .replace("credential = \"runbooks\"\n", "");
        let library = library(&text, None).expect("a playbook");
        library.forbidden(&[listed.to_owned()], &BTreeMap::new()).is_empty()
    };
    for (origin, listed) in [
        ("https://runbooks.example", "runbooks.example"),
        ("https://runbooks.example", "runbooks.example:443"),
        ("https://runbooks.example", "Runbooks.Example"),
        ("https://runbooks.example:8443", "runbooks.example:8443"),
        ("http://runbooks.example", "http://runbooks.example:80"),
        ("https://[::1]", "[0:0::1]"),
    ] {
        assert!(allows(origin, listed), "{origin} {listed}");
    }
    for (origin, listed) in [
        ("http://runbooks.example", "runbooks.example:80"),
        ("http://runbooks.example", "runbooks.example"),
        ("https://runbooks.example:80", "http://runbooks.example:80"),
        ("https://runbooks.example", "https://runbooks.example"),
        ("https://runbooks.example", ""),
    ] {
        assert!(!allows(origin, listed), "{origin} {listed}");
    }
}

#[test]
fn a_check_only_asks_and_a_playbook_has_the_time_that_an_action_has() {
    let checked = |method: &str, within: u32, timeout_ms: u32| {
        let verify = format!(
            "[verify]\nmethod = \"{method}\"\nurl = \"https://runbooks.example.com/state\"\n\
             within_seconds = {within}\ntimeout_ms = {timeout_ms}\n\n[undo]"
        );
        let read = library(&GOOD.replace("[undo]", &verify), None);
        read.map(|_| ()).map_err(|problems| problems.to_string())
    };
    // The step has 10 seconds.
    assert_eq!(checked("GET", 100, 10_000), Ok(()));
    for (method, within, timeout_ms, says) in [
        ("POST", 10, 1_000, "a.toml: verify.method: must be GET"),
        ("GET", 600, 1_000, "verify.within_seconds: must be between 1 and 120, not 600"),
        ("GET", 100, 11_000, "steps: may take 121 seconds"),
    ] {
        let found = checked(method, within, timeout_ms).expect_err(says);
        assert!(found.contains(says), "{found}");
        assert!(found.contains("have 1 problem:"), "one cause, one problem: {found}");
    }
}

#[test]
fn examples_say_what_they_need() {
    let asks = GOOD.replace(
        "rules = [{ all_words = [\"unlock\"], none_words = [\"not\"] }]",
        "requests = [\"unlock\"]\nunless = [{any_words = [\"not\"]}]",
    );
    let library = library(&asks, None).expect("a playbook");
    let playbook = library.get("unlock_account").expect("it");
    let verdicts = |recognise: Option<&Recognise<'_>>| -> Vec<Verdict> {
        tried(playbook, recognise).into_iter().map(|t| t.verdict).collect()
    };
    let held = Verdict::Ok { detail: "not matched".to_owned() };
    assert_eq!(verdicts(None), [Verdict::NeedsModel, held]);
    let known = |request: &str| Known { request: request.to_owned(), confidence: 1.0, margin: 1.0 };
    let ok = verdicts(Some(&|_| Some(known("unlock"))));
    assert!(ok.iter().all(|v| matches!(v, Verdict::Ok { .. })), "{ok:?}");
    let other = verdicts(Some(&|_| Some(known("other"))));
    assert!(matches!(other[0], Verdict::Failed { .. }), "{other:?}");
}

proptest! {
    /// Files come from people: whatever they write is read or refused, never a panic.
    #[test]
    fn any_file_is_read_or_refused(at in any::<prop::sample::Index>(), len in 0..40usize, put in "\\PC{0,12}") {
        let start = (0..=at.index(GOOD.len())).rev().find(|i| GOOD.is_char_boundary(*i)).unwrap_or(0);
        let end = (start + len..GOOD.len()).find(|i| GOOD.is_char_boundary(*i)).unwrap_or(GOOD.len());
        let text = format!("{}{put}{}", &GOOD[..start], &GOOD[end..]);
        if let Err(Problems(problems)) = library(&text, None) {
            prop_assert!(!problems.is_empty());
        }
        let _ = library(GOOD, Some(&text));
    }
}
