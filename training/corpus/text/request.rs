//! The text of a ticket that asks for something, or seems to.

use super::{Text, Writer};

/// What a ticket with a request says: templates, and what takes the place of `%slot%` in them.
pub struct Said<'a> {
    pub subject: &'a [String],
    pub main: &'a [&'a str],
    pub why: &'a [String],
    pub name: &'a [String],
    pub slot: &'a str,
}

/// Stands for a slot's value while the text is typed: people paste names, they do not mistype them.
const SLOT: &str = "\u{e000}";

impl Writer<'_> {
    /// The ticket, and which template of `main` it says.
    pub fn write_request(mut self, said: Said<'_>) -> (Text, usize) {
        let subject = if self.rng.chance(250) {
            self.say(&self.pools().subject)
        } else {
            self.say(said.subject)
        };
        let main = self.rng.below(said.main.len());
        let mut parts = vec![self.say_this(said.main[main])];
        if !said.why.is_empty() && self.rng.chance(550) {
            let why = self.say(said.why);
            parts.insert(self.rng.below(2), why);
        }
        if !said.name.is_empty() {
            parts.push(self.say(said.name));
        }
        if self.rng.chance(150) {
            parts.push(self.say(&self.pools().generic));
        }
        let body = parts.join(" ").replace("%slot%", SLOT);
        let body = if self.rng.chance(200) { body } else { self.framed(body) };
        let whole = |text: String| text.replace(SLOT, said.slot);
        let text = Text { subject: self.typed(&subject), body: whole(self.typed(&body)) };
        (text, main)
    }
}
