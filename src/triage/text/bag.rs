//! The distinct words of one ticket and the pairs of neighbours among them, with how often they
//! occur, and its fields. Buffers are kept between tickets.

use std::hash::BuildHasher;

use hashbrown::HashTable;

use super::lexicon::{Lexicon, Marked, shape};
use super::tokens::Words;

/// What a ticket says: [`Self::words`], [`Self::pairs`] and [`Self::fields`].
#[derive(Default)]
pub struct Bag {
    words: Vec<Word>,
    pairs: Vec<Pair>,
    fields: Vec<u32>,
    /// By id of a word: its place, if it was seen in this ticket.
    seen: Vec<Seen>,
    ticket: u32,
    /// By place of a word: the last pair that it begins. By place of a pair: the one before, which
    /// the same word begins. Places in `pairs`, from 1 on; 0 is none.
    last_pair: Vec<u32>,
    pair_before: Vec<u32>,
    /// Texts and known n-grams of the words that the vocabulary does not hold.
    text: String,
    grams: Vec<u32>,
    strangers: HashTable<(u64, u32)>,
    hasher: foldhash::fast::FixedState,
    marked: Marked,
    occurrences: u32,
    listed: u32,
    unknown: u32,
    reading: Reading,
}

/// The text that is being added, word for word: ids, 0 for none, and places in the bag.
#[derive(Default)]
struct Reading {
    words: Words,
    ids: Vec<u32>,
    places: Vec<u32>,
    /// Of each two neighbours.
    pairs: Vec<u32>,
}

/// A place, and the ticket that it is of.
#[derive(Clone, Copy, Default)]
struct Seen {
    ticket: u32,
    place: u32,
}

/// One distinct word of a ticket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Word {
    /// Its id in the vocabulary.
    pub id: Option<u32>,
    /// Occurrences, each by the weight of the part that it stands in.
    pub weight: f32,
    pub count: u32,
    /// Where text and n-grams are, of a word that has no id.
    text: (u32, u32),
    grams: (u32, u32),
    unknown: bool,
}

/// A pair of neighbouring words that the vocabulary holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// Its id in the vocabulary.
    pub id: u32,
    /// Places of the two words in [`Bag::words`].
    pub words: (u32, u32),
    pub weight: f32,
    pub count: u32,
}

impl Bag {
    /// Forgets the last ticket.
    pub fn clear(&mut self) {
        self.words.clear();
        self.pairs.clear();
        self.fields.clear();
        self.text.clear();
        self.grams.clear();
        self.strangers.clear();
        self.last_pair.clear();
        self.pair_before.clear();
        self.occurrences = 0;
        self.listed = 0;
        self.unknown = 0;
        self.ticket = self.ticket.wrapping_add(1);
        if self.ticket == 0 {
            // The numbers begin again: what is left of the first round must not look new.
            self.seen.fill(Seen::default());
            self.ticket = 1;
        }
    }

    /// Adds the words of `text`, each occurrence counted as `weight`. No pair reaches from one
    /// text into the next. All texts of a ticket need the same lexicon.
    pub fn add(&mut self, lexicon: &Lexicon, text: &str, weight: f32) {
        let ids = lexicon.word_ids().end as usize;
        if self.seen.len() != ids {
            self.seen = vec![Seen::default(); ids];
            self.ticket = self.ticket.max(1);
        }
        let mut reading = std::mem::take(&mut self.reading);
        let Reading { words, ids, places, pairs } = &mut reading;
        words.read(text);
        // Each step is a loop of its own, so that many words wait for memory at the same time.
        ids.clear();
        ids.extend(words.spans().iter().map(|at| lexicon.word_at(words.text(), *at).unwrap_or(0)));
        places.clear();
        for (id, word) in ids.iter_mut().zip(words.spans()) {
            let place = match *id {
                0 => self.add_unlisted(lexicon, words.text().text(*word), id),
                known => self.known(known),
            };
            let word = &mut self.words[place as usize];
            word.weight += weight;
            word.count += 1;
            self.unknown += u32::from(word.unknown);
            self.listed += u32::from(word.id.is_some());
            places.push(place);
        }
        self.occurrences += places.len() as u32;
        pairs.clear();
        pairs.extend(ids.windows(2).map(|two| lexicon.pair(two[0], two[1]).unwrap_or(0)));
        for (pair, words) in pairs.iter().zip(places.windows(2)) {
            if *pair != 0 {
                self.add_pair(*pair, (words[0], words[1]), weight);
            }
        }
        self.reading = reading;
    }

    /// The place of a word that the vocabulary does not hold as it stands. `id` becomes that of
    /// its shape, if there is one.
    fn add_unlisted(&mut self, lexicon: &Lexicon, word: &str, id: &mut u32) -> u32 {
        let Some(shape) = shape(word) else { return self.stranger(lexicon, word) };
        *id = lexicon.word(&shape).unwrap_or(0);
        if *id == 0 { self.stranger(lexicon, &shape) } else { self.known(*id) }
    }

    /// Adds a field with its value, given as an entry, if the vocabulary holds it.
    pub fn add_field(&mut self, lexicon: &Lexicon, entry: &str) {
        let id = lexicon.field(entry);
        self.fields.extend(id.filter(|id| !self.fields.contains(id)));
    }

    /// The place of a word of the vocabulary.
    fn known(&mut self, id: u32) -> u32 {
        let seen = &mut self.seen[id as usize];
        if seen.ticket != self.ticket {
            *seen = Seen { ticket: self.ticket, place: self.words.len() as u32 };
            let (text, grams) = ((0, 0), (0, 0));
            let id = Some(id);
            self.words.push(Word { id, weight: 0.0, count: 0, text, grams, unknown: false });
            self.last_pair.push(0);
        }
        seen.place
    }

    /// The place of a word that is not in the vocabulary.
    fn stranger(&mut self, lexicon: &Lexicon, word: &str) -> u32 {
        let hash = self.hasher.hash_one(word);
        let same = |(other, place): &(u64, u32)| {
            *other == hash && text(&self.text, &self.words[*place as usize]) == word
        };
        if let Some((_, place)) = self.strangers.find(hash, same) {
            return *place;
        }
        let (start, first) = (self.text.len() as u32, self.grams.len() as u32);
        self.text.push_str(word);
        let unknown = !lexicon.grams(word, &mut self.marked, &mut self.grams);
        let place = self.words.len() as u32;
        self.words.push(Word {
            id: None,
            weight: 0.0,
            count: 0,
            text: (start, self.text.len() as u32),
            grams: (first, self.grams.len() as u32),
            unknown,
        });
        self.last_pair.push(0);
        self.strangers.insert_unique(hash, (hash, place), |(hash, _)| *hash);
        place
    }

    fn add_pair(&mut self, id: u32, words: (u32, u32), weight: f32) {
        let last = &mut self.last_pair[words.0 as usize];
        let mut at = *last;
        while at != 0 && self.pairs[at as usize - 1].id != id {
            at = self.pair_before[at as usize - 1];
        }
        if at == 0 {
            self.pairs.push(Pair { id, words, weight: 0.0, count: 0 });
            self.pair_before.push(*last);
            at = self.pairs.len() as u32;
            *last = at;
        }
        let pair = &mut self.pairs[at as usize - 1];
        pair.weight += weight;
        pair.count += 1;
    }

    /// All words, repetitions included.
    pub fn occurrences(&self) -> u32 {
        self.occurrences
    }

    /// Words among [`Self::occurrences`] that are in the vocabulary as they stand or by their shape.
    pub fn listed(&self) -> u32 {
        self.listed
    }

    /// Words among [`Self::occurrences`] that are not in the vocabulary and of whose n-grams
    /// fewer than half are.
    pub fn unknown(&self) -> u32 {
        self.unknown
    }

    /// Every distinct word in the order of its first occurrence.
    pub fn words(&self) -> &[Word] {
        &self.words
    }

    /// Ids of the known n-grams of a word that has no id itself.
    pub fn grams(&self, word: &Word) -> &[u32] {
        &self.grams[word.grams.0 as usize..word.grams.1 as usize]
    }

    /// A word's text: lower-cased; a number or code that the vocabulary does not hold has its
    /// digits as `0`.
    pub fn text<'a>(&'a self, lexicon: &'a Lexicon, word: &Word) -> &'a str {
        match word.id {
            Some(id) => lexicon.word_text(id),
            None => text(&self.text, word),
        }
    }

    /// Every distinct known pair in the order of its first occurrence.
    pub fn pairs(&self) -> &[Pair] {
        &self.pairs
    }

    /// Ids of the distinct known fields in the order in which they were added.
    pub fn fields(&self) -> &[u32] {
        &self.fields
    }
}

fn text<'a>(all: &'a str, word: &Word) -> &'a str {
    &all[word.text.0 as usize..word.text.1 as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_pairs_shapes_and_n_grams() {
        let lexicon =
            Lexicon::new(["[UNK]", "000", "error", "vpn", "#<co", "#con", "#onn", "vpn error"])
                .unwrap();
        let mut bag = Bag::default();
        bag.add(&lexicon, "VPN error 691, vpn ERROR 812", 1.0);
        bag.add(&lexicon, "error con zzz", 2.0);
        let words = bag.words().iter();
        let words: Vec<_> =
            words.map(|w| (bag.text(&lexicon, w), w.id, w.weight, w.count)).collect();
        assert_eq!(
            words,
            [
                ("vpn", Some(3), 2.0, 2),
                ("error", Some(2), 4.0, 3),
                ("000", Some(1), 2.0, 2),
                ("con", None, 2.0, 1),
                ("zzz", None, 2.0, 1),
            ]
        );
        assert_eq!(bag.grams(&bag.words()[3]), [4, 5]);
        assert_eq!(bag.pairs(), [Pair { id: 7, words: (0, 1), weight: 2.0, count: 2 }]);
        // Of "con"'s nine n-grams two are known.
        assert_eq!((bag.occurrences(), bag.unknown()), (9, 2));
        assert_eq!(bag.fields(), [0; 0]);
        bag.clear();
        assert_eq!((bag.words().len(), bag.pairs().len(), bag.unknown()), (0, 0, 0));
    }

    #[test]
    fn known_fields_once_each() {
        let lexicon = Lexicon::new(["[UNK]", "email", "@from=email", "@from=portal"]).unwrap();
        let mut bag = Bag::default();
        for entry in ["@from=portal", "@from=fax", "email", "@from=email", "@from=portal"] {
            bag.add_field(&lexicon, entry);
        }
        assert_eq!((bag.fields(), bag.words().len(), bag.occurrences()), (&[3, 2][..], 0, 0));
        bag.clear();
        assert_eq!(bag.fields(), [0; 0]);
    }
}
