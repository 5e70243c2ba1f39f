//! Tickets with a wrong label, from the training data to the list that a person looks over.

use std::fs;

use serde_json::json;
use triaged::train::recipe::Recipe;
use triaged::train::train;

/// Places of tickets with a wrong label: too old for the test, so they are held out in turn.
const PLANTED: [usize; 4] = [20, 75, 130, 200];
const KINDS: [(&str, [&str; 8]); 3] = [
    ("Network", ["vpn", "tunnel", "gateway", "remote", "timeout", "router", "wireless", "signal"]),
    ("Printing", ["printer", "paper", "jam", "toner", "tray", "scanner", "ink", "duplex"]),
    (
        "Mail",
        ["mailbox", "outlook", "inbox", "attachment", "calendar", "quota", "spam", "signature"],
    ),
];
const COMMON: [&str; 8] = ["again", "please", "monday", "help", "down", "since", "broken", "slow"];

/// Dated tickets of three kinds, of words that look drawn by chance and are the same every time. Some
/// are less clear than others; those with a wrong label are clear.
fn tickets() -> String {
    let mut state = 1u64;
    let mut below = |n: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    let mut lines = Vec::new();
    for i in 0..300 {
        let (label, words) = KINDS[i % 3];
        let is_planted = PLANTED.contains(&i);
        let mut body = Vec::new();
        for place in 0..10 {
            let is_common = place > 1 && !is_planted && (i % 5 == 0 || below(4) == 0);
            body.push(if is_common { COMMON[below(8)] } else { words[below(8)] });
        }
        let given = if is_planted { KINDS[(i + 1) % 3].0 } else { label };
        let ticket = json!({
            "id": i, "subject": format!("case {i}"), "body": body.join(" "), "category": given,
            "created_at": 1_772_582_400 + i * 86_400,
        });
        lines.push(ticket.to_string());
    }
    lines.join("\n")
}

#[test]
fn planted_mistakes_are_the_first_suspects() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("tickets.jsonl");
    fs::write(&file, tickets()).expect("writes");
    let (_, run) = train(&[file], &Recipe::default(), &mut |_| ()).expect("trains");
    let first = run.suspects.get(..PLANTED.len()).expect("as many as were planted");
    for suspect in first {
        assert!(suspect.suggested_probability > 0.9 && suspect.given_probability < 0.1);
        assert!(suspect.excerpt.starts_with(&format!("case {} ", suspect.id)), "{suspect:?}");
    }
    let place = |id: &str| id.parse::<usize>().expect("a number");
    let mut first: Vec<_> =
        first.iter().map(|s| (place(&s.id), s.given.as_str(), s.suggested.as_str())).collect();
    // They are about equally sure: no order of theirs is the right one.
    first.sort_unstable();
    assert_eq!(first, PLANTED.map(|i| (i, KINDS[(i + 1) % 3].0, KINDS[i % 3].0)));
}
