//! Which tickets a playbook answers: requests that the known-request model names, and rules on
//! words and fields.

use std::cell::OnceCell;

use super::fields::Fields;
use super::problem::Found;
use super::view::{Facts, TicketView};
use crate::triage::policy::{Pattern, takes_language};
use crate::triage::text::tokens::Words;
use crate::triage::text::window;

/// What the known-request model says of a ticket.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    pub request: String,
    /// Calibrated, 0 to 1.
    pub confidence: f64,
    /// Distance to the runner-up's probability.
    pub margin: f64,
}

/// `[match]`, checked: a request or a rule lets a ticket in, and nothing of `unless` may fit.
#[derive(Clone, Debug, Default)]
pub struct Match {
    /// Labels of the known-request model.
    pub requests: Vec<String>,
    /// Lowest confidence and margin; the model's own thresholds count as well.
    pub min_confidence: f64,
    pub min_margin: f64,
    pub rules: Vec<Rule>,
    pub unless: Vec<Rule>,
}

/// All conditions that are there have to hold.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    all_words: Vec<Phrase>,
    any_words: Vec<Phrase>,
    none_words: Vec<Phrase>,
    categories: Vec<Pattern>,
    sources: Vec<String>,
    languages: Vec<String>,
}

/// Folded words that stand one after the other; the last may be the beginning of one (`계정*`).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Phrase {
    words: Vec<String>,
    open: bool,
}

/// What let a ticket in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MatchedBy {
    Request(String),
    /// The index of the rule.
    Rule(usize),
}

impl Match {
    /// Whether a ticket is one of these. `known` is what the model says, where there is one.
    pub fn matches(
        &self,
        ticket: &TicketView<'_>,
        facts: &Facts<'_>,
        known: Option<&Known>,
    ) -> Option<MatchedBy> {
        let folded = Folded::new(ticket);
        let by_request = known.filter(|k| self.takes(k));
        let by = by_request.map(|k| MatchedBy::Request(k.request.clone())).or_else(|| {
            let lets_in = |rule: &Rule| rule.fits(folded.window(), &folded, ticket, facts);
            self.rules.iter().position(lets_in).map(MatchedBy::Rule)
        })?;
        (!self.keeps_out(&folded, ticket, facts)).then_some(by)
    }

    /// The same without a model: by the rules alone.
    pub fn matches_rules(&self, ticket: &TicketView<'_>, facts: &Facts<'_>) -> Option<MatchedBy> {
        self.matches(ticket, facts, None)
    }

    /// Whether `unless` keeps a ticket out, whatever a model says.
    pub fn refuses(&self, ticket: &TicketView<'_>, facts: &Facts<'_>) -> bool {
        self.keeps_out(&Folded::new(ticket), ticket, facts)
    }

    fn keeps_out(&self, folded: &Folded<'_>, ticket: &TicketView<'_>, facts: &Facts<'_>) -> bool {
        self.unless.iter().any(|rule| rule.fits(folded.whole(), folded, ticket, facts))
    }

    /// The category patterns of all its rules.
    pub fn categories(&self) -> impl Iterator<Item = &Pattern> {
        self.rules.iter().chain(&self.unless).flat_map(|rule| &rule.categories)
    }

    fn takes(&self, known: &Known) -> bool {
        self.requests.contains(&known.request)
            && known.confidence >= self.min_confidence
            && known.margin >= self.min_margin
    }
}

impl Rule {
    /// Whether all conditions hold. Words that must be there are looked for in `text`, those that
    /// must not in all of the ticket.
    fn fits(
        &self,
        text: &[String],
        folded: &Folded<'_>,
        ticket: &TicketView<'_>,
        facts: &Facts<'_>,
    ) -> bool {
        let has = |phrase: &Phrase| phrase.is_in(text);
        self.all_words.iter().all(has)
            && (self.any_words.is_empty() || self.any_words.iter().any(has))
            && !self.none_words.iter().any(|phrase| phrase.is_in(folded.whole()))
            && in_categories(&self.categories, facts)
            && named(&self.sources, ticket.source)
            && takes_language(&self.languages, ticket.language)
    }

    /// A rule that would let in every ticket, or all but a few.
    fn is_open(&self) -> bool {
        self.all_words.is_empty() && self.any_words.is_empty() && self.categories.is_empty()
    }
}

/// Whether the ticket's category is one of those; an empty list takes any.
pub(super) fn in_categories(patterns: &[Pattern], facts: &Facts<'_>) -> bool {
    patterns.is_empty()
        || facts.category.is_some_and(|label| patterns.iter().any(|p| p.matches(label)))
}

/// Whether a list names `value`, whatever its case; an empty list takes any.
pub(super) fn named(list: &[String], value: &str) -> bool {
    list.is_empty() || list.iter().any(|v| v.eq_ignore_ascii_case(value))
}

impl Phrase {
    fn new(text: &str) -> Option<Self> {
        let (text, open) = text.strip_suffix('*').map_or((text, false), |t| (t, true));
        let words = fold(&[text]);
        (!words.is_empty()).then_some(Self { words, open })
    }

    fn is_in(&self, text: &[String]) -> bool {
        let Some((last, first)) = self.words.split_last() else { return false };
        text.windows(self.words.len()).any(|window| {
            let Some((end, begin)) = window.split_last() else { return false };
            let ends = if self.open { end.starts_with(last) } else { end == last };
            ends && begin == first
        })
    }
}

/// The words of a ticket's subject and body, folded once somebody asks for them.
struct Folded<'t> {
    subject: &'t str,
    body: &'t str,
    window: OnceCell<Vec<String>>,
    whole: OnceCell<Vec<String>>,
}

impl<'t> Folded<'t> {
    fn new(ticket: &TicketView<'t>) -> Self {
        let (window, whole) = (OnceCell::new(), OnceCell::new());
        Self { subject: ticket.subject, body: ticket.body, window, whole }
    }

    /// The words that the model would see, without masking: what is pasted into the middle of a
    /// long body lets no ticket in.
    fn window(&self) -> &[String] {
        self.window.get_or_init(|| {
            let (head, tail) = window(self.body);
            fold(&[self.subject, head, tail])
        })
    }

    /// All words: what keeps a ticket out may stand anywhere.
    fn whole(&self) -> &[String] {
        if window(self.body).1.is_empty() {
            return self.window();
        }
        self.whole.get_or_init(|| fold(&[self.subject, self.body]))
    }
}

fn fold(texts: &[&str]) -> Vec<String> {
    let mut words = Words::default();
    let mut folded = Vec::new();
    for text in texts {
        words.read(text);
        folded.extend(words.iter().map(str::to_owned));
    }
    folded
}

/// Reads `[match]`.
pub(super) fn read(table: Option<Fields>, found: &mut Found<'_>) -> Match {
    let Some(mut table) = table else {
        found.add("match", "is missing: which tickets does it answer?");
        return Match::default();
    };
    let mut read = Match {
        requests: table.texts("requests", found),
        min_confidence: table.optional_share("min_confidence", found).unwrap_or(0.0),
        min_margin: table.optional_share("min_margin", found).unwrap_or(0.0),
        ..Match::default()
    };
    let rules = table.tables("rules", found);
    read.rules = rules.into_iter().map(|rule| read_rule(rule, found)).collect();
    let unless = table.tables("unless", found);
    read.unless = unless.into_iter().map(|rule| read_rule(rule, found)).collect();
    if read.requests.is_empty() && read.rules.is_empty() {
        found.add("match", "needs requests or rules: an empty one would match nothing");
    }
    table.end(found);
    read
}

fn read_rule(mut table: Fields, found: &mut Found<'_>) -> Rule {
    let path = table.here().to_owned();
    let rule = Rule {
        all_words: phrases(&mut table, "all_words", found),
        any_words: phrases(&mut table, "any_words", found),
        none_words: phrases(&mut table, "none_words", found),
        categories: patterns(&mut table, found),
        sources: table.texts("sources", found),
        languages: table.texts("languages", found),
    };
    table.end(found);
    if rule.is_open() {
        let what = "needs all_words, any_words or categories: it would match almost every ticket";
        found.add(path, what);
    }
    rule
}

fn phrases(table: &mut Fields, key: &'static str, found: &mut Found<'_>) -> Vec<Phrase> {
    let path = table.path(key);
    let texts = table.texts(key, found).into_iter().enumerate();
    texts
        .filter_map(|(i, text)| {
            let phrase = Phrase::new(&text);
            if phrase.is_none() {
                found.add(format!("{path}[{i}]"), "has no word in it");
            }
            phrase
        })
        .collect()
}

/// Category patterns, written as in the policy.
pub(super) fn patterns(table: &mut Fields, found: &mut Found<'_>) -> Vec<Pattern> {
    table.texts("categories", found).iter().map(|text| Pattern::new(text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matching(toml: &str) -> Match {
        let mut found = Found::new("f");
        let read = read(Some(Fields::new("match", toml.parse().expect("TOML"))), &mut found);
        assert_eq!(found.into_list(), []);
        read
    }

    fn by(matching: &Match, text: &str, known: Option<(&str, f64, f64)>) -> Option<MatchedBy> {
        let json = serde_json::Value::Null;
        let ticket = TicketView {
            id: "1",
            subject: "",
            body: text,
            source: "portal",
            language: "en",
            json: &json,
        };
        let known = known.map(|(request, confidence, margin)| Known {
            request: request.to_owned(),
            confidence,
            margin,
        });
        matching.matches(&ticket, &Facts::default(), known.as_ref())
    }

    #[test]
    fn words_are_folded_whole_and_in_order() {
        let m = matching(
            "rules = [{all_words = ['UNLOCK', 'my account'], none_words = ['who may']},
                      {any_words = ['계정 잠*']}]",
        );
        let rule = |text| by(&m, text, None);
        assert_eq!(rule("Please unlock: my ACCOUNT!"), Some(MatchedBy::Rule(0)));
        assert_eq!(rule("unlock my accounts"), None);
        assert_eq!(rule("unlock account my"), None);
        assert_eq!(rule("Who may unlock my account"), None);
        assert_eq!(rule("제 계정 잠겼습니다"), Some(MatchedBy::Rule(1)));
        assert_eq!(rule(""), None);
    }

    #[test]
    fn requests_can_only_be_tightened_and_unless_counts_for_them_too() {
        let m = matching(
            "requests = ['unlock']\nmin_confidence = 0.9\nmin_margin = 0.5
             unless = [{any_words = ['do not']}]",
        );
        let request = |k| by(&m, "unlock me", Some(k));
        assert_eq!(request(("unlock", 0.9, 0.5)), Some(MatchedBy::Request("unlock".to_owned())));
        assert_eq!(request(("unlock", 0.89, 0.5)), None);
        assert_eq!(request(("unlock", 0.9, 0.49)), None);
        assert_eq!(request(("other", 1.0, 1.0)), None);
        assert_eq!(by(&m, "do not unlock me", Some(("unlock", 1.0, 1.0))), None);
        assert_eq!(by(&m, "unlock me", None), None);
    }

    #[test]
    fn what_keeps_a_ticket_out_may_stand_in_the_middle_of_a_long_body() {
        let m = matching(
            "requests = ['unlock']\nrules = [{all_words = ['unlock me'], none_words = ['do not']}]
             unless = [{any_words = ['never unlock']}]",
        );
        let long = |middle: &str| {
            let (before, after) = ("x ".repeat(9000), "y ".repeat(3000));
            format!("unlock me {before}{middle} {after}")
        };
        let sure = Some(("unlock", 1.0, 1.0));
        assert_eq!(by(&m, &long("please"), None), Some(MatchedBy::Rule(0)));
        assert_eq!(by(&m, &long("do not"), None), None);
        assert_eq!(by(&m, &long("never unlock"), None), None);
        assert_eq!(by(&m, &long("never unlock"), sure), None);
        assert_eq!(by(&m, &long("please"), sure), Some(MatchedBy::Request("unlock".to_owned())));
        // What lets it in must stand where the model looks.
        let pasted = long("unlock me").replacen("unlock me", "hello", 1);
        assert_eq!(by(&m, &pasted, None), None);
    }

    #[test]
    fn a_language_takes_in_its_regions() {
        let m = matching("rules = [{any_words = ['unlock'], languages = ['ko']}]");
        let json = serde_json::Value::Null;
        let fits = |language: &str| {
            let ticket = TicketView {
                id: "1",
                subject: "",
                body: "unlock",
                source: "portal",
                language,
                json: &json,
            };
            m.matches_rules(&ticket, &Facts::default()).is_some()
        };
        assert!(fits("ko") && fits("ko-KR") && fits("KO_kr") && fits("ko "));
        assert!(!fits("kok") && !fits("en"));
    }

    #[test]
    fn what_would_match_everything_is_refused() {
        let mut found = Found::new("f");
        let toml = "rules = [{sources = ['chat'], words = 1}, {any_words = ['!?']}]";
        read(Some(Fields::new("match", toml.parse().expect("TOML"))), &mut found);
        read(Some(Fields::new("match", toml::Table::new())), &mut found);
        let problems: Vec<String> = found.into_list().iter().map(ToString::to_string).collect();
        let problems = problems.join("\n");
        for says in [
            "match.rules[0]: needs all_words",
            "match.rules[0].words: is not a key",
            "match.rules[1].any_words[0]: has no word",
            "match: needs requests or rules",
        ] {
            assert!(problems.contains(says), "{says}: {problems}");
        }
    }
}
