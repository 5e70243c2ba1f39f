//! The vocabulary: the words, n-grams, pairs of neighbours and values of fields that are frequent
//! enough to learn from, counted on the tickets that are fitted on.

use super::recipe;
use super::texts::{BREAK, Map, Texts};
use crate::triage::text::lexicon::{GRAM, UNKNOWN, each_gram, shape};

/// The entries by id, and what training needs to know of each.
pub struct Vocabulary {
    /// As [`crate::triage::text::lexicon::Lexicon::new`] takes them.
    pub entries: Vec<String>,
    /// By entry: the value of the feature where it occurs once.
    pub scales: Vec<f32>,
    /// By word number of the [`Texts`]: the word that it is read as, itself or its shape.
    pub read_as: Vec<u32>,
    /// By canonical word number: its id, 0 where it is not in the vocabulary.
    pub word_ids: Vec<u32>,
    /// Canonical words: those of the texts and, after them, shapes that are no word themselves.
    pub words: Vec<Box<str>>,
    /// By two words' ids: the pair's id.
    pub pair_ids: Map<(u32, u32), u32>,
    /// By n-gram: its id.
    pub gram_ids: Map<Box<str>, u32>,
    /// By number of an entry of the [`Texts`]: its id, 0 where it is not in the vocabulary.
    pub field_ids: Vec<u32>,
}

/// Weights that a head is fitted with at most. The optimiser holds some twenty numbers of four bytes for
/// each: 4 GiB.
const MAX_WEIGHTS: usize = 50_000_000;

/// A vocabulary is not cut below this.
const MIN_SIZE: usize = 10_000;

/// The largest vocabulary for so many labels, at most what was asked for.
pub fn size_for(labels: usize, asked: usize) -> usize {
    asked.min((MAX_WEIGHTS / labels.max(1)).max(MIN_SIZE))
}

/// Chooses the vocabulary from the tickets `of` the texts. The same tickets, in whatever order,
/// give the same vocabulary.
pub fn learn(texts: &Texts, of: &[usize], settings: &recipe::Features) -> Vocabulary {
    let mut words = texts.words.clone();
    let frequency = tickets_with(texts, of, words.len(), None);
    let read_as = shapes(&mut words, &frequency, settings.min_tickets);
    let frequency = tickets_with(texts, of, words.len(), Some(&read_as));

    let min = settings.min_tickets;
    let fields = fields(texts, of, min, settings.size / 8);
    let [word_limit, gram_limit, pair_limit] = shares(settings.size - fields.len());
    let known = words.iter().zip(&frequency).enumerate();
    let known = known.filter(|(_, (_, n))| **n >= min).map(|(i, (word, n))| (&**word, i, *n));
    let chosen = most_frequent(known.collect(), word_limit);
    let tickets = of.len() as f64;
    let mut new = Vocabulary {
        entries: vec![UNKNOWN.to_owned()],
        scales: vec![0.0],
        read_as,
        word_ids: vec![0; words.len()],
        words: Vec::new(),
        pair_ids: Map::default(),
        gram_ids: Map::default(),
        field_ids: vec![0; texts.entries.len()],
    };
    for (word, i, n) in chosen {
        new.word_ids[i] = new.entries.len() as u32;
        new.push(word.to_owned(), rarity(n, tickets));
    }
    let grams = grams(&words, &frequency);
    let grams = grams.iter().filter(|(_, n)| **n >= min).map(|(gram, n)| (&**gram, (), *n));
    for (gram, (), n) in most_frequent(grams.collect(), gram_limit) {
        new.gram_ids.insert(gram.into(), new.entries.len() as u32);
        new.push(format!("{GRAM}{gram}"), rarity(n, tickets) * settings.gram_weight);
    }
    let pairs = pairs(texts, of, &new, min, pair_limit);
    for (first, second, n) in pairs {
        new.pair_ids.insert((first, second), new.entries.len() as u32);
        let pair = format!("{} {}", new.entries[first as usize], new.entries[second as usize]);
        new.push(pair, rarity(n, tickets));
    }
    for (entry, i, n) in fields {
        new.field_ids[i] = new.entries.len() as u32;
        new.push(entry.to_owned(), rarity(n, tickets));
    }
    new.words = words;
    new
}

impl Vocabulary {
    /// For each entry its id in another vocabulary, if it is there.
    pub fn places_in(&self, other: &Self) -> Vec<Option<u32>> {
        let ids: Map<&str, u32> = other.entries.iter().map(String::as_str).zip(0..).collect();
        self.entries.iter().map(|entry| ids.get(entry.as_str()).copied()).collect()
    }

    fn push(&mut self, entry: String, scale: f32) {
        self.entries.push(entry);
        self.scales.push(scale);
    }
}

/// How the size is shared out between words, n-grams and pairs.
fn shares(size: usize) -> [usize; 3] {
    let eighth = size / 8;
    [size - 6 * eighth, 3 * eighth, 3 * eighth]
}

/// Smoothed inverse ticket frequency: the rarer, the more it says (Spärck Jones 1972).
fn rarity(n: u32, tickets: f64) -> f32 {
    (((1.0 + tickets) / (1.0 + f64::from(n).min(tickets))).ln() + 1.0) as f32
}

/// For each word, how many tickets have it.
fn tickets_with(texts: &Texts, of: &[usize], words: usize, read_as: Option<&[u32]>) -> Vec<u32> {
    let mut frequency = vec![0; words];
    let mut last_seen = vec![usize::MAX; words];
    for ticket in of {
        let (subject, body) = texts.ticket(*ticket);
        for number in subject.iter().chain(body).filter(|n| **n != BREAK) {
            let word = read_as.map_or(*number, |r| r[*number as usize]) as usize;
            if last_seen[word] != *ticket {
                last_seen[word] = *ticket;
                frequency[word] += 1;
            }
        }
    }
    frequency
}

/// What each word is read as: rare words with digits are read by their shape.
fn shapes(words: &mut Vec<Box<str>>, frequency: &[u32], min: u32) -> Vec<u32> {
    let numbers: Map<Box<str>, u32> = words.iter().cloned().zip(0..).collect();
    let mut added: Map<String, u32> = Map::default();
    (0..frequency.len())
        .map(|i| {
            let shape = if frequency[i] < min { shape(&words[i]) } else { None };
            let Some(shape) = shape else { return i as u32 };
            let known = numbers.get(shape.as_str()).or_else(|| added.get(&shape)).copied();
            known.unwrap_or_else(|| {
                let number = words.len() as u32;
                words.push(shape.as_str().into());
                added.insert(shape, number);
                number
            })
        })
        .collect()
}

/// The most frequent first, so that what is used together is near in memory; equally frequent
/// ones in the order of their text.
fn most_frequent<T>(mut all: Vec<(&str, T, u32)>, limit: usize) -> Vec<(&str, T, u32)> {
    all.sort_unstable_by(|a, b| b.2.cmp(&a.2).then(a.0.cmp(b.0)));
    all.truncate(limit);
    all
}

/// N-grams with the tickets of the words that they occur in: an upper bound of their own
/// tickets, close where few words share the n-gram.
fn grams(words: &[Box<str>], frequency: &[u32]) -> Map<Box<str>, u32> {
    let mut counts: Map<Box<str>, u32> = Map::default();
    let mut seen: Vec<Box<str>> = Vec::new();
    for (word, n) in words.iter().zip(frequency).filter(|(_, n)| **n > 0) {
        seen.clear();
        each_gram(word, |gram| seen.push(gram.into()));
        seen.sort_unstable();
        seen.dedup();
        for gram in &seen {
            match counts.get_mut(gram) {
                Some(count) => *count = count.saturating_add(*n),
                None => drop(counts.insert(gram.clone(), *n)),
            }
        }
    }
    counts
}

/// Fields with their values, their numbers and their tickets, in byte order.
fn fields<'t>(
    texts: &'t Texts,
    of: &[usize],
    min: u32,
    limit: usize,
) -> Vec<(&'t str, usize, u32)> {
    let mut counts = vec![0; texts.entries.len()];
    of.iter().flat_map(|i| texts.fields(*i)).for_each(|number| counts[*number as usize] += 1);
    let known = texts.entries.iter().zip(counts).enumerate().filter(|(_, (_, n))| *n >= min);
    let known = known.map(|(i, (entry, n))| (&**entry, i, n));
    let mut kept = most_frequent(known.collect(), limit);
    kept.sort_unstable();
    kept
}

/// Pairs of neighbouring words of the vocabulary by their ids, with their tickets, the most
/// frequent first.
fn pairs(
    texts: &Texts,
    of: &[usize],
    vocabulary: &Vocabulary,
    min: u32,
    limit: usize,
) -> Vec<(u32, u32, u32)> {
    let mut counts: Map<(u32, u32), u32> = Map::default();
    let mut seen = Vec::new();
    for ticket in of {
        seen.clear();
        vocabulary.each_pair(texts, *ticket, |_, first, second| seen.push((first, second)));
        seen.sort_unstable();
        seen.dedup();
        for pair in &seen {
            *counts.entry(*pair).or_default() += 1;
        }
    }
    let mut kept: Vec<_> = counts
        .into_iter()
        .filter(|(_, n)| *n >= min)
        .map(|((first, second), n)| (first, second, n))
        .collect();
    kept.sort_unstable_by_key(|(first, second, n)| (std::cmp::Reverse(*n), *first, *second));
    kept.truncate(limit);
    kept
}

impl Vocabulary {
    /// Calls `each` with every two neighbouring words of a ticket that have ids: whether they
    /// stand in the subject, and the ids.
    pub fn each_pair(&self, texts: &Texts, ticket: usize, mut each: impl FnMut(bool, u32, u32)) {
        let (subject, body) = texts.ticket(ticket);
        for (in_subject, part) in [(true, subject), (false, body)] {
            let mut previous = 0;
            for number in part {
                let id = match *number {
                    BREAK => 0,
                    n => self.word_ids[self.read_as[n as usize] as usize],
                };
                if previous != 0 && id != 0 {
                    each(in_subject, previous, id);
                }
                previous = id;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::data::Example;
    use crate::triage::text::language::Language;

    fn texts(bodies: &[&str]) -> Texts {
        let example = |body: &&str| Example {
            id: String::new(),
            subject: "hi".to_owned(),
            body: (*body).to_owned(),
            fields: vec![],
            labels: [const { None }; 4],
            language: Language::En,
            created_at: None,
        };
        Texts::read(&bodies.iter().map(example).collect::<Vec<_>>(), || {})
    }

    #[test]
    fn many_labels_leave_fewer_features() {
        assert_eq!(size_for(40, 300_000), 300_000);
        assert_eq!(size_for(1_000, 300_000), 50_000);
        assert_eq!(size_for(20_000, 300_000), 10_000);
        assert_eq!((size_for(20_000, 500), size_for(0, 500)), (500, 500));
    }

    #[test]
    fn frequent_words_pairs_and_n_grams_in_order() {
        let bodies = ["vpn down 4711", "the vpn down again 0815", "mail 12 lost"];
        let settings = recipe::Features { min_tickets: 2, ..recipe::Features::default() };
        let vocabulary = learn(&texts(&bodies), &[0, 1, 2], &settings);
        let of = |kind: fn(&&String) -> bool| -> Vec<&str> {
            vocabulary.entries[1..].iter().filter(kind).map(String::as_str).collect()
        };
        let grams = of(|e| e.starts_with('#'));
        assert_eq!(of(|e| !e.starts_with('#') && !e.contains(' ')), ["hi", "0000", "down", "vpn"]);
        assert_eq!(of(|e| e.contains(' ')), ["vpn down"]);
        assert!(grams.contains(&"#vp") && grams.contains(&"#<00") && !grams.contains(&"#mai"));
        assert_eq!(grams[0], "#n>");
        // The same tickets in another order.
        let turned: Vec<&str> = bodies.iter().rev().copied().collect();
        let again = learn(&texts(&turned), &[0, 1, 2], &settings);
        assert_eq!((again.entries, again.scales), (vocabulary.entries, vocabulary.scales));
    }

    #[test]
    fn the_size_is_a_limit() {
        let settings = recipe::Features { min_tickets: 1, size: 16, ..recipe::Features::default() };
        let bodies = ["one two three four five six seven eight nine ten"];
        assert!(learn(&texts(&bodies), &[0], &settings).entries.len() <= 17);
    }
}
