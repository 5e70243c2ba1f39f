//! The grammar's files and its template language:
//! `[a|b|]` is a choice (brackets without a bar are literal), `{slot}` a slot's value, `{을}` the particle that fits, `#` a digit.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::korean;
use crate::rng::Rng;

#[derive(Clone, Copy, PartialEq)]
pub enum Lang {
    En,
    Ko,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Both<T> {
    pub en: T,
    pub ko: T,
}

impl<T> Both<T> {
    pub fn of(&self, lang: Lang) -> &T {
        match lang {
            Lang::En => &self.en,
            Lang::Ko => &self.ko,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaf {
    pub label: String,
    pub weight: u32,
    /// Base rates of high, medium and low.
    pub impact: [u32; 3],
    pub urgency: [u32; 3],
    /// Leaves that this one is mistaken for.
    pub near: Vec<String>,
    #[serde(default)]
    pub log: Vec<String>,
    /// Whole bodies of monitoring tickets.
    #[serde(default)]
    pub alert: Vec<String>,
    pub en: Phrases,
    pub ko: Phrases,
}

impl Leaf {
    pub fn phrases(&self, lang: Lang) -> &Phrases {
        match lang {
            Lang::En => &self.en,
            Lang::Ko => &self.ko,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phrases {
    pub subject: Vec<String>,
    pub problem: Vec<String>,
    pub detail: Vec<String>,
}

/// Symptoms that several leaves share.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlap {
    pub leaves: Vec<String>,
    pub en: Vec<String>,
    pub ko: Vec<String>,
}

/// Sentences that say nothing of the category.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pools {
    pub greeting: Vec<String>,
    pub opener: Vec<String>,
    pub subject: Vec<String>,
    pub tried: Vec<String>,
    pub generic: Vec<String>,
    pub distractor: Vec<String>,
    pub also: Vec<String>,
    pub ramble: Vec<String>,
    pub closing: Vec<String>,
    pub signoff: Vec<String>,
    pub signature: Vec<String>,
    pub disclaimer: Vec<String>,
    pub quoted: Vec<String>,
    pub vague_category: Vec<String>,
    /// By level: high, medium, low.
    pub impact: [Vec<String>; 3],
    pub urgency: [Vec<String>; 3],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    pub name: String,
    pub mail: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Slot {
    Same(Vec<String>),
    ByLang(Both<Vec<String>>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Slots {
    slot: BTreeMap<String, Slot>,
    person: Both<Vec<Person>>,
}

#[derive(Deserialize)]
struct Leaves {
    leaf: Vec<Leaf>,
}

#[derive(Deserialize)]
struct Overlaps {
    overlap: Vec<Overlap>,
}

pub struct Grammar {
    pub leaves: Vec<Leaf>,
    pub overlaps: Vec<Overlap>,
    pub pools: Both<Pools>,
    pub persons: Both<Vec<Person>>,
    slots: BTreeMap<String, Slot>,
}

pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("in {}", path.display()))
}

impl Grammar {
    pub fn load(dir: &Path) -> Result<Self> {
        let slots: Slots = read(&dir.join("slots.toml"))?;
        let overlaps: Overlaps = read(&dir.join("overlap.toml"))?;
        let pools =
            Both { en: read(&dir.join("shared-en.toml"))?, ko: read(&dir.join("shared-ko.toml"))? };
        let mut files: Vec<_> = std::fs::read_dir(dir.join("leaves"))
            .with_context(|| format!("reading {}", dir.display()))?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<_>>()?;
        // A directory's own order differs between machines.
        files.sort();
        let mut leaves = Vec::new();
        for file in &files {
            leaves.extend(read::<Leaves>(file)?.leaf);
        }
        let grammar = Grammar {
            leaves,
            overlaps: overlaps.overlap,
            pools,
            persons: slots.person,
            slots: slots.slot,
        };
        grammar.check()?;
        Ok(grammar)
    }

    pub fn leaf(&self, label: &str) -> Option<&Leaf> {
        self.leaves.iter().find(|leaf| leaf.label == label)
    }

    fn check(&self) -> Result<()> {
        let named = self
            .leaves
            .iter()
            .flat_map(|leaf| &leaf.near)
            .chain(self.overlaps.iter().flat_map(|o| &o.leaves));
        for label in named {
            ensure!(self.leaf(label).is_some(), "no leaf is called {label:?}");
        }
        for leaf in &self.leaves {
            ensure!(!leaf.near.is_empty(), "{}: near is empty", leaf.label);
            for template in [&leaf.en, &leaf.ko]
                .into_iter()
                .flat_map(|p| [&p.subject, &p.problem, &p.detail])
                .flatten()
            {
                self.check_slots(template).with_context(|| leaf.label.clone())?;
            }
        }
        Ok(())
    }

    pub fn check_slots(&self, template: &str) -> Result<()> {
        for part in template.split('{').skip(1) {
            let Some((name, _)) = part.split_once('}') else {
                bail!("unclosed slot in {template:?}")
            };
            ensure!(
                self.slots.contains_key(name) || korean::particle("", name).is_some(),
                "no slot {name:?} for {template:?}"
            );
        }
        Ok(())
    }

    /// A template's text. Names of slots that do not exist stay as they are.
    pub fn expand(&self, template: &str, lang: Lang, rng: &mut Rng) -> String {
        let mut out = String::new();
        self.expand_into(template, lang, rng, &mut out);
        out
    }

    fn expand_into(&self, template: &str, lang: Lang, rng: &mut Rng, out: &mut String) {
        let mut rest = template;
        while let Some(at) = rest.find(['[', '{', '#']) {
            out.push_str(&rest[..at]);
            let (open, after) = rest[at..].split_at(1);
            rest = after;
            match open {
                "#" => out.push(char::from(b'0' + rng.below(10) as u8)),
                "{" => {
                    let (name, after) = after.split_once('}').unwrap_or((after, ""));
                    rest = after;
                    self.fill(name, lang, rng, out);
                }
                _ => match choices(after) {
                    Some((options, after)) => {
                        rest = after;
                        let option = *rng.pick(&options);
                        self.expand_into(option, lang, rng, out);
                    }
                    None => out.push('['),
                },
            }
        }
        out.push_str(rest);
    }

    fn fill(&self, name: &str, lang: Lang, rng: &mut Rng, out: &mut String) {
        let values = match self.slots.get(name) {
            Some(Slot::Same(values)) => values,
            Some(Slot::ByLang(values)) => values.of(lang),
            None => {
                // Typists drop particles now and then.
                if let Some(form) = korean::particle(out, name).filter(|_| !rng.chance(70)) {
                    out.push_str(form);
                }
                return;
            }
        };
        let value = rng.pick(values).clone();
        self.expand_into(&value, lang, rng, out);
    }
}

/// The options of a choice and what follows it, or nothing if the bracket is literal.
fn choices(text: &str) -> Option<(Vec<&str>, &str)> {
    let (mut depth, mut start, mut options) = (0, 0, Vec::new());
    for (i, c) in text.char_indices() {
        match c {
            '[' => depth += 1,
            ']' if depth == 0 => {
                options.push(&text[start..i]);
                return (options.len() > 1).then(|| (options, &text[i + 1..]));
            }
            ']' => depth -= 1,
            '|' if depth == 0 => {
                options.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    None
}

/// How many different patterns a template stands for, slots not counted.
#[cfg(test)]
pub fn patterns(template: &str) -> usize {
    let (mut count, mut rest) = (1, template);
    while let Some(at) = rest.find('[') {
        rest = &rest[at + 1..];
        if let Some((options, after)) = choices(rest) {
            count *= options.iter().map(|option| patterns(option)).sum::<usize>();
            rest = after;
        }
    }
    count
}
