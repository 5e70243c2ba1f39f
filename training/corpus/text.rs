//! A ticket's subject and body: which sentences, in which order, with which noise.

mod request;

use crate::grammar::{Grammar, Lang, Leaf, Person, Pools};
use crate::korean::{self, Register};
use crate::noise;
use crate::rng::Rng;

pub use request::Said;

/// What the text is to say; levels are 0 high, 1 medium, 2 low.
#[derive(Clone, Copy)]
pub struct Plan<'a> {
    pub leaf: &'a Leaf,
    pub impact: usize,
    pub urgency: usize,
    pub lang: Lang,
    pub person: &'a Person,
}

pub struct Text {
    pub subject: String,
    pub body: String,
}

/// One writer's habits, drawn once a ticket.
struct Habits {
    register: Register,
    slips: usize,
    spacing: usize,
    shorthand: bool,
}

impl Habits {
    fn draw(rng: &mut Rng) -> Self {
        let registers = [Register::Formal, Register::Polite, Register::Clipped, Register::Plain];
        Habits {
            register: registers[rng.weighted([50, 28, 15, 7].into_iter())],
            slips: [0, 8, 30][rng.weighted([60, 30, 10].into_iter())],
            spacing: [0, 60, 350][rng.weighted([50, 35, 15].into_iter())],
            shorthand: rng.chance(200),
        }
    }
}

pub struct Writer<'a> {
    grammar: &'a Grammar,
    plan: Plan<'a>,
    habits: Habits,
    rng: &'a mut Rng,
}

impl<'a> Writer<'a> {
    pub fn new(grammar: &'a Grammar, plan: Plan<'a>, rng: &'a mut Rng) -> Self {
        let habits = Habits::draw(rng);
        Writer { grammar, plan, habits, rng }
    }

    /// A ticket as a person writes it.
    pub fn write(mut self) -> Text {
        let text = match self.rng.below(100) {
            0..9 => self.terse(),
            9..12 => Text { subject: self.symptom(), body: String::new() },
            12..26 => self.long(),
            _ => self.usual(),
        };
        let mark =
            if self.plan.urgency == 0 && self.rng.chance(200) { self.urgent_mark() } else { "" };
        Text {
            subject: format!("{mark}{}", self.typed(&text.subject)),
            body: self.typed(&text.body),
        }
    }

    fn urgent_mark(&mut self) -> &'static str {
        match self.plan.lang {
            Lang::En => ["URGENT: ", "[urgent] ", "!! ", "ASAP - "][self.rng.below(4)],
            Lang::Ko => ["[긴급] ", "긴급) ", "(급) ", "!! "][self.rng.below(4)],
        }
    }

    /// The same trouble in Korean and in English, as teams of two languages write it.
    pub fn write_both(mut self) -> Text {
        let subject = self.subject();
        let first = self.paragraph(2);
        let turn = match self.plan.lang {
            Lang::En => "\n\n[한국어]\n",
            Lang::Ko => ["\n\n[English below]\n", "\n\n---\n", "\n\n(ENG) "][self.rng.below(3)],
        };
        self.plan.lang = if self.plan.lang == Lang::En { Lang::Ko } else { Lang::En };
        let second = self.paragraph(1);
        Text { subject, body: self.typed(&format!("{first}{turn}{second}")) }
    }

    /// A monitoring system's ticket: no person, no noise, often the one clue to scope is the host.
    pub fn write_alert(mut self) -> Text {
        let alert = self.rng.pick(&self.plan.leaf.alert).clone();
        let body = self.expand(&alert);
        let head = body.lines().next().unwrap_or_default().to_owned();
        let level =
            [["CRITICAL", "P1", "DISASTER"], ["WARNING", "P2", "MAJOR"], ["INFO", "P3", "MINOR"]];
        let level = self.rng.pick(&level[self.plan.urgency.min(self.plan.impact)]);
        Text { subject: format!("[{level}] {head}"), body: format!("{body}\nseverity: {level}") }
    }

    /// Another paragraph of the same trouble.
    pub fn write_more(mut self) -> String {
        let paragraph = self.paragraph(3);
        self.typed(&paragraph)
    }

    fn pools(&self) -> &'a Pools {
        self.grammar.pools.of(self.plan.lang)
    }

    fn expand(&mut self, template: &str) -> String {
        self.grammar.expand(template, self.plan.lang, self.rng)
    }

    /// Greetings and the like: the same whoever writes.
    fn set_phrase(&mut self, pool: &[String]) -> String {
        let template = self.rng.pick(pool);
        self.expand(template)
    }

    /// A sentence in this writer's own tone.
    fn say(&mut self, pool: &[String]) -> String {
        let template = self.rng.pick(pool);
        self.say_this(template)
    }

    /// The same, of this template.
    fn say_this(&mut self, template: &str) -> String {
        // Choices may leave two spaces, one before the full stop, or a full stop too many.
        let text = self
            .expand(template)
            .replace("  ", " ")
            .replace(" .", ".")
            .replace(" ,", ",")
            .replace("?.", "?")
            .trim_end()
            .to_owned();
        if self.plan.lang == Lang::En {
            return text;
        }
        // Few people keep to one level of politeness throughout.
        let register = if self.rng.chance(120) { Register::Polite } else { self.habits.register };
        korean::register(&text, register)
    }

    /// The same, never twice from one template.
    fn say_unused(&mut self, unused: &mut Vec<&String>) -> String {
        let template = unused.swap_remove(self.rng.below(unused.len()));
        self.say(std::slice::from_ref(template))
    }

    /// The sentence that tells what is wrong: the leaf's own, or one that other leaves share.
    fn symptom(&mut self) -> String {
        let (leaf, lang) = (self.plan.leaf, self.plan.lang);
        let shared: Vec<_> =
            self.grammar.overlaps.iter().filter(|o| o.leaves.contains(&leaf.label)).collect();
        if !shared.is_empty() && self.rng.chance(170) {
            let overlap = *self.rng.pick(&shared);
            let pool = if lang == Lang::En { &overlap.en } else { &overlap.ko };
            return self.say(pool);
        }
        self.say(&leaf.phrases(lang).problem)
    }

    /// Another leaf's trouble, mostly a near one's.
    fn second_problem(&mut self) -> String {
        let near = if self.rng.chance(750) {
            let label = self.rng.pick(&self.plan.leaf.near);
            self.grammar.leaf(label).unwrap_or(self.plan.leaf)
        } else {
            self.rng.pick(&self.grammar.leaves)
        };
        let also = self.say(&self.pools().also);
        let problem = self.say(&near.phrases(self.plan.lang).problem);
        format!("{also} {problem}")
    }

    fn subject(&mut self) -> String {
        let (leaf, lang) = (self.plan.leaf, self.plan.lang);
        match self.rng.below(100) {
            0..28 => self.say(&self.pools().subject),
            28..34 => self.symptom(),
            34..37 => {
                let label = self.rng.pick(&leaf.near);
                let near = self.grammar.leaf(label).unwrap_or(leaf);
                self.say(&near.phrases(lang).subject)
            }
            _ => self.say(&leaf.phrases(lang).subject),
        }
    }

    /// A few words and nothing else.
    fn terse(&mut self) -> Text {
        let words = &self.plan.leaf.phrases(self.plan.lang).subject;
        let body = if self.rng.chance(600) { self.say(words) } else { self.symptom() };
        let more = match self.rng.below(10) {
            0..3 => self.say(&self.pools().generic),
            3..5 => self.say(&self.pools().impact[self.plan.impact]),
            5..7 => self.say(&self.pools().urgency[self.plan.urgency]),
            _ => String::new(),
        };
        let body = format!("{body} {more}").trim_end().to_owned();
        let body = body.trim_end_matches('.').to_owned();
        let subject =
            if self.rng.chance(400) { body.clone() } else { self.say(&self.pools().subject) };
        Text { subject, body }
    }

    fn usual(&mut self) -> Text {
        let subject = self.subject();
        let details = self.rng.weighted([20, 50, 30].into_iter());
        let mut body = self.paragraph(details);
        if self.rng.chance(120) {
            body.push_str(&self.log());
        }
        Text { subject, body: self.framed(body) }
    }

    /// Rambling: several paragraphs, a log, a second matter, a quoted chain.
    fn long(&mut self) -> Text {
        let subject = self.subject();
        let mut parts = Vec::new();
        let rambling = [1, 2, 4, 9][self.rng.weighted([40, 30, 20, 10].into_iter())];
        let mut unused: Vec<_> = self.pools().ramble.iter().collect();
        for _ in 0..rambling {
            parts.push(self.say_unused(&mut unused));
        }
        let symptom = self.paragraph(3);
        let at = self.rng.below(parts.len() + 1);
        parts.insert(at, symptom);
        for _ in 0..self.rng.below(5) {
            parts.push(format!(
                "{} {}",
                self.say(&self.pools().generic),
                self.say(&self.pools().distractor)
            ));
        }
        if self.rng.chance(300) {
            parts.push(self.second_problem());
        }
        let mut body = parts.join("\n\n");
        if self.rng.chance(350) {
            body.push_str(&self.log());
        }
        let mut body = self.framed(body);
        if self.rng.chance(450) {
            let subject = format!("RE: {subject}");
            for _ in 0..1 + self.rng.below(3) {
                body.push_str("\n\n");
                body.push_str(
                    &self.set_phrase(&self.pools().quoted).replace("%subject%", &subject),
                );
            }
        }
        Text { subject, body }
    }

    fn paragraph(&mut self, details: usize) -> String {
        let (pools, phrases) = (self.pools(), self.plan.leaf.phrases(self.plan.lang));
        let mut parts = Vec::new();
        if self.rng.chance(220) {
            parts.push(self.say(&pools.opener));
        }
        if self.rng.chance(70) {
            parts.push(self.say(&pools.distractor));
        }
        parts.push(self.symptom());
        let mut unused: Vec<_> = phrases.detail.iter().collect();
        for _ in 0..details {
            parts.push(self.say_unused(&mut unused));
        }
        // Everything after the symptom comes in any order.
        let mut after = Vec::new();
        if self.rng.chance(350) {
            after.push(self.say(&pools.tried));
        }
        if self.rng.chance(880) {
            let level = self.level(self.plan.impact);
            after.push(self.say(&pools.impact[level]));
        }
        if self.rng.chance(880) {
            let level = self.level(self.plan.urgency);
            after.push(self.say(&pools.urgency[level]));
        }
        if self.rng.chance(300) {
            after.push(self.say(&pools.generic));
        }
        if self.rng.chance(140) {
            after.push(self.say(&pools.distractor));
        }
        while !after.is_empty() {
            let at = self.rng.below(after.len());
            parts.push(after.swap_remove(at));
        }
        if self.rng.chance(80) {
            parts.push(self.second_problem());
        }
        parts.join(" ")
    }

    /// The level that the words tell: mostly the true one.
    fn level(&mut self, level: usize) -> usize {
        if self.rng.chance(70) { self.rng.below(3) } else { level }
    }

    fn log(&mut self) -> String {
        if self.plan.leaf.log.is_empty() {
            return String::new();
        }
        let mut out = String::from("\n\n");
        for _ in 0..1 + self.rng.below(3) {
            let line = self.rng.pick(&self.plan.leaf.log).clone();
            out.push_str(&self.expand(&line));
            out.push('\n');
        }
        out.trim_end().to_owned()
    }

    /// Greeting, closing, signature and disclaimer around a body.
    fn framed(&mut self, body: String) -> String {
        let pools = self.pools();
        let mut out = String::new();
        if self.rng.chance(450) {
            out.push_str(&self.set_phrase(&pools.greeting));
            out.push_str(self.gap());
        }
        out.push_str(&body);
        if self.rng.chance(400) {
            out.push_str(self.gap());
            out.push_str(&self.set_phrase(&pools.closing));
        }
        if self.rng.chance(350) {
            out.push_str("\n\n");
            out.push_str(&self.set_phrase(&pools.signoff));
            out.push('\n');
            out.push_str(&self.set_phrase(&pools.signature));
            if self.rng.chance(300) {
                out.push_str("\n\n");
                out.push_str(&self.set_phrase(&pools.disclaimer));
            }
        }
        out.replace("%name%", &self.plan.person.name).replace("%mail%", &self.plan.person.mail)
    }

    fn gap(&mut self) -> &'static str {
        ["\n", "\n\n", " "][self.rng.below(3)]
    }

    /// The text as this writer types it.
    fn typed(&mut self, text: &str) -> String {
        match self.plan.lang {
            Lang::Ko => {
                let text = korean::slips(text, self.rng, self.habits.slips, self.habits.spacing);
                let tails = [" ㅠㅠ", "ㅜㅜ", "...", "!!", " ;;"];
                if self.rng.chance(60) { text + tails[self.rng.below(tails.len())] } else { text }
            }
            Lang::En => {
                let text = if self.habits.shorthand {
                    noise::shorthand(text, self.rng)
                } else {
                    text.to_owned()
                };
                let text = noise::slips(&text, self.rng, self.habits.slips / 2);
                noise::habits(&text, self.rng)
            }
        }
    }
}
