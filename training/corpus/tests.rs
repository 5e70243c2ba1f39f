//! What the corpus promises, held over a small run.

mod promises;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::*;
use crate::grammar::patterns;

fn grammar() -> Grammar {
    Grammar::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join(GRAMMAR)).unwrap()
}

fn tickets(grammar: &Grammar, seed: u64, stream: Stream, count: u32) -> Vec<Ticket> {
    super::tickets(grammar, seed, stream, count, 0).collect()
}

fn lines(tickets: Vec<Ticket>) -> String {
    let mut out = Vec::new();
    jsonl(tickets.into_iter(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let make = |seed| lines(tickets(&grammar(), seed, Stream::Training, 300));
    assert_eq!(make(7), make(7));
    assert_ne!(make(7), make(8));
}

/// Also holds the generator to its past: another machine or a later compiler must make these bytes.
#[test]
fn the_demo_file_is_what_the_grammar_makes() {
    let checked_in = include_str!("demo.jsonl");
    assert!(
        checked_in == lines(tickets(&grammar(), 7, Stream::Demo, 400)),
        "regenerate training/corpus/demo.jsonl"
    );
}

#[test]
fn every_leaf_has_rows_and_none_rules() {
    let tickets = tickets(&grammar(), 7, Stream::Training, 12_000);
    let mut rows: BTreeMap<&str, usize> = BTreeMap::new();
    for ticket in &tickets {
        *rows.entry(&ticket.label_category).or_default() += 1;
    }
    for leaf in &grammar().leaves {
        let count = rows.get(leaf.label.as_str()).copied().unwrap_or(0);
        assert!((80..=1_100).contains(&count), "{}: {count}", leaf.label);
    }
}

#[test]
fn no_template_syntax_is_left_over() {
    let grammar = grammar();
    for stream in [Stream::Training, Stream::Demo] {
        for ticket in tickets(&grammar, 7, stream, 3_000) {
            let text = format!("{} {}", ticket.subject, ticket.body);
            assert!(
                !text.contains(['{', '}', '#'])
                    && !text.contains("%name")
                    && !text.contains("%mail")
                    && !text.contains("%subject"),
                "{text}"
            );
        }
    }
}

#[test]
fn texts_seldom_repeat() {
    let tickets = tickets(&grammar(), 7, Stream::Training, 12_000);
    let distinct: BTreeSet<_> = tickets.iter().map(|t| (&t.subject, &t.body)).collect();
    let repeated = tickets.len() - distinct.len();
    assert!(repeated * 100 < tickets.len() * 3, "{repeated} of {}", tickets.len());
}

#[test]
fn every_leaf_is_rich_in_phrases() {
    for leaf in grammar().leaves {
        for (phrases, least) in [(&leaf.en, 25), (&leaf.ko, 20)] {
            let count: usize =
                phrases.problem.iter().chain(&phrases.detail).map(|t| patterns(t)).sum();
            assert!(count >= least, "{}: {count}", leaf.label);
        }
    }
}

#[test]
fn texts_are_as_long_as_asked_for() {
    for ticket in super::tickets(&grammar(), 7, Stream::Training, 300, 1_000) {
        assert!(ticket.subject.len() + ticket.body.len() >= 1_000, "{}", ticket.body);
    }
}

mod requests_among_others {
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::grammar::Lang;
    use crate::near::Kind;
    use crate::requests::{Line, Request, line, load};

    fn all(part: Part, count: u32) -> Vec<Line> {
        let (grammar, requests) = loaded();
        (1..=count).map(|n| line(&grammar, &requests, 7, part, n)).collect()
    }

    fn loaded() -> (Grammar, Vec<Request>) {
        let grammar = grammar();
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(GRAMMAR).join("requests");
        let requests = load(&dir, &grammar).unwrap();
        (grammar, requests)
    }

    /// Whatever else changes, the day must not be learnt by heart.
    #[test]
    fn the_day_has_no_template_of_the_training() {
        for request in loaded().1 {
            for lang in [Lang::En, Lang::Ko] {
                let of = |part| {
                    let [_, others @ ..] = request.wordings(part, lang).lists();
                    others.into_iter().flatten().collect::<BTreeSet<_>>()
                };
                let shared: Vec<_> =
                    of(Part::Train).intersection(&of(Part::Day)).copied().collect();
                assert!(shared.is_empty(), "{}: {shared:?}", request.request);
            }
        }
    }

    /// What docs/quality.md says of the day holds for these bytes; later labels are not among them.
    #[test]
    fn the_day_is_the_one_that_was_measured() {
        let day = all(Part::Day, Part::Day.count()).into_iter();
        let mut out = Vec::new();
        jsonl(day.map(|line| Line { label_near_kind: None, ..line }), &mut out).unwrap();
        assert_eq!(
            format!("{:x}", Sha256::digest(&out)),
            "faebca96ad9b9d3f51c8f2dc77488b1b9197d57c491923c63bf3b481de82e70a"
        );
    }

    #[test]
    fn near_misses_of_the_day_say_of_which_kind_they_are_and_no_other_ticket_does() {
        let day = all(Part::Day, 5_000);
        assert!(day.iter().all(|l| l.label_near.is_some() == l.label_near_kind.is_some()));
        let kinds: BTreeSet<_> = day.iter().filter_map(|l| l.label_near_kind).collect();
        assert_eq!(kinds.len(), 6, "{kinds:?}");
        let said = |text: &str| {
            let line = day.iter().find(|l| l.label_near.is_some() && l.ticket.body.contains(text));
            line.and_then(|l| l.label_near_kind)
        };
        assert_eq!(said("automatically?"), Some(Kind::Question));
        assert_eq!(said("Hands off"), Some(Kind::Forbidden));
        assert_eq!(said("No need to unlock"), Some(Kind::Settled));
        assert_eq!(said("After the queue was cleared"), Some(Kind::Done));
        assert_eq!(said("sent to my address"), Some(Kind::SomebodyElse));
        assert_eq!(said("Please withdraw"), Some(Kind::SomethingElse));
        assert!(all(Part::Train, 2_000).iter().all(|l| l.label_near_kind.is_none()));
    }

    #[test]
    fn no_body_of_a_bare_request_is_in_both() {
        let bodies = |part| -> BTreeSet<String> {
            let asked = all(part, 3_000).into_iter().filter(|l| l.label_request.is_some());
            asked.map(|l| l.ticket.body.to_lowercase()).collect()
        };
        let (train, day) = (bodies(Part::Train), bodies(Part::Day));
        assert!(train.is_disjoint(&day), "{:?}", train.intersection(&day).next());
    }

    #[test]
    fn two_fifths_of_the_day_are_requests_and_their_slots_are_where_they_say() {
        let day = all(Part::Day, 5_000);
        let asked: Vec<&Line> = day.iter().filter(|l| l.label_request.is_some()).collect();
        assert!((1_900..=2_100).contains(&asked.len()), "{}", asked.len());
        let named = asked.iter().filter(|l| l.label_slot.is_some()).count();
        assert!(named * 100 > asked.len() * 90 && named < asked.len(), "{named}");
        for line in &asked {
            let Some(slot) = &line.label_slot else { continue };
            let in_field = line.custom.values().any(|value| value == slot);
            assert!(in_field || line.ticket.body.contains(slot.as_str()), "{}", line.ticket.body);
        }
    }

    #[test]
    fn no_template_syntax_is_left_over() {
        for line in all(Part::Train, 2_000).into_iter().chain(all(Part::Day, 2_000)) {
            let text = format!("{} {}", line.ticket.subject, line.ticket.body);
            let left = text.contains(['{', '}', '#', '\u{e000}']) || text.contains("%slot");
            assert!(!left, "{text}");
            assert_ne!(line.ticket.label_category, "");
        }
    }
}
