//! What makes the texts hard, in shares of 3,000 tickets: of what can be told from a text, or from
//! the generator's own labels. Ranges are some four standard deviations wide.

use std::fs;
use std::ops::RangeInclusive;

use super::*;
use crate::grammar::Lang;
use crate::rng::Rng;

const COUNT: u32 = 3_000;
/// Between the languages of a ticket that says it in both, however they are typed.
const TURNS: [&str; 4] = ["[한국어]", "[english below]", "\n---\n", "(eng) "];

/// Tickets by who wrote them, and in which language.
#[derive(Default)]
struct Sample {
    english: Vec<Ticket>,
    korean: Vec<Ticket>,
    both: Vec<Ticket>,
    alerts: Vec<Ticket>,
}

impl Sample {
    fn new() -> Self {
        let mut new = Self::default();
        for ticket in tickets(&grammar(), 7, Stream::Training, COUNT) {
            let text = text(&ticket);
            let by = if ticket.source == "monitoring" {
                &mut new.alerts
            } else if TURNS.iter().any(|turn| text.to_lowercase().contains(turn)) {
                &mut new.both
            } else if text.contains(is_hangul) {
                &mut new.korean
            } else {
                &mut new.english
            };
            by.push(ticket);
        }
        new
    }

    fn people(self) -> Vec<Ticket> {
        [self.english, self.korean, self.both].into_iter().flatten().collect()
    }
}

fn text(ticket: &Ticket) -> String {
    format!("{}\n{}", ticket.subject, ticket.body)
}

fn is_hangul(c: char) -> bool {
    ('가'..='힣').contains(&c)
}

/// The words of ASCII letters, in lower case.
fn latin(text: &str) -> impl Iterator<Item = String> + '_ {
    let runs = text.split(|c: char| !c.is_ascii_alphabetic());
    runs.filter(|run| !run.is_empty()).map(str::to_ascii_lowercase)
}

/// The longest run of Hangul without a blank, in syllables.
fn longest_run(text: &str) -> usize {
    text.split(|c: char| !is_hangul(c)).map(|run| run.chars().count()).max().unwrap_or(0)
}

/// All that the grammar's files say.
fn sources() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(GRAMMAR);
    let folders = [root.clone(), root.join("leaves")];
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let paths = files.map(|file| file.unwrap().path()).filter(|path| path.is_file());
    paths.map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// Holds how many of 1,000 tickets are so.
#[track_caller]
fn holds(tickets: &[Ticket], permille: RangeInclusive<usize>, is_so: impl Fn(&Ticket) -> bool) {
    let share = tickets.iter().filter(|ticket| is_so(ticket)).count() * 1_000 / tickets.len();
    assert!(permille.contains(&share), "{share} of 1,000, not {permille:?}");
}

#[test]
fn there_are_two_languages_and_korean_has_english_in_it() {
    let Sample { english, korean, both, alerts } = Sample::new();
    let share = |of: &[Ticket]| of.len() * 1_000 / COUNT as usize;
    assert!((490..=570).contains(&share(&english)), "{}", english.len());
    assert!((315..=390).contains(&share(&korean)), "{}", korean.len());
    assert!((30..=65).contains(&share(&both)), "{}", both.len());
    assert!((45..=90).contains(&share(&alerts)), "{}", alerts.len());
    // Applications, hosts, terms.
    holds(&korean, 680..=810, |t| latin(&text(t)).any(|word| word.len() > 1));
    holds(&both, 1_000..=1_000, |t| {
        latin(&t.body).count() >= 3 && t.body.chars().filter(|c| is_hangul(*c)).count() >= 5
    });
}

#[test]
fn english_is_typed_with_slips_shorthand_and_habits() {
    let Sample { english, korean, .. } = Sample::new();
    let sources = sources();
    let words: BTreeSet<String> = latin(&sources).collect();
    // A word that the grammar does not know was mistyped: only English letters slip.
    let mistyped = |t: &Ticket| latin(&text(t)).any(|w| w.len() > 3 && !words.contains(&w));
    holds(&english, 210..=330, mistyped);
    holds(&korean, 0..=10, mistyped);
    let short = ["pls", "cant", "doesnt", "wont", "dont", "isnt", "im", "pw", "thx"];
    holds(&english, 55..=125, |t| latin(&text(t)).any(|word| short.contains(&word.as_str())));
    holds(&english, 60..=130, |t| t.body.len() >= 40 && t.body == t.body.to_lowercase());
    holds(&english, 10..=45, |t| t.body.len() >= 40 && t.body == t.body.to_uppercase());
}

#[test]
fn korean_is_misspelt_run_together_and_of_mixed_politeness() {
    let korean = Sample::new().korean;
    let misspelt = ["되요", "됬", "할수", "게속", "어떡게", "몇일", "메세지"];
    holds(&korean, 45..=120, |t| misspelt.iter().any(|wrong| text(t).contains(wrong)));
    // ㅠㅠ and slips of single jamo.
    holds(&korean, 85..=180, |t| text(t).contains(|c: char| ('ㄱ'..='ㅣ').contains(&c)));
    let longest = longest_run(&sources());
    holds(&korean, 65..=150, |t| longest_run(&text(t)) > longest);
    let sentence_ends = |t: &Ticket, ends: &[&str]| {
        let text = text(t);
        let mut sentences = text.split(['.', '\n']);
        sentences.any(|s| {
            let said = s.trim_end_matches([' ', '!', '?', ';', '~', 'ㅠ', 'ㅜ']);
            ends.iter().any(|end| said.ends_with(end))
        })
    };
    holds(&korean, 670..=790, |t| sentence_ends(t, &["니다"]));
    holds(&korean, 680..=810, |t| sentence_ends(t, &["요"]));
    holds(&korean, 470..=600, |t| sentence_ends(t, &["니다"]) && sentence_ends(t, &["요"]));
    holds(&korean, 165..=275, |t| sentence_ends(t, &["음", "함", "됨", "임"]));
}

#[test]
fn texts_have_signatures_and_quotes_or_next_to_nothing() {
    let people = Sample::new().people();
    let pools = grammar().pools;
    let signoffs = pools.en.signoff.iter().chain(&pools.ko.signoff);
    let signoffs: BTreeSet<String> = signoffs.map(|line| line.to_lowercase()).collect();
    holds(&people, 230..=310, |t| t.body.to_lowercase().lines().any(|l| signoffs.contains(l)));
    let own_address = |t: &Ticket| t.body.to_lowercase().contains(&t.requester.to_lowercase());
    holds(&people, 75..=130, own_address);
    holds(&people, 40..=90, |t| t.body.lines().any(|line| line.starts_with('>')));
    holds(&people, 10..=45, |t| t.body.is_empty());
    holds(&people, 30..=85, |t| t.body.len() <= 40);
    holds(&people, 8..=40, |t| t.body.len() > 1_500);
}

/// What an overlap's English sentences are sure to say, in lower case: the longest part of each
/// without a slot, of three words or more.
fn phrases(grammar: &Grammar, templates: &[String]) -> BTreeSet<String> {
    let mut rng = Rng::new(7, 0, 0);
    let mut phrases = BTreeSet::new();
    for template in templates {
        let without_slots = template.split('{').enumerate().map(|(i, part)| {
            let after = part.split_once('}').map_or(part, |(_, after)| after);
            if i == 0 { part.to_owned() } else { format!("\n{after}") }
        });
        let without_slots: String = without_slots.collect();
        for _ in 0..100 {
            let sentence = grammar.expand(&without_slots, Lang::En, &mut rng).replace("  ", " ");
            let longest = sentence.split(['\n', '.', '?']).max_by_key(|part| part.len());
            let phrase = longest.unwrap_or_default().trim().to_lowercase();
            if phrase.split(' ').count() >= 3 {
                phrases.insert(phrase);
            }
        }
    }
    phrases
}

#[test]
fn a_sixth_has_a_symptom_that_several_categories_share() {
    let (english, grammar) = (Sample::new().english, grammar());
    let overlaps: Vec<_> = grammar.overlaps.iter().map(|o| phrases(&grammar, &o.en)).collect();
    let says = |ticket: &Ticket, phrases: &BTreeSet<String>| {
        let body = ticket.body.to_lowercase();
        phrases.iter().any(|phrase| body.contains(phrase))
    };
    holds(&english, 125..=200, |t| overlaps.iter().any(|phrases| says(t, phrases)));
    for (overlap, phrases) in grammar.overlaps.iter().zip(&overlaps) {
        let having = english.iter().filter(|t| says(t, phrases));
        let labels: BTreeSet<_> = having.map(|t| &t.label_category).collect();
        let own = labels.iter().filter(|label| overlap.leaves.contains(**label)).count();
        assert!(own >= 2, "{:?}: {labels:?}", overlap.leaves);
    }
}

#[test]
fn a_quarter_has_a_subject_that_tells_no_category() {
    let people = Sample::new().people();
    let mut labels: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for ticket in &people {
        let of_subject = labels.entry(ticket.subject.to_lowercase()).or_default();
        of_subject.insert(&ticket.label_category);
    }
    holds(&people, 200..=285, |t| labels[&t.subject.to_lowercase()].len() >= 3);
}

#[test]
fn hints_are_often_wrong_and_levels_mostly_inflated() {
    let hinted = |has: fn(&Ticket) -> bool| -> Vec<Ticket> {
        tickets(&grammar(), 7, Stream::Training, COUNT).into_iter().filter(has).collect()
    };
    let with_category = hinted(|t| t.reporter_category.is_some());
    holds(&with_category, 400..=510, |t| {
        t.reporter_category.as_deref() == t.label_category.split('/').next()
    });
    let with_impact = hinted(|t| t.impact.is_some());
    holds(&with_impact, 550..=640, |t| t.impact == Some(t.label_impact));
    // Levels begin with their numbers, and 1 is high.
    holds(&with_impact, 330..=425, |t| t.impact < Some(t.label_impact));
    holds(&hinted(|t| t.urgency.is_some()), 620..=715, |t| t.urgency == Some(t.label_urgency));
}
