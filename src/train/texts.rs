//! The words of all tickets, read once by the rules that serve and kept as numbers.

use std::collections::HashMap;

use super::data::Example;
use crate::triage::text::tokens::Words;
use crate::triage::text::window;

/// Stands between two texts of a ticket: no pair reaches across.
pub const BREAK: u32 = u32::MAX;

/// A map whose order nothing may depend on.
pub type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// Tickets as sequences of word numbers.
#[derive(Default)]
pub struct Texts {
    /// Each distinct word, in the order of its first occurrence.
    pub words: Vec<Box<str>>,
    tokens: Vec<u32>,
    /// For each ticket, where its subject begins, its body begins, and it ends.
    bounds: Vec<(usize, usize, usize)>,
}

impl Texts {
    /// Reads the examples, which are redacted already. `each` is called after every ticket.
    pub fn read(examples: &[Example], mut each: impl FnMut()) -> Self {
        let mut texts = Self::default();
        let mut numbers: Map<Box<str>, u32> = Map::default();
        let mut found = Words::default();
        for example in examples {
            let start = texts.tokens.len();
            texts.add(&example.subject, &mut numbers, &mut found);
            let body = texts.tokens.len();
            texts.add(&example.body, &mut numbers, &mut found);
            texts.bounds.push((start, body, texts.tokens.len()));
            each();
        }
        texts
    }

    fn add(&mut self, text: &str, numbers: &mut Map<Box<str>, u32>, found: &mut Words) {
        let (head, tail) = window(text);
        for part in [head, tail] {
            let (words, sequence) = (&mut self.words, &mut self.tokens);
            found.read(part);
            for word in found.iter() {
                let number = numbers.get(word).copied().unwrap_or_else(|| {
                    let number = words.len() as u32;
                    words.push(word.into());
                    numbers.insert(word.into(), number);
                    number
                });
                sequence.push(number);
            }
            sequence.push(BREAK);
        }
    }

    pub fn len(&self) -> usize {
        self.bounds.len()
    }

    /// Subject and body of a ticket: numbers of words, with [`BREAK`] after each text.
    pub fn ticket(&self, i: usize) -> (&[u32], &[u32]) {
        let (start, body, end) = self.bounds[i];
        (&self.tokens[start..body], &self.tokens[body..end])
    }
}
