//! What the service logs holds neither the text of tickets nor personal data, however much it logs.

#[path = "support/command.rs"]
mod command;
#[path = "support/desk.rs"]
mod desk;
#[path = "support/playbook.rs"]
mod playbook;
#[path = "support/process.rs"]
#[allow(dead_code, reason = "used in part")]
mod process;
#[path = "support/runbook.rs"]
mod runbook;

use desk::{Daemon, put, resolving, tail, wait_for};
use runbook::{Reply, Runbook};
use serde_json::{Value, json};

/// What is planted: words of texts, addresses, a password, and what a playbook takes from a ticket.
const PLANTED: [&str; 11] = [
    "ropewalkzebra",
    "quokka.routed@example.com",
    "Zanzibar-77-Mauve",
    "quokka.requester@example.com",
    "umbrellafrost",
    "quokka.resolved@example.com",
    "quokkadone",
    "quokkafailed",
    "marzipanhelmet",
    "quokka.broken@example.com",
    "lanternpickle",
];

/// Records that hold them all; the last two are no tickets.
fn lines() -> String {
    let ticket = |id: &str, subject: &str, body: &str, user: &str| {
        json!({
            "ticket_id": id, "subject": subject, "body": body, "user": user,
            "created_at": "2026-03-04T09:12:00Z", "requester": "quokka.requester@example.com",
            "source": "portal",
        })
        .to_string()
    };
    let routed = "The VPN client disconnects with error 691, says ropewalkzebra. Mail me at \
                  quokka.routed@example.com, my password: Zanzibar-77-Mauve";
    let resolved = "please, umbrellafrost, or mail quokka.resolved@example.com";
    [
        ticket("T-1", "VPN error 691", routed, "kim"),
        ticket("T-2", "do unlock", resolved, "quokkadone"),
        ticket("T-3", "do unlock", resolved, "quokkafailed"),
        String::from(r#"{"ticket_id":"marzipanhelmet","body":"quokka.broken@example.com"#),
        ticket("T-5", "VPN", "lanternpickle", "kim").replace("2026-03-04", "lanternpickle"),
    ]
    .join("\n")
}

/// Whether a log has this text, in whatever case, or its bytes as Rust prints them.
fn holds(log: &str, planted: &str) -> bool {
    let bytes = format!("{:?}", planted.as_bytes());
    let bytes = bytes.trim_matches(['[', ']']);
    log.to_lowercase().contains(&planted.to_lowercase()) || log.contains(bytes)
}

#[test]
fn no_text_of_a_ticket_and_no_personal_data_is_logged() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    let lines = lines();
    assert!(PLANTED.iter().all(|planted| lines.contains(*planted)));
    let runbook = Runbook::start(|request| match request.path.as_str() {
        "/unlock/quokkafailed" => Reply::Status(400),
        _ => Reply::Done,
    });
    let text = playbook::text("unlock", runbook.port, "at-least-once");
    playbook::write(&dir.join("playbooks"), [text]);
    let mut sets = resolving(&runbook.host());
    sets.extend(["logging.level=trace", "resolve.caps.requester_per_minute=10"].map(str::to_owned));
    let mut daemon = Daemon::start_with(dir, &sets);
    put(dir, "tickets.new", &lines, &[]);
    wait_for("all decided", || daemon.decided() == 5);
    let actions = |outcome: &str| {
        let labels = format!("{{outcome=\"{outcome}\",playbook=\"unlock\"}}");
        daemon.metric(&format!("triaged_actions_total{labels}"))
    };
    wait_for("all resolved or handed back", || {
        (actions("done"), actions("handed_back")) == (1.0, 1.0)
    });
    daemon.signal("TERM");
    assert_eq!(daemon.exit_code(), Some(0), "{}", daemon.log());
    assert_eq!(tail(dir, "tickets.dead").len(), 2);

    let log = daemon.log();
    // It is as detailed as can be, and has lines about these very records.
    for says in ["\"TRACE\"", "records go to the dead letters", "not_json", "bad_field"] {
        assert!(log.contains(says), "{says}: {log}");
    }
    assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{log}");
    for planted in PLANTED {
        assert!(!holds(&log, planted), "{planted}: {log}");
    }
    assert!(holds("said: [113, 117, 111]", "quo") && holds("x QUO", "quo"), "nothing is missed");
}
