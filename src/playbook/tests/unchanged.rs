//! Reading the ticket again just before acting: every playbook does, or says why it cannot.

use super::*;

const UNREAD: &str = "unread = \"The desk cannot be asked.\"\n";

const UNCHANGED: &str = r#"[unchanged]
method = "GET"
url = "https://desk.example.com/tickets/{{ticket.id}}"
same = [{ pointer = "/updated_at", ticket = "/updated_at" }]

[undo]"#;

/// The good playbook, which now reads the ticket again.
fn reading() -> String {
    GOOD.replace(UNREAD, "").replace("[undo]", UNCHANGED)
}

#[test]
fn a_playbook_reads_again_or_says_why_it_does_not() {
    let read = |text: &str| {
        let library = library(text, None).map_err(|problems| problems.to_string())?;
        let playbook = library.get("unlock_account").expect("it");
        Ok::<_, String>((playbook.unchanged.is_some(), playbook.unread.clone()))
    };
    assert_eq!(read(GOOD), Ok((false, Some("The desk cannot be asked.".to_owned()))));
    assert_eq!(read(&reading()), Ok((true, None)));
    let neither = GOOD.replace(UNREAD, "");
    let both = GOOD.replace("[undo]", UNCHANGED);
    for (text, says) in [
        (neither.as_str(), "unchanged: is missing: add the call"),
        (neither.as_str(), "say why there is none with unread = \"...\""),
        (both.as_str(), "unread: contradicts [unchanged]: keep one of the two"),
    ] {
        let found = read(text).expect_err(says);
        assert!(found.contains(says) && found.contains("have 1 problem:"), "{found}");
    }
    let silent = read(&GOOD.replace("The desk cannot be asked.", " ")).expect_err("no reason");
    assert!(silent.contains("unread: must not be empty"), "{silent}");
}

#[test]
fn a_live_playbook_that_does_not_look_is_a_risk() {
    let risks = |text: &str| -> Vec<Problem> {
        let library = library(text, None).expect("a playbook");
        library.iter().flat_map(Playbook::risks).collect()
    };
    let paths = |text: &str| -> Vec<String> { risks(text).into_iter().map(|r| r.path).collect() };
    let live = |text: &str| text.replace("minutes_saved", "mode = \"live\"\nminutes_saved");
    let verify = "[verify]\nmethod = \"GET\"\nurl = \"https://runbooks.example.com/state\"\n[undo]";
    let unread = risks(&live(GOOD));
    assert_eq!(paths(&live(GOOD)), ["unchanged", "verify"]);
    assert!(unread[0].what.contains("(The desk cannot be asked.)"), "{}", unread[0]);
    assert_eq!(paths(&live(&reading())), ["verify"]);
    assert!(paths(&live(&reading()).replace("[undo]", verify)).is_empty());
    assert!(paths(GOOD).is_empty(), "it calls nothing yet");
}

#[test]
fn a_ticket_that_people_changed_is_left_alone() {
    let library = library(&reading(), None).expect("a playbook");
    let unchanged = library.iter().next().and_then(|p| p.unchanged.clone()).expect("it");
    let holds = |ticket: serde_json::Value, answer: &str| {
        let ticket =
            TicketView { id: "1", subject: "", body: "", source: "", language: "", json: &ticket };
        unchanged.holds(200, answer.as_bytes(), &ticket)
    };
    let at = serde_json::json!({"updated_at": "2026-01-01"});
    assert_eq!(holds(at.clone(), r#"{"updated_at":"2026-01-01"}"#), Ok(()));
    let changed = Err(Unmet::Changed("/updated_at".to_owned()));
    assert_eq!(holds(at.clone(), r#"{"updated_at":"2026-01-02"}"#), changed);
    assert_eq!(holds(at, "{}"), changed);
    assert_eq!(holds(serde_json::json!({}), "{}"), changed);
}
